"""Feature cost: compiled batch against pandas rolling, and online microseconds a bar.

Run: ``python benchmarks/features.py`` (half a minute). Ratios are from one run on one machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from mlwb.core.clock import SystemClock
from mlwb.data import simulate_market, to_bars
from mlwb.features import FeatureStream, feature_names, specs
from mlwb.features.batch import compute

SEVEN = (
    "bias",
    "mid_logret_1m",
    "mid_logret_5m",
    "spread_bp",
    "vol1m_log",
    "rsi14_z",
    "zscore_mid_24h",
)
REPEATS = 5
clock = SystemClock()


def best(job: Callable[[], object], repeats: int = REPEATS) -> float:
    """Least seconds of several calls, after one that is not counted."""
    job()
    taken = []
    for _ in range(repeats):
        start = clock.monotonic_s()
        job()
        taken.append(clock.monotonic_s() - start)
    return min(taken)


def main() -> None:
    """Print the table."""
    bars = to_bars(simulate_market(days=90, seed=7))
    n = len(bars)
    mid = pd.Series(bars[:, 1], index=pd.to_datetime(bars[:, 0], unit="s"))
    print(f"{n:,} bars")
    for name in feature_names():
        seconds = best(partial(compute, specs([name]), bars))
        print(f"  batch {name:<18} {seconds / n * 1e9:7.1f} ns/bar")
    seven = best(lambda: compute(specs(SEVEN), bars))
    rolling = best(lambda: (mid - mid.rolling("24h").mean()) / mid.rolling("24h").std(ddof=0))
    ours = best(lambda: compute(specs(["zscore_mid_24h"]), bars))
    print(f"batch, the requirements' seven      {seven / n * 1e9:7.1f} ns/bar")
    print(f"24 h z-score: pandas rolling / ours {rolling / ours:7.1f} x")
    sizes = np.array([n // 32, n // 16, n // 8, n // 4, n // 2, n])
    costs = [best(partial(compute, specs(SEVEN), bars[:k]), 7) for k in sizes.tolist()]
    slope = float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
    print(f"cost exponent over {sizes[0]:,} to {n:,} bars {slope:6.3f}")
    rows = bars[:20_000].tolist()
    for label, names in (("seven", SEVEN), ("all eleven", feature_names())):
        chosen = specs(names)

        def online(chosen: tuple[object, ...] = chosen) -> None:
            stream = FeatureStream(chosen)  # type: ignore[arg-type]
            for row in rows:
                stream.step(row)

        print(f"online, {label:<12} {best(online, 3) / len(rows) * 1e6:7.1f} us/bar")


if __name__ == "__main__":
    main()
