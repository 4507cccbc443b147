"""Counts by block add up, in any order and any partition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlwb.drift import BLOCK_S, bin_counts, count_blocks, in_full_blocks

EDGES = np.array([-1.0, 0.0, 1.0])
ROWS = st.lists(
    st.tuples(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 4 * 86_400)),
    max_size=60,
)


def _columns(rows: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([value for value, _ in rows], dtype=np.float64),
        np.array([ts for _, ts in rows], dtype=np.int64),
    )


@given(ROWS)
def test_blocks_and_hours_hold_every_row_once(rows: list[tuple[float, int]]) -> None:
    """Whatever the values and stamps: three ways to add up to the same counts."""
    values, ts = _columns(rows)
    found = count_blocks(EDGES, values, ts)
    expected = bin_counts(EDGES, values)
    np.testing.assert_array_equal(found.total, expected)
    np.testing.assert_array_equal(found.by_hour.sum(axis=0), expected)
    np.testing.assert_array_equal(found.daily.sum(axis=0), expected)
    assert not (found.starts % BLOCK_S).any()


@given(ROWS, st.integers(0, 60))
def test_two_parts_add_up_to_the_whole(rows: list[tuple[float, int]], cut: int) -> None:
    """Counting in parts and adding is counting at once, in either order, bit for bit."""
    whole = count_blocks(EDGES, *_columns(rows))
    parts = [count_blocks(EDGES, *_columns(part)) for part in (rows[:cut], rows[cut:])]
    for merged in (parts[0] + parts[1], parts[1] + parts[0]):
        np.testing.assert_array_equal(merged.starts, whole.starts)
        np.testing.assert_array_equal(merged.counts, whole.counts)
        np.testing.assert_array_equal(merged.by_hour, whole.by_hour)


def test_a_block_and_a_day_hold_their_own_rows() -> None:
    """Rows at 05:59, 06:00 and the next midnight are three blocks of two days."""
    ts = np.array([21_540, 21_600, 86_400])
    found = count_blocks(np.array([0.0]), np.array([-1.0, 1.0, 1.0]), ts)
    assert found.starts.tolist() == [0, 21_600, 86_400]
    assert found.days.tolist() == [0, 1]
    assert found.daily[:, :2].tolist() == [[1, 1], [0, 1]]
    assert found.by_hour[[5, 6, 0], :2].tolist() == [[1, 0], [0, 1], [0, 1]]


def test_part_days_are_left_out() -> None:
    """Twenty hours are a day, two hours are not; no rows are no error."""
    days = np.repeat([0, 1, 2, 3], [1440, 1200, 120, 1440])
    assert np.unique(days[in_full_blocks(days)]).tolist() == [0, 1, 3]
    assert in_full_blocks(np.array([], dtype=np.int64)).tolist() == []
