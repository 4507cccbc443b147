"""Counting row by row is counting all rows at once, whoever counted and in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.drift import (
    HourTable,
    LiveCounts,
    count_blocks,
    covered_share,
    hours_to_blocks,
    merge_hours,
    window_counts,
)

EDGES: tuple[list[float], ...] = ([-1.0, 0.0, 1.0], [], [0.25, 0.5])
VALUES = st.one_of(
    st.floats(-2, 2),
    st.sampled_from([-1.0, 0.0, -0.0, 1.0, 0.25, np.nan, np.inf, -np.inf, 5e-324, 1.7e308]),
)
ROWS = st.tuples(VALUES, VALUES, VALUES)
MOMENTS = st.one_of(
    st.floats(0, 3 * 86_400),
    st.sampled_from([0.0, 3_599.999, 3_600.0, 21_599.999, 21_600.0, 86_399.5, 86_400.0]),
)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), MOMENTS, st.lists(ROWS, min_size=1, max_size=4)), max_size=25
    )
)
def test_any_split_over_workers_hours_and_batches_is_one_count(
    sent: list[tuple[int, float, list[tuple[float, float, float]]]],
) -> None:
    """Oracle: `count_blocks` on all rows; equal integers, times in any order, NaN among them."""
    workers = [LiveCounts(EDGES) for _ in range(3)]
    for index, (worker, ts, rows) in enumerate(sent):
        if index % 2:
            workers[worker].add_rows(np.array(rows), ts)
        else:
            for row in rows:
                workers[worker].add(row, ts)
    together = merge_hours(*(worker.hours for worker in workers))
    stamps = np.array([int(ts) for _, ts, rows in sent for _ in rows], dtype=np.int64)
    if not len(stamps):
        assert together == {}
        return
    values = np.array([row for _, _, rows in sent for row in rows])
    for column, edges in enumerate(EDGES):
        expected = count_blocks(np.array(edges), values[:, column], stamps)
        found = hours_to_blocks(together, column)
        np.testing.assert_array_equal(found.starts, expected.starts)
        np.testing.assert_array_equal(found.counts, expected.counts)
        np.testing.assert_array_equal(found.by_hour, expected.by_hour)
    everything = range(min(together), max(together) + 1)
    parts = [worker.hours for worker in workers]
    totals = [cells.tolist() for cells in window_counts(parts, everything)]
    assert totals == [hours_to_blocks(together, c).total.tolist() for c in range(len(EDGES))]


@given(st.lists(st.tuples(MOMENTS, ROWS), max_size=30), st.integers(1, 5))
def test_what_changed_is_enough_to_rebuild_it(
    sent: list[tuple[float, tuple[float, float, float]]], every: int
) -> None:
    """Taking changes now and then and keeping the last of each hour gives the counts."""
    counts, kept = LiveCounts(EDGES), dict[int, HourTable]()
    for index, (ts, row) in enumerate(sent):
        counts.add(row, ts)
        if index % every == 0:
            kept.update(counts.take_changed())
    kept.update(counts.take_changed())
    assert kept == counts.hours
    assert counts.take_changed() == {}


def test_what_was_taken_does_not_change_under_the_taker() -> None:
    """A writer on another thread sees the moment of the call."""
    counts = LiveCounts(EDGES)
    counts.add((0.0, 0.0, 0.0), 10.0)
    taken = counts.take_changed()
    counts.add((0.0, 0.0, 0.0), 11.0)
    assert taken[0][0][1] == 1
    assert counts.take_changed()[0][0][1] == 2


def test_memory_is_bounded_and_a_clock_ahead_costs_one_hour() -> None:
    """The earliest hours go; a jump of ten years and back leaves the rest as it was."""
    counts = LiveCounts([[0.0]], kept_hours=5)
    for hour in range(8):
        counts.add((1.0,), 3_600.0 * hour)
    assert sorted(counts.hours) == [3, 4, 5, 6, 7]
    counts.add((1.0,), 10 * 365 * 86_400.0)
    counts.add((1.0,), 3_600.0 * 7)
    assert sorted(counts.hours)[:-1] == [4, 5, 6, 7]
    assert counts.hours[7] == [[0, 2, 0, 0, 0]]


def test_an_hour_before_all_that_are_held_is_not_counted() -> None:
    """A clock far behind changes nothing, and nothing breaks."""
    counts = LiveCounts([[0.0]], kept_hours=2)
    for hour in (10, 11):
        counts.add((1.0,), 3_600.0 * hour)
    before = {hour: [list(cells) for cells in table] for hour, table in counts.hours.items()}
    counts.add((1.0,), 3_600.0)
    counts.add_rows(np.ones((3, 1)), 3_600.0)
    assert counts.hours == before
    assert sorted(counts.take_changed()) == [10, 11]


def test_a_restart_goes_on_where_it_was() -> None:
    """Merged counts are the base that new rows are added to; they are no change themselves."""
    counts = LiveCounts([[0.0]])
    counts.merge({0: [[2, 1, 0, 0, 0]]})
    assert counts.take_changed() == {}
    counts.add((1.0,), 5.0)
    assert counts.take_changed() == {0: [[2, 2, 0, 0, 0]]}


@pytest.mark.parametrize("row", [(), (1.0, 2.0)])
def test_a_row_of_another_width_is_refused(row: tuple[float, ...]) -> None:
    """Counting half a row would be worse than none."""
    with pytest.raises(ValueError, match="zip"):
        LiveCounts([[0.0]]).add(row, 0.0)


def test_a_window_without_rows_has_no_counts() -> None:
    """Nothing is not zero."""
    assert window_counts([{1: [[1]]}, {}], range(2, 9)) == []


def test_the_share_of_the_day_is_weighed_by_the_reference() -> None:
    """Six quiet hours of a market that trades in two are nothing of its day."""
    ts = np.array([9 * 3_600] * 30 + [10 * 3_600] * 10)
    reference = count_blocks(np.array([0.0]), np.zeros(40), ts)
    assert covered_share(reference, range(6)) == 0.0
    assert covered_share(reference, [9, 33]) == 0.75
    assert covered_share(reference, range(24)) == 1.0
