"""Mutates one byte of an archive at a time and compares this folder's verifier with chorale-audit on each mutant. Both must see it: by
another verdict or other findings than before, unless the byte lies in a file that is reported as unreferenced."""
import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile

import verify
from anchors import Anchors
from archive import Unreadable

FIELDS = ("severity", "code", "file", "offset", "member", "incarnation", "seq", "record", "attested_by", "bounded")


def findings_of(lines):
    return sorted(tuple(str(line.get(field)) for field in FIELDS) for line in lines)


def anchors_of(texts):
    """Anchors as chorale-audit takes them: the id of a record, manifest:HASH, or none:MEMBER."""
    kinds = {"": [], "manifest": [], "none": []}
    for text in texts:
        kind, _, digits = text.rpartition(":")
        kinds[kind].append(bytes.fromhex(digits))
    return Anchors(kinds[""], kinds["manifest"], kinds["none"])


def ours(archive, args):
    try:
        _, code, audit = verify.verify(archive, bytes.fromhex(args.network), anchors_of(args.anchor), args.allow_unanchored,
                                       not args.no_recompute, args.witnesses)
    except Unreadable:
        return 4, []
    return code, findings_of([{"file": "", **verify.shown(finding)} for finding in audit.notes.findings])


def theirs(archive, args):
    command = [args.auditor, "verify", archive, "--network", args.network, "--json", "--threads", "1"]
    command += ["--allow-unanchored"] * args.allow_unanchored + ["--no-recompute"] * args.no_recompute
    command += ["--witnesses", str(args.witnesses)] if args.witnesses else []
    command += [part for anchor in args.anchor for part in ("--anchor", anchor)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = [line for line in lines if line["type"] == "finding"]
    return done.returncode, findings_of(found)


def kinds(archive):
    """The files by kind; a tar is one file."""
    root = pathlib.Path(archive)
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    by_kind = {}
    for path in files:
        by_kind.setdefault(path.parent.name if path.parent != root else path.name, []).append(path)
    return by_kind


def mutants(archive, args):
    """Each mutant in turn, undone when the next is asked for: what was done to it."""
    by_kind, rng = kinds(archive), random.Random(args.seed)
    for number in range(args.count):
        path = rng.choice(by_kind[rng.choice(sorted(by_kind))])
        whole = path.read_bytes()
        if not whole:
            continue
        at = rng.randrange(len(whole))
        byte = rng.choice([whole[at] ^ 1 << rng.randrange(8), rng.randrange(256), (whole[at] + 1) % 256])
        path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1:])
        try:
            name = path.relative_to(archive).as_posix()
            yield name, byte != whole[at], f"mutant {number}: {name} byte {at}: {whole[at]:#04x} to {byte:#04x}"
        finally:
            path.write_bytes(whole)


def compare(archive, args, what, codes):
    """Whether both verifiers agree; how they differ is printed."""
    mine, rust = ours(archive, args), theirs(archive, args)
    codes |= {finding[1] for finding in mine[1]}
    if mine == rust:
        return True
    print(f"seed {args.seed}, {what}: exit {mine[0]} here, {rust[0]} there")
    for finding in mine[1]:
        if finding not in rust[1]:
            print("  only here: ", *finding)
    for finding in rust[1]:
        if finding not in mine[1]:
            print("  only there:", *finding)
    return False


def unpack(archive, folder):
    """The files of a tar that has only plain ones."""
    with tarfile.open(archive) as tar:
        for entry in tar:
            path = pathlib.Path(folder, entry.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tar.extractfile(entry).read())


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("auditor", help="chorale-audit")
    parser.add_argument("archive", help="a small archive: a folder or a tar")
    parser.add_argument("network", help="its network id")
    parser.add_argument("--unpack", action="store_true", help="change the files in a tar, not the tar")
    parser.add_argument("--count", type=int, default=200, help="mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--anchor", nargs="+", default=[], metavar="ID")
    parser.add_argument("--allow-unanchored", action="store_true")
    parser.add_argument("--no-recompute", action="store_true")
    parser.add_argument("--witnesses", type=int, default=0, metavar="K")
    args = parser.parse_args()
    differences, codes = 0, set()
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "archive")
        (unpack if args.unpack else shutil.copytree if os.path.isdir(args.archive) else shutil.copyfile)(args.archive, copy)
        differences += not compare(copy, args, "as it is", codes)
        before = ours(copy, args)
        loose = {finding[2] for finding in before[1] if finding[1] == "ARC-002"}
        done = unseen = 0
        for name, changed, what in mutants(copy, args):
            differences += not compare(copy, args, what, codes)
            done += 1
            if changed and name not in loose and ours(copy, args) == before:
                print(f"seed {args.seed}, {what}: not seen")
                unseen += 1
    print(f"seed {args.seed}: {done} mutants, {differences} differences, {unseen} not seen, codes seen: {' '.join(sorted(codes))}")
    return 1 if differences or unseen else 0


if __name__ == "__main__":
    sys.exit(main())
