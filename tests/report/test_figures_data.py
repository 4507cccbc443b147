"""Messages of the figures about the market and the features."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.report import figures
from mlwb.report._figures_data import _apart

pytestmark = pytest.mark.usefixtures("coarse")

START = 1_735_689_600
TS = START + 60 * np.arange(2 * 1440, dtype=np.int64)
CUTS = {"start": START, "champion_end": START + 80_000, "train_end": START + 86_400,
        "end": START + 2 * 86_400}  # fmt: skip


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (103.2, "EURUSD rose 3.2\u00a0%"),
        (95.0, "EURUSD fell 5.0\u00a0%"),
        (100.0, "EURUSD is unchanged"),
    ],
)
def test_market_says_where_the_price_went(last: float, said: str) -> None:
    """The title follows first and last price, the span and the held-out part."""
    figure = figures.market(TS, np.linspace(100.0, last, len(TS)), cuts=CUTS, symbol="EURUSD")
    assert figure.title == f"{said} over 2.0\u00a0d; the last 1.0\u00a0d are held out"
    assert "2025-01-01 to 2025-01-02 UTC, 2,880 bars" in figure.subtitle


def test_market_with_holes() -> None:
    """Bars without a price do not break the line's message; first and last known price count."""
    mid = np.linspace(100.0, 110.0, len(TS))
    mid[[0, -1]] = np.nan
    mid[500:900] = np.nan
    figure = figures.market(TS, mid, cuts={}, symbol="X")
    assert figure.title == "X rose 10.0\u00a0% over 2.0\u00a0d"
    assert figure.png


def test_distributions_name_the_longest_tail() -> None:
    """By hand: 999 normal values and one at 50; reach is its distance in deviations."""
    rng = np.random.default_rng(1)
    tame, wild = rng.normal(size=1_000), rng.normal(size=1_000)
    wild[0] = 50.0
    figure = figures.distributions(np.column_stack([tame, wild]), ("tame", "wild"), ("1", "1"))
    reach = (50.0 - np.median(wild)) / wild.std()
    assert figure.title.startswith(f"wild reaches furthest, {reach:.0f} standard deviations")


def test_distributions_of_constants_and_gaps() -> None:
    """A constant and an empty column have panels of their own."""
    columns = np.column_stack([np.ones(50), np.full(50, np.nan)])
    figure = figures.distributions(columns, ("bias", "nothing"), ("1", "1"))
    assert figure.title == "No feature varies"
    assert figure.png


def test_no_line_through_a_weekend() -> None:
    """Two days of minutes, two closed days, two days: exactly one hole is made for the line."""
    when = np.concatenate([np.arange(0.0, 2.0, 0.01), np.arange(4.0, 6.0, 0.01)])
    x, low, high = _apart(when, when, when)
    assert len(x) == len(when) + 1
    assert (
        np.flatnonzero(np.isnan(low)).tolist() == np.flatnonzero(np.isnan(high)).tolist() == [200]
    )
    assert _apart(when[:200], when[:200], when[:200])[0].tolist() == when[:200].tolist()
