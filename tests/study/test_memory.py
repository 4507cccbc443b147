"""Autocorrelation on the clock, and what dependent rows are worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.tsa.stattools import acf  # type: ignore[import-untyped]

from mlwb.study import memory, on_grid
from tests.strategies import ar1


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_effective_rows_of_ar1_are_theorys(phi: float) -> None:
    """N (1 - phi) / (1 + phi), on average over 20 series within 15 %."""
    rng = np.random.default_rng(4)
    found = [memory("x", ar1(20_000, phi, rng)).n_effective for _ in range(20)]
    assert np.mean(found) == pytest.approx(20_000 * (1 - phi) / (1 + phi), rel=0.15)


def test_effective_rows_stay_between_one_and_all() -> None:
    """A trend is worth hardly a row, alternation no more than all; NaN is left out."""
    trend = np.arange(1_000.0)
    assert 1.0 <= memory("x", trend).n_effective < 10.0
    assert memory("x", np.tile([1.0, -1.0], 100)).n_effective == 200.0
    assert memory("x", np.ones(30)).n_effective == 30.0
    assert memory("x", np.array([1.0, np.nan])).n_effective == 1.0


def test_autocorrelation_is_statsmodels() -> None:
    """The autocorrelation function of statsmodels at the lags shown, to 1e-10."""
    x = ar1(3_000, 0.95, np.random.default_rng(0))
    found = memory("x", x, lags_s=(60, 300, 3_600))
    expected = acf(x, nlags=60, fft=False)
    np.testing.assert_allclose(found.autocorrelation, expected[[1, 5, 60]], atol=1e-10)
    assert found.n_obs == 3_000


def test_half_life_of_ar1_is_theorys() -> None:
    """Rows ln 2 / -ln phi, on average over 20 series within 15 %."""
    rng, phi = np.random.default_rng(1), 0.95
    found = [memory("x", ar1(20_000, phi, rng)).half_life_s / 60 for _ in range(20)]
    assert np.mean(found) == pytest.approx(math.log(2.0) / -math.log(phi), rel=0.15)


def test_holes_are_time_not_nothing() -> None:
    """A series with a third of its minutes missing has the memory of the whole one.

    With the holes closed up it would look shorter.
    """
    rng = np.random.default_rng(2)
    ts = np.flatnonzero(rng.random(60_000) < 2 / 3) * 60
    whole = ar1(60_000, 0.98, rng)
    kept = whole[ts // 60]
    (spread,) = on_grid(ts, kept)
    assert len(spread) == (ts[-1] - ts[0]) // 60 + 1
    honest, closed = memory("x", spread).half_life_s, memory("x", kept).half_life_s
    assert honest == pytest.approx(memory("x", whole).half_life_s, rel=0.1)
    assert closed < 0.8 * honest


def test_series_without_memory_to_measure() -> None:
    """A constant, nothing at all, and a lag longer than the series: no number is made up."""
    flat = memory("bias", np.ones(500))
    assert math.isnan(flat.half_life_s)
    assert all(math.isnan(value) for value in flat.autocorrelation)
    assert flat.n_effective == 500.0
    assert memory("x", np.full(9, np.nan)).n_obs == 0
    short = memory("x", ar1(100, 0.5, np.random.default_rng(3)))
    assert [math.isfinite(value) for value in short.autocorrelation] == [True] * 4 + [False] * 2
