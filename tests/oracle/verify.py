"""A second verifier of archives, written from docs/PROTOCOL.md: same findings and exit codes as chorale-audit."""
import argparse
import json
import re
import sys

from blake3 import blake3

import adapter
import anchors
import fault
import logs
import record as records
import remerge
from adapter import Refused
from archive import Source, Unreadable, name_of, open_archive
from manifest import Chain
from scan import Scan
from severity import INCOMPLETE, WARNINGS
from strict import MANIFEST_BYTES
from walk import Walk, lawful

SCHEMA, EACH, KEPT = "chorale-audit/1", 200, 64
SEVERITIES = ["warning", "incomplete", "failure"]


class Notes:
    """Findings, bounded: of one code and file at most so many stand alone; runs of records are one finding."""

    def __init__(self):
        self.findings, self.counted, self.runs = [], {}, set()

    def add(self, code, place=None, severity=None):
        place = place or {"file": ""}
        key = code, place["file"]
        self.counted[key] = self.counted.get(key, 0) + 1
        if self.counted[key] > EACH + 1:
            return
        place = place if self.counted[key] <= EACH else {"file": place["file"]}
        usual = "warning" if code in WARNINGS else "incomplete" if code in INCOMPLETE else "failure"
        self.findings.append({"code": code, "severity": severity or usual, **place})

    def run(self, code, place, **more):
        if (code, place["file"]) not in self.runs:
            self.runs.add((code, place["file"]))
            self.findings.append({"code": code, "severity": "warning" if code in WARNINGS else "incomplete", **place, **more})


