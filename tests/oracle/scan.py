"""One feed file: frames, records, links."""
import record as records
from adapter import Refused
from archive import name_of

FEED_BYTES = 1 << 30


def frame_at(file, at):
    """The length of the envelope in the frame at this byte, if its length and the heads of payload and signature agree."""
    length = int.from_bytes(file[at:at + 4], "little")
    head = file[at + 4:at + 8]
    if len(head) < 3 or head[0] != 0x82 or not 3 <= length <= records.RECORD_BYTES or at + 4 + length > len(file):
        return None
    if head[1] == 0x58:
        signature = 3 + head[2]
    elif head[1] == 0x59 and len(head) == 4:
        signature = 4 + int.from_bytes(head[2:4], "big")
    else:
        return None
    at += 4 + signature
    return length if length == signature + 66 and file[at:at + 2] == b"\x58\x40" else None


class Scan:
    """One feed file: frames, signatures, links."""

    def __init__(self, audit, key):
        self.audit, self.notes, self.chain = audit, audit.notes, audit.chain
        self.of, self.behind_gap, self.found = key[1:], None, set()
        self.feed = records.Feed(*self.of)
        self.base = {"file": name_of(key), "member": key[1], "incarnation": key[2]}
        self.file = audit.source.read(key, FEED_BYTES, audit.notes) or b""

    def run(self):
        at, damaged, items = 0, False, []
        while at < len(self.file):
            length = frame_at(self.file, at)
            if length is not None:
                items += self.frame(at, self.file[at + 4:at + 4 + length])
                at, damaged = at + 4 + length, False
                continue
            if not damaged:
                self.notes.add("FRM-001", {**self.base, "offset": at})
            at, damaged = at + 1, True
        for one in self.ranked(items):
            self.place(one)

    def frame(self, offset, data):
        place = {**self.base, "offset": offset}
        try:
            one = records.check(data, self.chain, True)
        except Refused as refused:
            self.notes.add(refused.code, place)
            return []
        if (one.member, one.incarnation) != self.of:
            self.notes.add("FRM-002", {**place, "seq": one.seq, "record": one.id})
            return []
        one.offset = offset
        one.where = {**place, "seq": one.seq, "record": one.id}
        if one.kind > records.FAULT:
            self.notes.add("REC-001", one.where)
        return [one]

    def ranked(self, items):
        """The order of linking: if a cut or a handover says which history stands, that one first; what is void last."""
        cut, stands = self.chain.newest.cut_of.get(self.of[0]), set()
        ends = [cut] if cut else []
        ends += [handover for _, handover in self.chain.handovers.get(self.of[0], [])[::-1]]
        here = [end for end in ends if end[1] == self.of[1] and 2 in end]
        if here:
            prev, at = {one.id: one.prev for one in items}, here[0][2][1]
            while at is not None and at not in stands:
                stands.add(at)
                at = prev.get(at)
        return sorted(items, key=lambda one: 2 if one.void else 0 if not stands or one.id in stands else 1)

    def place(self, one):
        if one.id in self.found:
            return self.notes.add("LNK-002", one.where)
        one.linked = self.link(one)
        if one.void:
            self.notes.run("CUT-001", one.where)
            one.linked = False
        one.loose = not one.linked and not one.void
        self.audit.verified += not one.loose
        self.found.add(one.id)
        self.audit.all.append(one)

    def link(self, one):
        if self.behind_gap:
            last, self.behind_gap = self.behind_gap, one
            if one.seq > last.seq + 1:
                self.notes.add("LNK-001", one.where)
            elif one.seq <= last.seq or one.prev != last.id:
                self.notes.add("LNK-003", one.where)
                return False
            return True
        try:
            outcome = self.feed.offer(one)
        except Refused as refused:
            self.notes.add(refused.code, one.where)
            return False
        if outcome[0] == "gap":
            self.notes.add("LNK-001", one.where)
            self.behind_gap = one
        elif outcome[0] == "fork":
            self.audit.contradiction((*self.of, outcome[2]), one.where, outcome[3], one)
            return False
        return True
