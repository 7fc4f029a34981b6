"""The Ed25519 profile, section 1.1 of docs/PROTOCOL.md: the curve, for what a library does not refuse."""
import functools

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapter import Refused, need

P = 2 ** 255 - 19
L = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
IDENTITY = (0, 1, 1, 0)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(n, p):
    out = IDENTITY
    while n:
        if n & 1:
            out = add(out, p)
        p, n = add(p, p), n >> 1
    return out


def same(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def point(data):
    """The point of a canonical encoding, or none."""
    y, sign = int.from_bytes(data, "little") & ((1 << 255) - 1), data[31] >> 7
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (v * x * x - u) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


@functools.lru_cache(maxsize=16384)
def admit(key):
    p = point(key)
    need(p is not None, "SIG-001")
    need(not same(multiply(8, p), IDENTITY) and same(multiply(L, p), IDENTITY), "SIG-002")
    return Ed25519PublicKey.from_public_bytes(key)


def verify(key, domain, payload, signature):
    verify_message(key, b"chorale/%s/v1\0" % domain + payload, signature)


def verify_message(key, message, signature):
    """The library compares R byte by byte; small orders of it and S of L or more are refused here."""
    r = point(signature[:32])
    need(r is not None and not same(multiply(8, r), IDENTITY), "SIG-003")
    need(int.from_bytes(signature[32:], "little") < L, "SIG-003")
    try:
        admit(key).verify(signature, message)
    except InvalidSignature:
        raise Refused("SIG-003") from None
