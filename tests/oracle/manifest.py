"""Manifests and their chain, section 2 of docs/PROTOCOL.md."""
from adapter import Layout, Refused, derive, need
from ed25519 import admit, verify
from strict import HASH, MANIFEST, MANIFEST_BYTES, STRING, UINT, Many, Maybe, Raw, Reader, decode, strict

LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
MEMBER = {0: HASH, 1: STRING, 2: HASH, 3: Many(Raw(1, 64)), 4: range(4), 5: Maybe(HASH), 6: Maybe(UINT)}
CUT = {0: HASH, 1: UINT, 2: Maybe((UINT, HASH))}
HANDOVER = CUT | {3: Maybe({0: UINT, 1: HASH})}
TENSOR = {0: STRING, 1: range(3), 2: UINT, 3: UINT}
ADAPTER = {0: UINT, 1: UINT, 2: UINT, 3: HASH, 4: Many(TENSOR)}
MEAN = {0: range(1, 2), 1: UINT, 2: Many(UINT), 3: UINT}
POLICY = {0: HASH, 1: ADAPTER, 2: {0: UINT, 1: Maybe(UINT)}, 3: MEAN, 4: UINT, 5: UINT, 6: range(2), 7: UINT,
          8: {0: UINT, 1: UINT}, 9: UINT, 10: UINT, 11: UINT, 12: Many(STRING), 13: Maybe(UINT), 14: Maybe(UINT),
          15: Maybe({0: UINT, 1: UINT})}
BODY = {0: UINT, 1: Maybe(HASH), 2: UINT, 3: Maybe(HASH), 4: Many(HASH), 5: UINT, 6: Many(MEMBER), 7: Many(CUT), 8: POLICY,
        9: Maybe(Many(HANDOVER, 1))}
BLOB_BYTES = 1 << 31
VOTED = (Raw(0, MANIFEST_BYTES), Many((HASH, Raw(64))))


def ascending(items):
    return all(a < b for a, b in zip(items, items[1:]))


def is_label(text):
    return 1 <= len(text) <= 64 and LABEL.issuperset(text)


class Policy:
    def __init__(self, p):
        self.base_model, self.adapter, self.rule, self.draw, self.norm_bound, self.codec = p[0], p[1], p[2], p[4], p[5], p[6]
        _, self.momentum, self.ages, self.reach = p[3].values()
        self.rounds, self.least_steps, self.most_steps, self.checkpoint, self.keep = p[7], p[8][0], p[8][1], p[10], p[11]
        self.parts, self.asks, self.witnesses, self.checks = p[12], 13 in p, p.get(13, 0), p.get(14, 0)
        self.privacy = p.get(15)

    def phase(self, round_):
        """0 both, 1 A, 2 B."""
        if self.rule[0] == 1:
            return 1 if round_ // self.rule[1] % 2 else 2
        return 2 if self.rule[0] == 2 else 0

    def round_after(self, newest):
        return min(newest + 1, self.rounds) if self.rounds else newest + 1

    def layout(self):
        return Layout([(t[0], t[1], t[2], t[3]) for t in self.adapter[4]], self.adapter[2])

    def check(self):
        need(all(part == "adapter" for part in self.parts), "MAN-026")
        rank, alpha, tensors = self.adapter[0], self.adapter[1], self.adapter[4]
        rules = [len(self.parts) == 1, 1 <= rank <= 1024, 1 <= alpha <= 65536, tensors, ascending([t[0].encode() for t in tensors]),
                 all(t[0] and t[2] and t[3] and (t[1] == 2 or t[2] == rank) for t in tensors),
                 sum(t[2] * t[3] for t in tensors) <= 1 << 30, self.rule != {0: 1, 1: 0}, self.momentum < 65536,
                 1 <= len(self.ages) <= 16 and self.ages[0] == 65536 and self.ages[-1] > 0,
                 self.ages == sorted(self.ages, reverse=True), 1 <= self.draw <= 63, self.norm_bound, self.reach,
                 1 <= self.least_steps <= self.most_steps, not self.asks or 1 <= self.witnesses <= 63, self.checks != 1, self.checks <= 63,
                 not self.privacy or all(self.privacy.values()),
                 self.layout().payload_length(self.codec) <= BLOB_BYTES,
                 not self.momentum or not self.checkpoint or 20 * self.layout().size <= BLOB_BYTES]
        need(all(rules), "MAN-009")


