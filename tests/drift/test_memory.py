"""What days remember: the fit finds it, and its cost is that of a simulated mean."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.core.arrays import Float1D, Int2D
from mlwb.drift._memory import DayMemory, day_memory
from tests.strategies import faded


def days_of(level: Float1D, rng: np.random.Generator) -> Int2D:
    """A thousand rows a day in two cells whose odds follow the level."""
    share = 1.0 / (1.0 + np.exp(-0.5 * level))
    ones = rng.binomial(1_000, share)
    return np.stack([ones, 1_000 - ones], axis=-1)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("n_days", [1, 7, 30])
def test_variance_is_that_of_a_mean_over_days(decay: float, share: float, n_days: int) -> None:
    """Against the correlation matrix itself, summed."""
    apart = np.abs(np.subtract.outer(np.arange(n_days), np.arange(n_days)))
    matrix = np.where(apart == 0, 1.0, share * decay**apart)
    expected = matrix.sum() / n_days
    assert DayMemory(share, decay).variance(n_days) == pytest.approx(expected)


@pytest.mark.parametrize("decay", [0.0, 0.4, 0.8])
def test_inflation_is_the_ratio_that_simulated_days_show(decay: float) -> None:
    """Square of window mean less reference mean, over what days drawn at random would show."""
    rng = np.random.default_rng(0)
    n_days, window = 40, 7
    past = faded(decay, (20_000, n_days), rng)
    future = faded(decay, (20_000, window), rng)
    apart = (future.mean(axis=1) - past.mean(axis=1)) ** 2
    drawn = past.var(axis=1, ddof=1) * (1 / window + 1 / n_days)
    expected = apart.mean() / drawn.mean()
    assert DayMemory(1.0, decay).inflation(window, n_days) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.8])
def test_fit_finds_how_days_fade(decay: float) -> None:
    """Median over sixty references of sixty days: the correlation of neighbours within 0.12."""
    rng = np.random.default_rng(1)
    fits = [day_memory(days_of(row, rng)) for row in faded(decay, (60, 60), rng)]
    assert np.median([fit.share * fit.decay for fit in fits]) == pytest.approx(decay, abs=0.12)


def test_what_belongs_to_one_day_is_told_from_the_level() -> None:
    """Half level, half the day's own: a slow decay that starts low, not a quick one."""
    rng = np.random.default_rng(2)
    level = faded(0.9, (40, 200), rng) + rng.normal(size=(40, 200))
    fits = [day_memory(days_of(row, rng)) for row in level]
    assert np.median([fit.decay for fit in fits]) > 0.75
    assert np.median([fit.share for fit in fits]) < 0.75


def test_days_that_do_not_differ_remember_nothing() -> None:
    """A constant and a clock: nothing to correlate."""
    assert day_memory(np.tile([10, 20, 0], (30, 1))) == DayMemory(0.0, 0.0)
    assert DayMemory(0.0, 0.0).inflation(7, 40) == 1.0


@pytest.mark.parametrize("window", [1, 7, 14])
def test_memory_never_narrows_a_null(window: int) -> None:
    """Whatever the fit, what it costs is at least nothing."""
    for share in (0.0, 0.5, 1.0):
        for decay in (0.0, 0.5, 0.95):
            assert DayMemory(share, decay).inflation(window, 28) >= 1.0
