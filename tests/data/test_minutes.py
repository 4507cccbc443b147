"""Updates folded to minutes: a law of sets, whatever the files they come in."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.arrays import Float2D, Int1D
from mlwb.data._market import VALUE_FIELDS
from mlwb.data._minutes import fold_minutes, join_minutes, minutes_of_quotes

MINUTE = 60_000_000_000


def updates(steps: list[int], seed: int) -> tuple[Int1D, Float2D]:
    """Quotes at cumulated steps of ns, prices in whole hundredths, one in five without a bid."""
    rng = np.random.default_rng(seed)
    n = len(steps)
    cells = np.full((n, len(VALUE_FIELDS)), np.nan)
    bid = rng.integers(9_000, 11_000, n) / 100
    cells[:, 5], cells[:, 6] = bid, bid + rng.integers(0, 9, n) / 100
    cells[rng.random(n) < 0.2, 5] = np.nan
    cells[:, 7], cells[:, 8] = rng.integers(1, 9, n), rng.integers(1, 9, n)
    return np.cumsum(np.array(steps, dtype=np.int64)), cells


STEPS = st.lists(st.integers(0, 2 * MINUTE), min_size=1, max_size=60)


@given(steps=STEPS, seed=st.integers(0, 999), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_files_are_joined_as_if_they_were_one(steps: list[int], seed: int, cuts: list[int]) -> None:
    """Wherever the updates are cut into files, and whatever the order the files are named in."""
    ts_ns, cells = updates(steps, seed)
    whole = minutes_of_quotes(ts_ns, cells.copy(), None)
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(steps)}), len(steps)]
    parts = [
        minutes_of_quotes(ts_ns[a:b], cells[a:b].copy(), None) for a, b in itertools.pairwise(edges)
    ]
    firsts = [int(part.ts_ns[0]) for part in parts]
    order = np.random.default_rng(seed).permutation(len(parts))
    if len(set(firsts)) < len(firsts):  # files that begin in one minute keep the order given
        order = np.arange(len(parts))
    joined = join_minutes([parts[i] for i in order])
    np.testing.assert_array_equal(joined.ts_ns, whole.ts_ns)
    np.testing.assert_array_equal(joined.cells, whole.cells)
    assert joined.n_updates == whole.n_updates == len(steps)


@given(steps=STEPS, seed=st.integers(0, 999))
def test_minutes_are_those_of_pandas(steps: list[int], seed: int) -> None:
    """First, highest, lowest and last mid of each minute; the last quote, missing or not."""
    ts_ns, cells = updates(steps, seed)
    found = minutes_of_quotes(ts_ns, cells.copy(), None)
    mid = pd.Series((cells[:, 5] + cells[:, 6]) / 2.0)
    minute = ts_ns // MINUTE
    by_minute = mid.groupby(minute)
    assert found.ts_ns.tolist() == (np.unique(minute) * MINUTE).tolist()
    np.testing.assert_array_equal(found.cells[:, 1], by_minute.max())
    np.testing.assert_array_equal(found.cells[:, 2], by_minute.min())
    first, last = by_minute.nth(0), by_minute.nth(-1)  # with the missing ones, unlike first()
    np.testing.assert_array_equal(found.cells[:, 0], first)
    np.testing.assert_array_equal(found.cells[:, 3], last)
    np.testing.assert_array_equal(found.cells[:, 5:], cells[last.index, 5:])


@given(steps=STEPS, seed=st.integers(0, 999))
def test_folding_twice_is_folding_once(steps: list[int], seed: int) -> None:
    """And the order of the rows matters only within a stamp."""
    ts_ns, cells = updates([step + 1 for step in steps], seed)
    once = fold_minutes(ts_ns, cells)
    twice = fold_minutes(*once)
    shuffled = np.random.default_rng(seed).permutation(len(ts_ns))
    mixed = fold_minutes(ts_ns[shuffled], cells[shuffled])
    for other in (twice, mixed):
        np.testing.assert_array_equal(other[0], once[0])
        np.testing.assert_array_equal(other[1], once[1])


@pytest.mark.parametrize(("late_ns", "bar"), [(-1, 0), (0, 1), (1, 1)])
def test_a_minute_ends_before_the_next_begins(late_ns: int, bar: int) -> None:
    """An update on the stroke of the minute is not known to the bar that closes then."""
    ts_ns = np.array([0, MINUTE + late_ns], dtype=np.int64)
    cells = np.full((2, len(VALUE_FIELDS)), 1.0)
    assert fold_minutes(ts_ns, cells)[0][-1] == bar * MINUTE


def test_volumes_of_a_minute_add_up() -> None:
    """Prices and quotes are the last, amounts traded are all."""
    cells = np.arange(27.0).reshape(3, 9)
    _, found = fold_minutes(np.array([0, 1, MINUTE], dtype=np.int64), cells)
    assert found[:, VALUE_FIELDS.index("volume")].tolist() == [4.0 + 13.0, 22.0]


def test_the_skew_of_a_long_file_is_sampled_evenly() -> None:
    """At most 100,000 of a file, so that a month of quotes fits into memory."""
    n = 250_000
    ts_ns = np.arange(n, dtype=np.int64) * 1_000_000
    cells = np.full((n, len(VALUE_FIELDS)), 1.0)
    skew_ms = np.random.default_rng(1).normal(20, 5, n)
    received = ts_ns + (skew_ms * 1e6).astype(np.int64)
    found = minutes_of_quotes(ts_ns, cells, received).skew_ms
    assert found is not None
    assert 80_000 < len(found) <= 100_000
    assert np.quantile(found, 0.99) == pytest.approx(np.quantile(skew_ms, 0.99), abs=0.2)
