"""Feeds, evidence, presence, and the question and answer of a sync."""

import world
from world import GENESIS_PAYLOAD, NETWORK, NEXT_PAYLOAD, PRESENCE, cbor, changed, envelope, manifest_hash, member_id, record_id, sealed

NEWEST = {8: 1, 9: manifest_hash(NEXT_PAYLOAD)}


def feed(count, name="anna"):
    records = []
    for seq in range(count):
        records.append(sealed(name, seq, record_id(records[-1]) if records else None))
    return records


def round_of(number):
    return {(16, 0): number, (16, 1): 2 - number // 2 % 2}


def release(update, label="a"):
    """The fields of a release of this update."""
    return {2: 1, 12: None, 13: None, 14: None, 15: [{0: 0, 1: record_id(update)}], 16: {0: 1, 1: label}}


def accusation(seq):
    return {2: 2, 13: 300, 14: None, 15: [], 16: {0: member_id("ben"), 1: 0, 2: seq}}


def grown(records, *fields):
    """The feed, and records of these fields behind it."""
    records = list(records)
    for changes in fields:
        seq = len(records)
        records.append(sealed("anna", seq, record_id(records[-1]) if records else None, changes=changes))
    return records


def feeds():
    """Records offered in order to the feed of the first one; the last one's fate is expected."""
    one = feed(4)
    yield "first", one[:1], "appended", ""
    yield "fourth", one, "appended", ""
    yield "again", [*one, one[1]], "duplicate", ""
    yield "gap", [one[0], one[2]], "gap-1", "seq 1 is missing"
    yield "gap-first", [one[3]], "gap-0", ""
    other = sealed("anna", 1, record_id(one[0]), changes={11: 60})
    yield "fork-head", [*one[:2], other], "fork-0", "two records at seq 1"
    yield "fork-old", [*one, other], "fork-0", ""
    yield "fork-prev", [one[0], sealed("anna", 1, bytes(32))], "fork-1", "seq 1 names another seq 0"
    yield "fork-swap", [one[0], one[1], sealed("anna", 2, record_id(one[0]))], "fork-1", "seq 2 after seq 0"
    foreign = feed(1, "ben")
    yield "prev-of-other-feed", [one[0], sealed("anna", 1, record_id(foreign[0]))], "fork-1", ""
    yield "other-feed", [one[0], foreign[0]], "FEED-001", "another member's"
    later = sealed("anna", 0, record_id(one[0]), changes={5: 1})
    yield "other-incarnation", [one[0], later], "FEED-001", ""
    yield "incarnation-1", [later], "appended", ""
    reused = sealed("anna", 0, record_id(one[0]), changes={5: 1, 11: 60})
    yield "fork-incarnation", [later, reused], "fork-0", "an incarnation begun twice"
    yield "clock-stands", [one[0], sealed("anna", 1, record_id(one[0]), changes={10: 1})], "FEED-002", ""
    yield "clock-back", [*one[:2], sealed("anna", 2, record_id(one[1]), changes={10: 1})], "FEED-002", ""
    new = sealed("anna", 0, changes=NEWEST)
    yield "version-rises", [one[0], sealed("anna", 1, record_id(one[0]), changes=NEWEST)], "appended", ""
    yield "version-falls", [new, sealed("anna", 1, record_id(new))], "FEED-003", ""
    close = sealed("anna", 1, record_id(one[0]), changes={2: 3, 12: None, 13: None, 14: None, 15: [], 16: {0: 0}})
    yield "close", [one[0], close], "appended", ""
    yield "after-close", [one[0], close, sealed("anna", 2, record_id(close))], "FEED-004", ""
    yield "fork-of-close", [one[0], close, one[1]], "fork-0", ""
    yield "round-stands", [*one[:2], sealed("anna", 2, record_id(one[1]), changes=round_of(2))], "FEED-008", ""
    yield "round-falls", [*one[:2], sealed("anna", 2, record_id(one[1]), changes=round_of(1))], "FEED-008", ""
    yield "round-leaps", [*one[:2], sealed("anna", 2, record_id(one[1]), changes=round_of(9))], "appended", ""
    yield "released", grown([one[0]], release(one[0])), "appended", ""
    yield "released-twice", grown([one[0]], release(one[0]), release(one[0], "b")), "FEED-009", ""
    others = [release(cbor([bytes([n]), b""])) for n in range(17)]
    yield "releases-16", grown([one[0]], *others[:16]), "appended", ""
    yield "releases-17", grown([one[0]], *others), "FEED-010", ""
    accused = [accusation(n) for n in range(17)]
    yield "accusations-16", grown([], *accused[:16]), "appended", "before the first update"
    yield "accusations-17", grown([], *accused), "FEED-010", ""
    yield "releases-and-accusations", grown([one[0]], *others[:16], *accused[:16]), "appended", ""
    more = grown([one[0]], *others[:16])
    more.append(sealed("anna", 17, record_id(more[-1]), changes=round_of(2)))
    yield "release-after-the-next-update", grown(more, others[16]), "appended", ""
    new = [world.as_anna2(0, record_id(world.ANNA[1]))]
    new.append(world.as_anna2(1, record_id(new[0])))
    yield "new-key", new, "appended", "in an incarnation of its own", world.ROTATED_CHAIN
    yield "before-the-handover", world.ANNA[:2], "appended", "", world.ROTATED_CHAIN


def bundle(form, first, second):
    return cbor([form, first, second])


def evidence():
    one = feed(3)
    other = sealed("anna", 1, record_id(one[0]), changes={11: 60})
    low, high = sorted([one[1], other], key=record_id)
    yield "same-place", bundle(0, low, high), "ok", "accuses anna at seq 1"
    yield "other-prev", bundle(1, one[0], sealed("anna", 1, bytes(32))), "ok", "accuses anna at seq 0"
    cut = sealed("carl", 2, record_id(world.CARL[1]), changes={11: 60})
    low_cut, high_cut = sorted([world.CARL[2], cut], key=record_id)
    yield "after-a-cut", bundle(0, low_cut, high_cut), "ok", "what convicts need not stand"
    yield "descending", bundle(0, high, low), "FEED-006", "the smaller id comes first"
    yield "other-prev-turned", bundle(1, sealed("anna", 1, bytes(32)), one[0]), "FEED-006", ""
    yield "wrong-form", bundle(1, low, high), "FEED-006", ""
    yield "same-record", bundle(0, one[1], one[1]), "FEED-006", ""
    yield "follows", bundle(1, one[0], one[1]), "FEED-006", "an honest feed"
    yield "two-members", bundle(0, *sorted([one[0], feed(1, "ben")[0]], key=record_id)), "FEED-006", ""
    restored = sealed("anna", 0, record_id(one[0]), changes={5: 1})
    yield "two-incarnations", bundle(0, *sorted([one[0], restored], key=record_id)), "FEED-006", "a restored backup"
    yield "not-neighbours", bundle(1, one[0], one[2]), "FEED-006", ""
    framed = envelope(cbor(world.record("anna", 1, record_id(one[0]), changes={11: 60})), "ben")
    yield "framed", bundle(0, *sorted([one[1], framed], key=record_id)), "SIG-003", "the second is not signed by anna"
    yield "form-2", bundle(2, low, high), "CBOR-016", "a broken rule is shown by a list of others"
    yield "form-3", bundle(3, low, high), "CBOR-016", ""
    yield "one-record", cbor([0, low]), "CBOR-016", ""
    yield "no-records", bundle(0, b"", b""), "CBOR-002", ""
    yield "trailing", bundle(0, low, high) + b"\0", "CBOR-003", ""
    yield "too-long", bundle(0, bytes(4200), bytes(4200)), "CBOR-001", ""
    thief = sealed("anna", 2, record_id(world.ANNA[1]), changes={11: 60})
    behind = bundle(0, *sorted([world.ANNA[2], thief], key=record_id))
    yield "behind-a-handover", behind, "ok", "two records of a key that was handed over", world.ROTATED_CHAIN
    old, new = sealed("anna", 0, record_id(world.ANNA[1]), changes={5: 1}), world.as_anna2(0, record_id(world.ANNA[1]))
    yield "old-key-and-new", bundle(0, *sorted([old, new], key=record_id)), "ok", "a handover settles it", world.ROTATED_CHAIN
    late = world.as_anna2(2, record_id(world.ANNA[1]), incarnation=0)
    yield "new-key-in-old-feed", bundle(0, *sorted([world.ANNA[2], late], key=record_id)), "REC-029", "", world.ROTATED_CHAIN


def faults():
    """Bundles of one record and others: whether they show that it breaks a rule."""
    one = feed(3)
    still = sealed("anna", 1, record_id(one[0]), changes=accusation(0) | {10: 1})
    yield "length", bundle(2, one[0], []), "ok", "a payload of another length than the layout makes"
    yield "length-behind-another", bundle(2, one[1], [one[0]]), "ok", ""
    yield "clock", bundle(2, still, [one[0]]), "ok", ""
    yield "clock-unknown", bundle(2, still, []), "FEED-011", "the record before it is not shown"
    closed = sealed("anna", 1, record_id(one[0]), changes={2: 3, 12: None, 13: None, 14: None, 15: [], 16: {0: 0}})
    yield "close", bundle(2, closed, [one[0]]), "FEED-011", "it breaks no rule"
    yield "after-a-close", bundle(2, sealed("anna", 2, record_id(closed)), [closed]), "ok", ""
    new = sealed("anna", 0, changes=NEWEST)
    yield "version", bundle(2, sealed("anna", 1, record_id(new)), [new]), "ok", ""
    accused = grown([], *(accusation(n) for n in range(17)))
    yield "accusations-17", bundle(2, accused[16], sorted(accused[:16], key=record_id)), "ok", ""
    yield "accusations-16", bundle(2, accused[15], sorted(accused[:15], key=record_id)), "FEED-011", ""
    yield "accusations-one-missing", bundle(2, accused[16], sorted(accused[1:16], key=record_id)), "FEED-011", ""
    falling = sorted([one[0], one[1]], key=record_id, reverse=True)
    yield "descending", bundle(2, one[2], falling), "FEED-011", "others ascend by id"
    yield "other-twice", bundle(2, still, [one[0], one[0]]), "FEED-011", ""
    yield "itself", bundle(2, one[0], [one[0]]), "FEED-011", ""
    framed = envelope(cbor(world.record("anna", 1, record_id(one[0]))), "ben")
    yield "framed", bundle(2, framed, [one[0]]), "SIG-003", "not signed by anna"
    yield "other-framed", bundle(2, still, [envelope(cbor(world.record("anna", 0)), "ben")]), "SIG-003", ""
    yield "others-bare", bundle(2, still, one[0]), "CBOR-016", ""
    yield "others-deep", bundle(2, still, [[one[0]]]), "CBOR-014", ""
    yield "two-items", cbor([2, still]), "CBOR-016", ""


def presence():
    base = {
        0: 1,
        1: NETWORK,
        2: member_id("anna"),
        3: world.transport("anna"),
        4: [bytes.fromhex("047f000001060fa1")],
        5: [0, 3, bytes(32)],
        6: 1,
        7: 1700000000123,
    }

    def say(signer="anna", domain=PRESENCE, **changes):
        return envelope(cbor(changed(base, {int(key[1:]): value for key, value in changes.items()})), signer, domain)

    yield "member", say(), "ok", ""
    yield "no-head", say(_5=None), "ok", "before the first record"
    yield "no-addresses", say(_4=[]), "ok", "dials only"
    yield "addresses-16", say(_4=[b"\x04" * 8] * 16), "ok", ""
    yield "address-256", say(_4=[bytes(256)]), "ok", ""
    yield "relay", say("rita", _2=member_id("rita"), _3=world.transport("rita")), "ok", "whatever the role"
    yield "version-2", say(_0=2), "REC-001", ""
    yield "network", say(_1=bytes(32)), "REC-002", ""
    yield "stranger", say("eve", _2=member_id("eve")), "PRES-003", ""
    yield "no-longer-member", say("carl", _2=member_id("carl"), _3=world.transport("carl")), "PRES-003", ""
    yield "transport-of-other", say(_3=world.transport("ben")), "PRES-001", ""
    yield "addresses-17", say(_4=[b"\x04" * 8] * 17), "PRES-002", ""
    yield "address-257", say(_4=[bytes(257)]), "PRES-002", ""
    yield "address-empty", say(_4=[b""]), "PRES-002", ""
    yield "address-text", say(_4=["127.0.0.1"]), "CBOR-016", ""
    yield "head-of-two", say(_5=[0, 3]), "CBOR-016", ""
    yield "head-of-four", say(_5=[0, 3, bytes(32), 0]), "CBOR-016", ""
    yield "head-null", envelope(cbor(base).replace(cbor(base[5]), b"\xf6"), "anna", PRESENCE), "CBOR-008", ""
    yield "unknown-key", say(_8=0), "CBOR-016", ""
    yield "no-counter", say(_7=None), "CBOR-016", ""
    yield "signer", say("ben"), "SIG-003", ""
    yield "domain", say(domain=world.RECORD), "SIG-003", "signed as a record"
    yield "record", feed(1)[0], "CBOR-016", "a record is no presence"
    yield "size", say(_4=[bytes(256)] * 16), "CBOR-001", "16 addresses of 256 bytes are too many bytes"


def sync():
    anna, ben = sorted([member_id("anna"), member_id("ben")])
    have = [{0: anna, 1: 0, 2: 7}, {0: anna, 1: 1, 2: 0}, {0: ben, 1: 0, 2: 3}]
    question = {0: 1, 1: NETWORK, 2: 1, 3: have}
    yield "question", cbor(question), "ok", ""
    yield "nothing", cbor(changed(question, {3: []})), "ok", ""
    yield "many", cbor(changed(question, {3: [{0: anna, 1: n, 2: 1} for n in range(200)]})), "ok", ""
    wanted = [bytes([n]) * 32 for n in range(64)]
    yield "wants", cbor(changed(question, {4: wanted})), "ok", "records asked for by id, as many as there may be"
    yield "wants-nothing", cbor(changed(question, {4: []})), "CBOR-016", "absent if there are none"
    yield "wants-too-many", cbor(changed(question, {4: [*wanted, b"\xff" * 32]})), "CBOR-016", ""
    yield "wants-descending", cbor(changed(question, {4: wanted[::-1]})), "CBOR-016", ""
    yield "version-2", cbor(changed(question, {0: 2})), "CBOR-016", ""
    yield "descending", cbor(changed(question, {3: have[::-1]})), "CBOR-016", ""
    yield "feed-twice", cbor(changed(question, {3: [have[0], have[0]]})), "CBOR-016", ""
    yield "feed-as-array", cbor(changed(question, {3: [[anna, 0, 7]]})), "CBOR-016", ""
    yield "no-network", cbor(changed(question, {1: None})), "CBOR-016", ""
    yield "trailing", cbor(question) + b"\0", "CBOR-003", ""
    yield "indefinite", b"\xbf" + cbor(question)[1:] + b"\xff", "CBOR-005", ""
    yield "size", b"\x5a\x00\x08\x00\x00" + bytes(512 << 10), "CBOR-001", "512 KiB and a head"


def frame(tag, content):
    return (1 + len(content)).to_bytes(4, "little") + bytes([tag]) + content


END = bytes(4)


def frames():
    """Whole answers: `ok` ends with the end; `open` is a stream that broke off."""
    record = frame(1, feed(1)[0])
    manifest = frame(0, world.GENESIS_SIGNED)
    yield "answer", manifest + record + record + END, "ok", ""
    yield "nothing", END, "ok", ""
    yield "broken-off", manifest + record[:-1], "open", ""
    yield "no-end", manifest + record, "open", ""
    yield "length-bomb", b"\xff\xff\xff\xff", "SYNC-001", "4 GiB claimed, before the tag came"
    yield "no-content", frame(1, b""), "SYNC-001", ""
    yield "record-too-long", (4170).to_bytes(4, "little") + b"\x01", "SYNC-001", "refused by its head alone"
    yield "manifest-too-long", (2 + (4 << 20)).to_bytes(4, "little") + b"\x00", "SYNC-001", ""
    yield "tag-2", frame(2, b"x"), "SYNC-002", ""
    yield "length-and-tag", b"\xff\xff\xff\xff\x02", "SYNC-001", "the length is judged first, however the answer arrives"
    yield "no-content-tag-2", frame(2, b""), "SYNC-001", ""
    yield "manifest-late", record + manifest + END, "SYNC-003", ""
    yield "after-end", manifest + END + b"\0", "SYNC-005", ""
