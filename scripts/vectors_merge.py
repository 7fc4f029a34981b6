#!/usr/bin/env python3
"""Golden vectors for payloads, merges and draws, from an implementation of its own: plain Python integers.

    python scripts/vectors_merge.py protocol/vectors      # needs the package `blake3`

Everything is written straight from the definitions: exact fractions, no tricks, no floats but for packing an f32. The same
input gives the same files; a change of these files is a change of the protocol.
"""

import json
import random
import struct
import sys
from fractions import Fraction
from math import isqrt
from pathlib import Path

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
        if tensor["factor"] == "B":
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
    # Ages count from the own round; without one from the latest of those that are merged.
    base = own["round"] if own else max((v["round"] for v in others if v["record"] in near), default=0)
    weights = {}
    for voice in voices:
        if voice["record"] not in near:
            continue
        age = max(0, base - voice["round"])
        if age >= len(case["ages"]):
            raise Broken("Window")
        weights[voice["record"]] = rne(Fraction(WEIGHT * case["ages"][age], 65536))
    used = sorted((voice for voice in voices if voice["record"] in near), key=lambda voice: voice["record"])
    round_ = 1 + max((voice["round"] for voice in used), default=0)
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
    return {
        "round": round_,
        "used": [[voice["record"], weights[voice["record"]]] for voice in used],
        "out_of_reach": [voice["member"] for voice in others if voice["record"] not in near],
        "values": result,
        "v": new_v if mu else None,
        "hash": derive("chorale v1 merge", head, f32_bytes(result)).hex(),
    }


# --- draw -----------------------------------------------------------------------------------------------------------


def draw(network, me, incarnation, seq, members):
    order = sorted(set(members) - {me})
    head = bytes.fromhex(network) + bytes.fromhex(me) + u64(incarnation) + u64(seq)
    words = iter(struct.unpack("<512Q", derive("chorale v1 draw", head, length=4096)))
    for last in range(len(order) - 1, 0, -1):
        word = next(words)
        while word >= 2**64 - 2**64 % (last + 1):
            word = next(words)
        chosen = word % (last + 1)
        order[last], order[chosen] = order[chosen], order[last]
    return order


# --- cases ----------------------------------------------------------------------------------------------------------


