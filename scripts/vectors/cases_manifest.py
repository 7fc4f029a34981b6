"""Chains of signed manifests: the last of each list is the one that is judged."""

import ed25519
import world
from world import GENESIS, GENESIS_PAYLOAD, GENESIS_SIGNED, MANIFEST, NEXT, NEXT_PAYLOAD, cbor, changed, governors, members, voted

ALL = ("g0", "g1", "g2")


def genesis(changes=None, *names):
    return [voted(cbor(changed(GENESIS, changes or {})), *(names or ALL))]


def follow(changes=None, *names):
    return [GENESIS_SIGNED, voted(cbor(changed(NEXT, changes or {})), *(names or ALL))]


def raw(payload, votes):
    return cbor([payload, votes])


def vote(name, payload, domain=MANIFEST):
    return [world.public(name), world.sign(name, domain, payload)]


def policy(key, value, base=8):
    return genesis({(base, *(key if isinstance(key, tuple) else (key,))): value})


def member(changes):
    """A genesis of one member, changed."""
    return genesis({6: [changed(world.member("anna"), changes)]})


def members_list(*them):
    return genesis({6: sorted(them, key=lambda m: m[0])})


def tensors(*them):
    return policy((1, 4), [dict(enumerate(tensor)) for tensor in them])


def genesis_cases():
    payload = GENESIS_PAYLOAD
    yield "genesis", genesis(), "ok", "three governors, all voted"
    yield "one-governor", genesis({4: governors("g0"), 5: 1}, "g0"), "ok", ""
    yield "empty", [b""], "CBOR-002", ""
    yield "truncated", [GENESIS_SIGNED[:-1]], "CBOR-002", ""
    yield "trailing", [GENESIS_SIGNED + b"\0"], "CBOR-003", ""
    yield "no-votes-array", [cbor([payload])], "CBOR-016", ""
    yield "three-elements", [cbor([payload, [], 0])], "CBOR-016", ""
    yield "vote-of-three", [raw(payload, [vote("g0", payload) + [0]])], "CBOR-016", ""
    yield "signature-63", [raw(payload, [[world.public("g0"), bytes(63)]])], "CBOR-016", ""
    yield "size", [b"\x5a\x00\x40\x00\x00" + bytes(4 << 20)], "CBOR-001", "4 MiB and a head"
    yield "encoding-2", genesis({0: 2}), "MAN-001", "an unknown version of the encoding"
    yield "unknown-key", genesis({9: 0}), "CBOR-016", ""
    yield "no-policy", genesis({8: None}), "CBOR-016", ""
    yield "governors-0", genesis({4: [], 5: 0}, "g0"), "MAN-002", ""
    many = [f"many{n}" for n in range(65)]
    yield "governors-65", genesis({4: governors(*many), 5: 33}, *many), "MAN-002", ""
    yield "governors-order", genesis({4: governors(*ALL)[::-1]}), "MAN-002", ""
    yield "governor-twice", genesis({4: governors("g0", "g0", "g1")}), "MAN-002", "one key under two names"
    yield "governor-low-order", genesis({4: sorted([bytes(32), world.public("g0")])}), "SIG-002", ""
    for threshold in (0, 1, 4):
        yield f"threshold-{threshold}", genesis({5: threshold}), "MAN-003", "of three"
    yield "threshold-half", genesis({4: governors("g0", "g1"), 5: 1}, "g0", "g1"), "MAN-003", "half is not more than half"
    yield "members-0", genesis({6: []}), "MAN-004", ""
    yield "members-order", genesis({6: members("anna", "ben")[::-1]}), "MAN-004", ""
    yield "member-twice", genesis({6: members("anna", "anna")}), "MAN-004", ""
    yield "label-empty", member({1: ""}), "MAN-005", ""
    yield "label-capital", member({1: "Anna"}), "MAN-005", ""
    yield "label-long", member({1: "a" * 65}), "MAN-005", ""
    yield "label-unicode", [GENESIS_SIGNED.replace(b"danna", b"d\xc3\xa4na")], "CBOR-013", ""
    yield "label-shared", members_list(world.member("anna"), changed(world.member("ben"), {1: "anna"})), "MAN-005", ""
    twin = changed(world.member("ben"), {2: world.public("anna")})
    yield "author-key-shared", members_list(world.member("anna"), twin), "MAN-005", ""
    twin = changed(world.member("ben"), {3: [world.transport("anna")]})
    yield "transport-shared", members_list(world.member("anna"), twin), "MAN-005", ""
    yield "transport-none", member({3: []}), "MAN-005", ""
    yield "transport-9", member({3: sorted(world.transport(str(n)) for n in range(9))}), "MAN-005", ""
    yield "transport-order", member({3: sorted([world.transport("a"), world.transport("b")])[::-1]}), "MAN-005", ""
    yield "transport-empty", member({3: [b""]}), "CBOR-016", ""
    yield "transport-65", member({3: [bytes(65)]}), "CBOR-016", ""
    yield "archivist", members_list(world.member("anna"), world.member("arno", 3)), "ok", ""
    yield "role-4", member({4: 4}), "CBOR-016", ""
    yield "rank", member({6: 2}), "ok", "the adapter's"
    yield "rank-1", member({6: 1}), "MAN-025", "another one"
    yield "rank-3", member({6: 3}), "MAN-025", ""
    yield "rank-of-observer", members_list(world.member("anna"), changed(world.member("olga", 1), {6: 1})), "MAN-025", ""
    yield "rank-text", member({6: "2"}), "CBOR-016", ""
    yield "member-id", member({0: bytes(32)}), "MAN-006", "not that of the key"
    yield "author-key-low-order", member({2: bytes(32)}), "SIG-002", ""
    noncanonical = next(k for k in ed25519.low_order_encodings() if int.from_bytes(k, "little") % 2**255 >= ed25519.P)
    yield "author-key-non-canonical", member({2: noncanonical}), "SIG-001", ""
    a = ed25519.decode(world.public("anna"))
    mixed = ed25519.encode(ed25519.add(a, ed25519.torsion()[1]))
    yield "author-key-mixed-order", member({2: mixed}), "SIG-002", ""
    cut = {0: bytes(32), 1: 0}
    yield "cut-twice", genesis({7: [cut, cut]}), "MAN-007", ""
    yield "votes-none", [raw(payload, [])], "MAN-014", ""
    yield "votes-two", genesis({}, "g0", "g1"), "MAN-014", "a genesis needs every governor"
    yield "vote-stranger", genesis({}, *ALL, "eve"), "MAN-013", ""
    twice = [sorted([vote("g0", payload), vote("g0", payload), vote("g1", payload)])]
    yield "vote-twice", [raw(payload, twice[0])], "MAN-012", "one key counted three times"
    yield "vote-order", [raw(payload, sorted(vote(n, payload) for n in ALL)[::-1])], "MAN-012", ""
    crowd = sorted(vote(f"crowd{n}", payload) for n in range(129))
    yield "votes-129", [raw(payload, crowd)], "MAN-011", ""
    bad = sorted([vote("g0", payload), vote("g1", payload), [world.public("g2"), bytes(64)]])
    yield "vote-zero", [raw(payload, bad)], "SIG-003", ""
    other = sorted([vote("g0", payload), vote("g1", payload), vote("g2", payload, world.RECORD)])
    yield "vote-domain", [raw(payload, other)], "SIG-003", "a vote in the domain of records"
    low = sorted([[bytes(32), bytes(64)]] + [vote(n, payload) for n in ALL])
    yield "vote-low-order", [raw(payload, low)], "SIG-002", "a key that verifies anything"
    yield "genesis-version-1", genesis({2: 1}), "MAN-015", ""
    yield "genesis-with-network", genesis({1: bytes(32)}), "MAN-015", ""
    yield "genesis-with-prev", genesis({3: bytes(32)}), "MAN-015", ""


