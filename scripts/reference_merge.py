"""Payloads, merges and draws in plain Python integers: a second implementation, for the golden vectors.

Everything is written straight from the definitions: exact fractions, no tricks, no floats but for packing an f32.
"""

import struct
from fractions import Fraction
from math import isqrt

from blake3 import blake3

BLOCK, LEAST = 64, -32
CODECS = {"bfp16": (2, 16, -1), "bfp8": (1, 8, 7)}  # bytes and bits of a mantissa, largest exponent
LIMIT = 1 << 46
WEIGHT, WEIGHT_SUM = 1024, 65536


def rne(number):
    """The integer nearest to a fraction, the even one of two."""
    floor = number.numerator // number.denominator
    rest = number - floor
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2 == 1):
        return floor + 1
    return floor


def u64(number):
    return struct.pack("<Q", number)


def derive(context, *parts, length=32):
    hasher = blake3(derive_key_context=context)
    for part in parts:
        hasher.update(part)
    return hasher.digest(length=length)


# --- payloads -------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """Carries the stable code."""


def sizes(layout):
    return [tensor["rows"] * tensor["columns"] for tensor in layout]


def payload_length(layout, codec):
    width = CODECS[codec][0]
    return sum(-(-size // BLOCK) + size * width for size in sizes(layout))


def encode(layout, codec, reals):
    """`reals`: exact fractions in layout order."""
    width, bits, top = CODECS[codec]
    most = 2 ** (bits - 1) - 1
    out, start = bytearray(), 0
    for size in sizes(layout):
        exponents, mantissas = bytearray(), bytearray()
        for low in range(start, start + size, BLOCK):
            block = reals[low : min(low + BLOCK, start + size)]
            if any(abs(real) >= 2**14 for real in block):
                raise Refused("PAY-007")
            for e in range(LEAST, top + 1):
                words = [rne(real / Fraction(2) ** e) for real in block]
                if max(abs(word) for word in words) <= most:
                    break
            else:
                words = [max(-most, min(most, word)) for word in words]
            exponents += struct.pack("b", e)
            mantissas += struct.pack("<%d%s" % (len(words), "h" if width == 2 else "b"), *words)
        out += exponents + mantissas
        start += size
    return bytes(out)


def decode(layout, codec, payload):
    """Q.32 integers, or Refused."""
    width, bits, top = CODECS[codec]
    if len(payload) != payload_length(layout, codec):
        raise Refused("PAY-001")
    values, place = [], 0
    for size in sizes(layout):
        blocks = -(-size // BLOCK)
        exponents = struct.unpack("%db" % blocks, payload[place : place + blocks])
        place += blocks
        words = struct.unpack("<%d%s" % (size, "h" if width == 2 else "b"), payload[place : place + size * width])
        place += size * width
        for number, e in enumerate(exponents):
            block = words[number * BLOCK : (number + 1) * BLOCK]
            if not LEAST <= e <= top:
                raise Refused("PAY-002")
            if min(block) == -(2 ** (bits - 1)):
                raise Refused("PAY-003")
            if e != LEAST and max(abs(word) for word in block) < 2 ** (bits - 2):
                raise Refused("PAY-004")
            values += [word * 2 ** (e + 32) for word in block]
    return values


def f32_bytes(values):
    # Below 2^53 a Python float holds value / 2^32 exactly; packing rounds it once, half to even.
    return b"".join(struct.pack("<f", value / 2**32) for value in values)


def starting(layout, seed):
    values = []
    for tensor in layout:
        count = tensor["rows"] * tensor["columns"]
        if tensor["factor"] != "A":
            values += [0] * count
            continue
        bound = isqrt(2**64 // tensor["columns"])
        stream = derive("chorale v1 start", u64(seed), tensor["name"].encode(), length=4 * count)
        values += [(u - 2**31) * bound // 2**31 for u in struct.unpack("<%dI" % count, stream)]
    return values


# --- merge ----------------------------------------------------------------------------------------------------------


class Broken(Exception):
    """The plan breaks its own rules; carries the name of the error."""


def hold(value):
    return max(-(LIMIT - 1), min(LIMIT - 1, value))


def distance2(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b))


def common_round(rounds, ages):
    """The (k // 3 + 1)-th largest of k; of two the smaller, unless the other is more than the lead ahead of it."""
    if not rounds:
        return 0
    if len(rounds) == 2:
        return max(min(rounds), max(rounds) - max(1, ages - 1))
    return sorted(rounds)[-1 - len(rounds) // 3]


def merge(case, layout):
    own, others, mu = case["own"], case["others"], case["momentum"]
    voices = ([own] if own else []) + others
    for key in ("member", "record"):
        if len({voice[key] for voice in voices}) != len(voices):
            raise Broken("Twice")
    if case["state"] is None and own and mu:
        raise Broken("StateMissing")
    if case["state"] is not None and not (own and mu):
        raise Broken("StateSuperfluous")
    values = {voice["record"]: decode(layout, case["codec"], bytes.fromhex(voice["payload"])) for voice in voices}

    near = {voice["record"] for voice in voices}
    reference = own
    if not own and len(others) >= 3:
        def key(voice):
            far = sum(isqrt(distance2(values[voice["record"]], values[other["record"]])) for other in others)
            return far, voice["member"]
        reference = min(others, key=key)
    if reference:
        most = (case["reach"] << 16) ** 2
        near = {r for r in near if distance2(values[r], values[reference["record"]]) <= most}
    # Ages count from the own round; without one from the common round of those that are merged.
    common = common_round([voice["round"] for voice in voices if voice["record"] in near], len(case["ages"]))
    base = own["round"] if own else common
    weights = {}
    for voice in voices:
        if voice["record"] not in near:
            continue
        age = max(0, base - voice["round"])
        if age >= len(case["ages"]):
            raise Broken("Window")
        weights[voice["record"]] = rne(Fraction(WEIGHT * case["ages"][age], 65536))
    used = sorted((voice for voice in voices if voice["record"] in near), key=lambda voice: voice["member"])
    round_ = 1 + max(own["round"] if own else 0, common)
    total = sum(weights[voice["record"]] for voice in used)
    if used and not 1 <= total <= WEIGHT_SUM:
        raise Broken("Weights")

    count = sum(sizes(layout))
    if not used:
        mean = starting(layout, case["seed"])
    else:
        mean = [
            rne(Fraction(sum(weights[v["record"]] * values[v["record"]][i] for v in used), total)) for i in range(count)
        ]
    x, v = (case["state"]["x"], case["state"]["v"]) if case["state"] else (mean, [0] * count)
    new_v, result = [], []
    for m, x_i, v_i in zip(mean, x, v):
        if not mu:
            result.append(m)
            continue
        d = m - x_i
        v_i = hold(rne(Fraction(mu * v_i, 65536)) + d)
        new_v.append(v_i)
        result.append(hold(x_i + d + rne(Fraction(mu * v_i, 65536))))
    head = bytes.fromhex(case["network"]) + u64(round_) + u64(1) + u64(len(used))
    for voice in used:
        head += bytes.fromhex(voice["member"]) + bytes.fromhex(voice["record"]) + u64(weights[voice["record"]])
    state = blake3(checkpoint(result + new_v) if mu else f32_bytes(result)).digest()
    return {
        "round": round_,
        "used": [[voice["record"], weights[voice["record"]]] for voice in used],
        "out_of_reach": [voice["member"] for voice in others if voice["record"] not in near],
        "values": result,
        "v": new_v if mu else None,
        "state": state.hex(),
        "hash": derive("chorale v1 merge", head, state).hex(),
    }


def checkpoint(numbers):
    """X and then v: the low four bytes of each, then the place and the upper two of six bytes of each that four do not hold."""
    low, rest = bytearray(), bytearray()
    for place, number in enumerate(numbers):
        six = number.to_bytes(6, "little", signed=True)
        low += six[:4]
        if int.from_bytes(six[:4], "little", signed=True) != number:
            rest += place.to_bytes(4, "little") + six[4:]
    return bytes(low + rest)


# --- draw -----------------------------------------------------------------------------------------------------------


def shuffle(context, head, members):
    order = sorted(members)
    words = iter(struct.unpack("<512Q", derive(context, head, length=4096)))
    for last in range(len(order) - 1, 0, -1):
        word = next(words)
        while word >= 2**64 - 2**64 % (last + 1):
            word = next(words)
        chosen = word % (last + 1)
        order[last], order[chosen] = order[chosen], order[last]
    return order


def draw(case, members):
    head = bytes.fromhex(case["network"] + case["me"]) + u64(case["incarnation"]) + u64(case["round"])
    head += bytes.fromhex("".join(case["merged"]))
    return shuffle("chorale v1 draw", head, set(members) - {case["me"]})


def check_order(case, members):
    """In which order others' merges are recomputed after a publication."""
    head = bytes.fromhex(case["network"] + case["published"])
    return shuffle("chorale v1 check", head, set(members) - {case["me"]})
