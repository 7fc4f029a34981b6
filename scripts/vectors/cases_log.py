"""Logs: trees by their recursive definition, notes, checkpoints, cosignatures, witnesses, tiles, proof files, and where records and
manifests speak of them."""

import hashlib
from base64 import b64encode

import world
from world import GENESIS, NETWORK, cbor, changed, member_id, public, secret

DASH = "\u2014"
ME = member_id("ben")


def u64(*numbers):
    return b"".join(number.to_bytes(8, "big") for number in numbers)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf(data):
    return sha(b"\0", data)


def split(count):
    power = 1
    while 2 * power < count:
        power *= 2
    return power


def root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else sha()
    k = split(len(leaves))
    return sha(b"\1", root(leaves[:k]), root(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return path(m, leaves[:k]) + [root(leaves[k:])] if m < k else path(m - k, leaves[k:]) + [root(leaves[:k])]


def subproof(m, leaves, known=True):
    if m == len(leaves):
        return [] if known else [root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return subproof(m, leaves[:k], known) + [root(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [root(leaves[:k])]


def base64(data):
    return b64encode(data).decode()


def origin(name, network=NETWORK):
    return f"chorale/{network.hex()[:16]}/{member_id(name).hex()[:16]}"


def line(name, algorithm, key, data):
    key_id = sha(name.encode(), b"\n", bytes([algorithm]), key)[:4]
    return f"{DASH} {name} {base64(key_id + data)}\n"


def head(size, hash_, name="anna"):
    return f"{origin(name)}\n{size}\n{base64(hash_)}\n"


def signed(text, name="anna", key=None):
    return line(origin(name), 1, public(key or name), secret(key or name).sign(text.encode()))


def cosigned(text, name, time, message=None, key=None):
    said = f"cosignature/v1\ntime {time}\n{text}" if message is None else message
    return line(origin(name), 4, public(key or name), time.to_bytes(8, "big") + secret(key or name).sign(said.encode()))


LEAVES = [leaf(b"leaf %d" % n) for n in range(40)]
ROOT5 = root(LEAVES[:5])
TEXT = head(5, ROOT5)
OWN = signed(TEXT)
BEN, OLGA = cosigned(TEXT, "ben", 1700000050), cosigned(TEXT, "olga", 1700000060)


def note(text=TEXT, *lines):
    return f"{text}\n{''.join(lines or (OWN, BEN, OLGA))}".encode()


def trees():
    known = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    known = [bytes.fromhex(data) for data in known]
    for size in range(9):
        yield f"root-{size}", [b"root", *known[:size]], root([leaf(data) for data in known[:size]]).hex(), "RFC 6962's leaves"
    for index, size in [(0, 1), (0, 2), (1, 2), (2, 3), (6, 7), (7, 8), (8, 9), (0, 9), (31, 40), (39, 40)]:
        good = path(index, LEAVES[:size])
        ask = lambda p, i=index, s=size, h=LEAVES[index], r=root(LEAVES[:size]): [b"inclusion", u64(i), u64(s), h, r, b"".join(p)]
        yield f"in-{index}-of-{size}", ask(good), "ok", ""
        yield f"in-{index}-of-{size}-long", ask([*good, LEAVES[0]]), "PRF-003", ""
        if good:
            yield f"in-{index}-of-{size}-short", ask(good[:-1]), "PRF-003", ""
            yield f"in-{index}-of-{size}-wrong", ask([LEAVES[20], *good[1:]]), "PRF-004", ""
        yield f"in-{index}-of-{size}-beyond", ask(good, i=size), "PRF-001", ""
        yield f"in-{index}-of-{size}-leaf", ask(good, h=LEAVES[11]), "PRF-004", ""
    yield "in-0-of-0", [b"inclusion", u64(0), u64(0), LEAVES[0], sha(), b""], "PRF-001", ""
    for count, code in [(62, "PRF-003"), (63, "PRF-004"), (64, "PRF-003")]:
        huge = [b"inclusion", u64(2**64 - 2), u64(2**64 - 1), LEAVES[0], ROOT5, ROOT5 * count]
        yield f"in-huge-{count}", huge, code, ""
    for old, new in [(0, 0), (0, 5), (1, 1), (1, 2), (2, 3), (3, 7), (4, 8), (6, 8), (7, 8), (8, 9), (31, 40), (32, 40), (39, 40)]:
        good = subproof(old, LEAVES[:new]) if old else []
        roots = root(LEAVES[:old]), root(LEAVES[:new])
        ask = lambda p, a=roots[0], b=roots[1], o=old, n=new: [b"consistency", u64(o), a, u64(n), b, b"".join(p)]
        name = f"from-{old}-to-{new}"
        yield name, ask(good), "ok", ""
        yield f"{name}-long", ask([*good, LEAVES[0]]), "PRF-003", ""
        if good:
            yield f"{name}-short", ask(good[:-1]), "PRF-003", ""
            yield f"{name}-back", ask(good, roots[1], roots[0], new, old), "PRF-002", ""
        yield f"{name}-old-root", ask(good, a=LEAVES[20]), "PRF-004", ""
        if old:
            yield f"{name}-new-root", ask(good, b=LEAVES[20]), "PRF-004", ""


def notes():
    name, own = origin("anna"), public("anna")
    other = lambda text, *lines: note(text, *(lines or (signed(text),)))
    good = note()
    yield "note", good, "ok 2", ""
    yield "note-alone", note(TEXT, OWN), "ok 0", ""
    yield "note-of-nothing", other(head(0, sha())), "ok 0", ""
    yield "note-largest", other(head(2**53 - 1, ROOT5)), "ok 0", ""
    yield "note-former-member", note(TEXT, OWN, cosigned(TEXT, "carl", 5)), "ok 1", "of version 0 only"
    yield "note-owner-cosigns", note(TEXT, OWN, cosigned(TEXT, "anna", 5)), "ok 0", ""
    yield "note-time-largest", note(TEXT, OWN, cosigned(TEXT, "ben", 2**63 - 1)), "ok 1", ""
    yield "note-time-too-large", note(TEXT, OWN, cosigned(TEXT, "ben", 2**63)), "NOTE-014", ""
    yield "note-unknown-key", note(TEXT, OWN, f"{DASH} other.example AAAAAAA=\n"), "ok 0", ""
    yield "note-unknown-name", note(TEXT, OWN, f"{DASH} {origin('nobody')} AAAAAAA=\n"), "ok 0", ""
    yield "note-other-id", note(TEXT, OWN, f"{DASH} {origin('ben')} AAAAAAA=\n"), "ok 0", "the right name, another key"
    yield "note-by-other-key", note(TEXT, signed(TEXT, key="ben")), "NOTE-012", "no key of the owner"
    yield "note-of-other-domain", note(TEXT, line(name, 1, own, world.sign("anna", world.RECORD, TEXT.encode()))), "NOTE-013", ""
    yield "note-cosign-as-sign", note(TEXT, OWN, cosigned(TEXT, "ben", 5, TEXT)), "NOTE-013", ""
    yield "note-cosign-other-time", note(TEXT, OWN, cosigned(TEXT, "ben", 5, f"cosignature/v1\ntime 6\n{TEXT}")), "NOTE-013", ""
    yield "note-cosign-short", note(TEXT, OWN, line(origin("ben"), 4, public("ben"), bytes(71))), "NOTE-014", ""
    yield "note-sign-long", note(TEXT, line(name, 1, own, bytes(65))), "NOTE-013", ""
    yield "note-unsigned", note(TEXT, BEN), "NOTE-012", ""
    yield "note-twice", note(TEXT, OWN, OWN), "NOTE-007", ""
    yield "note-unknown-twice", note(TEXT, OWN, *[f"{DASH} o AAAAAAA=\n"] * 2), "NOTE-007", ""
    fill = [f"{DASH} o{n} AAAAAAA=\n" for n in range(100)]
    yield "note-100-lines", note(TEXT, OWN, *fill[:99]), "ok 0", ""
    yield "note-101-lines", note(TEXT, OWN, *fill), "NOTE-006", ""
    yield "note-16384", note(TEXT, OWN, f"{DASH} o {'A' * (16384 - len(note(TEXT, OWN)) - 7)}\n"), "ok 0", "its last line is padding"
    yield "note-16385", b"a" * 16385, "NOTE-001", ""
    yield "note-empty", b"", "NOTE-003", ""
    yield "note-no-newline", good[:-1], "NOTE-003", ""
    yield "note-crlf", good.replace(b"\n", b"\r\n"), "NOTE-002", ""
    yield "note-nul", good.replace(b"chorale", b"chor\0le", 1), "NOTE-002", ""
    yield "note-not-utf8", good.replace(b"chorale", b"chor\xffle", 1), "NOTE-002", ""
    yield "note-no-blank", good.replace(b"\n\n", b"\n", 1), "NOTE-003", ""
    yield "note-two-blanks", good.replace(b"\n\n", b"\n\n\n", 1), "NOTE-008", ""
    yield "note-no-lines", f"{TEXT}\n".encode(), "NOTE-003", ""
    yield "note-hyphen", good.replace(DASH.encode(), b"-", 1), "NOTE-003", ""
    yield "note-one-word", note(TEXT, f"{DASH} o\n"), "NOTE-003", ""
    for what, text, code in [
        ("plus", "o+o", "NOTE-004"), ("empty", "", "NOTE-004"), ("nbsp", "o\u00a0o", "NOTE-004"), ("wide", "o\u3000", "NOTE-004"),
        ("nel", "o\u0085", "NOTE-004"), ("space", "o o", "NOTE-005"), ("zero-width", "o\u200b", "ok 0"), ("accent", "\u00e9", "ok 0"),
    ]:
        yield f"note-name-{what}", note(TEXT, OWN, f"{DASH} {text} AAAAAAA=\n"), code, ""
    for what, text in [("char", "AAAA*AA="), ("unpadded", "AAAAAAA"), ("bits", "AAAAAAB="), ("id-only", "AAAAAA=="), ("none", ""),
                       ("space", "AAAA AAA="), ("url", "____AAA="), ("padded", "AAAAAAA==")]:
        yield f"note-base64-{what}", note(TEXT, OWN, f"{DASH} o {text}\n"), "NOTE-005", ""
    yield "checkpoint-extension", other(TEXT + "more\n"), "NOTE-008", ""
    yield "checkpoint-two-lines", other(f"{name}\n5\n"), "NOTE-008", ""
    for what, size in [("zero-first", "05"), ("sign", "+5"), ("space", " 5"), ("words", "five"), ("arabic", "\u0665"), ("none", ""),
                       ("2-53", str(2**53)), ("long", "9" * 40), ("hex", "0x5"), ("underscore", "1_0")]:
        yield f"checkpoint-size-{what}", other(f"{name}\n{size}\n{base64(ROOT5)}\n"), "NOTE-008", ""
    yield "checkpoint-root-31", other(f"{name}\n5\n{base64(ROOT5[:31])}\n"), "NOTE-008", ""
    yield "checkpoint-root-bits", other(f"{name}\n5\n{base64(ROOT5)[:-2]}B=\n"), "NOTE-008", ""
    yield "checkpoint-root-of-nothing", other(head(0, ROOT5)), "NOTE-008", ""
    for what, text in [("other", "other.example/log"), ("upper", name[:8] + name[8:].upper()), ("long", name + "0"), ("short", name[:-1]),
                       ("slash", name + "/")]:
        yield f"checkpoint-origin-{what}", other(f"{text}\n5\n{base64(ROOT5)}\n"), "NOTE-009", ""
    yield "checkpoint-network", other(f"{origin('anna', bytes(32))}\n5\n{base64(ROOT5)}\n"), "NOTE-010", ""
    yield "checkpoint-stranger", note(head(5, ROOT5, "nobody"), signed(head(5, ROOT5, "nobody"), "nobody")), "NOTE-011", ""
    yield "checkpoint-tampered", good.replace(b"\n5\n", b"\n6\n"), "NOTE-013", ""


def request(old, new, leaves=LEAVES, name="anna", proof=None, key=None):
    text = head(new, root(leaves[:new]), name)
    hashes = subproof(old, leaves[:new]) if proof is None and 0 < old <= new else proof or []
    lines = "".join(base64(h) + "\n" for h in hashes)
    return f"old {old}\n{lines}\n".encode() + note(text, signed(text, name, key))


def witnesses():
    ask = lambda held, what, leaves=LEAVES: [b"witness", ME, u64(held) + root(leaves[:held]) if held is not None else b"", what]
    for held, new in [(None, 0), (None, 5), (0, 5), (5, 5), (5, 9), (8, 9), (39, 40)]:
        yield f"witness-{held}-{new}", ask(held, request(held or 0, new)), "ok", ""
    other = LEAVES[::-1]
    yield "witness-conflict", ask(5, request(3, 9)), "conflict 5", ""
    yield "witness-conflict-none", ask(None, request(3, 9)), "conflict 0", ""
    yield "witness-conflict-new", ask(5, request(0, 9)), "conflict 5", ""
    yield "witness-rollback", ask(9, request(9, 5)), "PRF-002", ""
    yield "witness-rollback-hidden", ask(9, request(5, 5)), "conflict 9", ""
    yield "witness-split", ask(9, request(9, 9, other)), "ASK-004", ""
    yield "witness-split-hidden", ask(9, request(3, 9, other)), "ASK-004", "whatever the old size says"
    yield "witness-rewritten", ask(5, request(5, 9, other)), "PRF-004", ""
    yield "witness-short", ask(5, request(5, 9, proof=subproof(5, LEAVES[:9])[:-1])), "PRF-003", ""
    yield "witness-own", ask(None, request(0, 5, name="ben")), "ASK-002", ""
    yield "witness-stranger", ask(None, request(0, 5, name="nobody")), "NOTE-011", ""
    good = request(5, 9)
    yield "witness-64-hashes", ask(5, request(5, 9, proof=LEAVES[:32] * 2)), "ASK-001", ""
    yield "witness-63-hashes", ask(5, request(5, 9, proof=(LEAVES[:32] * 2)[1:])), "PRF-003", ""
    yield "witness-no-old", ask(5, good.partition(b"\n")[2]), "ASK-001", ""
    yield "witness-old-zero-first", ask(5, good.replace(b"old 5", b"old 05", 1)), "ASK-001", ""
    yield "witness-old-2-53", ask(5, good.replace(b"old 5", b"old 9007199254740992", 1)), "ASK-001", ""
    yield "witness-hash-33", ask(5, request(5, 9, proof=[bytes(33)])), "ASK-001", ""
    yield "witness-empty", ask(5, b""), "ASK-001", ""
    yield "witness-no-note", ask(5, b"old 5\n\n"), "NOTE-003", ""
    yield "witness-long", ask(5, good + b"a" * 20000), "ASK-001", ""


def tiles():
    for text in ["tile/0/000", "tile/0/000.p/1", "tile/0/000.p/255", "tile/6/000.p/9", "tile/0/x001/000", "tile/1/x123/x456/789.p/12"]:
        yield text.replace("/", "-"), [b"tile", text.encode()], "ok", ""
    for n, text in enumerate([
        "", "tile", "tile/0", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/7/000", "tile/-1/000", "tile/0/x000/001",
        "tile/0/001/234", "tile/0/x01/234", "tile/0/x001", "tile/0/x001/x234", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01",
        "tile/0/000.p/", "tile/0/+00", "tile/0/000/", "/tile/0/000", "tile/0/000.p/1/2", "tile/0/x999/x999/x999/x999/x999/999",
        "tile/entries/000", "tile/0/000\n", "tile/0/\u0660\u0660\u0660",
    ]):
        yield f"tile-no-{n}", [b"tile", text.encode()], "no", ""


def proofs():
    record = world.CARL[0]
    leaves = [*LEAVES[:6], leaf(record), *LEAVES[7:9]]
    text = head(9, root(leaves))
    sealed = note(text, signed(text), cosigned(text, "ben", 7))
    hashes = "".join(base64(h) + "\n" for h in path(6, leaves))
    build = lambda e=base64(record), i="6", p=hashes, n=sealed: f"c2sp.org/tlog-proof@v1\nextra {e}\nindex {i}\n{p}\n".encode() + n
    yield "proof", [b"proof", build()], "ok", ""
    yield "proof-cut-off", [b"proof", build(base64(world.CARL[2]))], "PRF-004", "another record"
    yield "proof-index", [b"proof", build(i="5")], "PRF-004", ""
    yield "proof-beyond", [b"proof", build(i="9")], "PRF-001", ""
    yield "proof-zero-first", [b"proof", build(i="06")], "PRF-006", ""
    yield "proof-no-index", [b"proof", build().replace(b"index 6\n", b"")], "PRF-006", ""
    yield "proof-short", [b"proof", build(p=hashes.partition("\n")[2])], "PRF-003", ""
    yield "proof-header", [b"proof", build().replace(b"@v1", b"@v2", 1)], "PRF-006", ""
    yield "proof-base64", [b"proof", build("*")], "PRF-006", ""
    yield "proof-record-long", [b"proof", build(base64(bytes(4169)))], "PRF-006", ""
    yield "proof-64-hashes", [b"proof", build(p=hashes[:45] * 64)], "PRF-006", ""
    yield "proof-no-note", [b"proof", build(n=b"")], "NOTE-003", ""
    yield "proof-unsigned", [b"proof", build(n=note(text, cosigned(text, "ben", 7)))], "NOTE-012", ""
    bad = leaf(b"no record")
    text = head(1, bad)
    odd = build(base64(b"no record"), "0", "", note(text, signed(text)))
    yield "proof-no-record", [b"proof", odd], "CBOR-018", "in the log, and no record"


def handed_over(*ends):
    """A chain in which anna signs as anna2, anna3, .. in turn, and its log passes over at these heads."""
    signed_, base = [world.GENESIS_SIGNED], GENESIS
    for number, end in enumerate(ends, 1):
        others = ("ben", "carl", ("olga", 1), ("rita", 2))
        handover = world.handover("anna", incarnation=number) | ({3: {0: end[0], 1: end[1]}} if end else {})
        base = changed(base, {1: NETWORK, 2: number, 3: world.manifest_hash(cbor(base)), 9: [handover]})
        base = changed(base, {6: world.rekeyed(("anna", f"anna{number + 1}"), also=others)})
        signed_.append(world.voted(cbor(base), "g0", "g1", "g2"))
    return signed_


def at(size):
    return size, root(LEAVES[:size])


def handovers():
    """Notes of a log whose owner has another key by now, and what a witness answers them."""
    text = lambda size: head(*at(size))
    by = lambda said, *keys: note(said, *(signed(said, key=key) for key in keys))
    other = head(5, LEAVES[0])
    for name, chain, said, keys, expect, why in [
        ("none", [None], text(3), ["anna"], "NOTE-015", "the log begins anew"),
        ("none-new", [None], text(3), ["anna2"], "ok 0", ""),
        ("before", [at(5)], text(3), ["anna"], "ok 0", ""),
        ("there", [at(5)], text(5), ["anna"], "ok 0", ""),
        ("there-other-root", [at(5)], other, ["anna"], "NOTE-015", ""),
        ("beyond", [at(5)], text(6), ["anna"], "NOTE-015", "a thief goes on"),
        ("nothing-of-it", [at(5)], head(0, sha()), ["anna"], "ok 0", ""),
        ("new-before", [at(5)], text(4), ["anna2"], "NOTE-015", "a log is not taken back"),
        ("new-there", [at(5)], text(5), ["anna2"], "ok 0", ""),
        ("new-there-other-root", [at(5)], other, ["anna2"], "NOTE-015", ""),
        ("new-beyond", [at(5)], text(6), ["anna2"], "ok 0", ""),
        ("both-beyond", [at(5)], text(6), ["anna", "anna2"], "ok 0", ""),
        ("stranger", [at(5)], text(6), ["anna3"], "NOTE-012", ""),
        ("back-first", [at(9), at(5)], text(6), ["anna"], "NOTE-015", "the least of later ends counts"),
        ("back-second", [at(9), at(5)], text(9), ["anna2"], "NOTE-015", "its part begins behind its end"),
        ("back-third", [at(9), at(5)], text(6), ["anna3"], "ok 0", ""),
        ("back-same-size", [(5, LEAVES[0]), at(5)], other, ["anna"], "NOTE-015", "the newer of two counts"),
        ("on-first", [at(5), at(9)], text(9), ["anna"], "NOTE-015", ""),
        ("on-second", [at(5), at(9)], text(9), ["anna2"], "ok 0", ""),
        ("on-none", [at(5), None], text(3), ["anna"], "NOTE-015", ""),
    ]:
        yield f"handed-over-{name}", [b"note", by(said, *keys)], expect, why, handed_over(*chain)
    of_ben = head(5, ROOT5, "ben")
    cosigned_by = lambda *lines: [b"note", note(of_ben, signed(of_ben, "ben"), *lines)]
    old, new = cosigned(of_ben, "anna", 5), cosigned(of_ben, "anna", 7, key="anna2")
    yield "handed-over-cosigner", cosigned_by(old), "ok 0", "whoever has the old key gives any time", handed_over(at(5))
    yield "handed-over-cosigner-new", cosigned_by(old, new), "ok 1", "", handed_over(at(5))
    bad = cosigned(of_ben, "anna", 5, "other")
    yield "handed-over-cosigner-wrong", cosigned_by(bad, new), "NOTE-013", "", handed_over(at(5))
    ask = lambda held, what: [b"witness", ME, u64(held) + root(LEAVES[:held]) if held is not None else b"", what]
    keyed = lambda old_, size, key, leaves=LEAVES: request(old_, size, leaves, key=key)
    for name, held, what, expect, why in [
        ("goes-on", None, keyed(5, 9, "anna2"), "ok", "from the handover, whatever an old key had signed"),
        ("from-nothing", None, keyed(0, 9, "anna2"), "conflict 5", ""),
        ("holds-new", 7, keyed(7, 9, "anna2"), "ok", ""),
        ("other-log", None, keyed(5, 9, "anna2", LEAVES[::-1]), "PRF-004", ""),
        ("before", None, keyed(0, 4, "anna2"), "NOTE-015", ""),
        ("old-key", None, keyed(5, 9, "anna"), "NOTE-015", ""),
        ("old-key-there", None, keyed(5, 5, "anna"), "ASK-005", "it signs nothing new"),
        ("old-key-before", None, keyed(3, 3, "anna"), "ASK-005", ""),
    ]:
        yield f"witness-handed-over-{name}", ask(held, what), expect, why, handed_over(at(5))
    yield "witness-handed-over-none", ask(None, keyed(0, 9, "anna2")), "ok", "", handed_over(None)


def elsewhere():
    """Where records and manifests speak of logs."""
    for what, hash_, expect in [("seen", bytes(32), "ok"), ("seen-31", bytes(31), "CBOR-016"), ("seen-text", "a", "CBOR-016")]:
        yield what, [b"record", world.sealed("anna", changes={17: hash_})], expect, ""
    for count, expect in [(1, "ok"), (63, "ok"), (0, "MAN-009"), (64, "MAN-009")]:
        payload = cbor(changed(GENESIS, {(8, 13): count}))
        yield f"witnesses-{count}", [b"manifest", world.voted(payload, "g0", "g1", "g2")], expect, ""


def log():
    yield from trees()
    for name, data, expect, why in notes():
        yield name, [b"note", data], expect, why
    for part in (witnesses, handovers, tiles, proofs, elsewhere):
        yield from part()
