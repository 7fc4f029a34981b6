#!/usr/bin/env python3
"""Golden vectors for payloads, merges, draws and spot checks, from the second implementation in `reference_merge.py`.

    python scripts/vectors_merge.py protocol/vectors      # needs the package `blake3`

The same input gives the same files; a change of these files is a change of the protocol.
"""

import json
import random
import struct
import sys
from fractions import Fraction
from math import isqrt
from pathlib import Path

from blake3 import blake3
from reference_merge import (
    BLOCK, CODECS, LEAST, LIMIT, Broken, Refused, check_order, decode, distance2, draw, encode, f32_bytes, hold, merge,
    payload_length, sizes, starting,
)

def tensors(*shapes):
    return [
        {"name": "layers.%d.q_proj.lora_%s" % (i // 2, f), "factor": f, "rows": rows, "columns": columns}
        for i, (f, rows, columns) in enumerate(shapes)
    ]


LAYOUTS = [
    tensors(("A", 1, 3)),
    tensors(("A", 2, 33), ("B", 2, 5)),
    tensors(("A", 4, 16), ("B", 4, 16)),
    tensors(("A", 1, 65), ("B", 1, 63), ("A", 1, 2), ("B", 1, 1)),
    tensors(("A", 2, 4), ("B", 2, 3), ("dense", 5, 13)),
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
        case = {"network": some_id(rng), "me": some_id(rng), "incarnation": rng.randrange(3)}
        case["round"], case["merged"] = rng.choice([(0, 0), (rng.randrange(10**6), rng.randrange(4))])
        case["merged"] = [some_id(rng) for _ in range(case["merged"])]
        if members and rng.random() < 0.7:
            case["me"] = rng.choice(members)
        case["members"] = members
        case["order"] = draw(case, members)
        cases.append(case)
    return cases


def check_order_cases(rng):
    cases = []
    for count in [0, 1, 2, 3, 5, 8, 9, 16, 33, 63, 64]:
        members = [some_id(rng) for _ in range(count)]
        me = rng.choice(members) if members and rng.random() < 0.7 else some_id(rng)
        case = {"network": some_id(rng), "me": me, "published": some_id(rng), "members": members}
        case["order"] = check_order(case, members)
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
        "check_order": check_order_cases(random.Random(20252)),
    })
    write(folder / "merge.json", about, {
        "layouts": [{"tensors": layout} for layout in LAYOUTS], "merge": merge_cases(rng),
    })


if __name__ == "__main__":
    main()
