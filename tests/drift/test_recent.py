"""Against the window before: what moves now shows, what moved long ago does not."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import FeatureReference, count_blocks, fit_feature_reference
from mlwb.drift.recent import Recent, against_previous

DAY, WIDTH = 1440, 4


def days(n: int, first: int = 0) -> Int1D:
    """Unix seconds of every minute of some days."""
    return np.asarray(60 * np.arange(first * DAY, (first + n) * DAY), dtype=np.int64)


def frozen(values: Float1D) -> FeatureReference:
    """A reference of whole days from day 0."""
    return fit_feature_reference("x", values, days(len(values) // DAY))


def recent(reference: FeatureReference, values: Float1D, first: int) -> Recent | None:
    """Days that follow the reference."""
    ts = days(len(values) // DAY, first)
    return against_previous(reference, count_blocks(reference.bins.edges, values, ts))


def test_what_moved_long_ago_is_not_moving() -> None:
    """A shift in the middle of the reference is far from its mean and close to its end."""
    rng = np.random.default_rng(3)
    level = np.where(np.arange(30 * DAY) < 15 * DAY, 0.0, 1.0)
    values = rng.normal(size=30 * DAY) + level
    still = recent(frozen(values), rng.normal(1.0, 1.0, WIDTH * DAY), 30)
    assert still is not None
    assert still.psi.value < 0.01
    assert still.p_value is not None
    assert still.p_value > 0.1


def test_what_moves_now_shows() -> None:
    """A shift that begins with the window is beyond every pair of neighbouring windows."""
    rng = np.random.default_rng(4)
    moving = recent(frozen(rng.normal(size=30 * DAY)), rng.normal(0.5, 1.0, WIDTH * DAY), 30)
    assert moving is not None
    assert moving.p_value is not None
    assert moving.p_value < 0.001


def test_the_window_before_is_as_long_as_the_window() -> None:
    """Only the last days of the reference count; the null holds all neighbouring pairs."""
    rng = np.random.default_rng(5)
    found = recent(frozen(rng.normal(size=20 * DAY)), rng.normal(size=WIDTH * DAY), 20)
    assert found is not None
    assert (found.psi.n_ref, found.psi.n_obs) == (WIDTH * DAY, WIDTH * DAY)
    assert found.null is not None
    assert len(found.null.scores) == 20 - 2 * WIDTH + 1


@pytest.mark.parametrize(
    ("n_days", "has_value", "has_null"),
    [(3, False, False), (4, True, False), (11, True, False), (12, True, True)],
)
def test_a_short_reference_says_so(n_days: int, *, has_value: bool, has_null: bool) -> None:
    """No window before, or too few neighbouring pairs: no number, or no p value."""
    rng = np.random.default_rng(6)
    reference = frozen(rng.normal(size=n_days * DAY))
    found = recent(reference, rng.normal(size=WIDTH * DAY), n_days)
    assert (found is not None) == has_value
    if found is not None:
        assert (found.p_value is not None) == has_null


def test_an_empty_window_is_refused() -> None:
    """No rows are no window."""
    reference = frozen(np.random.default_rng(7).normal(size=5 * DAY))
    with pytest.raises(EmptyWindowError):
        recent(reference, np.asarray([], dtype=np.float64), 5)


@pytest.mark.slow
def test_p_values_keep_their_rate_where_minutes_remember() -> None:
    """Of 120 unchanged markets with a half-life of 23 minutes, one in twenty is below 0.05."""
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(120):
        noise = rng.normal(size=(24 + WIDTH) * 96)  # quarter hours: as dependent, 15 times shorter
        values = np.empty_like(noise)
        state = 0.0
        for i, shock in enumerate(noise.tolist()):
            state = 0.64 * state + shock
            values[i] = state
        ts = 900 * np.arange(len(values), dtype=np.int64)
        cut = 24 * 96
        reference = fit_feature_reference("x", values[:cut], ts[:cut])
        blocks = count_blocks(reference.bins.edges, values[cut:], ts[cut:])
        found = against_previous(reference, blocks)
        assert found is not None
        assert found.p_value is not None
        hits += found.p_value <= 0.05
    assert hits <= 14
