"""A window meets the same hours of the reference, whatever hour it ends at."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.core.arrays import Bool1D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import BlockCounts, count_blocks
from mlwb.drift._windows import matched

HOUR, DAY = 3_600, 86_400
EDGES = np.array([0.25, 0.5, 0.75])


def clock(first: int, last: int, *, step: int = 600, keep: Bool1D | None = None) -> BlockCounts:
    """Blocks of a feature that is the time of day itself, from hour to hour."""
    ts = np.arange(first * HOUR, last * HOUR, step)
    ts = ts if keep is None else ts[keep]
    return count_blocks(EDGES, ts % DAY / DAY, ts)


def shares(counts: Int1D) -> list[float]:
    """Shares of the four bins."""
    return [float(share) for share in counts[:4] / counts.sum()]


@pytest.mark.parametrize("ends", [0, 6, 12, 18])
@pytest.mark.parametrize("days", [1, 3])
def test_days_end_where_the_window_ends(ends: int, days: int) -> None:
    """Whole days from any block on are compared with whole days from the same block on."""
    last = 24 * 30 + ends
    found = matched(clock(0, 24 * 20), clock(last - 24 * days, last))
    assert found.window == days
    assert len(found.days) == (20 if ends == 0 else 19)
    assert (found.days.sum(axis=1) == 144).all()
    assert found.current.sum() == 144 * days
    assert shares(found.current) == pytest.approx(shares(found.reference), abs=0.01)


@pytest.mark.parametrize(("start", "hours"), [(0, 6), (6, 6), (6, 12), (18, 12), (12, 18)])
def test_part_of_a_day_meets_the_same_hours(start: int, hours: int) -> None:
    """The time of day has not changed, and a part of a day beside that part shows nothing."""
    first = 24 * 30 + start
    found = matched(clock(0, 24 * 20), clock(first, first + hours))
    assert found.window == 1
    assert found.current.sum() == 6 * hours
    assert shares(found.current) == shares(found.reference)
    assert len(found.days) >= 19


def test_a_longer_window_is_cut_back_to_whole_days() -> None:
    """Of thirty hours the newest twenty-four are judged."""
    found = matched(clock(0, 24 * 20), clock(24 * 30, 24 * 30 + 30))
    assert (found.window, int(found.current.sum())) == (1, 144)


def test_days_with_holes_are_left_out_on_both_sides() -> None:
    """A day that lost half of its rows is no day of the reference and none of the window."""
    ts = np.arange(0, 24 * 10 * HOUR, 600)
    holed = (ts // DAY != 4) | (ts % DAY < DAY // 2)
    found = matched(clock(0, 240, keep=holed), clock(0, 240, keep=holed))
    assert (len(found.days), found.window) == (9, 9)


def test_a_market_with_a_session_needs_only_its_hours() -> None:
    """Shares trade in two blocks a day: those two are the whole day."""
    ts = np.arange(0, 24 * 20 * HOUR, 600)
    session = (ts % DAY >= 13 * HOUR) & (ts % DAY < 20 * HOUR)
    found = matched(clock(0, 480, keep=session), clock(0, 480, keep=session))
    assert (len(found.days), found.window) == (20, 20)


def test_counts_at_another_pace_are_matched_all_the_same() -> None:
    """A server that scores every hour is compared with a reference of every ten minutes."""
    found = matched(clock(0, 24 * 20), clock(24 * 30, 24 * 32, step=3_600))
    assert (found.window, int(found.current.sum())) == (2, 48)
    assert len(found.days) == 20


def test_nothing_to_compare_is_an_error() -> None:
    """No current row, or hours at which the reference never traded."""
    nights = clock(0, 6)
    with pytest.raises(EmptyWindowError, match="no current row"):
        matched(nights, clock(0, 0))
    with pytest.raises(EmptyWindowError, match="no day with the hours"):
        matched(nights, clock(12, 18))
