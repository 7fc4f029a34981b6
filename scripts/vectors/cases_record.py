"""Records under the two manifest versions of `world`."""

import cbor2

import ed25519
import privacy
import world
from world import NETWORK, RECORD, cbor, envelope, record, record_id, sealed


def update(name="anna", **more):
    """A good update with changed payload keys, signed all the same."""
    return envelope(cbor(record(name, changes=more.get("changes", {}))), more.get("signer", name))


def spec(*parents, **keys):
    """Changes to the spec, by its own keys, with these parents of weight 1024 and round 2."""
    base = {15: named(*parents)} if parents else {}
    if parents:
        base |= {(16, 0): 2, (16, 1): 1, (16, 2): [1024] * len(parents)}
    return base | {(16, int(key[1:])): value for key, value in keys.items()}


def named(*parents):
    """Parents of the first members, one of each."""
    return [{0: place, 1: parent} for place, parent in enumerate(parents)]


def ids(count):
    return sorted(world.seed(f"parent {n}") for n in range(count))


def kind(number, spec, **keys):
    base = {2: number, 12: None, 13: None, 14: None, 16: spec}
    return base | {int(key[1:]): value for key, value in keys.items()}


def good():
    one = ids(1)
    yield "update", update(), "ok", "the first of a feed"
    yield "update-one-parent", update(changes=spec(*one)), "ok", ""
    yield "update-5-parents", update(changes=spec(*ids(5))), "ok", "of everyone in the list"
    everything = spec(
        *one,
        _4=[{0: 1, 1: 3, 2: ids(2)[1]}, {0: 4, 1: 5}],
        _9={0: 1100, 1: 1000, 2: 10000, 3: 512, 4: 8000, 5: 5000},
        _10=b"\xda" * 32,
        _11={0: b"\x57" * 32, 1: 1000},
        _12=ids(3),
    )
    yield "update-everything", update(changes=everything), "ok", "every optional field"
    yield "update-no-losses", update(changes=spec(_7=None, _8=None)), "ok", "no optional field"
    yield "checked-64", update(changes=spec(_12=ids(64))), "ok", "merges that its author recomputed"
    yield "update-later", sealed("anna", 1, record_id(update())), "ok", "with a predecessor"
    yield "release", update(changes=kind(1, {0: 2, 1: "v1.0"}, _15=named(*one))), "ok", ""
    yield "close", update(changes=kind(3, {0: 1})), "ok", ""
    accused = {0: world.member_id("ben"), 1: 0, 2: 3}
    yield "evidence", update(changes=kind(2, accused, _12=b"\xee" * 32, _13=900)), "ok", ""
    fault = accused | {3: one[0], 4: 0}
    yield "fault", update(changes=kind(4, fault, _12=b"\xee" * 32, _13=900)), "ok", ""
    yield "fault-payload", update(changes=kind(4, fault | {4: 1})), "ok", "the payload shows it"
    yield "fault-merge", update(changes=kind(4, fault | {4: 2})), "ok", "a recomputation shows it"
    yield "incarnation-1", update(changes={5: 1, 7: one[0]}), "ok", "the first of a later incarnation names a head"
    dora = {8: 1, 9: world.manifest_hash(world.NEXT_PAYLOAD)}
    yield "new-member", update("dora", changes=dora), "ok", "under the newest version"
    yield "at-the-cut", world.CARL[1], "ok", "the last record that stands"


