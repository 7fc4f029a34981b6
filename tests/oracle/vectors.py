"""Checks the vectors in protocol/vectors with this folder's own reading of docs/PROTOCOL.md."""
import json
import math
import pathlib
import struct
import sys

from blake3 import blake3

import adapter as q
import fault
import record
import strict
import tlog
from ed25519 import admit, verify
from manifest import Chain, ascending


def layout_of(case, layouts, seed=0):
    tensors = layouts[case["layout"]]["tensors"]
    return q.Layout([(t["name"], ["A", "B", "dense"].index(t["factor"]), t["rows"], t["columns"]) for t in tensors], seed)


def same_values(expected, values):
    if isinstance(expected, list):
        return expected == values
    return blake3(struct.pack(f"<{len(values)}q", *values)).hexdigest() == expected


def codec_of(case):
    return {"bfp16": 0, "bfp8": 1}[case["codec"]]


def start(case, layouts):
    values = layout_of(case, layouts, case["seed"]).start()
    return same_values(case["values"], values) and blake3(q.f32_view(values)).hexdigest() == case["hash"]


def encode(case, layouts):
    return q.encode(layout_of(case, layouts), codec_of(case), case["values"]).hex()


def encode_f32(case, layouts):
    """An f32 is an integer over 2^149, so it is rounded once, to its mantissa in the block. The first value refused decides."""
    values = []
    for (f,) in struct.iter_unpack("<f", struct.pack(f"<{len(case['bits'])}I", *case["bits"])):
        if not math.isfinite(f):
            raise q.Refused("PAY-006")
        if abs(f) >= 1 << 14:
            raise q.Refused("PAY-007")
        numerator, denominator = f.as_integer_ratio()
        values.append(numerator * ((1 << 149) // denominator))
    return q.encode(layout_of(case, layouts), codec_of(case), values, 149).hex()


def check(case, layouts):
    values = q.decode(layout_of(case, layouts), codec_of(case), bytes.fromhex(case["payload"]))
    return same_values(case["values"], values) or values


def draw(case, _):
    me, members = bytes.fromhex(case["me"]), [bytes.fromhex(m) for m in case["members"]]
    seed = case["round"], [bytes.fromhex(id_) for id_ in case["merged"]]
    order = q.draw(bytes.fromhex(case["network"]), me, case["incarnation"], seed, [m for m in members if m != me])
    return [m.hex() for m in order] == case["order"]


def check_order(case, _):
    me, members = bytes.fromhex(case["me"]), [bytes.fromhex(m) for m in case["members"]]
    order = q.check_order(bytes.fromhex(case["network"]), bytes.fromhex(case["published"]), [m for m in members if m != me])
    return [m.hex() for m in order] == case["order"]


def voice(v, layout, codec):
    values = q.decode(layout, codec, bytes.fromhex(v["payload"]))
    return q.Voice(bytes.fromhex(v["member"]), bytes.fromhex(v["record"]), v["round"], values)


def merge_error(case, own, others):
    """What a caller may not ask for; the vectors name these, the wire does not."""
    if len({v.member for v in others} | ({own.member} if own else set())) < len(others) + bool(own):
        return "Twice"
    if case["momentum"] and own and not case["state"]:
        return "StateMissing"
    return "StateSuperfluous" if case["state"] and not (case["momentum"] and own) else None


def merge(case, layouts):
    layout, codec = layout_of(case, layouts, case["seed"]), codec_of(case)
    own = voice(case["own"], layout, codec) if case["own"] else None
    others = [voice(v, layout, codec) for v in case["others"]]
    error = merge_error(case, own, others)
    far = q.far(own, others, case["reach"])
    near = ([own] if own else []) + [v for v in others if v not in far]
    used = [(v, q.weigh(case["ages"], q.base_round(case["ages"], own, near), v)) for v in near]
    if not error and None in (w for _, w in used):
        error = "Window"
    if not error and sum(w for _, w in used) > 1 << 16:
        error = "Weights"
    if error or "error" in case:
        return error == case.get("error")
    state = case["state"] and (case["state"]["x"], case["state"]["v"])
    average = q.mean(used) if used else layout.start()
    values, v = q.move(average, state, case["momentum"], own)
    expect, round_ = case["expect"], 1 + q.goes_on_from(case["ages"], own, near)
    return (round_ == expect["round"] and sorted(v.member.hex() for v in far) == sorted(expect["out_of_reach"])
            and sorted([v.record.hex(), w] for v, w in used) == sorted(expect["used"])
            and same_values(expect["values"], values)
            and (v is None if expect["v"] is None else v is not None and same_values(expect["v"], v))
            and q.state_hash(values, v).hex() == expect["state"]
            and q.used_hash(bytes.fromhex(case["network"]), round_, used, values, v).hex() == expect["hash"])


NUMBERS = {"start": start, "encode": encode, "encode_f32": encode_f32, "check": check, "draw": draw,
           "check_order": check_order, "merge": merge}


def numbers(document):
    for topic in [topic for topic in NUMBERS if topic in document]:
        for i, case in enumerate(document[topic]):
            expected = case.get("code") or (case["payload"] if topic.startswith("encode") else True)
            yield topic, i, expected, lambda c=case, t=topic: NUMBERS[t](c, document["layouts"])


def bytes_of(text):
    """Hex; `00*5` stands for a byte that comes five times, `+` joins."""
    parts = (part.partition("*") for part in text.split("+"))
    return b"".join(bytes.fromhex(part) * int(times or 1) for part, _, times in parts)


def ok(function, *args):
    function(*args)
    return "ok"


def chain_of(parts):
    chain = Chain(parts[0])
    for part in parts[1:]:
        chain.extend(part)
    return chain


def feed(parts, chain):
    """The outcome of the last record offered, as the vectors write it: fork-0, gap-3."""
    records = [record.check(part, chain) for part in parts]
    log = record.Feed(records[0].member, records[0].incarnation)
    for one in records:
        outcome = log.offer(one)
    return outcome if isinstance(outcome, str) else "%s-%d" % outcome[:2]


def presence(data, chain):
    """Section 6."""
    payload, signature = strict.envelope(data, 4096)
    strict.strict(payload, strict.RECORD)
    record.begin(payload, None)
    p = strict.decode(payload, strict.RECORD, PRESENCE)
    q.need(p[1] == chain.network, "REC-002")
    q.need(len(p[4]) <= 16 and all(1 <= len(address) <= 256 for address in p[4]), "PRES-002")
    author = chain.newest.by_id.get(p[2])
    q.need(author is not None, "PRES-003")
    q.need(p[3] in author[3], "PRES-001")
    verify(author[2], b"presence", payload, signature)


def question(data):
    p = strict.decode(data, (512 << 10, 131_072, 6), QUESTION)
    haves = [(have[0], have[1]) for have in p[3]]
    q.need(p[0] == 1 and ascending(haves), "CBOR-016")
    q.need(4 not in p or 1 <= len(p[4]) <= 64 and ascending(p[4]), "CBOR-016")


def frames(data):
    at, records = 0, False
    while len(data) - at >= 4:
        length, tag = int.from_bytes(data[at:at + 4], "little"), data[at + 4:at + 5]
        if not length:
            q.need(at + 4 == len(data), "SYNC-005")
            return "ok"
        q.need(2 <= length <= 1 + strict.MANIFEST_BYTES, "SYNC-001")
        q.need(tag in (b"", b"\0", b"\1"), "SYNC-002")
        q.need(tag != b"\1" or length <= 1 + record.RECORD_BYTES, "SYNC-001")
        if len(data) - at - 4 < length:
            break
        q.need(tag == b"\1" or not records, "SYNC-003")
        at, records = at + 4 + length, tag == b"\1"
    return "open"


def hashes(data):
    q.need(len(data) % 32 == 0, "hashes of 32 bytes")
    return [data[at:at + 32] for at in range(0, len(data), 32)]


def log(parts, chain):
    """Section 10: the first part says what is asked."""
    ask, *given = parts
    number, ring = lambda data: int.from_bytes(data, "big"), tlog.Keyring(chain)
    if ask == b"root":
        return tlog.Tree([tlog.leaf(part) for part in given]).root(len(given)).hex()
    if ask == b"inclusion":
        index, size, leaf, root, path = given
        return ok(tlog.included, leaf, number(index), number(size), root, hashes(path))
    if ask == b"consistency":
        old, old_root, new, new_root, path = given
        return ok(tlog.consistent, number(old), old_root, number(new), new_root, hashes(path))
    if ask == b"note":
        return f"ok {len(tlog.Checkpoint(tlog.Note(given[0]), ring).times)}"
    if ask == b"witness":
        me, held, request = given
        return tlog.witness(me, (number(held[:8]), held[8:]) if held else None, request, ring)
    if ask == b"tile":
        return "ok" if tlog.tile(given[0].decode()) else "no"
    if ask == b"proof":
        return ok(tlog.proof, given[0], lambda envelope: record.check(envelope, chain, True), ring)
    return ok(record.check, given[0], chain) if ask == b"record" else ok(chain_of, given)


UINT, HASH = strict.UINT, strict.HASH
PRESENCE = {0: UINT, 1: HASH, 2: HASH, 3: strict.Raw(1, 64), 4: strict.Many(strict.Raw(0, 4096)),
            5: strict.Maybe((UINT, UINT, HASH)), 6: UINT, 7: UINT}
QUESTION = {0: UINT, 1: HASH, 2: UINT, 3: strict.Many({0: HASH, 1: UINT, 2: UINT}), 4: strict.Maybe(strict.Many(HASH))}
TOPICS = {
    "cbor": lambda case, chain: ok(strict.strict, case, strict.RECORD),
    "keys": lambda case, chain: ok(admit, case),
    "signatures": lambda case, chain: ok(admit, case[0]) and ok(verify, case[0], b"record", case[1], case[2]),
    "records": lambda case, chain: ok(record.check, case, chain),
    "manifests": lambda case, chain: ok(chain_of, case),
    "feeds": feed,
    "evidence": lambda case, chain: ok(record.evidence, case, chain),
    "faults": lambda case, chain: ok(fault.parse, case, chain),
    "presence": lambda case, chain: ok(presence, case, chain),
    "frames": lambda case, chain: frames(case),
    "sync": lambda case, chain: ok(question, case),
    "log": log,
}


def signed(document):
    chain = chain_of([bytes_of(part) for part in document["chain"]])
    q.need(chain.network.hex() == document["network"], "NET-001")
    topic = document["topic"]
    for case in document["cases"]:
        given, own = case["input"], case.get("chain")
        own = chain_of([bytes_of(part) for part in own]) if own else chain
        given = [bytes_of(part) for part in given] if isinstance(given, list) else bytes_of(given)
        yield topic, case["id"], case["expect"], lambda g=given, c=own: TOPICS[topic](g, c)
        if "record" in case:
            yield "record ids", case["id"], case["record"], lambda g=given, c=own: record.check(g, c).id.hex()


def main(folder):
    counts, wrong = {}, 0
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        document = json.loads(path.read_text())
        for topic, name, expected, job in (numbers if "layouts" in document else signed)(document):
            counts[topic] = counts.get(topic, 0) + 1
            try:
                found = job()
            except q.Refused as refused:
                found = refused.code
            if found != expected:
                wrong += 1
                print(f"{path.name}: {topic} {name}: expected {str(expected)[:80]}, found {str(found)[:80]}")
    for topic, count in counts.items():
        print(f"{topic}: {count}")
    print(f"{sum(counts.values())} vectors, {wrong} disagree")
    return 1 if wrong or not counts else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: vectors.py FOLDER")
    sys.exit(main(sys.argv[1]))
