"""One member's records in the order of their places: linked, and held against the rules, the draw and the merges."""
import adapter
import remerge
from adapter import Refused
from record import DISTANCE, EVIDENCE_KIND, RELEASE, UPDATE
from severity import INCOMPLETE

CLOCK_STEP = 1 << 20


class Walk:
    """One member's records, one after the other: what they build on, whom they merged, what they published."""

    def __init__(self, audit):
        self.audit, self.notes = audit, audit.notes
        self.last, self.payload, self.momentum = None, None, None  # newest update, its payload, (record id, state after it)

    def record(self, one):
        if one.incarnation and one.seq == 0:
            self.incarnation(one)
        payload = self.bodies(one)
        if not one.linked:
            return
        manifest, known = self.audit.chain.versions[one.version], self.audit.by_id
        parents = [known.get(parent) for parent in one.parents]
        if None in parents:
            self.notes.run("DAG-001", one.where)
        try:
            named(one, manifest, known)
            admit(one, known.get(one.prev), parents, manifest.policy, self.audit.layout)
        except Refused as refused:
            self.notes.add(refused.code, one.where)
        if one.kind == UPDATE:
            candidates = [m[0] for m in manifest.members if m[4] == 0 and m[0] not in manifest.cut_of and m[0] != one.member]
            order = adapter.draw(self.audit.network, one.member, one.incarnation, one.seq, candidates)
            if None not in parents:
                self.rules(one, parents, order, manifest)
            if self.audit.recompute:
                self.merge(one, parents, order, manifest, payload)
            self.last, self.payload = one, payload

    def incarnation(self, one):
        self.notes.add("INC-001", one.where)
        prev = self.audit.by_id.get(one.prev)
        if prev is None:
            self.notes.add("INC-003", one.where)
        elif prev.member != one.member or prev.incarnation >= one.incarnation:
            self.notes.add("INC-002", one.where)

    def bodies(self, one):
        if one.kind == EVIDENCE_KIND:
            self.evidence(one)
        if one.state:
            self.lack(one, self.audit.state(one)[1])
        if one.kind != UPDATE:
            return None
        payload, lack = self.audit.payload(one)
        self.lack(one, lack)
        return payload

    def evidence(self, one):
        lack = self.audit.blob(4, one.body)[1]
        if lack == "missing":
            return self.notes.add("EVD-004", one.where) if one.linked else self.lack(one, lack)
        if lack:
            return self.notes.add(lack, one.where)
        accused = self.audit.convicted.get(one.body[0])
        if accused != (one.spec[0], one.spec[1], one.spec[2]):
            self.notes.add("EVD-003" if accused else "EVD-001", one.where)

    def lack(self, one, lack):
        if lack == "missing" and not one.linked:
            self.notes.run("BLB-005", one.where)
        elif lack == "missing":
            keep = self.audit.chain.newest.policy.keep
            pruned = keep and one.round is not None and one.round + keep < self.audit.newest
            self.notes.run("BLB-002" if pruned else "BLB-001", one.where)
        elif lack:
            self.notes.add(lack, one.where)

    def rules(self, one, parents, order, manifest):
        """The rules of an update that need the author's other records, or the draw."""
        policy, last = manifest.policy, self.last
        own = next((p for p in parents if p.member == one.member), None)
        if own and last and own.id != last.id and last.incarnation == one.incarnation:
            self.notes.add("UPD-004", one.where)
        if not own and last and last.round + len(policy.ages) >= one.round:
            self.notes.add("UPD-009", one.where)
        if last and policy.rounds and last.round >= policy.rounds:
            self.notes.add("UPD-006", one.where)
        if not policy.least_steps <= one.spec[5] <= policy.most_steps:
            self.notes.add("UPD-007", one.where)
        used = {p.member for p in parents if p.member != one.member}
        skips = [(manifest.members[skip[0]][0], skip[1]) for skip in one.spec[4]]
        code = drawn(order, used, skips, policy.draw)
        if code:
            self.notes.add(code, one.where)

    def merge(self, one, parents, order, manifest, payload):
        codes, state = ["MRG-003"], None
        if None not in parents:
            own = (self.last.id, self.payload) if self.last and self.payload else None
            case = remerge.Case(self.audit, one, parents, order, manifest, own)
            codes, state = case.run(self.momentum, payload)
        self.audit.merges += not codes
        for code in codes:
            (self.notes.run if code in INCOMPLETE else self.notes.add)(code, one.where)
        if not state and one.state:  # where the chain of merges is broken, a checkpoint mends it
            state = self.audit.state(one)[0]
        self.momentum = (one.id, state) if state else None


def named(one, manifest, known):
    """Each record that is named as some member's is that member's, and with a skipped member an update, as far as it is here."""
    skipped = [(skip[0], skip[2], True) for skip in one.spec[4] if 2 in skip] if one.kind == UPDATE else []
    for place, id_, update in [(place, id_, False) for place, id_ in one.references] + skipped:
        found = known.get(id_)
        adapter.need(not found or found.member == manifest.members[place][0], "RULE-015")
        adapter.need(not found or not update or found.kind == UPDATE, "RULE-015")


def admit(one, prev, parents, policy, layout):
    """The rules that need the records that one builds on; what cannot be said without a missing one is left out."""
    known = [p for p in parents if p]
    below = ([prev] if prev and one.seq == 0 else []) + known
    adapter.need(all(one.clock > p.clock for p in below), "RULE-004")
    whole = len(known) == len(parents)
    if whole and (one.prev is None or prev):
        newest = max((p.clock for p in known + ([prev] if prev else [])), default=0)
        adapter.need(one.clock <= newest + 1 + CLOCK_STEP, "RULE-013")
    if one.kind == RELEASE and known:
        adapter.need(known[0].round == one.spec[0], "RULE-011")
    if one.kind == UPDATE:
        admit_update(one, parents, known, whole, policy, layout)


def admit_update(one, parents, known, whole, policy, layout):
    for p in known:
        adapter.need(p.member != one.member or (p.incarnation, p.seq) < (one.incarnation, one.seq), "RULE-003")
        adapter.need(p.round is not None, "RULE-001")
    newest = max((p.round for p in known), default=None)
    want = policy.round_after(newest or 0)
    adapter.need(one.round == want or (not whole and one.round > want), "RULE-005")
    base = next((p.round for p in known if p.member == one.member), newest if whole else None)
    for p, weight in zip(parents, one.spec[2]):
        if p and base is not None:
            right = adapter.weigh(policy.ages, base, p)
            adapter.need(right is not None, "RULE-007")
            adapter.need(right == weight, "RULE-008")
    adapter.need(one.spec[1] == policy.phase(one.round), "RULE-006")
    adapter.need(one.codec == policy.codec, "RULE-009")
    adapter.need(one.body[1] == layout.payload_length(policy.codec), "RULE-010")
    if one.state:
        due = policy.momentum and policy.checkpoint and one.round % policy.checkpoint == 0
        adapter.need(due and one.state[1] == 16 * layout.size, "RULE-014")


def drawn(order, used, skips, draw):
    """Whether those used and skipped are those whom the draw names, in its order; else a code."""
    merged = fetched = walked = listed = 0
    for member in order:
        if member in used:
            merged, fetched = merged + 1, fetched + 1
        elif listed < len(skips) and skips[listed][0] == member:
            fetched, listed = fetched + (skips[listed][1] == DISTANCE), listed + 1
        else:
            break
        walked += 1
    if listed < len(skips) or merged < len(used):
        return "DRW-001"
    if fetched > draw:
        return "DRW-002"
    return "DRW-003" if fetched < draw and walked < min(len(order), 64) else None
