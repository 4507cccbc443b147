"""A small clean market and the ways vendors write one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mlwb.data import Market, simulate_market

Writer = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def market() -> Market:
    """Two simulated days with quotes."""
    return simulate_market(days=2, seed=11)


@pytest.fixture(scope="session")
def rows(market: Market) -> pd.DataFrame:
    """The first 120 bars: UTC stamp and OHLCV, the part every vendor has."""
    return market.frame[["ts", "open", "high", "low", "close", "volume"]].head(120)


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write text to a file of a name and hand back its path."""

    def _write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _write
