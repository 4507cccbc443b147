"""Splitters: no label interval crosses a split, whatever the spans look like."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.model_selection import KFold, cross_val_score  # type: ignore[import-untyped]

from mlwb.core.arrays import Int1D
from mlwb.core.errors import EmptyWindowError, LeakageError
from mlwb.model import PurgedKFold, Split, WalkForward, leak_count
from mlwb.model._split import _checked
from tests.model.model_kit import dataset, minutes
from tests.strategies import label_spans

Spans = tuple[Int1D, Int1D]


def brute_leaks(train: Int1D, test: Int1D, spans: Spans) -> int:
    """Train rows that meet a test row, pair by pair."""
    t0, t1 = spans
    return sum(any(t0[i] < t1[j] and t0[j] < t1[i] for j in test.tolist()) for i in train.tolist())


def excluded(split: Split, n: int) -> set[int]:
    """Rows in neither side."""
    return set(range(n)) - set(split.train.tolist()) - set(split.test.tolist())


@given(label_spans(), st.integers(2, 6), st.sampled_from([0, 60, 3_600, 86_400]))
@settings(max_examples=80, deadline=None)
def test_purged_k_fold_never_leaks(spans: Spans, n_splits: int, embargo_s: int) -> None:
    """Random spans, gaps, repeats, label ends of any length: 0 leaks, counted pair by pair."""
    t0, t1 = spans
    tested: list[int] = []
    for split in PurgedKFold(t0, t1, n_splits=n_splits, embargo_s=embargo_s).splits():
        assert split.n_leaks == brute_leaks(split.train, split.test, spans) == 0
        end = t1[split.test].max()
        after = split.train[t0[split.train] >= t0[split.test].min()]
        assert (t0[after] >= end + embargo_s).all()
        left_out = excluded(split, len(t0))
        assert len(left_out) == split.n_purged + split.n_embargoed
        tested += split.test.tolist()
    assert tested == list(range(len(t0)))


@given(label_spans(), st.integers(2, 6))
@settings(max_examples=50, deadline=None)
def test_purging_takes_no_more_than_it_must(spans: Spans, n_splits: int) -> None:
    """Without embargo every row left out meets the time the test block covers."""
    t0, t1 = spans
    for split in PurgedKFold(t0, t1, n_splits=n_splits, embargo_s=0).splits():
        start, end = t0[split.test].min(), t1[split.test].max()
        assert all(t0[i] < end and t1[i] > start for i in excluded(split, len(t0)))
        assert split.n_embargoed == 0


@given(label_spans(), st.integers(2, 8), st.sampled_from([0.1, 0.3, 0.7]))
@settings(max_examples=80, deadline=None)
def test_walk_forward_never_leaks(spans: Spans, n_segments: int, first: float) -> None:
    """Training is resolved before the test begins; segments follow each other without overlap."""
    t0, t1 = spans
    last = -1
    for split in WalkForward(t0, t1, n_segments=n_segments, first_train=first).splits():
        assert split.n_leaks == brute_leaks(split.train, split.test, spans) == 0
        assert t1[split.train].max() <= t0[split.test].min()
        assert split.test.min() > last
        last = int(split.test.max())


@given(label_spans(60), st.data())
@settings(max_examples=120, deadline=None)
def test_leak_count_is_the_pairwise_count(spans: Spans, data: st.DataObject) -> None:
    """Any two sets of rows: the fast count equals the slow one."""
    rows = st.lists(st.integers(0, len(spans[0]) - 1), unique=True)
    train = np.array(sorted(data.draw(rows)), dtype=np.int64)
    test = np.array(data.draw(rows), dtype=np.int64)
    found = leak_count(train, test, t0=spans[0], t1=spans[1])
    assert found == brute_leaks(train, test, spans)


def test_unpurged_folds_are_caught() -> None:
    """Plain KFold leaks at every boundary: four rows of a five minute label on either side."""
    t0, t1 = minutes(500)
    found = [leak_count(train, test, t0=t0, t1=t1) for train, test in KFold(5).split(np.zeros(500))]
    assert found == [4, 8, 8, 8, 4]


def test_purging_by_row_count_is_caught_on_a_clock_with_gaps() -> None:
    """Leaving out five rows is not five minutes where minutes are missing and repeat unevenly."""
    t0 = np.sort(np.random.default_rng(0).choice(3_000, 600, replace=False)) * 60
    t1 = t0 + 600
    test = np.arange(300, 400)
    by_rows = np.concatenate([np.arange(299), np.arange(401, 600)])
    assert leak_count(by_rows, test, t0=t0, t1=t1) > 0
    split = list(PurgedKFold(t0, t1, n_splits=6, embargo_s=0).splits())[3]
    assert leak_count(split.train, split.test, t0=t0, t1=t1) == 0


def test_long_label_before_a_short_one_is_not_forgotten() -> None:
    """A train row meets the first of two test rows, whose label outlasts the second's."""
    t0, t1 = np.array([0, 60, 600]), np.array([6_000, 120, 660])
    assert leak_count(np.array([2]), np.array([0, 1]), t0=t0, t1=t1) == 1
    assert leak_count(np.array([2]), np.array([1]), t0=t0, t1=t1) == 0


