"""Feature cost: compiled batch against pandas, and online microseconds a bar.

Run: ``python benchmarks/features.py`` (half a minute). Every ratio is from one run on one machine,
best of several calls, one thread. pandas is given twice: by the clock (a return is NaN where the
minute before is missing, as here) and by row, which is cheaper and wrong at every gap.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from benchmarks.kit.timing import best
from mlwb.core.arrays import Float2D
from mlwb.core.bars import BAR_FIELDS
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
Series = pd.Series


def by_clock(mid: Series[float], minutes: int) -> Series[float]:
    """Log return to the bar exactly some minutes before."""
    earlier = mid.shift(minutes, freq="min").reindex(mid.index)
    return (mid / earlier).transform(np.log)


def by_row(mid: Series[float], minutes: int) -> Series[float]:
    """Log return to the row some rows before."""
    return (mid / mid.shift(minutes)).transform(np.log)


def rsi(mid: Series[float]) -> Series[float]:
    """Wilder's averages as an exponential mean."""
    change = mid.diff()
    up = change.clip(lower=0.0).ewm(alpha=1 / 14, adjust=False).mean()
    down = (-change).clip(lower=0.0).ewm(alpha=1 / 14, adjust=False).mean()
    return (100.0 * up / (up + down) - 50.0) / 30.0


def zscore(mid: Series[float], window: str | int) -> Series[float]:
    """Rolling z-score."""
    day = mid.rolling(window, min_periods=1_368)
    return (mid - day.mean()) / day.std(ddof=0)


def with_pandas(frame: pd.DataFrame, *, clocked: bool) -> pd.DataFrame:
    """The requirements' seven in plain pandas."""
    mid, bid, ask = frame["mid"], frame["bid"], frame["ask"]
    logret, day = (by_clock, "24h") if clocked else (by_row, 1_440)
    return pd.DataFrame(
        {
            "bias": 1.0,
            "mid_logret_1m": logret(mid, 1),
            "mid_logret_5m": logret(mid, 5),
            "spread_bp": (1e4 * (ask - bid) / mid).where(ask >= bid),
            "vol1m_log": np.log1p(frame["volume"]),
            "rsi14_z": rsi(mid),
            "zscore_mid_24h": zscore(mid, day),
        }
    )


def framed(bars: Float2D) -> pd.DataFrame:
    """Bars as pandas has them."""
    frame = pd.DataFrame(bars, columns=list(BAR_FIELDS))
    frame.index = pd.to_datetime(frame["ts"], unit="s")
    return frame


def batch(bars: Float2D) -> None:
    """Print what a bar costs in batch, feature by feature and against pandas."""
    n = len(bars)
    for name in feature_names():
        seconds = best(partial(compute, specs([name]), bars))
        print(f"  batch {name:<18} {seconds / n * 1e9:7.1f} ns/bar")
    frame = framed(bars)
    seven = best(partial(compute, specs(SEVEN), bars))
    print(f"batch, the requirements' seven  {seven / n * 1e9:7.1f} ns/bar")
    for label, clocked in (("by the clock", True), ("by row", False)):
        theirs = best(partial(with_pandas, frame, clocked=clocked))
        print(f"  pandas {label:<12} {theirs / n * 1e9:7.1f} ns/bar  {theirs / seven:5.2f} x ours")
    ours = best(partial(compute, specs(["zscore_mid_24h"]), bars))
    theirs = best(partial(zscore, frame["mid"], "24h"))
    print(f"24 h z-score: pandas / ours     {theirs / ours:7.2f} x")
    gap = np.abs(
        with_pandas(frame, clocked=True).to_numpy()[1_500:] - compute(specs(SEVEN), bars)[1_500:]
    )
    print(f"largest difference from pandas  {np.nanmax(gap):9.1e}")


def growth(bars: Float2D) -> None:
    """Print how the cost grows with the number of bars; beyond the cache memory shows in both."""
    n = len(bars)
    sizes = [n // 16, n // 8, n // 4, n // 2, n]
    frame = framed(bars)
    for label, job in (
        ("ours", lambda k: compute(specs(SEVEN), bars[:k])),
        ("pandas", lambda k: with_pandas(frame.iloc[:k], clocked=True)),
    ):
        costs = [best(partial(job, k), 5) for k in sizes]
        slope = float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
        print(f"cost exponent over {sizes[0]:,} to {n:,} bars, {label:<6} {slope:6.3f}")


def online(bars: Float2D) -> None:
    """Print what a bar costs in plain Python."""
    rows = bars[:20_000].tolist()
    for label, names in (("seven", SEVEN), ("all", feature_names())):
        chosen = specs(names)

        def run(chosen: tuple[object, ...] = chosen) -> None:
            stream = FeatureStream(chosen)  # type: ignore[arg-type]
            for row in rows:
                stream.step(row)

        print(f"online, {label:<8} {best(run, 3) / len(rows) * 1e6:7.1f} us/bar")


def main() -> None:
    """Print the table."""
    bars = to_bars(simulate_market(days=90, seed=7))
    print(f"{len(bars):,} bars")
    batch(bars)
    growth(np.concatenate([bars] + [_later(bars, k) for k in range(1, 8)]))
    online(bars)


def _later(bars: Float2D, times: int) -> Float2D:
    moved = bars.copy()
    moved[:, 0] += times * (bars[-1, 0] - bars[0, 0] + 60.0)
    return moved


if __name__ == "__main__":
    main()