class Manifest:
    """A payload that passed the CBOR gates; its keys and rules are looked at by `check`."""

    def __init__(self, data):
        parts = decode(data, MANIFEST, VOTED)
        self.payload, self.votes = parts[0], parts[1]
        need(len(self.votes) <= 128, "MAN-011")
        need(ascending([vote[0] for vote in self.votes]), "MAN-012")
        strict(self.payload, MANIFEST)
        reader = Reader(self.payload)
        reader.expect(5)
        need(reader.field(0, 0) == 1, "MAN-001")
        p = decode(self.payload, MANIFEST, BODY)
        rule = p[8][2]
        need(rule[0] < 3 and (1 in rule) == (rule[0] == 1), "CBOR-016")
        self.network, self.version, self.prev, self.governors, self.threshold = p.get(1), p[2], p.get(3), p[4], p[5]
        self.members, self.cuts, self.policy = p[6], p[7], Policy(p[8])
        self.handovers = p.get(9, [])
        self.by_id = {m[0]: m for m in self.members}
        self.cut_of = {cut[0]: cut for cut in self.cuts}
        self.hash = derive("chorale v1 manifest hash", self.payload)

    def voted(self, governors):
        """How many of these governors voted; their votes verify."""
        votes = [vote for vote in self.votes if vote[0] in governors]
        for key, signature in votes:
            admit(key)
            verify(key, b"manifest", self.payload, signature)
        return len(votes)

    def check(self):
        need(1 <= len(self.governors) <= 64, "MAN-002")
        need(1 <= len(self.members) <= 4096, "MAN-004")
        for key in self.governors + [m[2] for m in self.members]:
            admit(key)
        need(ascending(self.governors), "MAN-002")
        need(len(self.governors) // 2 < self.threshold <= len(self.governors), "MAN-003")
        need(ascending([m[0] for m in self.members]), "MAN-004")
        seen = set()
        for _, label, key, transport, *_ in map(dict.values, self.members):
            own = {("label", label), ("key", key)} | {("transport", t) for t in transport}
            need(is_label(label) and 1 <= len(transport) <= 8 and ascending(transport) and not own & seen, "MAN-005")
            seen |= own
        need(ascending([cut[0] for cut in self.cuts]) and len(self.cuts) <= 8192, "MAN-007")
        need(ascending([handover[0] for handover in self.handovers]), "MAN-021")
        need(all(self.version and handover[0] in self.by_id for handover in self.handovers), "MAN-021")
        need(all(handover[3][0] for handover in self.handovers if 3 in handover), "MAN-021")
        self.policy.check()
        need(all(m.get(6, self.policy.adapter[0]) == self.policy.adapter[0] for m in self.members), "MAN-025")
        self.voted([vote[0] for vote in self.votes])


def own_id(member):
    need(member[0] == derive("chorale v1 member id", member[2]), "MAN-006")


class Chain:
    def __init__(self, data):
        genesis = Manifest(data)
        need(genesis.version == 0 and genesis.network is None and genesis.prev is None, "MAN-015")
        genesis.check()
        need({vote[0] for vote in genesis.votes} <= set(genesis.governors), "MAN-013")
        need(len(genesis.votes) == len(genesis.governors), "MAN-014")
        for member in genesis.members:
            own_id(member)
        self.network, self.versions = derive("chorale v1 network id", genesis.payload), []
        self.entries, self.owners, self.handovers = {}, {}, {}  # by member; by key; by member: (version, handover) ascending
        self.events = []  # (version, code): what governors did to keys without their members
        self.add(genesis)

    @property
    def newest(self):
        return self.versions[-1]

    def extend(self, data):
        new, old = Manifest(data), self.newest
        if new.version <= old.version:
            raise Refused("MAN-017" if self.versions[new.version].hash == new.hash else "MAN-018")
        need(new.network == self.network, "MAN-016")
        need(new.version == old.version + 1, "MAN-019")
        need(new.prev == old.hash, "MAN-020")
        need(new.voted(old.governors) >= old.threshold, "MAN-014")
        new.check()
        need({vote[0] for vote in new.votes} <= {*old.governors, *new.governors}, "MAN-013")
        need(sum(vote[0] in new.governors for vote in new.votes) >= new.threshold, "MAN-014")
        a, b = old.policy, new.policy
        kept = [(p.base_model, p.adapter, p.codec, p.parts, p.momentum > 0) for p in (a, b)]
        need(kept[0] == kept[1], "MAN-010")
        for member in new.members:
            if member[0] not in self.entries:
                own_id(member)
        for member in new.members:
            owner, entry = self.owners.get(member[2]), self.entries.get(member[0])
            need(owner is None or owner == member[0] and entry and entry[2] == member[2], "MAN-023")
        for cut in old.cuts:
            now = new.cut_of.get(cut[0])
            need(now is not None and (now == cut or place_of(now) < place_of(cut)), "MAN-008")
        events = self.key_events(new)
        dropped = [m[0] for m in old.members if m[4] == 0 and new.by_id.get(m[0], {4: 1})[4] != 0]
        need(all(member in new.cut_of for member in dropped), "MAN-022")
        self.add(new)
        self.events += events

    def add(self, version):
        self.versions.append(version)
        for member in version.members:
            self.entries[member[0]] = member
            self.owners[member[2]] = member[0]
        for handover in version.handovers:
            self.handovers.setdefault(handover[0], []).append((version.version, handover))

    def key_events(self, new):
        """A handover for each changed key and none else; what is done without the member's commitment."""
        handed, events = {handover[0] for handover in new.handovers}, []
        for member in new.members:
            was = self.entries.get(member[0])
            changed = was is not None and was[2] != member[2]
            need(changed == (member[0] in handed), "MAN-021")
            if changed and was.get(5) != derive("chorale v1 next key", member[2]):
                events.append((new.version, "KEY-001"))
            elif was is not None and not changed and was.get(5) != member.get(5):
                events.append((new.version, "KEY-002"))
        return events

    def first_incarnation(self, member, version):
        """The first of the 64 incarnations of the key that this version gives the member."""
        return max((handover[1] + 1 for at, handover in self.handovers.get(member, []) if at <= version), default=0)

    def behind_handover(self, member, incarnation, seq, record, version):
        after = [handover for at, handover in self.handovers.get(member, []) if at > version]
        return not all(holds(handover, incarnation, seq, record) for handover in after)

    def stands(self, member, incarnation, seq, record, version):
        cut = self.newest.cut_of.get(member)
        held = cut is None or holds(cut, incarnation, seq, record)
        return held and not self.behind_handover(member, incarnation, seq, record, version)

    def settled(self, first, second):
        """Whether the manifests say which of two records that contradict each other stands."""
        cut = self.newest.cut_of.get(first.member)
        handed = [at for at, handover in self.handovers.get(first.member, []) if handover[1] <= first.incarnation]
        return bool(cut and cut[1] <= first.incarnation) or any(min(first.version, second.version) < at for at in handed)

    def double_vote(self, data):
        """Who voted for this manifest and for the one of its version that is held."""
        try:
            other = Manifest(data)
            other.check()
        except Refused:
            raise Refused("GOV-002") from None
        held = self.versions[other.version] if 0 < other.version < len(self.versions) else None
        need(held is not None and other.network == self.network and other.hash != held.hash, "GOV-002")
        both = sorted({vote[0] for vote in other.votes} & {vote[0] for vote in held.votes})
        need(both, "GOV-002")
        return both


def holds(cut, incarnation, seq, record):
    """Whether a record stands by a cut, or by a handover, which has the same shape."""
    if incarnation != cut[1]:
        return incarnation < cut[1]
    return 2 in cut and (seq < cut[2][0] or [seq, record] == cut[2])


def place_of(cut):
    return cut[1], cut[2][0] if 2 in cut else -1