def malformed():
    payload = cbor(record("anna"))
    signature = world.sign("anna", RECORD, payload)
    s = int.from_bytes(signature[32:], "little")
    raised = signature[:32] + (s + ed25519.L).to_bytes(32, "little")
    yield "empty", b"", "CBOR-002", ""
    yield "not-an-array", payload, "CBOR-018", "a payload without an envelope"
    yield "one-element", cbor([payload]), "CBOR-018", ""
    yield "three-elements", cbor([payload, signature, 0]), "CBOR-018", ""
    yield "text-payload", b"\x82\x61a\x58\x40" + signature, "CBOR-018", ""
    yield "signature-63", cbor([payload, signature[:63]]), "CBOR-018", ""
    yield "signature-65", cbor([payload, signature + b"\0"]), "CBOR-018", ""
    yield "signature-first", cbor([signature, payload]), "CBOR-018", ""
    yield "envelope-trailing", cbor([payload, signature]) + b"\0", "CBOR-003", ""
    yield "envelope-long-head", b"\x98\x02" + cbor([payload, signature])[1:], "CBOR-004", ""
    yield "envelope-indefinite", b"\x9f" + cbor([payload, signature])[1:] + b"\xff", "CBOR-005", ""
    yield "envelope-tagged", b"\xd2" + cbor([payload, signature]), "CBOR-007", "as COSE tags it"
    yield "payload-size", envelope(cbor(bytes(4094)), "anna"), "CBOR-001", "4 KiB + 1"
    yield "payload-bomb", envelope(b"\x9b" + b"\xff" * 8, "anna"), "CBOR-002", ""
    yield "payload-trailing", envelope(payload + b"\0", "anna"), "CBOR-003", "signed, and a byte too long"
    yield "payload-array", envelope(cbor(list(range(17))), "anna"), "CBOR-018", "a struct as an array"
    yield "payload-empty-map", envelope(b"\xa0", "anna"), "CBOR-002", "no fields at all"
    yield "payload-no-version", envelope(cbor({1: NETWORK}), "anna"), "CBOR-018", ""
    swapped = b"\xb0" + payload[3:38] + payload[1:3] + payload[38:]
    assert payload[:3] == b"\xb0\x00\x01"
    yield "payload-order", envelope(swapped, "anna"), "CBOR-012", "network before version"
    yield "s-plus-l", cbor([payload, raised]), "SIG-003", "S + L"
    yield "bit-in-r", cbor([payload, bytes([signature[0] ^ 1]) + signature[1:]]), "SIG-003", ""


