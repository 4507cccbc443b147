"""The null of a window: what it is made of, the law that it follows, and the rates it keeps."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from mlwb.core.arrays import Float2D, Int2D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import bin_counts, fit_reference, psi_of_counts
from mlwb.drift._memory import day_memory
from mlwb.drift.calibration import BlockNull, block_counts, block_null
from tests.strategies import faded

DAY = 288
K = 40


def paths(phi: float, *, n_days: int, n_paths: int, seed: int) -> Float2D:
    """Stationary AR(1) paths side by side, shape (n_paths, n_days * DAY), unit variance."""
    return faded(phi, (n_paths, n_days * DAY), np.random.default_rng(seed))


def levels(decay: float, *, n_days: int, n_paths: int, seed: int) -> Float2D:
    """Noise whose volatility has a level that fades from day to day, sd 0.3 in logs."""
    rng = np.random.default_rng(seed)
    level = 0.3 * faded(decay, (n_paths, n_days), rng)
    noise = rng.normal(size=(n_paths, n_days * DAY))
    return np.asarray(np.exp(np.repeat(level, DAY, axis=1)) * noise)


def judged(
    found: Float2D, window: int, *, shift: float = 0.0
) -> list[tuple[float, BlockNull, Int2D]]:
    """PSI of the days after the reference with its null and the reference's days, by path."""
    out = []
    for path in found:
        reference = fit_reference("x", path[: K * DAY])
        days = np.repeat(np.arange(K), DAY)
        counts = np.array(block_counts(reference.edges, path[: K * DAY], days))
        current = bin_counts(reference.edges, path[K * DAY : (K + window) * DAY] + shift)
        null = block_null("x", counts, window_blocks=window)
        out.append((psi_of_counts("x", reference.counts, current).value, null, counts))
    return out


def alarms(found: list[tuple[float, BlockNull, Int2D]], level: float) -> float:
    """Share of paths with a p value up to the level."""
    return float(np.mean([null.p_value(value) <= level for value, null, _ in found]))


def test_windows_of_a_block_are_each_block_against_the_rest() -> None:
    """Every block once, computed here one by one, times what the days remember."""
    counts = np.random.default_rng(5).integers(5, 60, (9, 7))
    null = block_null("x", counts, window_blocks=1)
    total = counts.sum(axis=0)
    plain = [psi_of_counts("x", total - day, day).value for day in counts]
    memory = day_memory(counts).inflation(1, 9)
    np.testing.assert_allclose(null.scores, np.array(plain) * (1 - 1 / 81) * memory, rtol=1e-12)
    assert (null.window_blocks, null.n_blocks, null.memory) == (1, 9, memory)


def test_longer_windows_are_blocks_drawn_at_random() -> None:
    """Each score is one of the 84 ways to draw three of nine, and their mean is near all's."""
    counts = np.random.default_rng(6).integers(5, 60, (9, 7))
    null = block_null("x", counts, window_blocks=3)
    total = counts.sum(axis=0)
    sums = [counts[list(chosen)].sum(axis=0) for chosen in combinations(range(9), 3)]
    every = np.array([psi_of_counts("x", total - window, window).value for window in sums])
    every *= (1 - (3 / 9) ** 2) * null.memory
    assert len(null.scores) == 400
    assert all(np.isclose(every, score, rtol=1e-12).any() for score in null.scores)
    assert null.mean == pytest.approx(every.mean(), rel=0.05)
    again = block_null("y", counts, window_blocks=3)
    np.testing.assert_array_equal(again.scores, null.scores)


@pytest.mark.parametrize(("blocks", "window"), [(4, 1), (5, 3), (11, 6), (0, 1)])
def test_too_short_a_reference_has_no_null(blocks: int, window: int) -> None:
    """Fewer than five blocks, or no remainder as long as a window, is an error, not a guess."""
    with pytest.raises(EmptyWindowError, match="too short"):
        block_null("x", [np.array([1, 1])] * blocks, window_blocks=window)


