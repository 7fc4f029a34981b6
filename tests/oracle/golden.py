"""Holds the golden archives against what must be found in them: `golden.py FOLDER`."""
import json
import pathlib
import sys

import verify


def disagreements(folder):
    """Each case whose exit code or findings, or whose members with them, are not those that are kept, in words; how many cases there are."""
    cases = json.loads((folder / "golden.json").read_text())["cases"]
    wrong = []
    for case in cases:
        anchors = map(bytes.fromhex, case["anchors"])
        network, allow = bytes.fromhex(case["network"]), case["allow_unanchored"]
        _, code, audit = verify.verify(str(folder / case["archive"]), network, anchors, allow)
        codes = sorted(finding["code"] for finding in audit.notes.findings)
        by = sorted([finding["code"], finding.get("member", b"").hex()] for finding in audit.notes.findings)
        attested, kept = audit.merges["attested"], case["attested"]
        if (code, codes, attested) != (case["exit"], case["codes"], kept):
            wrong.append(f"{case['archive']}: exit {code}, {codes}, {attested} attested; kept: {case['exit']}, {case['codes']}, {kept}")
        elif by != case.get("by", by):
            wrong.append(f"{case['archive']}: {by}; kept: {case['by']}")
    return wrong, len(cases)


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    wrong, count = disagreements(pathlib.Path(sys.argv[1]))
    for line in wrong:
        print(line)
    print(f"{count} golden cases, {len(wrong)} disagree")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
