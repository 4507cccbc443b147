"""Two tests with opposite nulls on series whose nature is known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from statsmodels.tsa.stattools import adfuller, kpss  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D
from mlwb.study import stationarity
from tests.strategies import ar1

RNG = np.random.default_rng
NOISE = RNG(0).normal(size=2_000)


KINDS: dict[str, tuple[Callable[[int], Float1D], str]] = {
    "white noise": (lambda i: RNG(i).normal(size=600), "stationary"),
    "ar1": (lambda i: ar1(600, 0.7, RNG(i)), "stationary"),
    "random walk": (lambda i: RNG(i).normal(size=600).cumsum(), "unit root"),
    "trend": (lambda i: RNG(i).normal(size=600) + 0.01 * np.arange(600), "unit root"),
    "level shift": (lambda i: RNG(i).normal(size=900) + 0.5 * (np.arange(900) > 450), "conflict"),
    "down and up": (
        lambda i: RNG(i).normal(size=120) + np.abs(np.arange(120) - 60) / 4,
        "inconclusive",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_four_way_verdict_fits_the_series(kind: str) -> None:
    """Of twelve series made for each verdict at least eight get it."""
    make, verdict = KINDS[kind]
    found = Counter(stationarity("x", make(i)).verdict for i in range(12))
    assert found[verdict] >= 8


@pytest.mark.parametrize(
    ("series", "verdict"),
    [
        (np.arange(500.0), "deterministic"),
        (np.sin(np.arange(5_000) * 2.0 * math.pi / 1_440.0), "deterministic"),
        (np.ones(500), "constant"),
        (NOISE[:95], "too short"),
        (np.full(500, np.nan), "too short"),
    ],
    ids=["line", "time of day", "flat", "few", "nan"],
)
def test_series_that_cannot_be_tested_say_so(series: Float1D, verdict: str) -> None:
    """No p value is made up for a constant or for what its own past explains wholly."""
    found = stationarity("x", series)
    assert found.verdict == verdict
    assert math.isnan(found.adf_p)
    assert math.isnan(found.kpss_p)


@pytest.mark.parametrize("series", [NOISE[:800], np.cumsum(NOISE[:800]), ar1(800, 0.9, RNG(3))])
@pytest.mark.filterwarnings("ignore")  # statsmodels: clipped p values, a return type to change
def test_p_values_are_statsmodels(series: Float1D) -> None:
    """Both p values equal those of statsmodels with the same lag rules (KPSS where not clipped)."""
    found = stationarity("x", series)
    adf = adfuller(series, maxlag=24, regression="c", autolag="AIC")[1]
    assert found.adf_p == pytest.approx(adf, rel=0.05, abs=1e-6)
    clipped = kpss(series, regression="c", nlags="auto")[1]
    assert min(max(found.kpss_p, 0.01), 0.1) == pytest.approx(clipped, abs=0.01)


def test_missing_values_are_left_out() -> None:
    """NaN changes nothing but is not counted."""
    holey = np.insert(NOISE, [5, 900, 1_999], np.nan)
    assert stationarity("x", holey) == stationarity("x", NOISE)
    assert stationarity("x", NOISE).n_obs == 2_000


def test_only_the_last_week_is_tested() -> None:
    """Rows before the last 10,080 do not count, whatever they hold."""
    long = RNG(5).normal(size=11_000)
    other = long.copy()
    other[:900] = 1e6
    assert stationarity("x", other) == stationarity("x", long)
    assert stationarity("x", long).n_obs == 10_080