def test_the_law_is_f_with_the_moments_of_the_scores() -> None:
    """Mean and degrees from the scores; p value, quantile and limit are scipy's F."""
    scores = np.random.default_rng(1).chisquare(6, 400) * 0.02
    null = BlockNull(scores, 7, 40)
    h = 2.0 * scores.mean() ** 2 / scores.var(ddof=1)
    law = stats.f(h, 39 * h, scale=scores.mean())
    assert null.degrees == pytest.approx(h)
    assert null.scale * null.degrees == pytest.approx(null.mean)
    assert null.limit95 == pytest.approx(law.ppf(0.95))
    for value in (0.0, 0.05, 0.3, 2.0):
        assert null.p_value(value) == pytest.approx(law.sf(value))
    assert null.p_value(null.quantile(0.99)) == pytest.approx(0.01)


def test_a_short_reference_asks_for_more() -> None:
    """The same scores from fewer blocks are less sure of their scale: a higher limit."""
    scores = np.random.default_rng(1).chisquare(6, 400) * 0.02
    limits = [BlockNull(scores, 1, n).limit95 for n in (5, 10, 20, 40, 10**6)]
    assert (np.diff(limits) < 0.0).all()
    assert limits[-1] == pytest.approx(np.quantile(scores, 0.95), rel=0.1)


@pytest.mark.parametrize("scores", [np.zeros(20), np.full(20, 0.25)])
def test_a_null_without_spread_is_a_step(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    """All that chance gives is one number: above it a change is certain, below it there is none."""
    null = BlockNull(scores, 1, 20)
    assert null.p_value(float(scores[0]) * 1.1 + 1e-6) < 1e-6
    assert null.p_value(float(scores[0]) * 0.9) > 0.999
    assert null.limit95 == pytest.approx(float(scores[0]), rel=0.01)


def test_disjoint_windows_are_counted() -> None:
    """Twenty days hold four windows of five days, and two of seven."""
    assert BlockNull(np.ones(400), 5, 20).n_disjoint == 4
    assert BlockNull(np.ones(400), 7, 20).n_disjoint == 2


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 7, 14])
@pytest.mark.parametrize("phi", [0.0, 0.9, 0.97])
def test_false_alarms_without_drift_are_about_nominal(phi: float, window: int) -> None:
    """AR(1), 120 paths: at most 10 % alarms at nominal 5 %, at most 5 % at nominal 1 %."""
    found = judged(paths(phi, n_days=K + window, n_paths=120, seed=1), window)
    assert alarms(found, 0.05) <= 0.10
    assert alarms(found, 0.01) <= 0.05


def test_days_that_share_a_level_are_counted_for_less() -> None:
    """Volatility that lingers: without what days remember, a week would alarm far too often."""
    found = judged(levels(0.66, n_days=K + 7, n_paths=120, seed=2), 7)
    forgetful = [
        BlockNull(null.scores / null.memory, 7, K).p_value(value) <= 0.05
        for value, null, _ in found
    ]
    assert np.mean(forgetful) > 0.2
    assert alarms(found, 0.05) <= 0.12


def test_p_values_without_drift_are_uniform() -> None:
    """AR(1) without drift: a Kolmogorov-Smirnov distance of at most 0.15 to the uniform."""
    found = judged(paths(0.9, n_days=K + 1, n_paths=150, seed=1), 1)
    p_values = [null.p_value(value) for value, null, _ in found]
    assert stats.kstest(p_values, "uniform").statistic < 0.15


def test_independent_rows_formula_would_alarm_always() -> None:
    """Why the null is needed: the chi-square of independent rows alarms in most paths."""
    found = judged(paths(0.97, n_days=K + 1, n_paths=60, seed=3), 1)
    scale = 1 / (K * DAY) + 1 / DAY
    assert np.mean([stats.chi2.sf(value / scale, 9) <= 0.05 for value, _, _ in found]) > 0.8


def test_real_shift_is_found() -> None:
    """A shift of one sd in persistent data is beyond its null in most paths."""
    found = judged(paths(0.9, n_days=K + 1, n_paths=60, seed=4), 1, shift=1.0)
    assert alarms(found, 0.05) > 0.8