class Audit:
    def __init__(self, archive, network, known, allow_unanchored, recompute, witnesses):
        self.notes, self.network, self.recompute = Notes(), network, recompute
        self.anchors, self.allow_unanchored, self.witnesses = known, allow_unanchored, witnesses
        self.source, self.chain, self.kept = Source(archive, self.notes), None, {}
        self.all, self.by_id, self.forks, self.proved, self.verified = [], {}, {}, {}, 0
        self.faults, self.found = {}, {}  # broken rules by place; whether a record has a flaw, by record and flaw
        self.merges = dict.fromkeys(("ok", "failed", "missing", "unverified", "attested"), 0)
        self.attesting, self.wrong = {}, []  # linked updates that say they recomputed a merge, by its id; merges that are wrong

    def run(self):
        self.load()
        if self.chain is None:
            self.notes.add("ARC-003")
            return self.verdict()
        self.layout = self.chain.newest.policy.layout()
        for key in self.source.of(2):
            Scan(self, key).run()
        self.all.sort(key=lambda r: (r.member, r.incarnation, r.seq, r.offset))
        self.by_id = {r.id: r for r in self.all}
        self.lawful = lawful(self)
        for one in self.all:
            for id_ in one.checked if one.linked else []:
                self.attesting.setdefault(id_, []).append(one)
        self.bundles()
        self.conflicts()
        self.newest = max((r.round for r in self.all if r.round is not None), default=0)
        self.unreferenced()
        logs.check(self, self.witnesses)
        walks = []
        for member in sorted({r.member for r in self.all}):
            walk = Walk(self)
            walks.append(walk)
            for one in self.all:
                if one.member == member:
                    walk.record(one)
        self.withheld(walks)
        self.accused()
        self.attested()
        self.settle()
        if not self.recompute:
            self.notes.add("MRG-007")
        if not self.verified:
            self.notes.add("ARC-003")
        anchors.check(self)
        return self.verdict()

    def load(self):
        """Genesis and versions; no chain if there is nothing to check records against."""
        place = {"file": "genesis"}
        data = self.source.read((0,), MANIFEST_BYTES, self.notes)
        if data is None:
            return self.notes.add("NET-002", place)
        try:
            chain = Chain(data)
        except Refused as refused:
            return self.notes.add(refused.code, place)
        if chain.network != self.network:
            return self.notes.add("NET-001", place)
        self.chain, broken = chain, False
        layout = chain.newest.policy.layout()
        if blake3(adapter.f32_view(layout.start())).digest() != chain.newest.policy.adapter[3]:
            self.notes.add("MAN-024", place)
        for want, key in enumerate(self.source.of(1), 1):
            if key[1] != want or broken:
                self.notes.add("ARC-005", {"file": name_of(key)})
                broken = True
                continue
            data = self.source.read(key, MANIFEST_BYTES, self.notes)
            try:
                broken = data is None or bool(chain.extend(data))
            except Refused as refused:
                self.notes.add(refused.code, {"file": name_of(key)})
                broken = True
        for version, code in chain.events:
            self.notes.add(code, {"file": name_of((1, version))})

    def accusations(self, kind, limit):
        """The files of a kind that are named by their hash, and have it."""
        for key in self.source.of(kind):
            place = {"file": name_of(key)}
            data = self.source.read(key, limit, self.notes)
            if data is None:
                continue
            if blake3(data).digest() != key[1]:
                self.notes.add("EVD-002", place)
                continue
            yield key, place, data

    def bundles(self):
        for key, place, data in self.accusations(4, records.FAULT_BYTES):
            try:
                if data[:2] == b"\x83\x02":
                    accused, one = fault.parse(data, self.chain)
                    self.faults.setdefault(accused, (place, one))
                    self.proved[key[1]] = accused, one.id
                    continue
                accused, first, second = records.evidence(data, self.chain)
            except Refused:
                self.notes.add("EVD-001", place)
                continue
            self.contradiction(accused, place, first, second)
            self.proved[key[1]] = accused, None

    def contradiction(self, accused, place, first, second):
        """Notes a place with two records: where it was seen first, and whether manifests settle all that was seen."""
        seen = self.forks.setdefault(accused, [place, True])
        seen[1] = seen[1] and self.chain.settled(first, second)

    def conflicts(self):
        """Manifests against those of the chain: who voted for both."""
        for _, place, data in self.accusations(5, MANIFEST_BYTES):
            try:
                for governor in self.chain.double_vote(data):
                    self.notes.add("GOV-001" if governor in self.chain.newest.governors else "GOV-003", place)
            except Refused as refused:
                self.notes.add(refused.code, place)

    def withheld(self, walks):
        """What is not there, told apart by whether another member's record builds on that update or a later one of its author."""
        used = {}
        for walk in walks:
            for member, at in walk.used.items():
                used[member] = max(used.get(member, at), at)
        for walk in walks:
            for rested, idle, one, bounded in walk.lacking:
                rests = one.member in used and (one.incarnation, one.seq) <= used[one.member]
                live = {"attested_by": self.attesters(one), "bounded": bounded} if rested != "BLB-001" else {}
                self.notes.run(rested if rests else idle, one.where, **live)

    def attesters(self, one):
        """The other members that say, in updates that count, that they recomputed this one's merge."""
        return sorted({other.member for other in self.attesting.get(one.id, [])} - {one.member})

    def attested(self):
        """Names those who say that a wrong merge is right."""
        for wrong in self.wrong:
            for one in self.attesting.get(wrong.id, []):
                if one.member != wrong.member:
                    self.notes.add("FLT-005", one.where)

    def unreferenced(self):
        named = {blob[0] for r in self.all for blob in (r.body, r.state) if blob} | {key[1] for key in self.source.of(4)}
        for key in self.source.of(3):
            if key[1] not in named:
                self.notes.add("ARC-002", {"file": name_of(key)})

    def accused(self):
        """Holds accusations against what was found."""
        for one in self.all:
            if one.kind != records.FAULT or not one.linked or one.spec[4] == records.RULE_FLAW:
                continue
            it = self.by_id.get(one.spec[3])
            if it and (it.member, it.incarnation, it.seq) != (one.spec[0], one.spec[1], one.spec[2]):
                self.notes.add("FLT-003", one.where)
            elif (one.spec[3], one.spec[4]) not in self.found:
                self.notes.add("FLT-004", one.where)
            elif not self.found[one.spec[3], one.spec[4]]:
                self.notes.add("FLT-003", one.where)
        for (member, incarnation, seq), (place, one) in sorted(self.faults.items(), key=lambda fault: fault[0]):
            self.notes.add("FLT-002" if one.void else "FLT-001", {**place, "member": member, "incarnation": incarnation, "seq": seq})

    def settle(self):
        """Says of each fork whether the manifests settle it."""
        for (member, incarnation, seq), (place, settled) in sorted(self.forks.items(), key=lambda fork: fork[0]):
            self.notes.add("FORK-002" if settled else "FORK-001", {**place, "member": member, "incarnation": incarnation, "seq": seq})

    def blob(self, kind, body):
        """The bytes that an author signed, and no code; or none, and why."""
        key = kind, body[0]
        length = self.source.lengths.get(key)
        if length is None:
            return None, "missing"
        if length != body[1] or length > records.BLOB_BYTES:
            return None, "BLB-004"
        data = self.source.read(key, records.BLOB_BYTES, self.notes)
        return (data, None) if blake3(data).digest() == body[0] else (None, "BLB-003")

    def payload(self, one):
        """An update's values, and no code; or none, and why. Kept for a while: the next members merge it, too."""
        if one.id not in self.kept:
            while len(self.kept) >= KEPT:
                del self.kept[next(iter(self.kept))]
            self.kept[one.id] = self.read_payload(one)
        return self.kept[one.id]

    def read_payload(self, one):
        data, lack = self.blob(3, one.body)
        if lack:
            return None, lack
        try:
            return remerge.Payload(data, adapter.decode(self.layout, one.codec, data)), None
        except Refused as refused:
            return None, refused.code

    def state(self, one):
        """A momentum checkpoint, and no code; or none, and why."""
        data, lack = self.blob(3, one.state)
        if lack:
            return None, lack
        state = adapter.read_checkpoint(data, self.layout.size)
        return state, None if state else "MRG-009"

    def verdict(self):
        worst = max((SEVERITIES.index(f["severity"]) for f in self.notes.findings), default=0)
        return ("FAILED", 1) if worst == 2 else ("INCOMPLETE", 3) if worst == 1 or not self.verified else ("PASSED", 0)


