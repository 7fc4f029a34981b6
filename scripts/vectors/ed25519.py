"""Edwards25519 in plain integers: slow, and independent of every library, for signatures that no library would make."""

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
I = pow(2, (P - 1) // 4, P)


def add(p, q):
    (x1, y1), (x2, y2) = p, q
    t = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + y1 * x2) * pow(1 + t, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - t, -1, P)
    return x % P, y % P


def times(n, p):
    result = (0, 1)
    while n:
        if n & 1:
            result = add(result, p)
        p, n = add(p, p), n >> 1
    return result


def decode(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, (y & (2**255 - 1)) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * I % P
    if x * x % P != square:
        return None
    return (P - x if x & 1 != sign else x) % P, y


def encode(p):
    return (p[1] | (p[0] & 1) << 255).to_bytes(32, "little")


BASE = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def torsion():
    """The eight points of small order."""
    y = 2
    while True:
        point = decode(y.to_bytes(32, "little"))
        if point is not None:
            small = times(L, point)
            points = [times(n, small) for n in range(8)]
            if len(set(points)) == 8:
                return points
        y += 1


def low_order_encodings():
    """Canonical and not, of the points of small order: 14 of them."""
    found = []
    for x, y in sorted(torsion(), key=lambda point: (point[1], point[0])):
        for raised in {y, y + P}:
            if raised < 2**255:
                signs = {x & 1} if x else {0, 1}
                found += [(raised | sign << 255).to_bytes(32, "little") for sign in signs]
    return sorted(set(found))


def secret(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & (2**254 - 8) | 2**254
    return a, h[32:]


def challenge(r, a, message):
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def sign(seed, message, key=None, nonce=None, blind=(0, 1)):
    """RFC 8032, but for a chosen public key encoding, nonce, or point added to R."""
    a, prefix = secret(seed)
    public = key or encode(times(a, BASE))
    r = nonce if nonce is not None else int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    commitment = encode(add(times(r, BASE), blind))
    s = (r + challenge(commitment, public, message) * a) % L
    return commitment + s.to_bytes(32, "little")
