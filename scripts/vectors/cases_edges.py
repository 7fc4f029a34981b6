"""Signatures at the edges of the curve, by plain integers: where verifiers of Ed25519 differ from each other.

A key A and a commitment R each are one of the 14 encodings of the 8 points of small order, or a point of the large group
plus one of them. S = r + k·a always, so the equation holds when both sides are multiplied by 8. The flags are those that
C2SP's CCTV (`ed25519`) tells such cases apart by; all combinations that can occur are here. Also the keys and messages of
RFC 8032, section 7.1, and the encodings of RFC 8949, appendices A and F, with what this project's profile makes of them.
"""

import hashlib
import itertools

import ed25519
import world

L = ed25519.L
# Of one combination of flags.
EACH = 3

# Section 7.1 of RFC 8032: seed, public key, message; of the fourth test the key, and a message of its length.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        b"",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        b"\x72",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        b"\xaf\x82",
    ),
    (
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        hashlib.shake_256(b"vector rfc 8032").digest(1023),
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").digest(),
    ),
]


def rfc_keys():
    for n, (seed, public, _) in enumerate(RFC_8032, 1):
        a, _ = ed25519.secret(bytes.fromhex(seed))
        assert ed25519.encode(ed25519.times(a, ed25519.BASE)).hex() == public
        yield f"rfc-8032-{n}", bytes.fromhex(public), "ok", "of RFC 8032, section 7.1"


def rfc_signatures():
    for n, (seed, public, message) in enumerate(RFC_8032, 1):
        seed, public = bytes.fromhex(seed), bytes.fromhex(public)
        framed, bare = ed25519.sign(seed, world.RECORD + message), ed25519.sign(seed, message)
        yield f"rfc-8032-{n}", [public, message, framed], "ok", "its key and message, in our domain"
        yield f"rfc-8032-{n}-bare", [public, message, bare], "SIG-003", "its own signature, which has no domain"


def canonical(encoding):
    return ed25519.encode(ed25519.decode(encoding))


class Point:
    """An encoding, the scalar of its part in the large group, and its part of small order by number."""

    def __init__(self, encoding, scalar, small, name):
        self.encoding, self.scalar, self.small = encoding, scalar, small
        self.low, self.raw = scalar == 0, canonical(encoding) != encoding
        self.flags = {"low-order": self.low, "non-canonical": self.raw, "low-order-component": small != 0}
        self.name = name


def points(scalar):
    torsion = ed25519.torsion()
    for n, encoding in enumerate(ed25519.low_order_encodings()):
        yield Point(encoding, 0, torsion.index(ed25519.decode(encoding)), f"low-{n}")
    large = ed25519.times(scalar, ed25519.BASE)
    for n, small in enumerate(torsion):
        yield Point(ed25519.encode(ed25519.add(large, small)), scalar, n, f"mixed-{n}")


def expected(a, r):
    """By section 1.1: what is wrong with the key comes first."""
    if a.raw:
        return "SIG-001"
    return "SIG-002" if a.low or a.small else "SIG-003" if r.low or r.raw or r.small else "ok"


def edges():
    """Every combination of flags, with some of the encodings that give it, each encoding at least once."""
    secret, _ = ed25519.secret(world.seed("edge key"))
    nonce = int.from_bytes(hashlib.sha512(world.seed("edge nonce")).digest(), "little") % L
    kept, used = {}, set()
    for a, r in itertools.product(list(points(secret % L)), list(points(nonce))):
        for reencoded, number in itertools.product((False, True) if a.raw or r.raw else (False,), range(12)):
            payload = b"edge %d" % number
            parts = (canonical(r.encoding), canonical(a.encoding)) if reencoded else (r.encoding, a.encoding)
            real = ed25519.challenge(r.encoding, a.encoding, world.RECORD + payload)
            k = ed25519.challenge(*parts, world.RECORD + payload)
            # The challenge is reduced below L first, as verifiers do before they multiply.
            residue = (r.small + real * a.small) % 8 != 0
            flags = [f"{flag} {which}" for point, which in ((a, "A"), (r, "R")) for flag, is_set in point.flags.items() if is_set]
            flags += ["low-order residue"] * residue + ["reencoded k"] * reencoded
            new = {(a.encoding, "A"), (r.encoding, "R")} - used
            if len(kept.setdefault(tuple(flags), [])) >= EACH and not new:
                continue
            if any(name == (a.name, r.name) for name, _ in kept[tuple(flags)]):
                continue
            used |= new
            signature = r.encoding + ((r.scalar + k * a.scalar) % L).to_bytes(32, "little")
            case = [a.encoding, payload, signature]
            kept[tuple(flags)].append(((a.name, r.name), case))
            name = f"edge-{a.name}-{r.name}-{number}{'-reencoded' * reencoded}"
            yield name, case, expected(a, r), ", ".join(flags)