def tensors(*shapes):
    return [
        {"name": "layers.%d.q_proj.lora_%s" % (i // 2, f), "factor": f, "rows": rows, "columns": columns}
        for i, (f, rows, columns) in enumerate(shapes)
    ]


LAYOUTS = [
    tensors(("A", 1, 3)),
    tensors(("A", 2, 33), ("B", 5, 2)),
    tensors(("A", 4, 16), ("B", 16, 4)),
    tensors(("A", 1, 65), ("B", 63, 1), ("A", 1, 2), ("B", 1, 1)),
]


def some_id(rng):
    return rng.randbytes(32).hex()


def some_payload(rng, layout, codec, near=None):
    """A canonical payload; `near`, another one's values, keeps it within a small distance."""
    width, bits, top = CODECS[codec]
    most = 2 ** (bits - 1) - 1
    if near is not None:
        step = rng.choice([1, 2**8, 2**20, 2**31])
        reals = [max(1 - LIMIT, min(LIMIT - 1, v + rng.randint(-step, step))) for v in near]
        return encode(layout, codec, [Fraction(v, 2**32) for v in reals])
    centre = rng.choice([rng.randint(LEAST, top), LEAST, top, -20, -20])
    out = bytearray()
    for size in sizes(layout):
        exponents, mantissas = bytearray(), bytearray()
        for low in range(0, size, BLOCK):
            count = min(BLOCK, size - low)
            e = max(LEAST, min(top, centre + rng.randint(-3, 3)))
            kind = rng.random()
            if kind < 0.15:
                e, words = LEAST, [0] * count
            elif kind < 0.3:
                words = [rng.choice([-most, most]) for _ in range(count)]
            else:
                words = [rng.randint(-most, most) for _ in range(count)]
                words[rng.randrange(count)] = rng.choice([-1, 1]) * rng.randint(2 ** (bits - 2), most)
            exponents += struct.pack("b", e)
            mantissas += struct.pack("<%d%s" % (count, "h" if width == 2 else "b"), *words)
        out += exponents + mantissas
    return bytes(out)


def encode_cases(rng):
    cases = []
    for number in range(120):
        layout = rng.randrange(len(LAYOUTS))
        codec = rng.choice(list(CODECS))
        size = rng.choice([2, 2**7, 2**15, 2**16, 2**24, 2**32, 2**40, LIMIT - 1, LIMIT + 3])
        values = []
        for _ in range(sum(sizes(LAYOUTS[layout]))):
            kind = rng.random()
            value = rng.randint(-size, size)
            if kind < 0.2:  # around ties and powers of two
                value = rng.choice([-1, 1]) * ((rng.randint(1, 65536) << rng.randint(0, 30)) // 2 + rng.randint(-1, 1))
            values.append(hold(value))
        if number % 10 == 0:
            values[rng.randrange(len(values))] = rng.choice([-1, 1]) * (LIMIT + rng.randrange(3))
        case = {"layout": layout, "codec": codec, "values": values}
        cases.append(with_result(case, lambda: encode(LAYOUTS[layout], codec, [Fraction(v, 2**32) for v in values])))
    return cases


def encode_f32_cases(rng):
    cases = []
    special = [0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x00800000, 0x467FFFFF, 0xC67FFFFF, 0x46800000, 0x7F800000,
               0xFF800000, 0x7FC00000, 0x46FFFE00, 0x3F7FFF00, 0x3F7FFE00, 0x3F7FFF80]
    for number in range(120):
        layout = rng.randrange(len(LAYOUTS))
        codec = rng.choice(list(CODECS))
        low, high = sorted(rng.randint(1 + 60, 140) for _ in range(2))
        bits = []
        for _ in range(sum(sizes(LAYOUTS[layout]))):
            word = rng.getrandbits(23) | rng.randint(low, high) << 23 | rng.getrandbits(1) << 31
            if rng.random() < 0.1:
                word &= ~0xFFF  # short mantissas make ties
            if rng.random() < 0.01:
                word = rng.choice(special)
            bits.append(word)
        case = {"layout": layout, "codec": codec, "bits": bits}

        def result():
            for word in bits:  # the first bad value decides
                if word >> 23 & 0xFF == 0xFF:
                    raise Refused("PAY-006")
                if word & 0x7FFFFFFF >= 0x46800000:
                    raise Refused("PAY-007")
            reals = [Fraction(struct.unpack("<f", struct.pack("<I", word))[0]) for word in bits]
            return encode(LAYOUTS[layout], codec, reals)

        cases.append(with_result(case, result))
    return cases


def with_result(case, work):
    try:
        case["payload"] = work().hex()
    except Refused as refused:
        case["code"] = str(refused)
    return case


def check_cases(rng):
    cases = []
    for number in range(200):
        layout = rng.randrange(len(LAYOUTS))
        codec = rng.choice(list(CODECS))
        width, bits, top = CODECS[codec]
        payload = bytearray(some_payload(rng, LAYOUTS[layout], codec))
        tensor = rng.randrange(len(LAYOUTS[layout]))
        start = payload_length(LAYOUTS[layout][:tensor], codec)
        blocks = -(-sizes(LAYOUTS[layout])[tensor] // BLOCK)
        size = sizes(LAYOUTS[layout])[tensor]
        block = rng.randrange(blocks)
        words = range(block * BLOCK, min(size, (block + 1) * BLOCK))
        kind = rng.choice(["none", "flip", "exponent", "least", "canonical", "short", "long", "empty", "zero", "shape"])
        if kind == "flip":
            payload[rng.randrange(len(payload))] ^= 1 << rng.randrange(8)
        elif kind == "exponent":
            payload[start + block] = rng.choice([-33, -128, top + 1, 127, rng.randint(top + 1, 127)]) & 0xFF
        elif kind == "least":
            place = start + blocks + rng.choice(words) * width
            payload[place : place + width] = struct.pack("<h" if width == 2 else "b", -(2 ** (bits - 1)))
        elif kind in ("canonical", "zero"):
            payload[start + block] = rng.randint(LEAST + 1, top) & 0xFF
            most = 2 ** (bits - 2) - 1 if kind == "canonical" else 0
            for word in words:
                place = start + blocks + word * width
                value = rng.choice([-most, most, rng.randint(-most, most)])
                payload[place : place + width] = struct.pack("<h" if width == 2 else "b", value)
        elif kind == "short":
            payload = payload[: rng.randrange(len(payload))]
        elif kind == "long":
            payload += bytes(rng.randint(1, 70))
        elif kind == "empty":
            payload = bytearray()
        elif kind == "shape":
            other = rng.choice([i for i in range(len(LAYOUTS)) if i != layout])
            payload = bytearray(some_payload(rng, LAYOUTS[other], codec))
        case = {"layout": layout, "codec": codec, "why": kind, "payload": bytes(payload).hex()}
        try:
            case["values"] = decode(LAYOUTS[layout], codec, bytes(payload))
        except Refused as refused:
            case["code"] = str(refused)
        cases.append(case)
    return cases


def start_cases():
    cases = []
    for layout, spec in enumerate(LAYOUTS):
        for seed in (0, 1, 2**53 - 1):
            values = starting(spec, seed)
            cases.append({"layout": layout, "seed": seed, "values": values, "hash": blake3(f32_bytes(values)).hexdigest()})
    return cases


def draw_cases(rng):
    cases = []
    for count in [0, 1, 2, 3, 5, 8, 16, 33, 63, 64]:
        members = [some_id(rng) for _ in range(count)]
        case = {"network": some_id(rng), "me": some_id(rng), "incarnation": rng.randrange(3), "seq": rng.randrange(10**6)}
        if members and rng.random() < 0.7:
            case["me"] = rng.choice(members)
        case["members"] = members
        case["order"] = draw(case["network"], case["me"], case["incarnation"], case["seq"], members)
        cases.append(case)
    return cases


AGES = [
    [65536, 46341, 37837, 32768],
    [65536, 46341, 37837, 32768],
    [65536],
    [65536, 65536, 65536],
    [65536, 1, 32, 33],
    [2097152, 2097151],
    [64, 0],
]


def merge_cases(rng):
    cases = []
    for number in range(300):
        layout = rng.randrange(len(LAYOUTS))
        spec, codec = LAYOUTS[layout], rng.choice(list(CODECS))
        ages = rng.choice(AGES)
        base = rng.randint(1, 40)

        def voice(near):
            round_ = max(1, base - rng.randrange(len(ages))) if rng.random() < 0.8 else base + rng.randint(0, 2)
            if rng.random() < 0.01:
                round_ = max(1, base - len(ages))
            return {"member": some_id(rng), "record": some_id(rng), "round": round_,
                    "payload": some_payload(rng, spec, codec, near).hex()}

        near = None
        if rng.random() < 0.5:
            near = decode(spec, codec, some_payload(rng, spec, codec))
        own = voice(near) if rng.random() < 0.7 else None
        if own:
            own["round"] = base
        others = [voice(near) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4, 5, 7]))]
        if rng.random() < 0.02 and others:
            others.append(dict(others[0], record=some_id(rng)))
        momentum = rng.choice([0, 0, 1, 32768, 65535, rng.randrange(65536)])
        state = None
        if bool(own and momentum) != (rng.random() < 0.04):
            size = rng.choice([2**20, 2**32, LIMIT - 1])
            count = sum(sizes(spec))
            state = {key: [rng.choice([rng.randint(-size, size), size, -size]) for _ in range(count)] for key in "xv"}
        case = {
            "layout": layout, "codec": codec, "seed": rng.randrange(100), "network": some_id(rng), "ages": ages,
            "momentum": momentum, "reach": 2**53 - 1, "own": own, "others": others, "state": state,
        }
        if others and rng.random() < 0.6:  # a reach that parts them, at the very distance of one or a unit beside it
            reference = decode(spec, codec, bytes.fromhex((own or rng.choice(others))["payload"]))
            far = decode(spec, codec, bytes.fromhex(rng.choice(others)["payload"]))
            case["reach"] = max(0, min(2**53 - 1, (isqrt(distance2(reference, far)) >> 16) + rng.randint(-1, 1)))
        try:
            case["expect"] = expect = merge(case, spec)
            if number % 10:  # the others show all values; a hash of them as i64 little-endian does for these
                for key in ("values", "v"):
                    packed = struct.pack("<%dq" % len(expect[key] or []), *expect[key] or [])
                    expect[key] = expect[key] and blake3(packed).hexdigest()
        except Broken as broken:
            case["error"] = str(broken)
        cases.append(case)
    return cases


def write(path, about, groups):
    """One case to a line, so that a change shows as one."""
    lines = ["{", ' "about": %s' % json.dumps(about)]
    for name, cases in groups.items():
        body = ",\n".join("  " + json.dumps(case, separators=(",", ":")) for case in cases)
        lines[-1] += ","
        lines.append(' "%s": [\n%s\n ]' % (name, body))
    path.write_text("\n".join(lines) + "\n}\n")


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "protocol/vectors")
    rng = random.Random(20251)
    about = (
        "Made by scripts/vectors_merge.py. Values are Q.32 integers in layout order, or the BLAKE3 of them as i64 "
        "little-endian; payloads, ids and hashes are hex."
    )
    write(folder / "payload.json", about, {
        "layouts": [{"tensors": layout} for layout in LAYOUTS], "start": start_cases(), "encode": encode_cases(rng),
        "encode_f32": encode_f32_cases(rng), "check": check_cases(rng), "draw": draw_cases(rng),
    })
    write(folder / "merge.json", about, {
        "layouts": [{"tensors": layout} for layout in LAYOUTS], "merge": merge_cases(rng),
    })


if __name__ == "__main__":
    main()
