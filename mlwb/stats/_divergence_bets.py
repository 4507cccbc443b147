"""Evidence that two paired outcomes are distributed differently, by more than a limit of PSI."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mlwb.core.arrays import AnyArray, Float1D, Float2D, Int1D
from mlwb.core.errors import DataSchemaError
from mlwb.stats._betting import MeanBets

__all__ = ["DivergenceBets"]

_RATIO = 4.0
"""Shares of a cell are taken to differ by this factor at most: it bounds what one pair can say."""
_HIGH = 2.0 * (1.0 + math.log(_RATIO) - 1.0 / _RATIO)
_LOW = 2.0 * (1.0 - math.log(_RATIO) - _RATIO)
_ONE = 3.0
"""Imagined outcomes of each cell before the first."""


@dataclass(frozen=True)
class DivergenceBets:
    """Bets that the PSI of two paired outcomes is above a limit, looked at as often as one likes.

    Each cell's part of the PSI, ``(q - p) ln(q / p)``, is convex and of degree one in the two
    shares, so its tangent at any other two shares with ratio t lies below it:

        (q - p) ln(q / p) >= p (1 - t - ln t) + q (1 - 1 / t + ln t)

    Summed over the cells, the right side is the mean of a bounded outcome: what a pair that fell
    into the cells i and j adds is ``1 - t_i - ln t_i + 1 - 1 / t_j + ln t_j``. With ratios that
    only the past decides, "the PSI is at most the limit" makes the mean of each such outcome,
    given the past, at most the limit: a hypothesis that :class:`MeanBets` bets against. The two
    outcomes of a pair may depend on one another, and their common distribution may wander.

    Parameters
    ----------
    limit : float
        PSI, nats, > 0.
    counts : ndarray of shape (2, n_cells), float64
        Outcomes so far, by cell, of the first and of the second.
    bets : MeanBets
        On the outcomes made of them.

    References
    ----------
    .. [1] Waudby-Smith and Ramdas (2024). Estimating means of bounded random variables by betting.
       JRSS B 86.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = rng.integers(0, 10, 400)
    >>> [DivergenceBets.start(0.25, 10).update(first, second).log_evidence > math.log(20)
    ...  for second in (first, np.maximum(first, 3))]
    [False, True]
    """

    limit: float
    counts: Float2D
    bets: MeanBets

    @classmethod
    def start(cls, limit: float, n_cells: int) -> DivergenceBets:
        """Begin with one unit.

        Raises
        ------
        DataSchemaError
            The limit is not inside what one pair can say, or there are fewer than two cells.
        """
        if not 0.0 < limit < _HIGH or n_cells < 2:
            expected = f"a limit in (0, {_HIGH:.1f}) and two cells or more"
            raise DataSchemaError("no PSI to bet on", expected=expected, got=f"{limit}, {n_cells}")
        bets = MeanBets.start([(limit - _LOW) / (_HIGH - _LOW)])
        return cls(limit, np.zeros((2, n_cells)), bets)

    def update(self, first: Int1D, second: Int1D) -> DivergenceBets:
        """Take more pairs, in the order in which they came.

        Parameters
        ----------
        first, second : ndarray of shape (n_new,), int64
            Cells, from 0. May be empty.

        Returns
        -------
        DivergenceBets
            The same however the pairs are cut into updates.

        Raises
        ------
        DataSchemaError
            Not as many of the one as of the other, or a cell that there is not.
        """
        outcomes = self._outcomes(first, second)
        n_cells = self.counts.shape[1]
        new = [np.bincount(side, minlength=n_cells) for side in (first, second)]
        return replace(self, counts=self.counts + new, bets=self.bets.update(outcomes))

    def walk(self, first: Int1D, second: Int1D) -> Float1D:
        """Log evidence after each of some more pairs, shape (n_new,)."""
        return np.asarray(self.bets.walk(self._outcomes(first, second))[1][:, 0])

    @property
    def n_obs(self) -> int:
        """Pairs so far."""
        return self.bets.n_obs

    @property
    def value(self) -> float:
        """The plain PSI of all pairs, half a row added to every cell; NaN before the first."""
        if not self.n_obs:
            return math.nan
        p, q = (side / side.sum() for side in self.counts + 0.5)
        return float(((q - p) * np.log(q / p)).sum())

    @property
    def log_evidence(self) -> float:
        """Logarithm of the wealth now: evidence against a PSI at or below the limit."""
        return math.log(self.bets.e_above[0])

    def _outcomes(self, first: Int1D, second: Int1D) -> Float1D:
        """What each pair says, moved into [0, 1]."""
        n_cells = self.counts.shape[1]
        _check(first, second, n_cells)
        before = [_before(side, n_cells) for side in (first, second)]
        row = np.arange(len(first))
        old, new = (seen + start + _ONE for seen, start in zip(before, self.counts, strict=True))
        ratio = np.clip(new / old, 1.0 / _RATIO, _RATIO)
        mine, its = ratio[row, first], ratio[row, second]
        said = 2.0 - mine - np.log(mine) - 1.0 / its + np.log(its)
        return np.asarray(np.clip((said - _LOW) / (_HIGH - _LOW), 0.0, 1.0))


def _before(cells: Int1D, n_cells: int) -> Float2D:
    """How often each cell came before each outcome, shape (n_new, n_cells)."""
    came = np.zeros((len(cells) + 1, n_cells))
    came[np.arange(1, len(cells) + 1), cells] = 1.0
    return np.asarray(np.cumsum(came, axis=0)[:-1])


def _check(first: AnyArray, second: AnyArray, n_cells: int) -> None:
    fits = len(first) == len(second)
    both = np.concatenate([first, second])
    if not fits or (len(both) and not (both.min() >= 0 and both.max() < n_cells)):
        raise DataSchemaError("pairs do not fit", expected=f"as many, cells 0 to {n_cells - 1}")
