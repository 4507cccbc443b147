"""Two tests with opposite nulls on series whose nature is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.tsa.stattools import adfuller, kpss  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D
from mlwb.study import stationarity
from tests.strategies import ar1

RNG = np.random.default_rng
NOISE = RNG(0).normal(size=2_000)


@pytest.mark.parametrize(
    ("series", "verdict"),
    [
        (NOISE, "stationary"),
        (ar1(3_000, 0.7, RNG(1)), "stationary"),
        (np.cumsum(NOISE), "unit root"),
        (np.cumsum(RNG(2).normal(size=60)), "inconclusive"),
        (np.where(np.arange(2_000) < 1_000, 0.0, 1.5) + NOISE, "conflict"),
        (np.arange(500.0), "deterministic"),
        (np.sin(np.arange(5_000) * 2.0 * math.pi / 1_440.0), "deterministic"),
        (np.ones(500), "constant"),
        (NOISE[:49], "constant"),
        (np.full(500, np.nan), "constant"),
    ],
    ids=[
        "noise", "ar1", "walk", "short walk", "level shift", "line", "time of day", "flat", "few",
        "nan",
    ],
)  # fmt: skip
def test_verdict_fits_the_series(series: Float1D, verdict: str) -> None:
    """Each of the six verdicts on a series made for it."""
    assert stationarity("x", series).verdict == verdict


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
