"""Second opinions: other statistics of the same counts, over the same windows of the reference.

A door of its own, as :mod:`mlwb.drift.calibration` is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from mlwb.core.arrays import Float1D, Int2D
from mlwb.drift._blocks import BlockCounts
from mlwb.drift._chance import windows_of
from mlwb.drift._distances import STATISTICS, score_windows
from mlwb.drift._null import BlockNull
from mlwb.drift._reference import FeatureReference

__all__ = ["Opinion", "second_opinions"]

_SQUARES: Mapping[str, bool] = MappingProxyType(
    {
        "ks": False,
        "wasserstein_bins": False,
        "jensen_shannon": False,
        "hellinger": False,
        "chi_square": True,
    }
)
"""Whether a statistic grows as the square of a change, as PSI does, or as the change itself."""


@dataclass(frozen=True)
class Opinion:
    """Another statistic of the same counts, over what chance gives it.

    Parameters
    ----------
    name : str
        As in :data:`mlwb.drift.STATISTICS`.
    value : float
        In the statistic's own unit.
    scores : ndarray of shape (n_windows,), float64
        Of windows of the reference against the rest of it; empty where it is too short.
    """

    name: str
    value: float
    scores: Float1D

    @property
    def limit95(self) -> float | None:
        """What chance stays below in 95 of 100 windows."""
        return float(np.quantile(self.scores, 0.95)) if len(self.scores) else None

    @property
    def p_value(self) -> float | None:
        """Rank among the windows, ``(1 + #{score >= value}) / (n + 1)``: of size, not of tails."""
        if not len(self.scores):
            return None
        return (1 + int((self.scores >= self.value).sum())) / (len(self.scores) + 1)


def second_opinions(
    frozen: FeatureReference, current: BlockCounts, null: BlockNull | None
) -> tuple[Opinion, ...]:
    """Score a window by every other statistic, and the windows that its PSI was compared with.

    Parameters
    ----------
    frozen : FeatureReference
        Frozen in training, from full days.
    current : BlockCounts
        Rows of full days in the same bins.
    null : BlockNull or None
        Of the PSI of this window; its days are drawn again and its memory scales the scores: a
        statistic that grows as the square of a change by the memory itself, one that grows as the
        change by its root.

    Returns
    -------
    tuple of Opinion
        In the order of :data:`mlwb.drift.STATISTICS`, without the PSI.

    Raises
    ------
    EmptyWindowError
        One side has no finite value.
    """
    daily = frozen.blocks.daily
    total, now = daily.sum(axis=0), current.total
    windows = daily[:0] if null is None else windows_of(daily, null.window_blocks)
    factor = 1.0 if null is None else _factor(null, _scores("psi", total - windows, windows))
    return tuple(
        Opinion(
            name,
            STATISTICS[name](total, now),
            _scores(name, total - windows, windows) * (factor if is_square else math.sqrt(factor)),
        )
        for name, is_square in _SQUARES.items()
    )


def _scores(name: str, rest: Int2D, windows: Int2D) -> Float1D:
    return score_windows(name, rest, windows) if len(windows) else np.empty(0)


def _factor(null: BlockNull, drawn: Float1D) -> float:
    """What the null of the PSI adds to its drawn windows: the memory of days."""
    return null.mean / float(drawn.mean()) if drawn.any() else 1.0
