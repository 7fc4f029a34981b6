#!/usr/bin/env python3
"""The table below which no privacy claim may lie: protocol/tables/privacy.txt.

    python scripts/privacy_table.py protocol/tables/privacy.txt      # needs the package `numpy`
    python scripts/privacy_table.py --compare                        # needs `dp-accounting`, too: holds some numbers against it

For each sampling rate, noise multiplier, number of steps and delta of the grid a lower bound of epsilon, in thousandths, rounded down. Epsilon
rises with rate, steps and -log10 delta, and falls with sigma: a claim between the points is compared with the point that gives it less.

A step with the record gives x from P = (1 - q) N(0, s^2) + q N(1, s^2), without it from Q = N(0, s^2). Whoever sees only in which interval
x lies sees less, so what that tells apart costs no more than the step. Intervals are chosen whose ratio P/Q is exp(k h), k an integer; P
loses the mass by which the last one's ratio is larger. So losses of many steps add up on a grid, and
delta(epsilon) = sum over losses l > epsilon of p(l) (1 - exp(epsilon - l)) is never larger than the true one. The sum is taken modulo
the length of a Fourier transform that begins at the least loss: what comes around counts as a smaller loss than it is.
"""
import math
import sys
from multiprocessing import Pool

import numpy

RATES = [100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000]  # millionths
SIGMAS = [300, 400, 500, 600, 700, 800, 1000, 1200, 1500, 2000, 3000, 5000, 10000]  # thousandths
STEPS = [1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000]
DELTAS = [2, 4, 6, 8, 10]  # -log10
MOST = 50000  # thousandths: what costs more is not told apart
NOISE = 3e-11  # more than what floats lose of a delta


def normal(a, b):
    """The mass of N(0, 1) between a and b."""
    if a >= 0:
        return (math.erfc(a / math.sqrt(2)) - math.erfc(b / math.sqrt(2))) / 2
    return (math.erfc(-b / math.sqrt(2)) - math.erfc(-a / math.sqrt(2))) / 2 if b <= 0 else 1 - normal(-math.inf, a) - normal(b, math.inf)


def masses(q, s, a, b):
    """P and Q of the interval from a to b."""
    without = normal(a / s, b / s)
    return (1 - q) * without + q * normal((a - 1) / s, (b - 1) / s), without


def loss(q, s, x):
    tilt = (2 * x - 1) / (2 * s * s)
    if q == 1 or tilt > 700:
        return tilt + math.log(q)
    return math.log1p(q * math.expm1(tilt))


def step(q, s, h):
    """The grid losses of a step and their masses under P."""
    end, a, low, all_ = 1 + 10 * s, -12 * s, -math.inf, []
    k = math.floor(loss(q, s, a) / h) + 1
    while a < end:
        k = max(k, math.floor(loss(q, s, a) / h) + 1)
        ratio = lambda b: (lambda p, r: p >= r * math.exp(k * h) if r else False)(*masses(q, s, low, b))
        if not ratio(end):
            break
        below, above = a, end
        for _ in range(70):
            middle = (below + above) / 2
            below, above = (below, middle) if ratio(middle) else (middle, above)
        all_.append((k, masses(q, s, low, above)[1] * math.exp(k * h)))
        a = low = above
        k = max(k + 1, k * 51 // 50)  # rare losses are told apart less finely
    p, r = masses(q, s, low, math.inf)
    if r and p > 0:
        k = math.floor(math.log(p / r) / h)
        all_.append((k, r * math.exp(k * h)))
    return all_


def cell(rate, sigma, steps):
    """Epsilon for each delta."""
    q, s = rate / 1e6, sigma / 1e3
    one = q * math.sqrt(math.expm1(min(1 / s**2, 50)))
    h = min(one / 4, q / 4, 0.02)
    bins = step(q, s, h)
    least = min(k for k, _ in bins)
    whole = one * math.sqrt(steps)
    top = min(MOST / 1000 + 5, max(1 + 3 * (8 * whole + whole**2), 1.5 * loss(q, s, 1 + 6.5 * s)))
    length = 1 << max(10, math.ceil(math.log2(top / h - steps * min(least, 0))))
    pmf = numpy.zeros(length)
    for k, p in bins:
        pmf[(k - least) % length] += p
    pmf = numpy.clip(numpy.fft.irfft(numpy.fft.rfft(pmf) ** steps, length), 0, None)
    losses = (numpy.arange(length) + steps * least) * h

    def delta(epsilon):
        above = losses > epsilon
        return float(numpy.sum(pmf[above] * -numpy.expm1(epsilon - losses[above])))

    found = []
    for power in DELTAS:
        low, high, wanted = 0, MOST, 10.0**-power + NOISE
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if delta(middle / 1000) >= wanted else (low, middle - 1)
        found.append(low)
    return found


def row(where):
    """All steps and deltas. Composition only adds: what is found for fewer steps holds for more, and so for deltas."""
    below, all_ = [0] * len(DELTAS), []
    for steps in STEPS:
        if min(below) < MOST:
            below = [max(pair) for pair in zip(cell(*where, steps), below)]
        below = [max(below[: i + 1]) for i in range(len(below))]
        all_ += below
    return all_


def compare():
    from dp_accounting.pld import privacy_loss_distribution as pld

    for rate, sigma, steps in [(10000, 1000, 1000), (1000000, 5000, 1), (1000, 600, 1000), (50000, 2000, 3000), (200000, 800, 10)]:
        whole = pld.from_gaussian_mechanism(sigma / 1e3, sampling_prob=rate / 1e6, value_discretization_interval=2e-5).self_compose(steps)
        print(rate, sigma, steps, cell(rate, sigma, steps), [math.ceil(1000 * whole.get_epsilon_for_delta(10.0**-d)) for d in DELTAS])


def main():
    if sys.argv[1] == "--compare":
        return compare()
    lines = ["# The least epsilon in thousandths: docs/PROTOCOL.md section 3, scripts/privacy_table.py"]
    for name, grid in [("rate", RATES), ("sigma", SIGMAS), ("steps", STEPS), ("delta", DELTAS)]:
        lines.append(" ".join(map(str, [name, *grid])))
    with Pool() as pool:
        for numbers in pool.imap(row, [(rate, sigma) for rate in RATES for sigma in SIGMAS]):
            lines.append(" ".join(map(str, numbers)))
            print(len(lines), flush=True)
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