def fields():
    yield "version-2", update(changes={0: 2}), "REC-001", "unknown version"
    yield "version-2-other", envelope(cbor({0: 2, 7: "whatever"}), "anna"), "REC-001", "nothing else is looked at"
    yield "kind-5", update(changes={2: 5}), "ok", "an unknown kind has its place"
    yield "kind-5-item", update(changes=kind(5, [1, {0: b"", 3: ["a", []]}])), "ok", "whatever it says"
    yield "kind-5-body", update(changes=kind((1 << 53) - 1, 0, _12=bytes(32), _13=7)), "ok", ""
    yield "kind-5-body-0", update(changes=kind(5, 0, _12=bytes(32), _13=0)), "REC-012", ""
    yield "kind-5-depth", update(changes=kind(5, [[[[[[]]]]]])), "CBOR-014", "strict like everything signed"
    yield "kind-5-spec", update(changes={2: 5, 16: None}), "CBOR-016", "a spec is wanted"
    yield "network", update(changes={1: b"\x01" * 32}), "REC-002", "replayed from elsewhere"
    yield "network-31", update(changes={1: bytes(31)}), "CBOR-018", ""
    yield "network-33", update(changes={1: bytes(33)}), "CBOR-018", ""
    yield "manifest-version", update(changes={8: 2}), "REC-003", "a version to come"
    yield "manifest-hash", update(changes={9: bytes(32)}), "REC-004", ""
    yield "manifest-hash-of-other", update(changes={8: 1}), "REC-004", "the genesis' hash under version 1"
    yield "stranger", update(changes={3: world.member_id("eve")}), "REC-005", ""
    yield "not-yet-member", update("dora"), "REC-005", "who joins in version 1"
    late = {8: 1, 9: world.manifest_hash(world.NEXT_PAYLOAD)}
    yield "no-longer-member", update("carl", changes=late), "REC-005", ""
    yield "observer", update("olga"), "REC-006", ""
    yield "relay", update("rita"), "REC-006", ""
    yield "key-of-other", update(changes={4: world.public("ben")}, signer="ben"), "REC-007", ""
    yield "key-low-order", update(changes={4: bytes(32)}), "REC-007", ""
    yield "key-31", update(changes={4: bytes(31)}), "CBOR-016", ""
    yield "member-of-other", update(changes={3: world.member_id("ben")}), "REC-007", "in another's name"
    yield "after-cut", world.CARL[2], "REC-008", ""
    other = envelope(cbor(record("carl", 1, record_id(world.CARL[0]), changes={11: 60})), "carl")
    yield "other-at-cut", other, "REC-008", "another record in the place of the cut"
    yield "incarnation-after-cut", update("carl", changes={5: 1, 7: bytes(32)}), "REC-008", ""
    yield "missing-clock", update(changes={10: None}), "CBOR-016", ""
    yield "missing-spec", update(changes={16: None}), "CBOR-016", ""
    yield "unknown-key", update(changes={17: 0}), "CBOR-016", ""
    yield "seq-text", update(changes={6: "0"}), "CBOR-016", "a text for an integer"
    yield "parents-map", update(changes={15: {}}), "CBOR-016", ""
    yield "parent-31", update(changes=spec(bytes(31))), "CBOR-016", ""
    yield "parent-33", update(changes=spec(bytes(33))), "CBOR-016", ""
    yield "merge-hash-33", update(changes=spec(_3=bytes(33))), "CBOR-016", ""
    yield "body-hash-33", update(changes={12: bytes(33)}), "CBOR-016", ""
    yield "hash-as-array", update(changes={12: [0] * 32}), "CBOR-016", "bytes as integers"
    yield "codec-2", update(changes={14: 2}), "CBOR-016", "an unknown codec"
    yield "spec-of-release", update(changes={16: {0: 1, 1: "v1"}}), "CBOR-016", "under kind update"
    yield "spec-array", update(changes={16: [1, 2]}), "CBOR-016", ""
    yield "prev-on-first", update(changes={7: bytes(32)}), "REC-010", ""
    yield "no-prev-later", update(changes={6: 1}), "REC-010", ""
    yield "no-prev-incarnation", update(changes={5: 1}), "REC-010", "a later incarnation names a head"
    yield "incarnation-63", update(changes={5: 63, 7: bytes(32)}), "ok", "the last one"
    yield "incarnation-64", update(changes={5: 64, 7: bytes(32)}), "REC-028", ""
    yield "no-body", update(changes={12: None, 13: None}), "REC-011", ""
    yield "half-body", update(changes={13: None}), "REC-011", "a hash without its length"
    yield "close-body", update(changes=kind(3, {0: 0}, _12=bytes(32), _13=1)), "REC-011", ""
    yield "release-body", update(changes=kind(1, {0: 1, 1: "v1"}, _12=bytes(32), _13=1, _15=named(*ids(1)))), "REC-011", ""
    yield "evidence-no-body", update(changes=kind(2, {0: bytes(32), 1: 0, 2: 0})), "REC-011", ""
    fault = {0: bytes(32), 1: 0, 2: 0, 3: bytes(32), 4: 0}
    yield "fault-no-body", update(changes=kind(4, fault)), "REC-011", ""
    yield "fault-merge-body", update(changes=kind(4, fault | {4: 2}, _12=bytes(32), _13=1)), "REC-011", ""
    yield "fault-too-long", update(changes=kind(4, fault, _12=bytes(32), _13=193 * 4171 + 17)), "REC-012", ""
    yield "fault-flaw-3", update(changes=kind(4, fault | {4: 3})), "CBOR-016", ""
    yield "fault-parent", update(changes=kind(4, fault | {4: 1}, _15=named(*ids(1)))), "REC-014", ""
    yield "body-0", update(changes={13: 0}), "REC-012", ""
    yield "body-too-long", update(changes={13: 2**31 + 1}), "REC-012", ""
    long = kind(2, {0: bytes(32), 1: 0, 2: 0}, _12=bytes(32), _13=8401)
    yield "evidence-too-long", update(changes=long), "REC-012", ""
    yield "no-codec", update(changes={14: None}), "REC-013", ""
    yield "other-codec", update(changes={14: 1}), "REC-013", "not the policy's"
    yield "close-codec", update(changes=kind(3, {0: 0}, _14=0)), "REC-013", ""
    yield "parents-65", update(changes=spec(*ids(65))), "REC-014", ""
    yield "close-parent", update(changes=kind(3, {0: 0}, _15=named(*ids(1)))), "REC-014", ""
    yield "release-no-parent", update(changes=kind(1, {0: 1, 1: "v1"})), "REC-014", ""
    yield "release-two-parents", update(changes=kind(1, {0: 1, 1: "v1"}, _15=named(*ids(2)))), "REC-014", ""
    yield "parents-unsorted", update(changes=spec(*ids(2)) | {15: named(*ids(2))[::-1]}), "REC-015", ""
    yield "parent-twice", update(changes=spec(*ids(2)) | {15: named(*ids(1)) * 2}), "REC-015", ""
    twice = [{0: 3, 1: parent} for parent in ids(2)]
    yield "parent-member-twice", update(changes=spec(*ids(2)) | {15: twice}), "REC-015", "two publications of one"
    yield "parents-6", update(changes=spec(*ids(6))), "REC-030", "beyond the member list"
    yield "release-of-nobody", update(changes=kind(1, {0: 2, 1: "v1"}, _15=[{0: 5, 1: ids(1)[0]}])), "REC-030", ""
    yield "parent-bare", update(changes=spec(*ids(1)) | {15: ids(1)}), "CBOR-016", "an id without a place"
    yield "parent-more", update(changes=spec(*ids(1)) | {15: [{0: 0, 1: ids(1)[0], 2: 0}]}), "CBOR-016", ""
    yield "weights-few", update(changes=spec(*ids(2), _2=[1024])), "REC-016", ""
    yield "weights-many", update(changes=spec(_2=[1024])), "REC-016", ""
    yield "weight-0", update(changes=spec(*ids(1), _2=[0])), "REC-017", ""
    yield "weight-1025", update(changes=spec(*ids(1), _2=[1025])), "REC-017", ""
    yield "round-0", update(changes=spec(_0=0)), "REC-019", ""
    yield "round-2-alone", update(changes=spec(_0=2, _1=1)), "REC-019", "without parents"
    yield "release-round-0", update(changes=kind(1, {0: 0, 1: "v1"}, _15=named(*ids(1)))), "REC-019", ""
    yield "phase-other", update(changes=spec(_1=1)), "REC-020", "A in a round of B"
    yield "phase-both", update(changes=spec(_1=0)), "REC-020", ""
    yield "phase-3", update(changes=spec(_1=3)), "CBOR-016", ""
    yield "steps-0", update(changes=spec(_5=0)), "REC-021", ""
    yield "steps-33", update(changes=spec(_5=33)), "REC-021", "over the policy's most"
    yield "examples-exact", update(changes=spec(_6=65)), "REC-022", "not a power of two"
    yield "skipped-65", update(changes=spec(_4=[{0: n, 1: 0} for n in range(65)])), "REC-023", ""
    yield "skipped-and-parents-65", update(changes=spec(*ids(5), _4=[{0: n, 1: 0} for n in range(60)])), "REC-023", ""
    for reason, names in enumerate((False, True, True, True, True, False)):
        skip = {0: 1, 1: reason} | ({} if names else {2: ids(1)[0]})
        yield f"skip-{reason}-other", update(changes=spec(_4=[skip])), "REC-023", "a record too many or too few"
    yield "skipped-twice", update(changes=spec(_4=[{0: 1, 1: 0}, {0: 1, 1: 5}])), "REC-023", ""
    yield "skipped-nobody", update(changes=spec(_4=[{0: 5, 1: 0}])), "REC-023", "beyond the member list"
    yield "skip-reason-6", update(changes=spec(_4=[{0: 1, 1: 6}])), "CBOR-016", ""
    yield "time", update(changes={11: 1700000041}), "REC-024", "not a multiple of 60"
    for name, label in [("empty", ""), ("long", "a" * 65), ("capital", "V1"), ("slash", "a/b")]:
        yield f"label-{name}", update(changes=kind(1, {0: 1, 1: label}, _15=named(*ids(1)))), "REC-025", ""
    yield "close-2", update(changes=kind(3, {0: 2})), "CBOR-016", "an unknown reason"
    claim = {0: 1100, 1: 1000, 2: 10000, 3: 512, 4: 8000, 5: 5000}
    for name, key, value in [
        ("sigma-0", 0, 0), ("clip-0", 1, 0), ("rate-0", 2, 0), ("rate", 2, 1000001), ("steps-0", 3, 0), ("delta-0", 5, 0),
    ]:
        yield f"privacy-{name}", update(changes=spec(_9=claim | {key: value})), "REC-026", ""
    yield from costs(claim)
    yield "state-0", update(changes=spec(_11={0: bytes(32), 1: 0})), "REC-027", ""
    yield "checked-65", update(changes=spec(_12=ids(65))), "REC-033", ""
    yield "checked-unsorted", update(changes=spec(_12=ids(3)[::-1])), "REC-033", ""
    yield "checked-twice", update(changes=spec(_12=ids(1) * 2)), "REC-033", ""
    yield "checked-none", update(changes=spec(_12=[])), "CBOR-016", "an empty list is left out"
    yield "checked-31", update(changes=spec(_12=[bytes(31)])), "CBOR-016", ""
    yield "signer", update(signer="ben"), "SIG-003", ""
    yield "domain", envelope(cbor(record("anna")), "anna", world.PRESENCE), "SIG-003", "signed as a presence"
    yield "claims-other-body", flipped(12), "SIG-003", "a field changed after signing"