def test_touching_spans_do_not_leak() -> None:
    """Spans are open at the start: a label that ends when another begins does not meet it."""
    t0, t1 = np.array([0, 60]), np.array([60, 120])
    assert leak_count(np.array([0]), np.array([1]), t0=t0, t1=t1) == 0
    assert leak_count(np.array([0]), np.array([1]), t0=t0, t1=t1 + 1) == 1


def test_embargo_is_counted_after_the_test_block_only() -> None:
    """An hour after a block is free of training rows; before it only the purge bites."""
    t0, t1 = minutes(1_000)
    split = list(PurgedKFold(t0, t1, n_splits=5, embargo_s=3_600).splits())[2]
    before, after = split.train[split.train < 400], split.train[split.train >= 600]
    assert before.max() == 395
    assert t0[after.min()] == t1[599] + 3_600
    assert (split.n_purged, split.n_embargoed) == (4 + 4, 60)


def test_walk_forward_segments_are_equal_in_time_not_in_rows() -> None:
    """Half the rows in the last tenth of the span: segments still cover equal time."""
    t0 = np.sort(np.concatenate([np.arange(0, 9_000, 10), np.arange(9_000, 10_000)])) * 60
    splits = list(WalkForward(t0, t0 + 60, n_segments=7, first_train=0.3).splits())
    assert len(splits) == 7
    spans = [t0[s.test].max() - t0[s.test].min() for s in splits]
    assert max(spans) - min(spans) <= 2 * 600
    assert len(splits[-1].test) > 5 * len(splits[0].test)
    assert sum(len(s.test) for s in splits) == (t0 >= 0.3 * t0[-1]).sum()


def test_splitters_are_scikit_learns() -> None:
    """cross_val_score takes both, one score a fold, and the planted edge shows in them."""
    data = dataset(1_500)
    for splitter in (
        PurgedKFold(data.t0, data.t1, n_splits=4),
        WalkForward(data.t0, data.t1, n_segments=4),
    ):
        assert splitter.get_n_splits(data.X, data.y) == 4
        model = LogisticRegression(solver="newton-cholesky")
        found = cross_val_score(model, data.X[:, 1:], data.y, cv=splitter, scoring="roc_auc")
        assert len(found) == 4
        assert found.min() > 0.6


def test_splitter_that_leaks_is_stopped() -> None:
    """Were a splitter ever to let a row through, training would end, not go on quietly."""
    t0, t1 = minutes(20)
    rows, none = np.arange(20), np.zeros(20, dtype=bool)
    kept = rows < 10
    spans = PurgedKFold(t0, t1, n_splits=2)
    with pytest.raises(LeakageError, match="got 4 rows"):
        _checked(rows, kept, rows[10:], spans, purged=none, embargoed=none)


@pytest.mark.parametrize("n", [0, 1, 9])
def test_too_few_rows_are_refused(n: int) -> None:
    """Two rows a fold are the least."""
    t0, t1 = minutes(n)
    with pytest.raises(EmptyWindowError, match="cross-validate"):
        PurgedKFold(t0, t1, n_splits=5)
    with pytest.raises(EmptyWindowError, match="walk forward"):
        WalkForward(t0, t1, n_segments=5)


def test_empty_segments_are_left_out() -> None:
    """A segment that falls into a gap yields no split instead of an empty one."""
    t0 = np.concatenate([np.arange(100), np.arange(900, 1_000)]) * 60
    found: Iterator[Split] = WalkForward(t0, t0 + 60, n_segments=10, first_train=0.05).splits()
    sizes = [len(split.test) for split in found]
    assert 0 < len(sizes) < 10
    assert min(sizes) > 0
