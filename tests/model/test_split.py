"""Splitters: no label interval crosses a split, whatever the spans look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.model_selection import (  # type: ignore[import-untyped]
    GridSearchCV,
    KFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
)

from mlwb.core.arrays import Bool1D, Int1D
from mlwb.core.errors import DataSchemaError, EmptyWindowError, LeakageError, ParamsError
from mlwb.model import (
    CombinatorialPurgedCV,
    PurgedKFold,
    PurgedSplitter,
    Split,
    WalkForward,
    leak_count,
)
from tests.model.model_kit import dataset, minutes
from tests.strategies import label_spans

Spans = tuple[Int1D, Int1D]


@st.composite
def any_order(draw: st.DrawFn) -> Spans:
    """Random spans, in time order or shuffled."""
    t0, t1 = draw(label_spans())
    if draw(st.booleans()):
        order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(t0))
        t0, t1 = t0[order], t1[order]
    return t0, t1


def meetings(spans: Spans) -> Bool1D:
    """Which rows' spans meet, pair by pair, shape (n_rows, n_rows)."""
    t0, t1 = spans
    return np.asarray((t0[:, None] < t1[None, :]) & (t0[None, :] < t1[:, None]))


def brute_leaks(train: Int1D, test: Int1D, spans: Spans) -> int:
    """Train rows that meet a test row."""
    return int(meetings(spans)[np.ix_(train, test)].any(axis=1).sum())


def excluded(split: Split, n: int) -> set[int]:
    """Rows in neither side."""
    return set(range(n)) - set(split.train.tolist()) - set(split.test.tolist())


