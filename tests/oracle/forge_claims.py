"""What updates of forged archives claim beside their merges: the cost of privacy, and the merges of others that their authors recomputed."""
import privacy


def spend(rng, member, wild):
    """The member's next privacy claim; now and then one that says too little, or takes something back."""
    claim = member.claim
    claim[3] += rng.randrange(60)
    claim[4] = max(claim[4] + rng.randrange(9), privacy.least(claim) + rng.choice([0, 1]))
    said = dict(claim)
    if rng.random() < 0.2 * wild:
        key = rng.randrange(6)
        said[key] = max(0, said[key] + rng.choice([-1, 1, -said[key], 1000, -300]))
    return said


def checked(rng, members, member, wild):
    """Whose merges the member says it recomputed: others' newest, be they right or not; now and then its own, or nobody's."""
    of = [other for other in members if other is not member or rng.random() < 0.05 * wild]
    ids = {record for other in of for _, record, _ in other.records[-rng.randint(1, 4):] if rng.random() < 0.5}
    if rng.random() < 0.1:
        ids.add(rng.randbytes(32))
    return sorted(ids)


def unsorted(rng, ids):
    """The same list as no record may have it."""
    return rng.choice([[], ids[::-1], ids + ids, [*ids, ids[0]], ids + sorted(rng.randbytes(32) for _ in range(64))])
