"""Whether the best of several candidates beats the baseline, given that it was picked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, Float2D
from mlwb.core.errors import EmptyWindowError

__all__ = ["Superiority", "superior"]

_SLICE = 1 << 17
"""Blocks picked at once."""


@dataclass(frozen=True)
class Superiority:
    """Candidates against one baseline, all at once.

    Parameters
    ----------
    p_value : float
        Of the best candidate, by Hansen's consistent test of superior predictive ability: the
        null is that no candidate is better than the baseline.
    p_lower, p_upper : float
        The same with hopeless candidates left out or counted in full (White's reality check);
        they bracket ``p_value``.
    winners : tuple of int
        Columns that beat the baseline by Romano and Wolf's step-down at ``level``: the chance of
        naming any that does not is at most ``level``.
    statistics : ndarray of shape (n_candidates,), float64
        Mean gain over its standard error.
    """

    p_value: float
    p_lower: float
    p_upper: float
    winners: tuple[int, ...]
    statistics: Float1D


def superior(
    gains: Float2D, *, block: int, n_resamples: int, seed: int, level: float = 0.10
) -> Superiority:
    """Test the candidates' gains over a baseline together, rows resampled in common blocks.

    Parameters
    ----------
    gains : ndarray of shape (n_obs, n_candidates), float64
        Candidate's score minus the baseline's, row by row in time order, finite; positive is
        better.
    block : int
        Rows a block of the circular bootstrap, at least the overlap of labels.
    n_resamples, seed : int
        Of the bootstrap; the result is a function of the seed.
    level : float, default=0.10
        Family-wise error of ``winners``.

    Returns
    -------
    Superiority

    Raises
    ------
    EmptyWindowError
        No rows, no candidates, a value that is not finite, or gains that never vary.

    Notes
    -----
    Statistics are studentised by the bootstrap's own standard errors, as the papers ask, so a
    noisy candidate does not hide a steady one. p values carry the +1 of Phipson and Smyth.

    References
    ----------
    .. [1] Hansen (2005), A test for superior predictive ability, J. of Business and Economic
       Statistics 23(4).
    .. [2] Romano and Wolf (2005), Stepwise multiple testing as formalized data snooping,
       Econometrica 73(4).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> gains = rng.normal(size=(600, 4)) + [0.0, -0.1, 0.0, 0.25]
    >>> found = superior(gains, block=5, n_resamples=499, seed=1)
    >>> found.p_value, found.winners
    (0.002, (3,))
    """
    if gains.size == 0 or not np.isfinite(gains).all():
        raise EmptyWindowError("nothing to compare", expected="finite rows", got=str(gains.shape))
    mean = gains.mean(axis=0)
    drawn = _joint_means(gains, block, n_resamples, rng=np.random.default_rng(seed))
    error = np.sqrt(np.square(drawn - mean).mean(axis=0))
    if not (error > 0.0).all():
        raise EmptyWindowError("a candidate's gain never varies", expected="rows that differ")
    statistics = mean / error
    noise = (drawn - mean) / error
    hopeless = statistics < -math.sqrt(2.0 * math.log(math.log(max(len(gains), 16))))
    centres = (np.maximum(statistics, 0.0), np.where(hopeless, 0.0, statistics), statistics)
    highest = max(0.0, float(statistics.max()))
    lower, consistent, upper = (
        _p_value(noise + statistics - centre, highest) for centre in centres
    )
    return Superiority(consistent, lower, upper, _step_down(statistics, noise, level), statistics)


def _p_value(null: Float2D, highest: float) -> float:
    reached = int((np.maximum(null.max(axis=1), 0.0) >= highest).sum())
    return (1 + reached) / (len(null) + 1)


def _step_down(statistics: Float1D, noise: Float2D, level: float) -> tuple[int, ...]:
    """Reject what exceeds the quantile of the largest remaining noise, until nothing does."""
    left: Bool1D = np.ones(len(statistics), dtype=np.bool_)
    while left.any():
        bound = float(np.quantile(noise[:, left].max(axis=1), 1.0 - level, method="higher"))
        rejected = left & (statistics > bound)
        if not rejected.any():
            break
        left &= ~rejected
    return tuple(np.flatnonzero(~left).tolist())


def _joint_means(
    gains: Float2D, block: int, n_resamples: int, *, rng: np.random.Generator
) -> Float2D:
    """Means of circular block resamples, the same rows for every candidate."""
    n = len(gains)
    block = min(block, n)
    n_blocks, rest = divmod(n, block)
    prefix = np.concatenate([np.zeros((1, gains.shape[1])), np.vstack([gains, gains[:block]])])
    prefix = np.cumsum(prefix, axis=0)
    sums = prefix[block : block + n] - prefix[:n]
    out = np.empty((n_resamples, gains.shape[1]))
    step = max(1, _SLICE // n_blocks)
    for first in range(0, n_resamples, step):
        rows = out[first : first + step]
        rows[:] = sums[rng.integers(0, n, size=(len(rows), n_blocks))].sum(axis=1)
    cut = rng.integers(0, n, size=n_resamples)
    return np.asarray((out + prefix[cut + rest] - prefix[cut]) / n, dtype=np.float64)
