"""Records, feeds and evidence, section 3 of docs/PROTOCOL.md."""
import privacy
from adapter import Refused, derive, need
from ed25519 import verify
from manifest import ascending, is_label
from strict import ANY, EVIDENCE, EVIDENCE_BYTES, HASH, RECORD, STRING, UINT, Many, Maybe, Raw, Reader, decode, envelope, strict

RECORD_BYTES, FAULT_BYTES, BLOB_BYTES, BETWEEN_UPDATES = 4168, 193 * 4171 + 16, 1 << 31, 16
UPDATE, RELEASE, EVIDENCE_KIND, CLOSE, FAULT = range(5)  # any other kind is unknown: it has its place and counts for nothing
ABSENT, DISTANCE = 0, 3
RULE_FLAW, PAYLOAD_FLAW, MERGE = range(3)  # what a fault speaks of
OF_RECORDS = 1, 2, 3, 4  # reasons to skip that speak of a publication

PRIVACY = {key: UINT for key in range(6)}
BLOB = {0: HASH, 1: UINT}
SPECS = {
    UPDATE: {0: UINT, 1: range(3), 2: Many(UINT), 3: HASH, 4: Many({0: UINT, 1: range(6), 2: Maybe(HASH)}), 5: UINT, 6: UINT, 7: Maybe(UINT),
             8: Maybe(UINT), 9: Maybe(PRIVACY), 10: Maybe(HASH), 11: Maybe(BLOB), 12: Maybe(Many(HASH, 1))},
    RELEASE: {0: UINT, 1: STRING},
    EVIDENCE_KIND: {0: HASH, 1: UINT, 2: UINT},
    CLOSE: {0: range(2)},
    FAULT: {0: HASH, 1: UINT, 2: UINT, 3: HASH, 4: range(3)},
}
PAYLOAD = {0: UINT, 1: HASH, 2: UINT, 3: HASH, 4: HASH, 5: UINT, 6: UINT, 7: Maybe(HASH), 8: UINT, 9: HASH, 10: UINT, 11: UINT,
           12: Maybe(HASH), 13: Maybe(UINT), 14: Maybe(range(2)), 15: Many({0: UINT, 1: HASH}), 17: Maybe(HASH)}
BUNDLE = (range(2), Raw(0, EVIDENCE_BYTES), Raw(0, EVIDENCE_BYTES))


class Record:
    """A record that was checked; `void` if only a cut or a handover refuses it."""

    def __init__(self, payload, p):
        self.id = derive("chorale v1 record id", payload)
        self.kind, self.member, self.key, self.incarnation, self.seq, self.prev = p[2], p[3], p[4], p[5], p[6], p.get(7)
        self.version, self.clock, self.time, self.body, self.codec = p[8], p[10], p[11], None, p.get(14)
        self.references = [(parent[0], parent[1]) for parent in p[15]]  # places in the member list, and ids
        self.parents, self.spec, self.seen, self.void = [id_ for _, id_ in self.references], p[16], p.get(17), False
        if 12 in p:
            self.body = (p[12], p[13])
        update = self.kind == UPDATE
        self.round = self.spec[0] if update else None
        self.claim = self.spec.get(9) if update else None
        self.checked = self.spec.get(12, []) if update else []
        self.state = (self.spec[11][0], self.spec[11][1]) if update and 11 in self.spec else None


def begin(payload, whole):
    """What the first fields say: version, network and kind, before anything else is looked at."""
    reader = Reader(payload)
    reader.expect(5)
    need(reader.field(0, 0) == 1, "REC-001")
    if not whole:
        return None, None
    network = reader.take(reader.field(1, 2))
    need(len(network) == 32, "CBOR-018")
    return network, reader.field(2, 0)


def check(data, chain, despite_cut=False):
    """The record in an envelope, or the first rule that it breaks; cheap checks first, the signature last."""
    payload, signature = envelope(data, RECORD_BYTES)
    strict(payload, RECORD)
    network, kind = begin(payload, True)
    need(network == chain.network, "REC-002")
    p = decode(payload, RECORD, {**PAYLOAD, 16: SPECS.get(kind, ANY)})
    need((12 in p) == (13 in p), "REC-011")
    need(p[8] < len(chain.versions), "REC-003")
    manifest = chain.versions[p[8]]
    need(p[9] == manifest.hash, "REC-004")
    author = manifest.by_id.get(p[3])
    need(author is not None, "REC-005")
    need(author[4] == 0, "REC-006")
    need(author[2] == p[4], "REC-007")
    record = Record(payload, p)
    first = chain.first_incarnation(record.member, record.version)
    need(record.incarnation < first + 64, "REC-028")
    need(record.incarnation >= first, "REC-029")
    record.void = not chain.stands(record.member, record.incarnation, record.seq, record.id, record.version)
    need(despite_cut or not record.void, "REC-008")
    form(record)
    need(all(place < len(manifest.members) for place, _ in record.references), "REC-030")
    if kind == UPDATE:
        under(record, manifest)
    verify(record.key, b"record", payload, signature)
    record.bytes = data
    return record