def checkpointed(columns):
    """A policy with momentum and checkpoints, of so many columns of A."""
    shapes = [(world.A, 0, 2, columns), (world.B, 1, 2, 6)]
    return genesis({(8, 10): 5, (8, 1, 4): [dict(enumerate(shape)) for shape in shapes]})


def policy_cases():
    a, b = (world.A, 0, 2, 8), (world.B, 1, 2, 6)
    for name, list_ in [
        ("none", []),
        ("order", [b, a]),
        ("twice", [a, a]),
        ("a-rows", [(world.A, 0, 3, 8), b]),
        ("b-rows", [a, (world.B, 1, 3, 6)]),
        ("dense-rows-0", [a, b, ("x", 2, 0, 5)]),
        ("dense-columns-0", [a, b, ("x", 2, 5, 0)]),
        ("a-columns-0", [(world.A, 0, 2, 0), b]),
        ("name-empty", [("", 0, 2, 8), b]),
        ("too-many-values", [(world.A, 0, 2, 2**30), b]),
        ("overflow", [(world.A, 0, 2, 2**53 - 1), b]),
    ]:
        yield f"tensors-{name}", tensors(*list_), "MAN-009", ""
    yield "payload-2-gib", tensors((world.A, 0, 2, 533000000), b), "MAN-009", "its exponents make it longer than a blob"
    yield "checkpoint-2-gib", checkpointed(53687085), "ok", "up to 20 bytes a value"
    yield "checkpoint-more-than-2-gib", checkpointed(53687086), "MAN-009", ""
    yield "dense", tensors(a, b, ("x", 2, 5, 9)), "ok", "of its own shape, whatever the rank"
    yield "dense-alone", tensors(("x", 2, 5, 9)), "ok", ""
    yield "factor-3", tensors((world.A, 3, 2, 8)), "CBOR-016", ""
    for name, key, value in [
        ("rank-0", (1, 0), 0),
        ("rank-1025", (1, 0), 1025),
        ("alpha-0", (1, 1), 0),
        ("period-0", (2, 1), 0),
        ("momentum-1", (3, 1), 65536),
        ("ages-none", (3, 2), []),
        ("ages-17", (3, 2), [65536] * 17),
        ("ages-first", (3, 2), [65535]),
        ("ages-rise", (3, 2), [65536, 1, 2]),
        ("ages-0", (3, 2), [65536, 0]),
        ("reach-0", (3, 3), 0),
        ("draw-0", 4, 0),
        ("draw-64", 4, 64),
        ("norm-bound-0", 5, 0),
        ("steps-min-0", (8, 0), 0),
        ("steps-max-below-min", (8, 0), 33),
        ("checks-1", 14, 1),
        ("checks-64", 14, 64),
        ("parts-none", 12, []),
        ("parts-adapter-twice", 12, ["adapter", "adapter"]),
    ]:
        yield name, policy(key, value), "MAN-009", ""
    yield "rule-3", policy((2, 0), 3), "CBOR-016", "an unknown LoRA rule"
    yield "both-with-period", policy((2, 0), 0), "CBOR-016", "a period where none is"
    yield "merge-2", policy((3, 0), 2), "CBOR-016", "an unknown merge rule"
    yield "merge-number", policy(3, 1), "CBOR-016", "a rule without its parameters"
    yield "merge-parameter", policy((3, 4), 0), "CBOR-016", "a parameter that the mean has not"
    yield "codec-2", policy(6, 2), "CBOR-016", "an unknown codec"
    yield "checks-0", policy(14, 0), "ok", "nobody recomputes others' merges"
    yield "parts-unknown", policy(12, ["adapter", "control"]), "MAN-026", "a part of a later version"
    yield "parts-unknown-alone", policy(12, ["control"]), "MAN-026", ""
    yield "privacy", policy(15, {0: 6000, 1: 8000}), "ok", "every update claims it"
    yield "privacy-delta-0", policy(15, {0: 0, 1: 8000}), "MAN-009", ""
    yield "privacy-epsilon-0", policy(15, {0: 6000, 1: 0}), "MAN-009", ""
    yield "privacy-half", policy(15, {0: 6000}), "CBOR-016", ""
    yield "parts-number", policy(12, [0]), "CBOR-016", ""


