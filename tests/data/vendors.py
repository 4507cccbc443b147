"""The same bars as each vendor writes them, after its documentation or a file of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mlwb.core.errors import DataError
from mlwb.data import quality, read_market

__all__ = ["PRICES", "epoch", "iso", "kline", "refusal", "ticks"]

PRICES = ["open", "high", "low", "close"]


def iso(rows: pd.DataFrame, name: str = "ts") -> pd.DataFrame:
    """The bars with text stamps in a column of another name."""
    text = rows["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return rows.assign(ts=text).rename(columns={"ts": name})


def epoch(rows: pd.DataFrame, factor: int) -> pd.DataFrame:
    """The bars with numbers since 1970 in the first column."""
    seconds = rows["ts"].dt.tz_localize(None).to_numpy(dtype="datetime64[s]").astype(np.int64)
    return rows.assign(ts=seconds * factor)


def kline(rows: pd.DataFrame, factor: int, *, contract_usd: float = 0.0) -> str:
    """Archive rows, twelve columns without header; with a contract's size as COIN-M has them."""
    frame = epoch(rows, factor)
    frame["close_time"] = frame["ts"] + 60 * factor - 1
    frame["quote_volume"] = frame["volume"] * frame["close"]
    if contract_usd:
        frame["quote_volume"] = frame["volume"]
        frame["volume"] = (frame["volume"] * frame["close"] / contract_usd).round()
    for name in ("count", "tbv", "tbqv", "ignore"):
        frame[name] = 0
    return frame.to_csv(index=False, header=False)


def ticks(n: int = 4000, seed: int = 5) -> pd.DataFrame:
    """Updates of a book's top over about three hours: ``ns received bid ask bid_size ask_size``.

    Stamps are whole microseconds, prices whole hundredths, received 1 to 9 ms after the event.
    """
    rng = np.random.default_rng(seed)
    steps_us = rng.integers(1, 5_400_000, n)
    ns = np.datetime64("2024-12-31T22:30", "ns").astype(np.int64) + np.cumsum(steps_us) * 1000
    mid = 100_000 + np.cumsum(rng.integers(-3, 4, n))
    half = rng.integers(1, 4, n)
    return pd.DataFrame(
        {
            "ns": ns,
            "received": np.maximum.accumulate(ns + rng.integers(1_000, 9_000, n) * 1000),
            "bid": (mid - half) / 100,
            "ask": (mid + half) / 100,
            "bid_size": rng.integers(1, 50, n) / 10,
            "ask_size": rng.integers(1, 50, n) / 10,
        }
    )


def refusal(path: Path) -> str:
    """What reading and judging a file says against it; empty when nothing is."""
    try:
        quality(read_market([path]))
    except DataError as error:
        return str(error)
    return ""
