"""Writes the golden vectors: `make.py FOLDER`; with `--check`, only compares them.

An implementation of the formats apart from the Rust one: encoding by cbor2, hashing by blake3, signatures by
cryptography and by plain integers. Needs those three packages. The same inputs give the same bytes.
"""

import itertools
import json
import pathlib
import sys

import cases_bytes
import cases_edges
import cases_feed
import cases_log
import cases_manifest
import cases_record
import world

TOPICS = {
    "cbor": lambda: itertools.chain(cases_bytes.strict(), cases_edges.strict()),
    "keys": lambda: itertools.chain(cases_bytes.keys(), cases_edges.rfc_keys()),
    "signatures": lambda: itertools.chain(cases_bytes.signatures(), cases_edges.signatures()),
    "manifests": cases_manifest.manifests,
    "records": cases_record.records,
    "feeds": cases_feed.feeds,
    "evidence": cases_feed.evidence,
    "faults": cases_feed.faults,
    "presence": cases_feed.presence,
    "sync": cases_feed.sync,
    "frames": cases_feed.frames,
    "log": cases_log.log,
}


def text(data):
    """Hexadecimal; a long input of one repeated byte as `prefix + byte * count`, to keep the files small."""
    if isinstance(data, list):
        return [text(part) for part in data]
    body = data.rstrip(data[-1:])
    count = len(data) - len(body)
    return f"{body.hex()}+{data[-1]:02x}*{count}" if count > 256 else data.hex()


def rows(topic):
    cases = []
    for name, data, expect, note, *chain in TOPICS[topic]():
        case = {"id": name, "input": text(data), "expect": expect}
        if chain:
            case["chain"] = text(chain[0])
        if topic == "records" and expect == "ok":
            case["record"] = world.record_id(data).hex()
        cases.append(case | ({"note": note} if note else {}))
    assert len({case["id"] for case in cases}) == len(cases), f"{topic}: an id twice"
    head = {"topic": topic, "network": world.NETWORK.hex(), "chain": text(world.CHAIN)}
    lines = ",\n".join(json.dumps(case) for case in cases)
    return json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n"


def main():
    folder = pathlib.Path(sys.argv[-1])
    wrong = []
    for topic in TOPICS:
        path, want = folder / f"{topic}.json", rows(topic)
        if "--check" not in sys.argv:
            path.write_text(want)
        elif not path.exists() or path.read_text() != want:
            wrong.append(path.name)
    if wrong:
        sys.exit(f"vectors: {', '.join(wrong)} differ from what this script makes")


if __name__ == "__main__":
    main()