def signatures():
    yield from rfc_signatures()
    yield from edges()


# By code, what RFC 8949 shows in appendix A (good in general) and appendix F (not well-formed).
APPENDIX_A = {
    "ok": "00 01 0a 17 1818 1819 1864 1903e8 1a000f4240 1b000000e8d4a51000 4401020304 6161 6449455446 83010203 8301820203820405 "
    "98190102030405060708090a0b0c0d0e0f101112131415161718181819 a201020304",
    "CBOR-005": "5f42010243030405ff 7f657374726561646d696e67ff 9fff 9f018202039f0405ffff 9f01820203820405ff 83018202039f0405ff "
    "83019f0203ff820405 bf61610161629f0203ffff 826161bf61626163ff bf6346756ef563416d7421ff",
    "CBOR-007": "c249010000000000000000 c349010000000000000000 c074323031332d30332d32315432303a30343a30305a c11a514b67b0 "
    "c1fb41d452d9e8200000 d74401020304 d818456449455446 d82076687474703a2f2f7777772e6578616d706c652e636f6d",
    "CBOR-008": "f90000 f93e00 f97bff fa47c35000 fa7f7fffff fb7e37e43c8800759c f90001 f90400 f9c400 fb3ff199999999999a "
    "fbc010666666666666 f97c00 f9fc00 fa7f800000 fa7fc00000 faff800000 fb7ff0000000000000 fb7ff8000000000000 fbfff0000000000000 "
    "f0 f8ff",
    "CBOR-009": "29 3863 3903e7",
    "CBOR-011": "a26161016162820203 826161a161626163 a56161614161626142616361436164614461656145",
    "CBOR-013": "62225c 63e6b0b4 64f0908591",
}
APPENDIX_F = {
    "CBOR-002": "18 19 1a 1b 1901 1a0102 1b01020304050607 58 78 98 9a01ff00 b8 41 61 5affffffff00 5bffffffffffffffff010203 "
    "7affffffff00 7b7fffffffffffffff010203 81 8200 a1 a20102 a100",
    "CBOR-005": "5f4100 7f6100 9f 9f0102 bf bf01020102 819f 9f8000 9f9f9f9f9fffffffff 9f819f819f9fffffff 5f00ff 5f21ff 5f6100ff "
    "5f80ff 5fa0ff 5fc000ff 5fe0ff 7f4100ff 5f5f4100ffff 7f7f6100ffff 8200ff a100ff 9f829f819f9fffffffff bf00ff bf000000ff 1f 3f df",
    "CBOR-006": "1d 1e 3c 3d 3e 5c 5e 7c 7d 7e 9c 9d bc bd be dc dd de fd fe",
    "CBOR-007": "c0 d8",
    "CBOR-008": "f8 f900 fa0000 fb000000 f800 f801 f818 f81f",
    "CBOR-009": "38",
    "CBOR-011": "a1ff a1ff00 a20000ff",
    "CBOR-012": "a2000000",
    "CBOR-014": "818181818181818181",
}


def strict():
    for letter, appendix in (("a", APPENDIX_A), ("f", APPENDIX_F)):
        for code, texts in appendix.items():
            for text in texts.split():
                yield f"rfc-8949-{letter}-{text}", bytes.fromhex(text), code, f"RFC 8949, appendix {letter.upper()}"
    for name, text, code, note in [
        ("key-twice-long", "a200001800" + "00", "CBOR-011", "0 again, in two bytes"),
        ("half-nan-payload", "f97e01", "CBOR-008", ""),
        ("float-nan-payload", "faffc00001", "CBOR-008", ""),
        ("float-minus-0", "fa80000000", "CBOR-008", ""),
        ("double-minus-0", "fb8000000000000000", "CBOR-008", ""),
        ("bytes-2-63-exact", "5b8000000000000000", "CBOR-002", "2^63 claimed"),
        ("depth-127", "81" * 127 + "80", "CBOR-014", ""),
        ("depth-100000", "81" * 100_000, "CBOR-001", "too many bytes, before any is read"),
    ]:
        yield name, bytes.fromhex(text), code, note