def costs(claim):
    """Claims at the table's number and below it, at its points, between them and beyond."""
    points = [
        ("point", {0: 1000, 2: 10000, 3: 1000, 5: 6000}),
        ("between", {0: 999, 2: 10001, 3: 1001, 5: 6001}),
        ("before-the-next", {0: 801, 2: 19999, 3: 2999, 5: 7999}),
        ("no-sampling", {0: 10000, 2: 1000000, 3: 1, 5: 10000}),
        ("largest", {0: 1, 2: 1000000, 3: (1 << 53) - 1, 5: (1 << 53) - 1}),
    ]
    for name, changes in points:
        least = privacy.least(claim | changes)
        yield f"epsilon-least-{name}", update(changes=spec(_9=claim | changes | {4: least})), "ok", str(least)
        yield f"epsilon-less-{name}", update(changes=spec(_9=claim | changes | {4: least - 1})), "REC-031", ""
    beyond = [("rate", {2: 99}), ("sigma", {0: 10001}), ("delta", {5: 1999})]
    for name, changes in beyond:
        yield f"epsilon-beyond-{name}", update(changes=spec(_9=claim | changes | {4: 0})), "ok", "the grid ends"


def promised():
    """Under a policy that wants a claim."""
    payload = cbor(world.changed(world.GENESIS, {(8, 15): {0: 6000, 1: 8000}}))
    network = {1: world.derive("chorale v1 network id", payload), 9: world.manifest_hash(payload)}
    claim = {0: 1100, 1: 1000, 2: 10000, 3: 512, 4: 8000, 5: 6000}
    for name, said, expect in [
        ("kept", claim, "ok"), ("none", None, "REC-032"), ("epsilon", claim | {4: 8001}, "REC-032"),
        ("delta-larger", claim | {5: 5999}, "REC-032"), ("delta-smaller", claim | {5: 6001}, "REC-032"),
    ]:
        body = spec(_9=said) if said else {}
        yield f"policy-privacy-{name}", update(changes=network | body), expect, "", [world.voted(payload, "g0", "g1", "g2")]


