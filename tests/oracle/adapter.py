"""Adapters as integers: payload, draw, start and merge, sections 4 and 5 of docs/PROTOCOL.md."""
import math
import struct

from blake3 import blake3

BLOCK = 64
HELD = (1 << 46) - 1
CODECS = {0: (16, -32, -1), 1: (8, -32, 7)}  # mantissa bits, least and largest exponent


class Refused(Exception):
    """Bytes or claims that the protocol refuses, by finding code."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


def need(kept, code):
    if not kept:
        raise Refused(code)


def derive(context, data):
    return blake3(data, derive_key_context=context).digest()


def u64(n):
    return struct.pack("<Q", n)


def rne(numerator, denominator):
    """The quotient rounded half to even; the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + (twice > denominator or (twice == denominator and quotient & 1))


def hold(value):
    return max(-HELD, min(HELD, value))


class Layout:
    """The adapter's tensors in order: (name, factor, rows, columns), factor 0 for A, 1 for B and 2 for dense."""

    def __init__(self, tensors, seed=0):
        self.tensors, self.seed = tensors, seed
        self.sizes = [rows * columns for _, _, rows, columns in tensors]
        self.size = sum(self.sizes)
        self._start = None

    def payload_length(self, codec):
        return sum(-(-n // BLOCK) + n * CODECS[codec][0] // 8 for n in self.sizes)

    def spans(self):
        at = 0
        for tensor, n in zip(self.tensors, self.sizes):
            yield tensor, at, at + n
            at += n

    def start(self):
        if self._start is None:
            self._start = [v for t in self.tensors for v in self._start_of(*t)]
        return self._start

    def _start_of(self, name, factor, rows, columns):
        if factor:
            return [0] * (rows * columns)
        stream = blake3(u64(self.seed) + name.encode(), derive_key_context="chorale v1 start").digest(4 * rows * columns)
        bound = math.isqrt((1 << 64) // columns)
        return [((w - (1 << 31)) * bound) >> 31 for (w,) in struct.iter_unpack("<I", stream)]


def decode(layout, codec, payload):
    """Section 4.1: the payload's values in Q.32; anything but the one encoding is refused."""
    bits, least, largest = CODECS[codec]
    if len(payload) != layout.payload_length(codec):
        raise Refused("PAY-001")
    values, at = [], 0
    for n in layout.sizes:
        blocks = -(-n // BLOCK)
        exponents = struct.unpack_from(f"<{blocks}b", payload, at)
        at += blocks
        mantissas = struct.unpack_from(f"<{n}{'h' if bits == 16 else 'b'}", payload, at)
        at += n * bits // 8
        for i, e in enumerate(exponents):
            block = mantissas[i * BLOCK:(i + 1) * BLOCK]
            if not least <= e <= largest:
                raise Refused("PAY-002")
            if -(1 << (bits - 1)) in block:
                raise Refused("PAY-003")
            if e != -32 and max(map(abs, block)) < 1 << (bits - 2):
                raise Refused("PAY-004")
            values.extend([q << (e + 32) for q in block])
    return values


def encode(layout, codec, values, scale=32):
    """Section 4.3. The values are integers with `scale` fractional bits, so that an f32 is rounded once."""
    if any(abs(v) >= 1 << (14 + scale) for v in values):
        raise Refused("PAY-007")
    bits, least, largest = CODECS[codec]
    most, out = (1 << (bits - 1)) - 1, b""
    for _, start, end in layout.spans():
        exponents, mantissas = [], []
        for at in range(start, end, BLOCK):
            block = values[at:min(at + BLOCK, end)]
            e = least
            while e < largest and max(abs(rne(v, 1 << (scale + e))) for v in block) > most:
                e += 1
            exponents.append(e)
            mantissas += [max(-most, min(most, rne(v, 1 << (scale + e)))) for v in block]
        out += struct.pack(f"<{len(exponents)}b", *exponents)
        out += struct.pack(f"<{len(mantissas)}{'h' if bits == 16 else 'b'}", *mantissas)
    return out


def f32_view(values):
    """Below 2^53 the way over f64 is exact, so the only rounding is the one to f32."""
    return struct.pack(f"<{len(values)}f", *[v * 2.0 ** -32 for v in values])


def draw(network, author, incarnation, seed, candidates):
    """Section 5.1. The seed is the round of the author's last update and the ids of others' updates merged there; candidates are ids."""
    return shuffle(network + author + u64(incarnation) + u64(seed[0]) + b"".join(seed[1]), "chorale v1 draw", candidates)


def check_order(network, published, candidates):
    """Section 5.7: in which order others' merges are recomputed after a publication."""
    return shuffle(network + published, "chorale v1 check", candidates)


def shuffle(data, context, candidates):
    order, hasher, at = sorted(candidates), blake3(data, derive_key_context=context), 0
    for i in range(len(order) - 1, 0, -1):
        limit = (1 << 64) - (1 << 64) % (i + 1)
        while True:
            x = int.from_bytes(hasher.digest(8, seek=at), "little")
            at += 8
            if x < limit:
                break
        j = x % (i + 1)
        order[i], order[j] = order[j], order[i]
    return order


class Voice:
    """A publication that a merge may use."""

    def __init__(self, member, record, round_, values):
        self.member, self.record, self.round, self.values = member, record, round_, values


def distance2(a, b):
    return sum((x - y) * (x - y) for x, y in zip(a, b))


def far(own, others, reach):
    """Section 5.3: those of the others that lie out of reach."""
    reference = own
    if own is None:
        if len(others) < 3:
            return []
        sums = [sum(math.isqrt(distance2(v.values, w.values)) for w in others) for v in others]
        reference = min(zip(sums, (v.member for v in others), others), key=lambda x: x[:2])[2]
    # Policy values have 16 fractional bits, values 32.
    return [v for v in others if v is not reference and distance2(v.values, reference.values) > (reach << 16) ** 2]


def common_round(ages, rounds):
    """Section 5.2: the common round of all that is merged; 0 without any."""
    rounds = sorted(rounds, reverse=True)
    if len(rounds) == 2:
        return max(rounds[1], rounds[0] - max(1, len(ages) - 1))
    return rounds[len(rounds) // 3] if rounds else 0


def base_round(ages, own, merged):
    """What ages count from; `merged` has the own publication in it."""
    return own.round if own else common_round(ages, [v.round for v in merged])


def goes_on_from(ages, own, merged):
    """The round before the one that is published."""
    return max(own.round if own else 0, common_round(ages, [v.round for v in merged]))


def weigh(policy_ages, base, voice):
    """Section 5.2: the weight, or none for a publication that is too old."""
    age = max(0, base - voice.round)
    return rne(1024 * policy_ages[age], 1 << 16) if age < len(policy_ages) else None


def mean(weighted):
    total = sum(w for _, w in weighted)
    return [rne(acc, total) for acc in map(sum, zip(*[[w * x for x in v.values] for v, w in weighted]))]


def move(average, state, momentum, own):
    """Section 5.4: the merge M and the new momentum state v; none without momentum."""
    if not momentum:
        return average, None
    if not own:
        return average, [0] * len(average)
    x, v = state
    d = [a - b for a, b in zip(average, x)]
    v = [hold(rne(momentum * p, 1 << 16) + q) for p, q in zip(v, d)]
    return [hold(p + q + rne(momentum * r, 1 << 16)) for p, q, r in zip(x, d, v)], v


def is_narrow(number):
    return -(1 << 31) <= number < 1 << 31


def checkpoint(x, v):
    """Section 5.4: the checkpoint blob of X and v."""
    numbers = x + v
    low = struct.pack(f"<{len(numbers)}I", *[n & 0xFFFFFFFF for n in numbers])
    return low + b"".join(struct.pack("<Ih", i, n >> 32) for i, n in enumerate(numbers) if not is_narrow(n))


def can_be_checkpoint(size, length):
    return 8 * size <= length <= 20 * size and (length - 8 * size) % 6 == 0


def read_checkpoint(data, size):
    """X and v; none if these are not the one encoding of a momentum state of so many values."""
    if not can_be_checkpoint(size, len(data)):
        return None
    numbers, last = list(struct.unpack_from(f"<{2 * size}i", data)), -1
    for place, high in struct.iter_unpack("<Ih", data[8 * size:]):
        if not last < place < 2 * size:
            return None
        numbers[place], last = (high << 32) + (numbers[place] & 0xFFFFFFFF), place
        if is_narrow(numbers[place]) or abs(numbers[place]) > HELD:
            return None
    return numbers[:size], numbers[size:]


def state_hash(values, v):
    """Section 5.5: of M, and with momentum of v."""
    return blake3(f32_view(values) if v is None else checkpoint(values, v)).digest()


def merge_hash(network, round_, used, state):
    """Section 5.5. `used` is members, record ids and weights in the order of parents, `state` the state hash; the rule is the mean."""
    head = network + u64(round_) + u64(1) + u64(len(used))
    return derive("chorale v1 merge", head + b"".join(m + r + u64(w) for m, r, w in used) + state)


def used_hash(network, round_, used, values, v):
    """The merge hash of a merge: `used` is pairs of voice and weight."""
    used = sorted(used, key=lambda pair: pair[0].member)
    return merge_hash(network, round_, [(voice.member, voice.record, w) for voice, w in used], state_hash(values, v))
