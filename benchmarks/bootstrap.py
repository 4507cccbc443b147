"""Bootstrap cost: 10,000 means of a fortnight of minutes, beside arch's circular block bootstrap.

Run: ``python benchmarks/bootstrap.py`` (half a minute). Ratios are from one run on one machine. The
last column is the p value of a two-sample Kolmogorov-Smirnov test between the two sets of draws:
small values in several rows would say that they are not the same bootstrap.
"""

from __future__ import annotations

import tracemalloc

import numpy as np
from arch.bootstrap import CircularBlockBootstrap, optimal_block_length
from scipy.stats import ks_2samp

from benchmarks.kit.timing import best
from mlwb.stats import block_length, block_means

N_OBS, N_RESAMPLES, N_PEER = 20_160, 10_000, 1_000


def main() -> None:
    """Print one row a block length, then the cost of finding the length."""
    series = np.random.default_rng(0).standard_t(4, N_OBS)
    print(f"{N_RESAMPLES:,} means of {N_OBS:,} rows; arch is timed on {N_PEER:,} and scaled")
    print(
        f"{'block':>6} {'ours s':>8} {'peak MB':>8} {'arch s':>8} {'ratio':>7} {'same law p':>11}"
    )
    for block in (1, 5, 15, 60, 400):

        def ours(block: int = block) -> np.ndarray:
            rng = np.random.default_rng(1)
            return block_means(series, block=block, n_resamples=N_RESAMPLES, rng=rng).draws

        def theirs(block: int = block) -> np.ndarray:
            found = CircularBlockBootstrap(block, series, seed=2).apply(np.mean, N_PEER)
            return np.asarray(found[:, 0])

        seconds = best(ours)
        peer = best(theirs, 1) * N_RESAMPLES / N_PEER
        tracemalloc.start()
        draws = ours()
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        same = float(ks_2samp(draws, theirs()).pvalue)
        row = f"{block:>6} {seconds:>8.3f} {peak:>8.1f} {peer:>8.2f} {peer / seconds:>7.0f}"
        print(f"{row} {same:>11.2f}")
    ours_s, arch_s = best(lambda: block_length(series)), best(lambda: optimal_block_length(series))
    print(f"block length: {ours_s * 1e3:.1f} ms, arch {arch_s * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