def two_sided(spans: Spans, n: int, embargo_s: int) -> list[PurgedSplitter]:
    """The two schemes that train on both sides of a test block."""
    return [
        PurgedKFold(*spans, n_splits=n, embargo_s=embargo_s),
        CombinatorialPurgedCV(
            *spans, n_groups=n, n_test_groups=max(n // 2, 1), embargo_s=embargo_s
        ),
    ]


@given(any_order(), st.integers(2, 6), st.sampled_from([0, 60, 3_600, 86_400]))
@settings(max_examples=60, deadline=None)
def test_two_sided_splits_never_leak(spans: Spans, n: int, embargo_s: int) -> None:
    """Random spans, gaps, repeats, any order and label ends: 0 leaks, counted pair by pair.

    And after a test block nothing is trained on before the embargo is over.
    """
    t0 = spans[0]
    for splitter in two_sided(spans, n, embargo_s):
        for split in splitter.splits():
            assert split.n_leaks == brute_leaks(split.train, split.test, spans) == 0
            for start, end in split.test_s:
                near = (t0[split.train] >= start) & (t0[split.train] < end + embargo_s)
                assert not near.any()
            assert len(excluded(split, len(t0))) == split.n_purged + split.n_embargoed


@given(any_order(), st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_purging_takes_no_more_than_it_must(spans: Spans, n: int) -> None:
    """Without embargo every row left out meets a test row, pair by pair."""
    meets = meetings(spans)
    for splitter in two_sided(spans, n, 0):
        for split in splitter.splits():
            left_out = np.array(sorted(excluded(split, len(spans[0]))), dtype=np.int64)
            assert meets[np.ix_(left_out, split.test)].any(axis=1).all()
            assert (split.n_purged, split.n_embargoed) == (len(left_out), 0)


@given(any_order(), st.integers(2, 6), st.sampled_from([60, 3_600]))
@settings(max_examples=40, deadline=None)
def test_embargo_takes_no_more_than_it_must(spans: Spans, n: int, embargo_s: int) -> None:
    """Every embargoed row is decided within the embargo after the end of a test block."""
    t0, _ = spans
    for with_it, without in zip(
        two_sided(spans, n, embargo_s), two_sided(spans, n, 0), strict=True
    ):
        for split, free in zip(with_it.splits(), without.splits(), strict=True):
            lost = np.setdiff1d(free.train, split.train)
            ends = np.array([end for _, end in split.test_s])
            after = t0[lost][:, None] - ends[None, :]
            assert ((after >= 0) & (after < embargo_s)).any(axis=1).all()
            assert len(lost) == split.n_embargoed


@given(any_order(), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_folds_test_every_row_once_in_runs_of_time(spans: Spans, n: int) -> None:
    """Each row is tested by one fold, and no fold's decisions begin before the last fold's end."""
    splits = list(PurgedKFold(*spans, n_splits=n).splits())
    assert sorted(np.concatenate([s.test for s in splits]).tolist()) == list(range(len(spans[0])))
    starts = [spans[0][s.test] for s in splits]
    for before, after in pairwise(starts):
        assert before.max() <= after.min()


@given(
    any_order(), st.integers(2, 8), st.sampled_from([0.1, 0.3, 0.7]), st.sampled_from([0, 7_200])
)
@settings(max_examples=80, deadline=None)
def test_walk_forward_never_leaks(
    spans: Spans, n_segments: int, first: float, train_s: int
) -> None:
    """Training is resolved before the test begins, and nothing resolved is left out.

    A sliding window trains on what was decided within it, an expanding one on all.
    """
    t0, t1 = spans
    splitter = WalkForward(
        t0, t1, n_segments=n_segments, first_train=first, train_s=train_s or None
    )
    last = -1
    for split in splitter.splits():
        start = t0[split.test].min()
        assert split.n_leaks == brute_leaks(split.train, split.test, spans) == 0
        oldest = start - train_s if train_s else -1
        usable = (t1 <= start) & (t0 < start) & (t0 >= oldest)
        assert split.train.tolist() == np.flatnonzero(usable).tolist()
        assert split.n_purged == ((t0 < start) & (t0 >= oldest) & (t1 > start)).sum()
        assert start > last
        last = int(t0[split.test].max())
    assert splitter.get_n_splits() == len(list(splitter.splits()))


@given(label_spans(60), st.data())
@settings(max_examples=120, deadline=None)
def test_leak_count_is_the_pairwise_count(spans: Spans, data: st.DataObject) -> None:
    """Any two sets of rows: the fast count equals the slow one."""
    rows = st.lists(st.integers(0, len(spans[0]) - 1), unique=True)
    train = np.array(sorted(data.draw(rows)), dtype=np.int64)
    test = np.array(data.draw(rows), dtype=np.int64)
    found = leak_count(train, test, t0=spans[0], t1=spans[1])
    assert found == brute_leaks(train, test, spans)


@pytest.mark.parametrize(
    ("peer", "leaks"),
    [(KFold(5), 112), (TimeSeriesSplit(5), 70), (TimeSeriesSplit(5, gap=14), 0)],
    ids=["KFold", "TimeSeriesSplit", "TimeSeriesSplit gap"],
)
def test_leaks_of_scikit_learns_splitters(peer: Any, leaks: int) -> None:
    """1,200 minutes, a label of a quarter of an hour: 14 rows leak at each edge of a plain split.

    Ours have none on the same rows.
    """
    t0, t1 = minutes(1_200, 900)

    def leaked(splits: Iterator[tuple[Int1D, Int1D]]) -> int:
        return sum(leak_count(train, test, t0=t0, t1=t1) for train, test in splits)

    assert leaked(peer.split(t0)) == leaks
    for ours in (*two_sided((t0, t1), 6, 0), WalkForward(t0, t1)):
        assert leaked(ours.split(t0)) == 0


def test_gap_of_rows_leaks_where_the_clock_is_uneven() -> None:
    """Fourteen rows are a quarter of an hour only while every minute has a row."""
    t0, _ = minutes(1_200)
    t0 = t0 + np.cumsum(np.random.default_rng(0).choice([-20, 0, 40], 1_200))
    t0.sort()
    t1 = t0 + 1_800
    peer = TimeSeriesSplit(5, gap=14).split(t0)
    assert sum(leak_count(train, test, t0=t0, t1=t1) for train, test in peer) > 0


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


@pytest.mark.parametrize("scheme", ["k-fold", "walk", "walk with holes", "combinatorial"])
def test_splitters_are_scikit_learns(scheme: str) -> None:
    """cross_val_score and GridSearchCV take each, one score a split; the planted edge shows."""
    data = dataset(1_500)
    t0, t1 = data.t0, data.t1
    splitter: PurgedSplitter
    if scheme == "k-fold":
        splitter, n = PurgedKFold(t0, t1, n_splits=4), 4
    elif scheme == "walk":
        splitter, n = WalkForward(t0, t1, n_segments=4, train_s=30_000), 4
    elif scheme == "walk with holes":
        t0 = t0 + 90_000 * (np.arange(1_500) >= 900)
        splitter, n = WalkForward(t0, t0 + 300, n_segments=6), 2
    else:
        splitter, n = CombinatorialPurgedCV(t0, t1, n_groups=4, n_test_groups=2), 6
    assert splitter.get_n_splits(data.X, data.y) == n
    model = LogisticRegression(solver="newton-cholesky")
    found = cross_val_score(model, data.X[:, 1:], data.y, cv=splitter, scoring="roc_auc")
    assert len(found) == n
    assert found.min() > 0.6
    grid = GridSearchCV(model, {"C": [0.1, 1.0]}, cv=splitter, scoring="roc_auc")
    best = grid.fit(data.X[:, 1:], data.y)
    assert best.best_score_ >= found.mean() - 1e-12


def test_folds_serve_cross_val_predict() -> None:
    """K folds are a partition, which scikit-learn asks for."""
    data = dataset(600)
    model = LogisticRegression(solver="newton-cholesky")
    found = cross_val_predict(model, data.X[:, 1:], data.y, cv=PurgedKFold(data.t0, data.t1))
    assert (found == data.y).mean() > 0.6


def test_rows_of_another_table_are_refused() -> None:
    """A splitter belongs to the spans it was made with."""
    data = dataset(100)
    with pytest.raises(DataSchemaError, match="made for other rows; expected 100, got 99"):
        next(PurgedKFold(data.t0, data.t1).split(data.X[:99]))


def test_splitter_that_leaks_is_stopped() -> None:
    """Were a splitter ever to let a row through, training would end, not go on quietly."""

    class Careless(PurgedKFold):
        def _sides(self, blocks: tuple[Int1D, ...]) -> tuple[Bool1D, Bool1D, Bool1D]:
            kept = np.ones(len(self.t0), dtype=bool)
            kept[blocks[0]] = False
            return kept, ~kept, ~kept

    with pytest.raises(LeakageError, match="got 4 rows"):
        next(Careless(*minutes(20), n_splits=2).splits())


def test_combinations_and_paths_are_all_there() -> None:
    """Six groups, two tested: 15 splits, 5 paths, each group of each split used exactly once."""
    t0, t1 = minutes(600)
    splitter = CombinatorialPurgedCV(t0, t1, n_groups=6, n_test_groups=2)
    splits = list(splitter.splits())
    assert splitter.get_n_splits() == len(splits) == comb(6, 2)
    tested = [tuple(np.unique(splitter.group()[s.test]).tolist()) for s in splits]
    assert tested == list(combinations(range(6), 2))
    paths = splitter.paths()
    assert paths.shape == (splitter.n_paths, 6) == (comb(5, 1), 6)
    used = [(int(number), group) for row in paths for group, number in enumerate(row)]
    assert sorted(used) == [(number, g) for number, pair in enumerate(tested) for g in pair]
    assert (np.diff(paths, axis=0) > 0).all()


@given(any_order(), st.integers(3, 6), st.data())
@settings(max_examples=40, deadline=None)
def test_paths_hold_the_predictions_of_their_splits(
    spans: Spans, n_groups: int, data: st.DataObject
) -> None:
    """Every cell of a path is what the split named by the table predicted for that row."""
    k = data.draw(st.integers(1, n_groups - 1))
    splitter = CombinatorialPurgedCV(*spans, n_groups=n_groups, n_test_groups=k, embargo_s=0)
    tests = [split.test for split in splitter.splits()]
    # a prediction that tells which split made it, and for which row
    predictions = [1e3 * number + rows.astype(np.float64) for number, rows in enumerate(tests)]
    found = splitter.path_predictions(predictions)
    assert found.shape == (comb(n_groups - 1, k - 1), len(spans[0]))
    for path, table in zip(found, splitter.paths(), strict=True):
        assert (path % 1_000 == np.arange(len(spans[0]))).all()
        assert (path // 1_000 == table[splitter.group()]).all()
    with pytest.raises(DataSchemaError, match="no predictions of these splits"):
        splitter.path_predictions(predictions[:-1])


def test_one_tested_group_is_purged_k_fold() -> None:
    """Choosing one group at a time is k folds, and one path."""
    spans = minutes(500, 1_800)
    one = CombinatorialPurgedCV(*spans, n_groups=5, n_test_groups=1)
    for a, b in zip(one.splits(), PurgedKFold(*spans).splits(), strict=True):
        assert a.to_json() == b.to_json()
    assert one.paths().tolist() == [[0, 1, 2, 3, 4]]


def _as_times(spans: Spans) -> dict[str, Any]:
    t0, t1 = (pd.to_datetime(column, unit="s") for column in spans)
    return {"prediction_times": t0, "evaluation_times": t1}


@given(spans=label_spans(), n=st.integers(3, 6), embargo_s=st.sampled_from([0, 60, 3_600]))
@settings(max_examples=25, deadline=None)
def test_splits_are_those_of_purgedcv(
    oracle: Callable[[str], Any], spans: Spans, n: int, embargo_s: int
) -> None:
    """Row for row, on random spans with gaps: k folds and combinations.

    purgedcv drops a row decided exactly when its embargo ends, we keep it: ours is a second longer.
    """
    peer = oracle("purgedcv")
    rows = np.zeros((len(spans[0]), 1))
    embargo = embargo_s + (embargo_s > 0)
    more = {**_as_times(spans), "embargo": pd.Timedelta(seconds=embargo_s)}
    pairs = [
        (PurgedKFold(*spans, n_splits=n, embargo_s=embargo), peer.PurgedKFold(n, **more)),
        (
            CombinatorialPurgedCV(*spans, n_groups=n, n_test_groups=2, embargo_s=embargo),
            peer.CombinatorialPurgedCV(n, 2, **more),
        ),
    ]
    for ours, theirs in pairs:
        for (train, test), (wanted, tested) in zip(ours.split(), theirs.split(rows), strict=True):
            assert test.tolist() == tested.tolist()
            assert train.tolist() == wanted.tolist()


def test_embargo_in_rows_is_one_in_seconds_on_an_even_clock(oracle: Callable[[str], Any]) -> None:
    """The peer counts rows from the last test row, we count seconds from the last label's end."""
    spans, horizon, rows = minutes(300, 600), 10, 25
    theirs = oracle("purgedcv").PurgedKFold(5, embargo_observations=rows, **_as_times(spans))
    ours = PurgedKFold(*spans, embargo_s=60 * (rows - horizon + 1))
    for (train, _), (wanted, _) in zip(ours.split(), theirs.split(np.zeros((300, 1))), strict=True):
        assert train.tolist() == wanted.tolist()


@given(spans=label_spans(), n=st.integers(1, 4), sliding=st.booleans())
@settings(max_examples=25, deadline=None)
def test_walk_forward_trains_on_what_purgedcv_does(
    oracle: Callable[[str], Any], spans: Spans, n: int, *, sliding: bool
) -> None:
    """The peer's segments are equal in rows, ours in time; for the same test rows training is one.

    Its sliding window is counted in rows after purging: the last of what we train on.
    """
    size = len(spans[0]) // (2 * n)
    window = {"window": "sliding", "train_size": 7} if sliding else {}
    peer = oracle("purgedcv").WalkForwardSplit(n, size, **window, **_as_times(spans))
    for wanted, test in peer.split(np.zeros((len(spans[0]), 1))):
        kept, _, _ = WalkForward(*spans, n_segments=1)._sides((test,))
        same_time = spans[0][: test[0]] == spans[0][test[0]]
        assert not kept[: test[0]][same_time].any()
        assert np.flatnonzero(kept)[-7 if sliding else 0 :].tolist() == wanted.tolist()


def test_paths_are_those_of_purgedcv(oracle: Callable[[str], Any]) -> None:
    """The same predictions give the same histories."""
    spans = minutes(330, 900)
    ours = CombinatorialPurgedCV(*spans, n_groups=6, n_test_groups=3)
    theirs = oracle("purgedcv").CombinatorialPurgedCV(6, 3, **_as_times(spans))
    rng = np.random.default_rng(0)
    predictions = [rng.random(len(split.test)) for split in ours.splits()]
    np.testing.assert_array_equal(
        ours.path_predictions(predictions), theirs.reconstruct_paths(predictions)
    )


@pytest.mark.realdata
def test_recorded_market_with_weekends_is_split_without_leaks(
    real_data: Path, oracle: Callable[[str], Any]
) -> None:
    """A month of GBPUSD: 4 weekends, 107 small gaps, labels of an hour.

    KFold leaks at all its edges, ours nowhere, and row for row as purgedcv does.
    """
    frame = pd.read_csv(real_data / "fx_bidask_1m/GBPUSD_fxcm_m1_bid_201202.csv.gz")
    opened = pd.to_datetime(frame["timestamp"], utc=True).dt.as_unit("s")
    t0 = np.array(opened.astype(np.int64), dtype=np.int64) + 60
    spans = t0, t0 + 3_600
    plain = [leak_count(train, test, t0=t0, t1=spans[1]) for train, test in KFold(5).split(t0)]
    assert min(plain) > 40
    peer = oracle("purgedcv")
    pairs = [
        (PurgedKFold(*spans, embargo_s=3_601), peer.PurgedKFold),
        (CombinatorialPurgedCV(*spans, embargo_s=3_601), peer.CombinatorialPurgedCV),
    ]
    for ours, theirs in pairs:
        groups = (6, 2) if "Combinatorial" in theirs.__name__ else (5,)
        other = theirs(*groups, embargo=pd.Timedelta("1h"), **_as_times(spans))
        for split, (train, _) in zip(ours.splits(), other.split(t0[:, None]), strict=True):
            assert split.n_leaks == 0
            assert split.train.tolist() == train.tolist()


def test_split_tells_evidence_what_it_was() -> None:
    """Counts, times of both sides and a digest that any moved row changes."""
    t0, t1 = minutes(100, 600)
    splits = list(CombinatorialPurgedCV(t0, t1, n_groups=5, embargo_s=120).splits())
    found = splits[1].to_json()  # groups 0 and 2: rows 0-19 and 40-59 are tested
    # rows 20-28 and 31-39, 60-68 meet a test label; 29, 30 and 69, 70 are embargoed
    assert splits[1].train.tolist() == list(range(71, 100))
    assert (found["train"], found["test"], found["leaks"]) == (29, 40, 0)
    assert (found["purged"], found["embargoed"]) == (9 + 9 + 9, 4)
    assert found["train_s"] == [t0[71], t1[99]]
    assert found["test_s"] == [[t0[0], t1[19]], [t0[40], t1[59]]]
    digests = {split.digest for split in splits}
    assert len(digests) == 10
    again = Split(splits[1].train.copy(), splits[1].test, 0, 0, 0)
    assert again.digest == found["digest"]
    moved = Split(splits[1].train[1:], splits[1].test, 0, 0, 0)
    assert moved.digest not in digests


@pytest.mark.parametrize(
    ("t0", "t1"),
    [
        ([0, 60, 120], [60, 120]),
        ([0.0, 60.0], [60.0, 120.0]),
        ([[0]], [[60]]),
        ([0, 60], [60, 60]),
        ([0, 60], [60, 30]),
    ],
    ids=["lengths", "floats", "two columns", "empty span", "ends before"],
)
def test_what_is_no_span_is_refused(t0: list[Any], t1: list[Any]) -> None:
    """Before any split is made."""
    with pytest.raises(DataSchemaError, match="no label spans"):
        PurgedKFold(np.array(t0), np.array(t1), n_splits=2)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (PurgedKFold, {"n_splits": 1}),
        (PurgedKFold, {"embargo_s": -1}),
        (CombinatorialPurgedCV, {"n_groups": 2, "n_test_groups": 2}),
        (CombinatorialPurgedCV, {"n_test_groups": 0}),
        (WalkForward, {"n_segments": 0}),
        (WalkForward, {"train_s": 0}),
    ],
)
def test_impossible_settings_are_refused(
    kind: Callable[..., PurgedSplitter], more: dict[str, int]
) -> None:
    """No split, no window, or an embargo that reaches back."""
    with pytest.raises(ParamsError):
        kind(*minutes(100), **more)


@pytest.mark.parametrize("n", [0, 1, 9])
def test_too_few_rows_are_refused(n: int) -> None:
    """Two rows a fold are the least."""
    t0, t1 = minutes(n)
    with pytest.raises(EmptyWindowError, match="cross-validate"):
        PurgedKFold(t0, t1, n_splits=5)
    with pytest.raises(EmptyWindowError, match="cross-validate"):
        CombinatorialPurgedCV(t0, t1, n_groups=5)
    with pytest.raises(EmptyWindowError, match="walk forward"):
        WalkForward(t0, t1, n_segments=5)


def test_empty_segments_are_left_out() -> None:
    """A segment that falls into a gap yields no split instead of an empty one."""
    t0 = np.concatenate([np.arange(100), np.arange(900, 1_000)]) * 60
    found: Iterator[Split] = WalkForward(t0, t0 + 60, n_segments=10, first_train=0.05).splits()
    sizes = [len(split.test) for split in found]
    assert 0 < len(sizes) < 10
    assert min(sizes) > 0


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_an_embargo_without_end_leaves_the_past_alone(kind: type[np.signedinteger[Any]]) -> None:
    """Seconds beyond the largest integer wrap to no embargo at all if they are added."""
    t0 = (np.arange(60) * 60).astype(kind)
    folds = PurgedKFold(t0, t0 + kind(60), n_splits=3, embargo_s=2**63 - 1)
    assert all((split.train < split.test.min()).all() for split in folds.splits())
    walk = WalkForward(t0, t0 + kind(60), n_segments=3, train_s=2**63 - 1)
    assert all(split.train[0] == 0 for split in walk.splits())
