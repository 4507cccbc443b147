"""The days of the reference that a current window may be compared with: same hours, same length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import AnyArray, Bool1D, Int1D, Int2D
from mlwb.core.clock import DAY_S
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._blocks import BLOCK_S, FULL_SHARE, BlockCounts

__all__ = ["Matched", "matched"]

_BLOCKS = DAY_S // BLOCK_S


@dataclass(frozen=True)
class Matched:
    """Two samples over the same hours of the day.

    Parameters
    ----------
    days : ndarray of shape (n_days, n_cells), int64
        Reference rows, day by day in time order.
    current : ndarray of shape (n_cells,), int64
        Current rows.
    window : int
        Days the current rows are of; 1 also for a part of a day.
    """

    days: Int2D
    current: Int1D
    window: int

    @property
    def reference(self) -> Int1D:
        """Reference rows of all days together; shape (n_cells,)."""
        return np.asarray(self.days.sum(axis=0), dtype=np.int64)


def matched(reference: BlockCounts, current: BlockCounts) -> Matched:
    """Cut both sides into days that end where the current rows end, and keep the whole ones.

    A window from six to six is compared with reference days from six to six. One shorter than a
    day is compared with the same hours of every reference day, since a night beside all hours
    would pass for a change.

    Parameters
    ----------
    reference, current : BlockCounts
        Counts by block in the same bins.

    Returns
    -------
    Matched

    Raises
    ------
    EmptyWindowError
        No current row, or no reference day with its hours.
    """
    if not len(current.starts):
        raise EmptyWindowError("no current row to compare with the reference")
    end = int(current.starts[-1]) + BLOCK_S
    usual = _usual(reference)
    days, rows, seen = _by_day(current, end, np.ones(_BLOCKS, dtype=np.bool_))
    whole = _whole(rows, seen, usual)
    if not whole.any():
        whole[-1] = True
    if whole.sum() == 1:
        usual = usual & seen[whole][0]
    ref_days, ref_rows, ref_seen = _by_day(reference, end, usual)
    kept = ref_days[_whole(ref_rows, ref_seen, usual) & ~_cut_off(ref_seen, usual)]
    if not usual.any() or not len(kept):
        raise EmptyWindowError("the reference has no day with the hours of the current rows")
    return Matched(kept, days[whole].sum(axis=0), int(whole.sum()))


def _usual(reference: BlockCounts) -> Bool1D:
    """Blocks of the day that at least half of the reference days have."""
    phases = np.bincount(reference.starts % DAY_S // BLOCK_S, minlength=_BLOCKS)
    return np.asarray(2 * phases >= len(reference.days)) & (phases > 0)


def _by_day(blocks: BlockCounts, end: int, phases: Bool1D) -> tuple[Int2D, Int1D, AnyArray]:
    """Counts, rows and blocks present of each day that ends at the same hour as ``end``."""
    phase = blocks.starts % DAY_S // BLOCK_S
    kept = phases[phase]
    numbers, place = np.unique((blocks.starts[kept] - end) // DAY_S, return_inverse=True)
    counts = np.zeros((len(numbers), blocks.counts.shape[1]), dtype=np.int64)
    np.add.at(counts, place, blocks.counts[kept])
    seen = np.zeros((len(numbers), _BLOCKS), dtype=np.bool_)
    seen[place, phase[kept]] = True
    return counts, np.asarray(counts.sum(axis=1), dtype=np.int64), seen


def _whole(rows: Int1D, seen: AnyArray, usual: Bool1D) -> Bool1D:
    """Days with three quarters of the usual blocks and of the rows of the median such day."""
    long = (seen & usual).sum(axis=1) >= FULL_SHARE * usual.sum()
    least = FULL_SHARE * float(np.median(rows[long])) if long.any() else 0.0
    return np.asarray(long & (rows >= least))


def _cut_off(seen: AnyArray, usual: Bool1D) -> Bool1D:
    """First and last day where the end of the sample took some of their blocks."""
    at_an_end = np.isin(np.arange(len(seen)), [0, len(seen) - 1])
    return np.asarray(at_an_end & (usual & ~seen).any(axis=1))
