"""Strict CBOR, public keys and signatures."""

import struct

import ed25519
import world
from world import cbor

PAYLOAD = cbor(world.record("anna"))


def strict():
    def no(name, data, code, note):
        yield name, bytes.fromhex(data) if isinstance(data, str) else data, code, note

    yield "record", PAYLOAD, "ok", "the payload of an update"
    for text, note in [("a0", "empty map"), ("80", "empty array"), ("40", "empty bytes"), ("60", "empty text")]:
        yield note.replace(" ", "-"), bytes.fromhex(text), "ok", note
    yield "uint-largest", bytes.fromhex("1b001fffffffffffff"), "ok", "2^53 - 1"
    yield "depth-6", bytes.fromhex("818181818180"), "ok", "six arrays"
    yield "key-23", bytes.fromhex("a11700"), "ok", "the largest key"
    yield "text-128", b"\x78\x80" + b"a" * 128, "ok", "the longest text"
    yield "text-charset", cbor("AZaz09._/-"), "ok", "all kinds of characters"

    for at in range(len(PAYLOAD)):
        yield f"truncated-{at}", PAYLOAD[:at], "CBOR-002", f"a record cut to {at} bytes"
    for name, data, code, note in [
        ("trailing", PAYLOAD + b"\x00", "CBOR-003", "a byte follows"),
        ("two-items", "8080", "CBOR-003", "two items"),
        ("long-uint-1", "1805", "CBOR-004", "5 in one more byte"),
        ("long-uint-2", "190005", "CBOR-004", "5 in two more bytes"),
        ("long-uint-4", "1a00000005", "CBOR-004", "5 in four"),
        ("long-uint-8", "1b0000000000000005", "CBOR-004", "5 in eight"),
        ("long-uint-8-of-32", "1b00000000ffffffff", "CBOR-004", "2^32 - 1 in eight"),
        ("long-map", "b8010000", "CBOR-004", "a map's count in one more byte"),
        ("long-array", "980100", "CBOR-004", "an array's"),
        ("long-text", "780161", "CBOR-004", "a text's length"),
        ("long-bytes", "580161", "CBOR-004", "a byte string's"),
        ("indefinite-map", "bf0000ff", "CBOR-005", ""),
        ("indefinite-array", "9f00ff", "CBOR-005", ""),
        ("indefinite-bytes", "5f4100ff", "CBOR-005", ""),
        ("indefinite-text", "7f6161ff", "CBOR-005", ""),
        ("break", "ff", "CBOR-005", "a break alone"),
        ("break-inside", "81ff", "CBOR-005", "a break in an array"),
        ("reserved-28", "1c", "CBOR-006", ""),
        ("reserved-29", "5d", "CBOR-006", ""),
        ("reserved-30", "9e", "CBOR-006", ""),
        ("reserved-simple", "fc", "CBOR-006", ""),
        ("tag-0", "c0613" + "0", "CBOR-007", "a date"),
        ("tag-1", "c100", "CBOR-007", "an epoch time"),
        ("tag-2", "c24101", "CBOR-007", "a bignum"),
        ("tag-42", "d82a00", "CBOR-007", ""),
        ("tag-55799", "d9d9f700", "CBOR-007", "self-described CBOR"),
        ("tags-nested", "c1" * 500 + "00", "CBOR-007", "500 tags"),
        ("half", "f93c00", "CBOR-008", "1.0 as f16"),
        ("half-nan", "f97e00", "CBOR-008", "NaN"),
        ("half-minus-0", "f98000", "CBOR-008", "-0"),
        ("float", "fa3f800000", "CBOR-008", "1.0 as f32"),
        ("double", "fb" + struct.pack(">d", 1.1).hex(), "CBOR-008", "1.1 as f64"),
        ("nan-payload", "fb7ff8000000000001", "CBOR-008", "a NaN with a payload"),
        ("false", "f4", "CBOR-008", ""),
        ("true", "f5", "CBOR-008", ""),
        ("null", "f6", "CBOR-008", ""),
        ("undefined", "f7", "CBOR-008", ""),
        ("simple-0", "e0", "CBOR-008", ""),
        ("simple-21-long", "f815", "CBOR-008", ""),
        ("simple-32", "f820", "CBOR-008", ""),
        ("negative", "20", "CBOR-009", "-1"),
        ("negative-large", "3bffffffffffffffff", "CBOR-009", "-2^64"),
        ("uint-2-53", "1b0020000000000000", "CBOR-010", "2^53"),
        ("uint-2-64", "1bffffffffffffffff", "CBOR-010", "2^64 - 1"),
        ("key-24", "a1181800", "CBOR-011", ""),
        ("key-long", "a1180000", "CBOR-011", "key 0 in two bytes"),
        ("key-text", "a1613000", "CBOR-011", ""),
        ("key-bytes", "a1410000", "CBOR-011", ""),
        ("key-negative", "a12000", "CBOR-011", ""),
        ("key-float", "a1f9000000", "CBOR-011", ""),
        ("key-array", "a18000", "CBOR-011", ""),
        ("map-of-25", b"\xb8\x19" + bytes(50), "CBOR-011", "more entries than keys"),
        ("map-bomb", "bbffffffffffffffff", "CBOR-011", "2^64 - 1 entries"),
        ("key-order", "a201000000", "CBOR-012", "1 before 0"),
        ("key-twice", "a200000000", "CBOR-012", "0 twice"),
        ("text-utf8", "62c328", "CBOR-013", "not UTF-8"),
        ("text-surrogate", "63eda080", "CBOR-013", ""),
        ("text-nul", "6100", "CBOR-013", ""),
        ("text-escape", "611b", "CBOR-013", "an escape for a terminal"),
        ("text-space", "6120", "CBOR-013", ""),
        ("text-umlaut", "62c3bc", "CBOR-013", "valid UTF-8, not a character of ours"),
        ("text-129", b"\x78\x81" + b"a" * 129, "CBOR-013", "one character too many"),
        ("depth-7", "81" * 6 + "80", "CBOR-014", "seven arrays"),
        ("depth-128", "81" * 128 + "80", "CBOR-014", ""),
        ("depth-bomb", "81" * 4095 + "80", "CBOR-014", "as deep as the bytes allow"),
        ("depth-maps", "a100" * 6 + "a0", "CBOR-014", "seven maps"),
        ("items", cbor([0] * 1024), "CBOR-015", "1025 items"),
        ("bytes-2-32", "5affffffff", "CBOR-002", "4 GiB claimed"),
        ("bytes-2-63", "5b7fffffffffffffff", "CBOR-002", ""),
        ("bytes-2-64", "5bffffffffffffffff", "CBOR-002", ""),
        ("text-2-64", "7bffffffffffffffff", "CBOR-002", ""),
        ("array-2-64", "9bffffffffffffffff", "CBOR-002", ""),
        ("array-1e6", "9a000f4240", "CBOR-002", ""),
        ("size", b"\x59\x0f\xfe" + bytes(4094), "CBOR-001", "4 KiB + 1"),
    ]:
        yield from no(name, data, code, note)


