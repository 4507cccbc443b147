"""Means of bounded outcomes against limits, by betting: valid at every look and every stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mlwb.core.arrays import AnyArray, Bool1D, Float1D, Float2D, FloatArray
from mlwb.core.errors import ArtifactError, DataSchemaError
from mlwb.stats._e_value import LOG_MAX

__all__ = ["MeanBets"]

BETS_SCHEMA = "mlwb.mean-bets/1"
_SHARE = 0.75
"""Largest part of the wealth that one outcome may take (Waudby-Smith and Ramdas, section 4)."""
_FIXED = np.geomspace(0.01, 0.3, 5)
"""Parts of the wealth that the gamblers with fixed bets stake on a mean above the limit."""
_LOG_WEIGHTS = np.log([0.5, *[0.1] * 5])
_CELLS = 1 << 18
"""Numbers worked on at once, so that long logs need no more memory than short ones."""


@dataclass(frozen=True)
class MeanBets:
    """Bets that the mean of outcomes in [0, 1] is below, and above, each of some limits.

    Below a limit m the wealth is ``prod(1 + b_t (m - x_t))``, above ``prod(1 + b_t (x_t - m))``,
    where every bet ``b_t`` is made before ``x_t`` is seen. If the mean of each outcome given the
    past is at least (at most) m, that wealth ever reaches ``1 / level`` with probability ``level``
    at most, however often it is looked at and whatever the outcomes remember. A value of fixed
    size: :meth:`update` gives the next one.

    Parameters
    ----------
    limits : ndarray of shape (n_limits,), float64
        In (0, 1), increasing.
    n_obs : int
        Outcomes taken.
    total, squares : float
        Their sum and the sum of their squares.
    below : ndarray of shape (n_limits,), float64
        Log wealth on a mean below.
    above : ndarray of shape (n_limits, 6), float64
        Log wealth on a mean above, of the gambler who learns and of five with fixed bets; half of
        the first unit goes to the one, a tenth to each of the others. One rare event says more than
        one absence of it, and who learns has staked nothing yet when the first ones come.
    highest_below, highest_above : ndarray of shape (n_limits,), float64
        The highest log wealth of either side, all gamblers together.

    Notes
    -----
    The gambler who learns stakes ``(m - mean) / (variance + (m - mean)^2)`` of the outcomes so far
    (GRAPA, approximate), with one imagined outcome of mean m before the first.

    References
    ----------
    .. [1] Waudby-Smith and Ramdas (2024). Estimating means of bounded random variables by betting.
       JRSS B 86.

    Examples
    --------
    >>> bets = MeanBets.start([0.01])
    >>> [bool(bets.update(np.zeros(n)).certified(0.05)[0]) for n in (397, 398)]
    [False, True]
    """

    limits: Float1D
    n_obs: int
    total: float
    squares: float
    below: Float1D
    above: Float2D
    highest_below: Float1D
    highest_above: Float1D

    @classmethod
    def start(cls, limits: AnyArray | list[float]) -> MeanBets:
        """Begin with one unit on either side of each limit.

        Parameters
        ----------
        limits : array_like of shape (n_limits,)
            In (0, 1), increasing. One for a test; an even grid for an :meth:`interval`.

        Returns
        -------
        MeanBets

        Raises
        ------
        DataSchemaError
            No limits, or not increasing inside (0, 1).
        """
        grid = np.asarray(limits, dtype=np.float64)
        if grid.ndim != 1 or not _is_grid(grid):
            raise DataSchemaError(
                "no limits to bet on", expected="increasing, inside (0, 1)", got=str(grid[:5])
            )
        none = np.zeros(len(grid))
        return cls(grid, 0, 0.0, 0.0, none, np.zeros((len(grid), 1 + len(_FIXED))), none, none)

    def update(self, outcomes: Float1D) -> MeanBets:
        """Take more outcomes, in the order in which they came.

        Parameters
        ----------
        outcomes : ndarray of shape (n_new,), float64
            In [0, 1]: events as 0 and 1, or losses with a bound. May be empty.

        Returns
        -------
        MeanBets
            Bit for bit the same however the outcomes are cut into updates.

        Raises
        ------
        DataSchemaError
            An outcome is NaN or outside [0, 1].
        """
        values = _checked(outcomes)
        state, step = self, max(1, _CELLS // (len(self.limits) * (1 + len(_FIXED))))
        for first in range(0, len(values), step):
            state, *_ = _after(state, values[first : first + step])
        return state

    def walk(self, outcomes: Float1D) -> tuple[Float2D, Float2D]:
        """Log wealth after each of some more outcomes: on a mean below each limit, and above.

        Parameters
        ----------
        outcomes : ndarray of shape (n_new,), float64
            As for :meth:`update`; not so many that the paths do not fit into memory.

        Returns
        -------
        below, above : ndarray of shape (n_new, n_limits)
            Natural logarithms; above, of all gamblers together.

        Raises
        ------
        DataSchemaError
            As for :meth:`update`.
        """
        values = _checked(outcomes)
        if not len(values):
            return np.empty((0, len(self.limits))), np.empty((0, len(self.limits)))
        return _after(self, values)[1:]

    @property
    def e_below(self) -> Float1D:
        """Wealth now on a mean below each limit; evidence against a mean at or above it."""
        return np.asarray(np.exp(np.minimum(self.below, LOG_MAX)))

    @property
    def e_above(self) -> Float1D:
        """Wealth now on a mean above each limit; evidence against a mean at or below it."""
        return np.asarray(np.exp(np.minimum(_pooled(self.above), LOG_MAX)))

    def certified(self, level: float = 0.05) -> Bool1D:
        """Limits below which the mean has been shown to be, at any look so far."""
        return np.asarray(self.highest_below >= -math.log(level))

    def refuted(self, level: float = 0.05) -> Bool1D:
        """Limits above which the mean has been shown to be, at any look so far."""
        return np.asarray(self.highest_above >= -math.log(level))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence sequence of the mean: it covers at all times at once.

        Parameters
        ----------
        level : float, default=0.95
            Coverage, in (0, 1).

        Returns
        -------
        tuple of float
            The highest limit with all limits up to it refuted, else 0; the lowest with all from it
            on certified, else 1: never narrower for a coarser grid.
        """
        tail = (1.0 - level) / 2.0
        n_low = int(np.logical_and.accumulate(self.refuted(tail)).sum())
        n_high = int(np.logical_and.accumulate(self.certified(tail)[::-1]).sum())
        low = float(self.limits[n_low - 1]) if n_low else 0.0
        return low, float(self.limits[-n_high]) if n_high else 1.0

    def to_json(self) -> dict[str, Any]:
        """Plain form; with :meth:`from_json` the bets go on, bit for bit."""
        return {"schema": BETS_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> MeanBets:
        """Inverse of :meth:`to_json`, also after a canonical JSON round trip.

        Raises
        ------
        ArtifactError
            Not a state of this schema, or its parts do not fit.
        """
        if stored.get("schema") != BETS_SCHEMA:
            raise ArtifactError("not a state of bets", expected=BETS_SCHEMA)
        try:
            arrays = {key: np.asarray(stored[key], dtype=np.float64) for key in _ARRAYS}
            sums = float(stored["total"]), float(stored["squares"])
            state = cls(arrays["limits"], int(stored["n_obs"]), *sums, *list(arrays.values())[1:])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ArtifactError(f"not a state of bets: {error}") from error
        shapes = {key: getattr(cls.start([0.5]), key).shape[1:] for key in _ARRAYS}
        fits = all(
            array.shape == (len(state.limits), *shapes[key]) and bool(np.isfinite(array).all())
            for key, array in arrays.items()
        )
        if not fits or not _is_grid(state.limits) or not 0 <= state.total <= state.n_obs:
            raise ArtifactError("the parts of a state of bets do not fit")
        return state


_ARRAYS = ("limits", "below", "above", "highest_below", "highest_above")


def _checked(outcomes: Float1D) -> Float1D:
    values = np.asarray(outcomes, dtype=np.float64)
    if values.ndim != 1 or not bool(((values >= 0.0) & (values <= 1.0)).all()):
        raise DataSchemaError("outcomes cannot be bet on", expected="one row in [0, 1]")
    return values


def _is_grid(limits: Float1D) -> bool:
    inside = bool(((limits > 0.0) & (limits < 1.0)).all())
    return len(limits) > 0 and inside and bool((np.diff(limits) > 0.0).all())


def _after(state: MeanBets, x: Float1D) -> tuple[MeanBets, Float2D, Float2D]:
    """One stretch of outcomes; running sums go on from the last, so that cuts leave no trace."""
    m, gain = state.limits, x[:, None] - state.limits
    total = np.cumsum(np.concatenate([[state.total], x]))
    squares = np.cumsum(np.concatenate([[state.squares], x * x]))
    bet = _learnt(state, total[:-1, None], squares[:-1, None])
    down = np.minimum(np.maximum(-bet, 0.0), _SHARE / (1.0 - m))
    up = np.minimum(np.maximum(bet, 0.0), _SHARE / m)
    below = _running(state.below, np.log1p(-down * gain))
    stakes = np.concatenate(
        [up[:, :, None], np.broadcast_to(_FIXED / m[:, None], (*gain.shape, len(_FIXED)))], axis=2
    )
    each = _running(state.above, np.log1p(stakes * gain[:, :, None]))
    above = _pooled(each)
    after = MeanBets(
        m,
        state.n_obs + len(x),
        float(total[-1]),
        float(squares[-1]),
        below[-1],
        each[-1],
        np.maximum(state.highest_below, below.max(axis=0)),
        np.maximum(state.highest_above, above.max(axis=0)),
    )
    return after, below, above


def _learnt(state: MeanBets, total: Float2D, squares: Float2D) -> Float2D:
    """Signed bet before each outcome, positive for a mean above; shape (n_new, n_limits)."""
    seen = 1.0 + state.n_obs + np.arange(len(total))[:, None]
    mean, second = (total + state.limits) / seen, (squares + state.limits) / seen
    gap = mean - state.limits
    return np.asarray(gap / np.maximum(second - mean * mean + gap * gap, 1e-12))


def _running(start: FloatArray, steps: FloatArray) -> FloatArray:
    return np.asarray(np.cumsum(np.concatenate([start[None], steps]), axis=0)[1:])


def _pooled(above: FloatArray) -> FloatArray:
    """Log wealth of all gamblers together, over the last axis."""
    return np.asarray(np.logaddexp.reduce(above + _LOG_WEIGHTS, axis=-1))
