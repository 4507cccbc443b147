"""How many days must pass for the next block to be news."""

from __future__ import annotations

import numpy as np

from mlwb.core.arrays import Int2D
from mlwb.drift._memory import day_memory

__all__ = ["suited_block_days"]

_IN_THREES, _IN_WEEKS = 0.3, 0.65
"""Between what half-lives of a quarter, one and three days show in 39 days (10 to 90 %): up to
0.32, 0.34 to 0.70, 0.57 to 0.88."""
_LEAST_BLOCKS = 10


def suited_block_days(daily_counts: Int2D) -> int:
    """Length of block in which days of a feature may pass for exchangeable.

    Neighbouring days of a reference correlate by about 0.5 where a level halves in a day, by 0.8
    where it halves in three: weeks from 0.65 on, threes from 0.3 on, else single days, but never so
    long that fewer than ten blocks are left to rank in.

    Parameters
    ----------
    daily_counts : ndarray of shape (n_days, n_cells), int64
        Rows in each cell, a day a row, in time order, no day empty.

    Returns
    -------
    int
        1, 3 or 7 days.

    Examples
    --------
    >>> level = np.repeat([[80, 20], [20, 80]], 40, axis=0)
    >>> suited_block_days(level), suited_block_days(level[20:60])
    (7, 3)
    """
    memory = day_memory(np.asarray(daily_counts, dtype=np.int64))
    correlation = memory.share * memory.decay
    wanted = 1 + 2 * (correlation >= _IN_THREES) + 4 * (correlation >= _IN_WEEKS)
    return max(
        days
        for days in (1, 3, 7)
        if days == 1 or (days <= wanted and len(daily_counts) >= _LEAST_BLOCKS * days)
    )