def form(record):
    need((record.incarnation == record.seq == 0) == (record.prev is None), "REC-010")
    need(record.time % 60 == 0, "REC-024")
    need(len(record.parents) <= 64, "REC-014")
    need(ascending([place for place, _ in record.references]), "REC-015")
    if record.kind > FAULT:
        return need(record.body is None or 1 <= record.body[1] <= BLOB_BYTES, "REC-012")
    has_body = record.kind in (UPDATE, EVIDENCE_KIND) or record.kind == FAULT and record.spec[4] == RULE_FLAW
    need((record.body is not None) == has_body, "REC-011")
    if has_body:
        most = {UPDATE: BLOB_BYTES, EVIDENCE_KIND: EVIDENCE_BYTES, FAULT: FAULT_BYTES}
        need(1 <= record.body[1] <= most[record.kind], "REC-012")
    need((record.codec is not None) == (record.kind == UPDATE), "REC-013")
    spec = record.spec
    if record.kind == UPDATE:
        update(record, spec)
    elif record.kind == RELEASE:
        need(len(record.parents) == 1, "REC-014")
        need(spec[0], "REC-019")
        need(is_label(spec[1]), "REC-025")
    else:
        need(not record.parents, "REC-014")


def update(record, spec):
    need(len(spec[2]) == len(record.parents), "REC-016")
    need(all(1 <= weight <= 1024 for weight in spec[2]), "REC-017")
    need(spec[0] and (record.parents or spec[0] == 1), "REC-019")
    need(spec[5], "REC-021")
    need(spec[6] & (spec[6] - 1) == 0 if spec[6] else True, "REC-022")
    skipped = [skip[0] for skip in spec[4]]
    need(len(skipped) + len(record.parents) <= 64 and len(set(skipped)) == len(skipped), "REC-023")
    need(all((2 in skip) == (skip[1] in OF_RECORDS) for skip in spec[4]), "REC-023")
    if 9 in spec:
        privacy.form(spec[9])
    need(11 not in spec or 1 <= spec[11][1] <= BLOB_BYTES, "REC-027")
    need(len(record.checked) <= 64 and ascending(record.checked), "REC-033")


def under(record, manifest):
    policy, spec = manifest.policy, record.spec
    need(record.codec == policy.codec, "REC-013")
    need(spec[1] == policy.phase(spec[0]), "REC-020")
    need(spec[5] <= policy.most_steps, "REC-021")
    need(all(skip[0] < len(manifest.members) for skip in spec[4]), "REC-023")
    if policy.privacy:
        need(9 in spec and spec[9][5] == policy.privacy[0] and spec[9][4] <= policy.privacy[1], "REC-032")


class Feed:
    """One author's log in one incarnation, as far as it is linked."""

    def __init__(self, member, incarnation):
        self.of, self.records = (member, incarnation), []

    def offer(self, record):
        """What became of a record: appended, duplicate, ("gap", from), or ("fork", form, place, the other record)."""
        need((record.member, record.incarnation) == self.of, "FEED-001")
        held = self.records[record.seq] if record.seq < len(self.records) else None
        if held and held.id == record.id:
            return "duplicate"
        if record.seq > len(self.records):
            return "gap", len(self.records)
        if held:
            return "fork", 0, record.seq, held
        before = self.records[-1] if self.records else None
        if before and record.prev != before.id:
            return "fork", 1, before.seq, before
        if before:
            need(before.kind != CLOSE, "FEED-004")
            need(record.clock > before.clock, "FEED-002")
            need(record.version >= before.version, "FEED-003")
            self.step(record)
        self.records.append(record)
        return "appended"


    def step(self, record):
        """Rounds rise; nothing is released twice; few records of other kinds stand between two updates."""
        updates = [i for i, r in enumerate(self.records) if r.kind == UPDATE]
        between = [r.kind for r in self.records[updates[-1] if updates else 0:]]
        if record.kind == UPDATE:
            need(not updates or record.round > self.records[updates[-1]].round, "FEED-008")
        if record.kind == RELEASE:
            need(all(r.parents != record.parents for r in self.records if r.kind == RELEASE), "FEED-009")
        if record.kind not in (UPDATE, CLOSE):
            same = [kind for kind in between if kind == record.kind or kind > FAULT < record.kind]
            need(len(same) < BETWEEN_UPDATES, "FEED-010")


def contradiction(first, second):
    """The form of what two records prove together, first the one that comes first; none if they prove nothing."""
    if (first.member, first.incarnation) != (second.member, second.incarnation):
        return None
    if first.seq == second.seq and first.id < second.id:
        return 0
    return 1 if first.seq + 1 == second.seq and second.prev != first.id else None


def evidence(data, chain):
    """Whom a bundle convicts: member, incarnation, seq; and its records."""
    said, first, second = decode(data, EVIDENCE, BUNDLE)
    first, second = check(first, chain, True), check(second, chain, True)
    if contradiction(first, second) != said:
        raise Refused("FEED-006")
    return (first.member, first.incarnation, first.seq), first, second
