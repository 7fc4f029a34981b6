"""Proofs of broken rules, section 3 of docs/PROTOCOL.md: a record, and others that it names or that stand before it."""
import privacy
import walk
from adapter import Refused, draw, need
from record import CLOSE, RECORD_BYTES, UPDATE, check
from strict import Many, Raw, decode

FORM, RECORDS, BETWEEN_UPDATES = 2, 192, 16
BOUNDS = (RECORDS + 1) * (RECORD_BYTES + 3) + 16, RECORDS + 4, 2
BUNDLE = (range(FORM, FORM + 1), Raw(0, BOUNDS[0]), Many(Raw(0, BOUNDS[0])))


class Rules:
    """What the rules of updates ask an audit for."""

    def __init__(self, chain, policy):
        self.network, self.layout = chain.network, policy.layout()


def parse(data, chain):
    """Whom a bundle accuses, member, incarnation, seq, and the record; refused if it proves nothing."""
    _, accused, others = decode(data, BOUNDS, BUNDLE)
    accused = check(accused, chain, True)
    others = [check(other, chain, True) for other in others]
    ids = [other.id for other in others]
    right = all(a < b for a, b in zip(ids, ids[1:])) and accused.id not in ids and len(ids) <= RECORDS
    need(right and broken(accused, {other.id: other for other in others}, chain), "FEED-011")
    return (accused.member, accused.incarnation, accused.seq), accused


def broken(one, known, chain):
    """The code of the first rule that a record breaks, as far as these others show it."""
    manifest = chain.versions[one.version]
    try:
        prev = known.get(one.prev)
        if prev and one.seq == 0:
            need(prev.member == one.member and prev.incarnation < one.incarnation, "INC-002")
        walk.named(one, manifest, known)
        parents = [known.get(parent) for parent in one.parents]
        walk.admit(one, prev, parents, manifest.policy, Rules(chain, manifest.policy), None)
        claim = claimed(one, known)
        if one.claim and claim:
            privacy.follows(one.claim, claim, manifest.policy)
        feed(one, known)
    except Refused as refused:
        return refused.code
    return drawn(one, known, chain, manifest) if one.kind == UPDATE else None


def claimed(one, known):
    """The author's newest claim before one, along prev."""
    prev = known.get(one.prev)
    while prev and prev.member == one.member:
        if prev.claim:
            return prev.claim
        prev = known.get(prev.prev)
    return None


def before(one, known):
    """The record before one in its feed, if it is here."""
    found = known.get(one.prev)
    place = found and (found.member, found.incarnation, found.seq + 1)
    return found if place == (one.member, one.incarnation, one.seq) else None


def last_update(one, known):
    """The update before one in its feed; no update, if none is; `False` if that is not shown."""
    while one.seq:
        one = before(one, known)
        if one is None:
            return False
        if one.kind == UPDATE:
            return one
    return None


def feed(one, known):
    prev = before(one, known)
    if prev is None:
        return
    need(prev.kind != CLOSE, "FEED-004")
    need(prev.version <= one.version, "FEED-003")
    last = last_update(one, known)
    need(one.kind != UPDATE or not last or one.round > last.round, "FEED-008")
    if one.kind in (UPDATE, CLOSE):
        return
    same, at = 0, prev
    while at and at.kind != UPDATE:
        same += kinds(at) == kinds(one)
        at = before(at, known)
    need(same < BETWEEN_UPDATES, "FEED-010")


def kinds(one):
    """All unknown kinds count together."""
    return min(one.kind, 5)


def drawn(one, known, chain, manifest):
    last = last_update(one, known)
    order = None
    if last is not False:
        seed = (last.round, walk.others(last, chain.versions[last.version])) if last else (0, [])
        candidates = [m[0] for m in manifest.members if m[4] == 0 and m[0] not in manifest.cut_of and m[0] != one.member]
        order = draw(chain.network, one.member, one.incarnation, seed, candidates)
    return walk.drawn(one, manifest, order)
