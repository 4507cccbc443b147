"""Which of the calendar's minutes have a bar, and how the missing ones lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.data._calendars import Calendar, open_minutes
from mlwb.data._flags import runs_of

__all__ = ["Coverage", "cover"]

_MIN_PAGE_BARS = 20
_MIN_PAGES = 3
_NS_PER_MINUTE = INTERVAL_S * 10**9


@dataclass(frozen=True)
class Coverage:
    """Bars against a calendar, from the first bar to the last.

    Parameters
    ----------
    n_expected, n_present, n_outside : int
        Minutes the calendar expects; those with a bar; bars it does not expect.
    gap_before : ndarray of shape (n_gaps,), int64
        Minute since 1970 of the first missing bar of each gap.
    gap_minutes : ndarray of shape (n_gaps,), int64
        Missing minutes of each gap, closed minutes not counted.
    page_bars, n_pages : int
        Length of the pages and how many whole ones, where bars come in runs of one length with
        holes between, as when a client asks for more than it is given; else 0.
    """

    n_expected: int
    n_present: int
    n_outside: int
    gap_before: Int1D
    gap_minutes: Int1D
    page_bars: int
    n_pages: int

    @property
    def gap_s(self) -> Int1D:
        """Seconds from the last bar's open to the next one's, inside the calendar."""
        return (self.gap_minutes + 1) * INTERVAL_S


def cover(ts_ns: Int1D, calendar: Calendar) -> Coverage:
    """Lay bars over a calendar.

    Parameters
    ----------
    ts_ns : ndarray of shape (n_bars,), int64
        Sorted, unique, on the minute; at least one.
    calendar : Calendar

    Returns
    -------
    Coverage
    """
    minutes = ts_ns // _NS_PER_MINUTE
    grid = np.arange(minutes[0], minutes[-1] + 1)
    has_bar = np.zeros(len(grid), dtype=bool)
    has_bar[minutes - minutes[0]] = True
    is_open = open_minutes(calendar, grid)
    has_bar_open = has_bar[is_open]
    starts, lengths = runs_of(~has_bar_open)
    page_bars, n_pages = _pages(runs_of(has_bar_open)[1])
    return Coverage(
        n_expected=len(has_bar_open),
        n_present=int(has_bar_open.sum()),
        n_outside=int(np.count_nonzero(has_bar & ~is_open)),
        gap_before=grid[is_open][starts],
        gap_minutes=lengths,
        page_bars=page_bars,
        n_pages=n_pages,
    )


def _pages(lengths: Int1D) -> tuple[int, int]:
    """Chance does not make most runs of bars equally long."""
    if len(lengths) < _MIN_PAGES:
        return 0, 0
    sizes, counts = np.unique(lengths, return_counts=True)
    most = int(np.argmax(counts))
    size, count = int(sizes[most]), int(counts[most])
    is_paged = size >= _MIN_PAGE_BARS and count >= _MIN_PAGES and 2 * count >= len(lengths)
    return (size, count) if is_paged else (0, 0)