def verify(path, network, known=(), allow_unanchored=False, recompute=True, witnesses=0):
    """Audits an archive: verdict, exit code and findings. Raises `Unreadable` if the medium fails."""
    try:
        known = known if isinstance(known, anchors.Anchors) else anchors.Anchors(known)
        audit = Audit(open_archive(path), network, known, allow_unanchored, recompute, witnesses)
        verdict, code = audit.run()
    except (OSError, MemoryError) as error:
        raise Unreadable(str(error)) from None
    return verdict, code, audit


def shown(finding):
    digits = lambda value: value.hex() if isinstance(value, bytes) else value
    return {key: list(map(digits, value)) if isinstance(value, list) else digits(value) for key, value in finding.items()}


def report(verdict, code, audit, as_json):
    order = {severity: -i for i, severity in enumerate(SEVERITIES)}
    findings = sorted(map(shown, audit.notes.findings), key=lambda f: (order[f["severity"]], f["file"], f.get("offset", -1), f["code"]))
    if as_json:
        for finding in findings:
            print(json.dumps({"schema": SCHEMA, "type": "finding", **finding}))
        print(json.dumps({"schema": SCHEMA, "type": "summary", "tool": "verify.py", "verdict": verdict, "exit": code,
                          "network": audit.network.hex(), "findings": len(findings), "records": audit.verified,
                          "merges": audit.merges}))
        return
    for finding in findings:
        place = ascii(finding["file"])[1:-1] + (f" at byte {finding['offset']}" if "offset" in finding else "")
        who = "".join(f", {key} {finding[key]}" for key in ("member", "incarnation", "seq", "record") if key in finding)
        print(f"{finding['severity']:10} {finding['code']}  {place}{who}")
    print(f"{verdict}: {audit.verified} records, merges {audit.merges}")


def identity(text):
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("64 hexadecimal digits in lower case are wanted")
    return bytes.fromhex(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False, epilog="`verify.py vectors FOLDER` checks vectors")
    parser.add_argument("archive", help="a folder or a tar of one")
    parser.add_argument("--network", type=identity, required=True, metavar="HEX")
    parser.add_argument("--anchor", type=identity, action="extend", nargs="+", default=[], metavar="ID")
    parser.add_argument("--anchor-manifest", type=identity, action="extend", nargs="+", default=[], metavar="HASH")
    parser.add_argument("--silent", type=identity, action="extend", nargs="+", default=[], metavar="MEMBER")
    parser.add_argument("--allow-unanchored", action="store_true")
    parser.add_argument("--no-recompute", action="store_true")
    parser.add_argument("--witnesses", type=int, default=0, metavar="K")
    parser.add_argument("--json", action="store_true")
    if sys.argv[1:2] == ["vectors"] and len(sys.argv) == 3:
        import vectors
        return vectors.main(sys.argv[2])
    args = parser.parse_args()
    known = anchors.Anchors(args.anchor, args.anchor_manifest, args.silent)
    try:
        verdict, code, audit = verify(args.archive, args.network, known, args.allow_unanchored, not args.no_recompute, args.witnesses)
    except Unreadable as error:
        print(f"verify.py: cannot read the archive: {error!a}", file=sys.stderr)
        return 4
    report(verdict, code, audit, args.json)
    return code


if __name__ == "__main__":
    sys.exit(main())
