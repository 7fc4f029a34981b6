"""Accusations in forged archives: of records that break a rule and of records that do not, with and without what shows it."""
import cbor2
from blake3 import blake3

from record import FAULT, UPDATE


def accuse(forge):
    """A member says that a record has a flaw; a bundle holds it, and others that it names or that stand before it."""
    rng = forge.rng
    owned = [(member, record) for member in forge.members for record in member.records]
    if not owned:
        return
    member, (fields, record, data) = rng.choice(owned)
    flaw = rng.choice([0, 0, 1, 2])
    if flaw == 0 and rng.random() < 0.6:
        record, data = forge.sign(member, broken(rng, fields))
        if rng.random() < 0.2:
            forge.frames.setdefault((member.id, member.incarnation), []).append(data)
    witness = rng.choice(forge.members)
    head = forge.header(witness, FAULT)
    spec = {0: member.id, 1: number(fields[5]), 2: number(fields[6]) + (rng.random() < 0.05), 3: record, 4: flaw}
    if flaw:
        spec[3] = record if rng.random() < 0.9 else rng.randbytes(32)
        forge.add(witness, {**head, 16: spec})
        return
    bundle = cbor2.dumps([2, data, others(forge, fields)])
    digest = blake3(bundle).digest()
    if rng.random() < 0.9:
        forge.files[f"evidence/{digest.hex()}"] = bundle
    if rng.random() < 0.8:
        forge.add(witness, {**head, 12: digest, 13: len(bundle), 16: spec})


def number(value):
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 52 else 0


def broken(rng, fields):
    """The same record with one thing wrong, or another that is no worse."""
    fields = {**fields, 16: dict(fields[16])}
    spec, what = fields[16], rng.randrange(6)
    if what == 0:
        fields[10] = number(fields[10]) + rng.choice([1, 7])
    elif what == 1:
        fields[11] = number(fields[11]) + 60
    elif fields[2] != UPDATE:
        fields[8] = max(0, number(fields[8]) - 1)
    elif what == 2:
        spec[0] = number(spec[0]) + rng.choice([-1, 1, 2])
    elif what == 3:
        spec[2] = [1 + weight for weight in spec[2]] if isinstance(spec[2], list) else spec[2]
    elif what == 4:
        spec[4] = spec[4][1:] if isinstance(spec[4], list) else spec[4]
    else:
        fields[13] = number(fields[13]) + 1
    return fields


def others(forge, fields):
    """What a record names and what stands before it, ascending by id; now and then less, or in another order."""
    rng = forge.rng
    known = {record: (fields, data) for member in forge.members for fields, record, data in member.records}
    wanted = {parent[1] for parent in fields[15] if isinstance(parent, dict)} if isinstance(fields[15], list) else set()
    skipped = fields[16].get(4)
    if fields[2] == UPDATE and isinstance(skipped, list):
        wanted |= {skip[2] for skip in skipped if isinstance(skip, dict) and 2 in skip}
    prev = fields[7]
    for _ in range(rng.choice([1, 2, 40])):
        if not isinstance(prev, bytes) or prev not in known:
            break
        wanted.add(prev)
        before = known[prev][0]
        if before[2] == UPDATE:
            break
        prev = before[7]
    found = sorted(id_ for id_ in wanted if isinstance(id_, bytes) and id_ in known)
    if rng.random() < 0.1:
        found = found[1:]
    if rng.random() < 0.05:
        found = found[::-1]
    return [known[id_][1] for id_ in found]
