"""The synthetic market: bars a second, likeness over seeds, and what is planted found again.

Run: ``python benchmarks/simulate.py [SEEDS]`` (24 by default). The first table is speed beside the
plainest market there is, a Gaussian walk written into the same frame. The second counts facts in
the range of recorded markets. The third is the share of seeds whose 95 % block-bootstrap interval
covers what was planted: about 0.95 is right, and 0.90 is the least.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.kit import timing
from mlwb.core.arrays import Float1D
from mlwb.data import FACTS, market_facts, simulate_market
from mlwb.stats import block_length, block_means

best = partial(timing.best, clock=time.process_time)


def plain_walk(days: int) -> pd.DataFrame:
    """A Gaussian walk with four columns more, so that something is compared with something."""
    n = days * 1440
    rng = np.random.default_rng(7)
    mid = 60_000.0 * np.exp(np.cumsum(4.5e-4 * rng.standard_normal(n)))
    stamps = pd.date_range("2026-01-01", periods=n, freq="min", tz="UTC")
    columns = dict.fromkeys(("mid", "open", "high", "low", "close"), mid)
    return pd.DataFrame({"ts": stamps, **columns, "volume": np.exp(rng.standard_normal(n))})


def print_speed() -> None:
    """Bars a second, everything included: drawing, quality bits, the frame."""
    print(f"{'days':>5} {'bars':>9} {'bars/s':>12} {'of a plain walk':>16}")
    for days in (30, 90, 365):
        ours = best(lambda days=days: simulate_market(days=days))  # type: ignore[misc]
        plain = best(lambda days=days: plain_walk(days))  # type: ignore[misc]
        print(f"{days:>5} {days * 1440:>9,} {days * 1440 / ours:>12,.0f} {ours / plain:>15.1f}x")


def print_likeness(seeds: range) -> None:
    """Medians over seeds, and how many facts one market misses."""
    found = [market_facts(simulate_market(seed=seed)) for seed in seeds]
    medians = {fact.name: float(np.median([m[fact.name] for m in found])) for fact in FACTS}
    misses = {f.name: sum(f.holds(m[f.name]) is False for m in found) for f in FACTS}
    outside = [fact.name for fact in FACTS if fact.holds(medians[fact.name]) is False]
    by_seed = [sum(f.holds(m[f.name]) is False for f in FACTS) for m in found]
    worst = sorted(misses, key=misses.__getitem__, reverse=True)[:4]
    print(f"\n{len(seeds)} seeds of 90 days: medians outside their range: {outside or 'none'}")
    print(f"facts missed by one market: median {np.median(by_seed):.0f}, most {max(by_seed)}")
    print("most often: " + ", ".join(f"{name} {misses[name]}" for name in worst))


def covers(x: Float1D, y: Float1D, planted: float) -> bool:
    """Whether the interval of a correlation holds the planted one."""
    x, y = ((side - side.mean()) / side.std() for side in (x, y))
    found = float((x * y).mean())
    parts = x * y - found * (x * x + y * y) / 2 + found
    block = block_length(parts, least=60)
    drawn = block_means(parts, block=block, n_resamples=500, rng=np.random.default_rng(1))
    low, high = drawn.interval()
    return low < planted < high


def print_coverage(seeds: range) -> None:
    """Nothing planted, and a direction planted."""
    print(f"\n{'planted':<28} {'covered':>8}")
    for ic in (0.0, 0.05, 0.2):
        signs, sizes = [], []
        for seed in seeds:
            market = simulate_market(days=20, seed=seed, volatility_edge=False, direction_ic=ic)
            moves = np.diff(np.log(market.frame["mid"].to_numpy()))
            signs.append(covers(moves[:-1], moves[1:], ic))
            sizes.append(covers(np.abs(moves[:-1]), np.abs(moves[1:]), 0.0))
        print(f"{f'direction IC {ic}':<28} {np.mean(signs):>8.2f}")
        if not ic:
            print(f"{'no predictable size':<28} {np.mean(sizes):>8.2f}")


if __name__ == "__main__":
    n_seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    print_speed()
    print_likeness(range(7, 7 + n_seeds))
    print_coverage(range(4 * n_seeds))
