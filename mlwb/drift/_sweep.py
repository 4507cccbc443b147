"""What chance alone gives by length of the window, and from which length on a gate can judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlwb.core.arrays import Int2D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._null import block_null
from mlwb.drift._reference import FeatureReference

__all__ = ["WINDOWS_DAYS", "WindowNull", "first_quiet", "gateable_days", "window_nulls"]

WINDOWS_DAYS = (1, 2, 3, 4, 5, 7, 10, 14, 21, 28, 42, 56, 84)
"""Window lengths tried, as far as the reference is at least twice as long."""


@dataclass(frozen=True)
class WindowNull:
    """What chance alone gives in a window of some days.

    Parameters
    ----------
    days : int
        Length of the window.
    limit95 : float
        95 % quantile of the PSI without any change, nats.
    n_eff : float
        Independent rows the window is worth: rows over the design effect, which is the mean of
        those PSIs over the mean they would have if rows were independent.
    n_disjoint : int
        Windows that share no day: what the quantile rests on.
    """

    days: int
    limit95: float
    n_eff: float
    n_disjoint: int


def window_nulls(name: str, days: Int2D) -> tuple[WindowNull, ...]:
    """What chance alone gives, by length of the window.

    Parameters
    ----------
    name : str
        Feature name.
    days : ndarray of shape (n_days, n_cells), int64
        Reference counts of each full day, in time order.

    Returns
    -------
    tuple of WindowNull
        One a length of ``WINDOWS_DAYS`` that the reference is long enough for.
    """
    n, n_cells = int(days.sum()), int((days.sum(axis=0) > 0).sum())
    found = []
    for width in WINDOWS_DAYS:
        try:
            null = block_null(name, days, window_blocks=width)
        except EmptyWindowError:
            break
        rows = n * width / len(days)
        independent = (n_cells - 1) * (1.0 / rows + 1.0 / n)
        effect = max(null.mean / independent, 1.0) if n_cells > 1 else 1.0
        found.append(WindowNull(width, null.limit95, rows / effect, null.n_disjoint))
    return tuple(found)


def gateable_days(frozen: FeatureReference, limit: float) -> int | None:
    """Shortest window that a gate with this limit can judge.

    Parameters
    ----------
    frozen : FeatureReference
        Frozen in training.
    limit : float
        PSI the gate allows, nats.

    Returns
    -------
    int or None
        Days, from which on every longer window tried keeps the 95 % quantile of its null below
        the limit; None where none does, or where the reference is too short for a null.
    """
    return first_quiet(window_nulls(frozen.name, frozen.blocks.daily), limit)


def first_quiet(nulls: Sequence[WindowNull], limit: float) -> int | None:
    """Days of the shortest window from which on no longer one reaches the limit by chance."""
    loud = max((item.days for item in nulls if item.limit95 >= limit), default=0)
    return next((item.days for item in nulls if item.days > loud), None)
