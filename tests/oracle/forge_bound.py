"""Merges of forged archives that miss payloads: states and payloads on which an author makes up what it merged, a little or much, and
payloads that are kept back, which others merged."""
import adapter
from record import UPDATE


def make_up(forge, merged, v):
    """Another M and v than the merge left; its hash is kept in mind."""
    rng = forge.rng
    if not forge.urged and rng.random() >= 0.05 * forge.wild:
        return merged, v
    off = rng.choice([-1, 1]) << rng.randrange(0, 38)
    merged, v = shifted(rng, forge.policy[3][1], off, merged, v)
    forge.made_up.add(adapter.state_hash(merged, v))
    return merged, v


def play(forge):
    """A few honest rounds, then one that is made up, where the policy is one under which that can be told."""
    rng, (_, momentum, _, reach) = forge.rng, forge.policy[3].values()
    if rng.random() >= 0.8 or reach < 30000 or momentum and forge.policy[10] != 1:
        return
    wild, forge.wild = forge.wild, 0
    members = [member for member in forge.members if forge.roles[member.id] == 0]
    for _ in range(2):
        for member in members:
            forge.update(member)
    forge.urged = rng.random() < 0.8
    forge.update(rng.choice(members))
    forge.wild, forge.urged = wild, False


def shifted(rng, momentum, off, merged, v):
    """Each alone, both alike, both as the momentum has them, or one number held at the limit."""
    if v is None:
        return [adapter.hold(x + off) for x in merged], None
    if rng.random() < 0.15:
        at = rng.randrange(len(v))
        return merged, [*v[:at], rng.choice([-1, 1]) * adapter.HELD, *v[at + 1:]]
    scaled = lambda number: adapter.rne(momentum * number, 1 << 16)
    along = [off + scaled(number + off) - scaled(number) for number in v]
    by_x, by_v = rng.choice([([off] * len(v), 0), ([0] * len(v), off), ([off] * len(v), off), *[(along, off)] * 3])
    return [adapter.hold(x + by) for x, by in zip(merged, by_x)], [adapter.hold(number + by_v) for number in v]


def state_of(spec):
    """The hash of the checkpoint that an update names, however odd the update."""
    body = spec.get(11) if isinstance(spec, dict) else None
    return body.get(0) if isinstance(body, dict) and isinstance(body.get(0), bytes) else None


def keep_back(forge):
    """Takes payloads out of the archive that one update or another merged, first of all one with a state that was made up."""
    rng = forge.rng
    if rng.random() >= (0.9 if forge.made_up else 0.3):
        return
    updates = {id_: fields for member in forge.members for fields, id_, _ in member.records if fields[2] == UPDATE}
    made_up = [fields for fields in updates.values() if state_of(fields[16]) in forge.made_up]
    merges = [fields for fields in updates.values() if isinstance(fields[15], list) and len(fields[15]) > 1]
    for fields in (made_up or rng.sample(merges, min(len(merges), 2)))[:2]:
        merged = [updates[parent[1]] for parent in fields[15] if parent[1] in updates]
        others = [one for one in merged if one[3] != fields[3] or rng.random() < 0.05]
        for one in rng.sample(others, min(len(others), rng.randint(1, 3))):
            forge.files.pop(f"blobs/{one[12].hex()}", None)