def flipped(key):
    payload, signature = cbor2.loads(update())
    value = cbor2.loads(payload)
    value[key] = bytes([value[key][0] ^ 1]) + value[key][1:]
    return cbor([cbor(value), signature])


def rotated():
    """Under a chain whose version 1 gives anna another key: what it signed before stands up to seq 1."""
    one, two, three = world.ANNA
    old = {8: 1, 9: world.manifest_hash(world.ROTATED_PAYLOAD)}
    cases = [
        ("old-key-before", one, "ok", ""),
        ("old-key-at", two, "ok", "the last one that stands"),
        ("old-key-behind", three, "REC-008", "names the old version, and comes after the handover"),
        ("old-key-other", sealed("anna", 1, record_id(one), changes={11: 60}), "REC-008", "another record in the last place"),
        ("old-key-branch", sealed("anna", 0, changes={11: 60}), "ok", "before the last place: the feed has it fork"),
        ("old-key-later-feed", sealed("anna", 0, record_id(two), changes={5: 1}), "REC-008", "in a new incarnation"),
        ("old-key-new-version", sealed("anna", 2, record_id(two), changes=old), "REC-007", ""),
        ("new-key", world.as_anna2(0, record_id(two)), "ok", "opens an incarnation of its own"),
        ("new-key-incarnation-64", world.as_anna2(0, record_id(two), incarnation=64), "ok", "a new key has 64 of its own"),
        ("new-key-incarnation-65", world.as_anna2(0, record_id(two), incarnation=65), "REC-028", ""),
        ("new-key-later-feed", world.as_anna2(0, record_id(two), incarnation=5), "ok", ""),
        ("new-key-old-feed", world.as_anna2(2, record_id(two), incarnation=0), "REC-029", ""),
        ("new-key-old-version", sealed("anna2", 0, record_id(two), changes={3: world.member_id("anna"), 5: 1}), "REC-007", ""),
        ("other-member", sealed("ben"), "ok", "the handover is not ben's"),
    ]
    for case in cases:
        yield (*case, world.ROTATED_CHAIN)


def records():
    yield from good()
    yield from malformed()
    yield from fields()
    yield from rotated()
    yield from promised()