def next_cases():
    payload = NEXT_PAYLOAD
    hash_ = world.manifest_hash
    yield "next", follow(), "ok", ""
    yield "next-threshold", follow({}, "g0", "g1"), "ok", "two of three are enough"
    yield "next-held", [GENESIS_SIGNED, GENESIS_SIGNED], "MAN-017", ""
    yield "next-conflict", [*world.CHAIN, voted(cbor(changed(NEXT, {(8, 7): 9})), *ALL)], "MAN-018", "two versions 1"
    yield "next-rollback", [*world.CHAIN, voted(cbor(changed(GENESIS, {5: 3})), *ALL)], "MAN-018", "another genesis"
    yield "next-skips", follow({2: 2}), "MAN-019", ""
    yield "next-network", follow({1: bytes(32)}), "MAN-016", ""
    yield "next-no-network", follow({1: None}), "MAN-016", ""
    yield "next-prev", follow({3: bytes(32)}), "MAN-020", ""
    yield "next-no-prev", follow({3: None}), "MAN-020", ""
    yield "next-one-vote", follow({}, "g0"), "MAN-014", ""
    yield "next-stranger", follow({}, *ALL, "eve"), "MAN-013", ""
    new = {4: governors("h0", "h1", "h2")}
    yield "next-old-only", follow(new), "MAN-014", "the new governors must agree"
    yield "next-new-only", follow(new, "h0", "h1", "h2"), "MAN-014", "the old governors must agree"
    yield "next-both", follow(new, "g0", "g1", "h1", "h2"), "ok", "two of each"
    rotated = follow(new, "g0", "g1", "h0", "h1")
    third = changed(NEXT, {2: 2, 3: hash_(cbor(changed(NEXT, new)))} | new)
    yield "next-revoked-governors", [*rotated, voted(cbor(third), *ALL)], "MAN-014", "who governed two versions ago"
    yield "next-revoked-governor", [*rotated, voted(cbor(third), "g0", "h0", "h2")], "MAN-013", "one of them"
    bad = [vote("g0", payload), vote("g1", payload, world.RECORD)]
    yield "next-vote-domain", [GENESIS_SIGNED, raw(payload, sorted(bad))], "SIG-003", ""
    yield "next-third", [*rotated, voted(cbor(third), "h0", "h2")], "ok", ""
    yield "next-base-model", follow({(8, 0): bytes(32)}), "MAN-010", ""
    yield "next-adapter", follow({(8, 1, 1): 8}), "MAN-010", ""
    yield "next-codec", follow({(8, 6): 1}), "MAN-010", ""
    yield "next-policy", follow({(8, 4): 5}), "ok", "the draw may change"
    imposter = sorted([changed(world.member("dora"), {0: bytes(32)}), *members("anna", "ben")], key=lambda m: m[0])
    yield "next-member-id", follow({6: imposter}), "MAN-006", "a new member's id is that of its key"
    rekeyed = sorted([changed(world.member("anna"), {2: world.public("anna2")}), *members("ben")], key=lambda m: m[0])
    yield "next-key", follow({6: rekeyed}), "MAN-021", "a known member's key changes with a handover only"
    after = {2: 2, 3: hash_(payload)}
    back = {6: members("anna", "ben", "carl"), 7: []}
    yield "next-uncut", [*world.CHAIN, voted(cbor(changed(NEXT, after | back)), *ALL)], "MAN-008", "a cut vanishes"
    later = after | {7: [{0: world.member_id("carl"), 1: 0, 2: [2, world.record_id(world.CARL[2])]}]}
    yield "next-cut-later", [*world.CHAIN, voted(cbor(changed(NEXT, later)), *ALL)], "MAN-008", "a cut moves forward"
    other = after | {7: [{0: world.member_id("carl"), 1: 0, 2: [1, bytes(32)]}]}
    yield "next-cut-other", [*world.CHAIN, voted(cbor(changed(NEXT, other)), *ALL)], "MAN-008", "another record stands"
    tighter = after | {7: [{0: world.member_id("carl"), 1: 0}]}
    yield "next-cut-earlier", [*world.CHAIN, voted(cbor(changed(NEXT, tighter)), *ALL)], "ok", "nothing stands"


