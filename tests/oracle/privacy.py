"""Privacy claims, section 3 of docs/PROTOCOL.md: what one costs at least, and what it may not take back."""
from bisect import bisect_left, bisect_right
from pathlib import Path

from adapter import need

SIGMA, CLIP, RATE, STEPS, EPSILON, DELTA = range(6)


def read(path=Path(__file__).parents[2] / "protocol/tables/privacy.txt"):
    grids, least = {}, []
    for line in path.read_text(encoding="ascii").splitlines():
        word, *numbers = line.split(" ")
        if word.isdigit():
            least += map(int, line.split(" "))
        elif word != "#":
            grids[word] = [int(n) for n in numbers]
    return grids, least


GRIDS, LEAST = read()


def least(claim):
    """The table's number at the point with no less noise, no higher rate, no more steps and no smaller delta; 0 beyond the grid."""
    rate, steps = (bisect_right(GRIDS[name], claim[key]) - 1 for name, key in (("rate", RATE), ("steps", STEPS)))
    delta = bisect_right(GRIDS["delta"], claim[DELTA] // 1000) - 1
    sigma = bisect_left(GRIDS["sigma"], claim[SIGMA])
    if min(rate, steps, delta) < 0 or sigma == len(GRIDS["sigma"]):
        return 0
    at = (rate * len(GRIDS["sigma"]) + sigma) * len(GRIDS["steps"]) + steps
    return LEAST[at * len(GRIDS["delta"]) + delta]


def form(claim):
    need(all(claim[key] for key in (SIGMA, CLIP, STEPS, DELTA)) and 1 <= claim[RATE] <= 1_000_000, "REC-026")
    need(claim[EPSILON] >= least(claim), "REC-031")


def follows(now, before, policy):
    """Nothing that was claimed is taken back."""
    kept = now[STEPS] >= before[STEPS] and now[SIGMA] >= before[SIGMA] and now[RATE] <= before[RATE]
    delta = now[DELTA] == before[DELTA] or policy.privacy
    need(kept and delta and (now[DELTA] < before[DELTA] or now[EPSILON] >= before[EPSILON]), "RULE-020")


class Claims:
    """The newest claim up to each linked record of one member."""

    def __init__(self):
        self.known, self.last = {}, None  # by incarnation: [(seq, claim)], ascending; the linked record before

    def before(self, one, prev):
        """Along prev, and from the first record of a feed into an earlier one; none where that is not linked, or behind a gap."""
        at = (prev.incarnation, prev.seq) if prev and prev.linked and prev.member == one.member else None
        if at is None or one.seq and at != self.last:
            return None
        return next((claim for seq, claim in reversed(self.known.get(at[0], [])) if seq <= at[1]), None)

    def follow(self, one, before):
        self.known.setdefault(one.incarnation, []).append((one.seq, one.claim or before))
        self.last = one.incarnation, one.seq
