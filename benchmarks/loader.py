"""Reading a market against only parsing its file: rows a second and ratios.

Run: ``python benchmarks/loader.py [FILE ...]`` (a few seconds). Without files it writes simulated
bars as csv, csv.gz and parquet and simulated quotes as csv to a temporary folder. `read_market`
unpacks, hashes, sniffs, parses, puts stamps on UTC, sorts, judges repeats and flags every bar;
the others only parse; `stamps` also turns the time column into UTC times.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.csv as pc  # type: ignore[import-untyped]

from benchmarks.kit.timing import best
from mlwb.data import quality, read_market, simulate_market

DAYS = 90
STAMPS = ("ts", "date", "time", "timestamp")


def with_stamps(path: Path) -> pd.DataFrame:
    """What a user writes by hand to get the same columns: parse, and stamps as UTC times."""
    frame = pd.read_csv(path)
    name = next(column for column in frame.columns if column in STAMPS)
    if pd.api.types.is_numeric_dtype(frame[name].dtype):
        return frame.assign(**{name: pd.to_datetime(frame[name], utc=True, unit="us")})
    return frame.assign(**{name: pd.to_datetime(frame[name], utc=True)})


def write_samples(folder: Path) -> list[Path]:
    """Bars of a simulated market in three forms, and quotes of a simulated feed."""
    frame = simulate_market(days=DAYS, seed=7).frame.drop(columns=["mid", "quality"])
    text = frame.assign(ts=frame["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    paths = [folder / name for name in ("bars.csv", "bars.csv.gz", "bars.parquet", "quotes.csv")]
    text.to_csv(paths[0], index=False)
    text.to_csv(paths[1], index=False)
    frame.to_parquet(paths[2])
    rng = np.random.default_rng(7)
    n = 400_000
    us = 1_767_225_600_000_000 + np.cumsum(rng.integers(1, 400_000, n))
    mid = 100_000 + np.cumsum(rng.integers(-2, 3, n))
    quotes = {
        "timestamp": us,
        "local_timestamp": us + rng.integers(1000, 9000, n),
        "ask_amount": rng.integers(1, 99, n) / 10,
        "ask_price": (mid + 1) / 100,
        "bid_price": (mid - 1) / 100,
        "bid_amount": rng.integers(1, 99, n) / 10,
    }
    table = pd.DataFrame({"exchange": "x", "symbol": "SIM", **quotes})
    table.to_csv(paths[3], index=False)
    return paths


def parsers(path: Path) -> dict[str, Callable[[], Any]]:
    """What only parses a file of this kind."""
    if path.suffix == ".parquet":
        return {"pandas": partial(pd.read_parquet, path)}
    if ".csv" not in path.name:
        return {}
    return {
        "pandas": partial(pd.read_csv, path),
        "pandas + stamps": partial(with_stamps, path),
        "pyarrow": partial(pc.read_csv, path),
    }


def main() -> None:
    """Print a line a file."""
    with tempfile.TemporaryDirectory() as folder:
        for path in [Path(name) for name in sys.argv[1:]] or write_samples(Path(folder)):
            market = read_market([path])
            rows = sum(item.rows for item in market.source.inputs)
            ours, judged = best(partial(read_market, [path])), best(partial(quality, market))
            ratios = ", ".join(
                f"{ours / best(job):.1f} x {name}" for name, job in parsers(path).items()
            )
            print(
                f"{path.name}: {rows:,} rows, read_market {ours * 1e3:.0f} ms "
                f"({rows / ours / 1e6:.2f} million rows/s), quality {judged * 1e3:.0f} ms; {ratios}"
            )


if __name__ == "__main__":
    main()