def chain(*versions):
    """A chain that follows the genesis: the changes of each version to the one before."""
    signed, base = [GENESIS_SIGNED], GENESIS
    for number, changes in enumerate(versions, 1):
        before = world.manifest_hash(cbor(base))
        base = {key: value for key, value in base.items() if key != 9}
        base = changed(base, {1: world.NETWORK, 2: number, 3: before} | changes)
        signed.append(voted(cbor(base), *ALL))
    return signed


OTHERS = ("ben", "carl", ("olga", 1), ("rita", 2))


def key_cases():
    place = [1, world.record_id(world.ANNA[1])]
    anna = world.rekeyed(("anna", "anna2"), also=OTHERS)
    one = {6: anna, 9: [world.handover("anna", place)]}
    yield "handover", chain(one), "ok", "what the old key signed stands up to seq 1"
    yield "handover-nothing", chain(one | {9: [world.handover("anna")]}), "ok", "nothing of incarnation 0 stands"
    yield "handover-incarnation", chain(one | {9: [world.handover("anna", place, 3)]}), "ok", ""
    ended = lambda log: chain(one | {9: [one[9][0] | {3: log}]})
    yield "handover-log", ended({0: 7, 1: b"\x1f" * 32}), "ok", "where the log passes to the new key"
    yield "handover-log-empty", ended({0: 0, 1: b"\x1f" * 32}), "MAN-021", "a log without leaves is left out"
    yield "handover-log-no-root", ended({0: 7}), "CBOR-016", ""
    yield "handover-log-root-31", ended({0: 7, 1: bytes(31)}), "CBOR-016", ""
    yield "cut-log", chain({7: [world.handover("carl") | {3: {0: 7, 1: bytes(32)}}]}), "CBOR-016", "a cut says nothing of logs"
    yield "handover-missing", chain({6: anna}), "MAN-021", ""
    yield "handover-superfluous", chain(one | {9: sorted([*one[9], world.handover("ben")], key=lambda h: h[0])}), "MAN-021", ""
    yield "handover-without-new-key", chain({9: one[9]}), "MAN-021", ""
    yield "handover-of-stranger", chain({9: [world.handover("eve")]}), "MAN-021", ""
    both = {6: world.rekeyed(("anna", "anna2"), ("ben", "ben2"), also=OTHERS[1:])}
    two = sorted([world.handover("anna"), world.handover("ben")], key=lambda h: h[0])
    yield "handover-two", chain(both | {9: two}), "ok", ""
    yield "handover-order", chain(both | {9: two[::-1]}), "MAN-021", ""
    yield "handover-twice", chain(one | {9: one[9] * 2}), "MAN-021", ""
    yield "handover-repeated", chain(one, {9: one[9]}), "MAN-021", "a fact of its version alone"
    yield "handover-not-repeated", chain(one, {}), "ok", ""
    yield "handover-none", chain({9: []}), "CBOR-016", "an empty list is left out"
    yield "handover-no-incarnation", chain(one | {9: [{0: world.member_id("anna")}]}), "CBOR-016", ""
    yield "handover-reason", chain(one | {9: [one[9][0] | {3: 0}]}), "CBOR-016", "an unknown key"
    yield "handover-in-genesis", genesis({9: [world.handover("anna")]}), "MAN-021", ""
    committed = {6: [changed(m, {5: world.next_key("anna2")}) if m[1] == "anna" else m for m in members("anna", *OTHERS)]}
    yield "commitment", chain(committed), "ok", "the hash of the next key"
    yield "commitment-31", chain({6: [changed(m, {5: bytes(31)}) for m in members("anna", *OTHERS)]}), "CBOR-016", ""
    yield "commitment-kept", chain(committed, one), "ok", "a rotation to the key committed to"
    other = world.rekeyed(("anna", "anna3"), also=OTHERS)
    yield "commitment-not-kept", chain(committed, one | {6: other}), "ok", "a re-binding, which auditors say"
    yield "key-of-other", chain(one | {6: world.rekeyed(("anna", "ben"), ("ben", "ben2"), also=OTHERS[1:]), 9: two}), "MAN-023", ""
    swapped = world.rekeyed(("anna", "ben"), ("ben", "anna"), also=OTHERS[1:])
    yield "keys-swapped", chain({6: swapped, 9: two}), "MAN-023", ""
    yield "key-returns", chain(one, {6: members("anna", *OTHERS), 9: one[9]}), "MAN-023", "a key that was given up"
    later = one | {6: other}
    yield "key-again-new", chain(one, later), "ok", "a second rotation"
    heir = sorted([*other, world.member("anna2")], key=lambda m: m[0])
    yield "key-of-newcomer", chain(one, later | {6: heir}), "MAN-023", "a newcomer with a key that anna gave up"
    gone = members("anna", *OTHERS[1:])
    yield "dropped", chain({6: gone}), "MAN-022", "ben published, and no cut says what stands"
    cut = {7: [{0: world.member_id("ben"), 1: 0}]}
    yield "dropped-cut", chain({6: gone} | cut), "ok", ""
    reader = members("anna", ("ben", 1), *OTHERS[1:])
    yield "demoted", chain({6: reader}), "MAN-022", "an observer publishes no more"
    yield "demoted-cut", chain({6: reader} | cut), "ok", ""
    yield "promoted", chain({6: members("anna", "ben", "carl", "olga", ("rita", 2))}), "ok", ""
    yield "observer-dropped", chain({6: members("anna", "ben", "carl")}), "ok", "they published nothing"
    back = world.rekeyed(("olga", "olga2"), also=("anna", "ben", "carl"))
    yield "returns-with-new-key", chain({6: members("anna", "ben", "carl")}, {6: back}), "MAN-021", "since it was named last"
    returned = {6: back, 9: [world.handover("olga")]}
    yield "returns-with-handover", chain({6: members("anna", "ben", "carl")}, returned), "ok", ""


def manifests():
    yield from genesis_cases()
    yield from policy_cases()
    yield from next_cases()
    yield from key_cases()