def keys():
    for name in ("anna", "ben", "g0"):
        yield name, world.public(name), "ok", ""
    for n, point in enumerate(ed25519.low_order_encodings()):
        canonical = int.from_bytes(point, "little") & (2**255 - 1) < ed25519.P
        canonical = canonical and ed25519.encode(ed25519.decode(point)) == point
        yield f"low-order-{n}", point, "SIG-002" if canonical else "SIG-001", "a point of small order"
    a = ed25519.decode(world.public("anna"))
    for n, small in enumerate(ed25519.torsion()[1:], 1):
        yield f"mixed-order-{n}", ed25519.encode(ed25519.add(a, small)), "SIG-002", "a key with a torsion component"
    yield "all-ones", b"\xff" * 32, "SIG-001", "y of p or more"
    y = next(y for y in range(2, 19) if ed25519.decode(y.to_bytes(32, "little")))
    yield "y-not-reduced", (y + ed25519.P).to_bytes(32, "little"), "SIG-001", "y + p of a point on the curve"
    off = next(y for y in range(2, 99) if ed25519.decode(y.to_bytes(32, "little")) is None)
    yield "off-curve", off.to_bytes(32, "little"), "SIG-001", "no point has this y"


def signatures():
    """Input: key, payload, signature; the domain is that of records."""
    payload = b"what was said"
    message = world.RECORD + payload
    key, good = world.public("anna"), world.sign("anna", world.RECORD, payload)
    assert good == ed25519.sign(world.seed("anna"), message)
    seed, r, s = world.seed("anna"), good[:32], int.from_bytes(good[32:], "little")

    def whole(s):
        return r + s.to_bytes(32, "little")

    cases = [
        ("ok", good, "ok", "made by another program"),
        ("s-plus-l", whole(s + ed25519.L), "SIG-003", "S + L verifies where S is not bounded"),
        ("s-high-bits", whole(s | 1 << 255), "SIG-003", ""),
        ("s-0", whole(0), "SIG-003", ""),
        ("r-flipped", bytes([good[0] ^ 1]) + good[1:], "SIG-003", ""),
        ("s-flipped", good[:32] + bytes([good[32] ^ 1]) + good[33:], "SIG-003", ""),
        ("zero", bytes(64), "SIG-003", ""),
        ("r-identity", ed25519.sign(seed, message, nonce=0), "SIG-003", "the equation holds, R is the identity"),
        ("other-domain", world.sign("anna", world.PRESENCE, payload), "SIG-003", "of a presence"),
        ("no-domain", world.sign("anna", b"", payload), "SIG-003", ""),
        ("other-key", world.sign("ben", world.RECORD, payload), "SIG-003", ""),
        ("other-payload", world.sign("anna", world.RECORD, b"what was not"), "SIG-003", ""),
    ]
    for n, small in enumerate(ed25519.torsion()[1:], 1):
        cases.append((f"r-torsion-{n}", ed25519.sign(seed, message, blind=small), "SIG-003", "R has a torsion component"))
    for n, small in enumerate(ed25519.low_order_encodings()):
        cases.append((f"r-small-{n}", small + good[32:], "SIG-003", "R of small order"))
    for name, signature, code, note in cases:
        yield name, [key, payload, signature], code, note
    yield "key-flipped", [world.public("ben"), payload, good], "SIG-003", "another key"
