"""What PSI costs: a million rows against another library, growth, one more row, merging.

Run: ``python benchmarks/psi.py [--peers PYTHON]`` (half a minute). ``--peers`` is an interpreter
with evidently. Seconds are of the processor, not of the clock on the wall, so that a busy machine
disturbs less; best of several calls, all in one run. evidently is given ready frames and asked for
values only, no page. Both sides are counted each time there; here the reference is frozen, and its
fit is printed apart.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np

from benchmarks.kit import timing
from benchmarks.peers.client import Peers
from mlwb.core.arrays import Float1D, Float2D
from mlwb.drift import (
    BinnedReference,
    LiveCounts,
    bin_counts,
    count_blocks,
    fit_feature_reference,
    fit_reference,
    psi,
    psi_of_counts,
)

N_ROWS, SEED, ROUNDS = 1_000_000, 7, 12
best = partial(timing.best, clock=time.process_time)


def table(rng: np.random.Generator, n_rows: int) -> Float2D:
    """Seven columns like the requirements': a constant, heavy tails, ticks, a volume, a level."""
    returns = 1e-4 * rng.standard_t(3, (n_rows, 2))
    ticks = rng.geometric(0.7, n_rows).astype(float)
    volume = np.log1p(rng.lognormal(3.0, 1.0, n_rows))
    level = np.clip(rng.normal(size=(n_rows, 2)), -3.0, 3.0)
    return np.column_stack([np.ones(n_rows), returns, ticks, volume, level])


def against_peer(peers: Peers, reference: Float2D, current: Float2D) -> None:
    """Print seconds for all columns, and the ratio."""
    frozen = [fit_reference(str(i), column) for i, column in enumerate(reference.T.copy())]
    columns = list(current.T.copy())

    def ours() -> None:
        for bins, column in zip(frozen, columns, strict=True):
            psi(bins, column)

    seconds = best(ours)
    fits = best(lambda: [fit_reference("x", column) for column in reference.T], repeats=2)
    print(f"{N_ROWS:,} rows x {len(frozen)} features: count and PSI {seconds:.3f} s", end="")
    print(f"; fit of the reference, once a version, {fits:.2f} s")
    if "evidently" not in peers.versions:
        print("  evidently: not installed")
        return
    theirs = float(peers.ask("evidently_seconds", reference=reference, current=current))
    print(f"  evidently {peers.versions['evidently']} PSI preset {theirs:.2f} s", end="")
    print(f": {theirs / seconds:.0f} x; with our fit included {theirs / (seconds + fits):.0f} x")


def growth(column: Float1D) -> None:
    """Print how the cost grows from 10,000 rows to a million."""
    ts = 60 * np.arange(len(column), dtype=np.int64)
    bins = fit_reference("x", column)
    sizes = [10_000, 30_000, 100_000, 300_000, 1_000_000]
    for label, job in (
        ("count and PSI", lambda n: psi(bins, column[:n])),
        ("by block of time", lambda n: count_blocks(bins.edges, column[:n], ts[:n])),
        ("fit", lambda n: fit_feature_reference("x", column[:n], ts[:n])),
    ):
        rounds = [  # sizes take turns, so that a busy machine disturbs all alike
            [best(partial(job, n), repeats=1, calls=max(1, 100_000 // n)) for n in sizes]
            for _ in range(ROUNDS)
        ]
        costs = np.min(rounds, axis=0)
        slope = float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
        a_row = ", ".join(f"{1e9 * cost / n:.1f}" for cost, n in zip(costs, sizes, strict=True))
        print(f"  {label:<17} ns a row: {a_row}; cost exponent {slope:.3f}")


def update(bins: BinnedReference, column: Float1D) -> None:
    """Print what a batch adds to counters, a served row, and what reading a PSI costs."""
    counts = bin_counts(bins.edges, column[:1])
    for n in (1, 10, 100, 1_000):
        batch = column[:n].copy()
        seconds = best(partial(bin_counts, bins.edges, batch), calls=200_000 // (n + 100))
        print(f"  {n:>5,} values more of a feature {1e6 * seconds:6.2f} us")
    live = LiveCounts([bins.edges.tolist()] * 7)
    served = best(partial(live.add, column[:7].tolist(), ts=7_260.0), calls=10_000)
    print(f"  a served row of 7 features {1e6 * served:10.2f} us")
    reading = best(partial(psi_of_counts, "x", bins.counts, counts), calls=1_000)
    print(f"  a PSI from the counters {1e6 * reading:13.2f} us")


def merge(bins: BinnedReference, column: Float1D) -> None:
    """Print whether counts of parts, in any order, are the counts of the whole."""
    ts = 60 * np.arange(len(column), dtype=np.int64)
    cuts = np.sort(np.random.default_rng(SEED).integers(0, len(column), 50))
    parts = [
        count_blocks(bins.edges, values, stamps)
        for values, stamps in zip(np.split(column, cuts), np.split(ts, cuts), strict=True)
    ]
    merged = parts[-1]
    for part in parts[-2::-1]:
        merged = merged + part
    whole = count_blocks(bins.edges, column, ts)
    same = all(
        np.array_equal(getattr(merged, field), getattr(whole, field))
        for field in ("starts", "counts", "by_hour")
    )
    print(f"  51 parts added in reverse order equal the whole: {same}")
    if not same:
        raise SystemExit(1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter with evidently")
    rng = np.random.default_rng(SEED)
    reference, current = table(rng, N_ROWS), table(rng, N_ROWS)
    with Peers(parser.parse_args().peers) as peers:
        against_peer(peers, reference, current)
    column = np.ascontiguousarray(current[:, 1])
    growth(column)
    bins = fit_reference("x", np.ascontiguousarray(reference[:, 1]))
    update(bins, column)
    merge(bins, column)


if __name__ == "__main__":
    main()
