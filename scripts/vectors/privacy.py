"""What a privacy claim costs at least, read straight from the table."""

from pathlib import Path

LINES = (Path(__file__).parents[2] / "protocol/tables/privacy.txt").read_text().splitlines()[1:]
RATES, SIGMAS, STEPS, DELTAS = ([int(word) for word in line.split()[1:]] for line in LINES[:4])


def least(claim):
    rate = max(point for point in RATES if point <= claim[2])
    sigma = min(point for point in SIGMAS if point >= claim[0])
    steps = max(point for point in STEPS if point <= claim[3])
    delta = max(point for point in DELTAS if 1000 * point <= claim[5])
    row = LINES[4 + RATES.index(rate) * len(SIGMAS) + SIGMAS.index(sigma)].split()
    return int(row[STEPS.index(steps) * len(DELTAS) + DELTAS.index(delta)])
