"""Cross-validation: everything fitted is fitted inside the fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from mlwb.core.errors import DegenerateModelError
from mlwb.model import (
    CombinatorialPurgedCV,
    Dataset,
    OutOfFold,
    PurgedKFold,
    Trial,
    TrialResult,
    choose,
    cross_validate,
    cross_validate_paths,
    fit_model,
    make_trials,
    refit,
    score,
    search,
    walk,
)
from tests.model.model_kit import NAMES, TRIALS, dataset

TRIAL = TRIALS["logistic"]


def folds(data: Dataset, n_splits: int = 4) -> PurgedKFold:
    """The usual splitter."""
    return PurgedKFold(data.t0, data.t1, n_splits=n_splits)


def result(family: str, c: float, auc: float) -> TrialResult:
    """A trial with a score."""
    nothing = np.empty(0)
    rows = np.empty(0, dtype=np.int64)
    return TrialResult(Trial(family, c, 0), OutOfFold(rows, rows, nothing, (auc,), ()))


def test_every_row_is_predicted_once_by_a_model_that_never_saw_it() -> None:
    """Each fold's scores equal those of a model fitted here on its training rows alone."""
    data = dataset()
    found = cross_validate(data, TRIAL, folds(data))
    assert found.index.tolist() == list(range(len(data)))
    for number, (train, test) in enumerate(folds(data).split()):
        alone = fit_model(TRIAL, data.X[train], data.y[train]).predict(data.X[test])
        np.testing.assert_array_equal(found.probability[found.fold == number], alone)
    assert found.mean_auc == np.mean(found.fold_auc)
    assert len(found.splits) == 4


def test_test_rows_never_reach_the_fit() -> None:
    """Spoiling one test block changes no score of any other row of that block's fold."""
    data = dataset()
    spoiled_rows = np.arange(0, 700, 2)
    X = data.X.copy()
    X[spoiled_rows] *= 1e4
    y = data.y.copy()
    y[spoiled_rows] = 1.0 - y[spoiled_rows]
    spoiled = replace(data, X=X, y=y)
    before = cross_validate(data, TRIAL, folds(data)).probability
    after = cross_validate(spoiled, TRIAL, folds(spoiled)).probability
    untouched = np.setdiff1d(np.arange(750), spoiled_rows)
    np.testing.assert_array_equal(before[untouched], after[untouched])
    assert not np.array_equal(before[750:], after[750:])


def test_scalers_differ_by_fold() -> None:
    """Bounds and scale are those of each fold's own training rows."""
    data = dataset()
    scalers = [
        fit_model(TRIAL, data.X[train], data.y[train]).scaler for train, _ in folds(data).split()
    ]
    assert len({tuple(scaler.upper_) for scaler in scalers}) == 4
    assert len({tuple(scaler.mean_) for scaler in scalers}) == 4


def test_unpredictable_labels_score_a_half() -> None:
    """Ten markets without an edge: the mean AUC is 0.5 within 0.02; with the edge it is high."""
    blind = [cross_validate(d, TRIAL, folds(d)).mean_auc for d in map(_blind, range(10))]
    assert np.mean(blind) == pytest.approx(0.5, abs=0.02)
    data = dataset()
    assert cross_validate(data, TRIAL, folds(data)).mean_auc > 0.7


def _blind(seed: int) -> Dataset:
    return dataset(1_500, seed=seed, edge=0.0)


def test_fold_of_one_class_is_an_error() -> None:
    """An AUC of one class is not averaged in as a half."""
    data = dataset(400)
    y = data.y.copy()
    y[:100] = 1.0
    with pytest.raises(DegenerateModelError):
        cross_validate(replace(data, y=y), TRIAL, folds(data))


def test_weights_reach_the_fit() -> None:
    """Each fold's model is the one fitted here on its rows with their weights."""
    data = dataset(1_200)
    data = replace(data, weight=np.linspace(0.1, 1.0, 1_200))
    found = cross_validate(data, TRIAL, folds(data))
    for number, (train, test) in enumerate(folds(data).split()):
        alone = fit_model(TRIAL, data.X[train], data.y[train], data.weight[train])
        np.testing.assert_array_equal(
            found.probability[found.fold == number], alone.predict(data.X[test])
        )
    plain = cross_validate(replace(data, weight=np.ones(1_200)), TRIAL, folds(data))
    assert not np.array_equal(found.probability, plain.probability)
    np.testing.assert_array_equal(
        refit(data, TRIAL).predict(data.X),
        fit_model(TRIAL, data.X, data.y, data.weight).predict(data.X),
    )


def test_weights_reach_the_auc_when_asked() -> None:
    """A fold's AUC is scikit-learn's with these weights, or without any."""
    data = dataset(1_200)
    data = replace(data, weight=np.random.default_rng(0).uniform(0.1, 1.0, 1_200))
    plain = cross_validate(data, TRIAL, folds(data))
    weighted = cross_validate(data, TRIAL, folds(data), is_auc_weighted=True)
    np.testing.assert_array_equal(plain.probability, weighted.probability)
    for number in range(4):
        rows = plain.index[plain.fold == number]
        p = plain.probability[plain.fold == number]
        assert plain.fold_auc[number] == pytest.approx(roc_auc_score(data.y[rows], p))
        assert weighted.fold_auc[number] == pytest.approx(
            roc_auc_score(data.y[rows], p, sample_weight=data.weight[rows])
        )


def test_rows_bring_their_weight_along() -> None:
    """Selections keep it, one without any counts its rows, and n_eff stands beside every n."""
    data = dataset(100)
    assert (data.weight == 1.0).all()
    assert data.n_eff == 100.0
    weight = np.linspace(0.1, 1.0, 100)
    weighted = replace(data, weight=weight)
    assert weighted.rows(np.array([3, 7])).weight.tolist() == weight[[3, 7]].tolist()
    assert weighted.without(("bias",)).n_eff == weighted.n_eff == pytest.approx(weight.sum())
    inside = weighted.between(float(data.t0[10]), float(data.t1[50]))
    assert inside.weight.tolist() == weight[10:51].tolist()
    overlapping = replace(dataset(600), weight=np.full(600, 0.2))
    found = cross_validate(overlapping, TRIAL, folds(overlapping))
    assert found.n_eff == pytest.approx(120.0)


def test_combinations_make_whole_histories() -> None:
    """Every cell of a path is what the named split's model says, fitted here again."""
    data = replace(dataset(1_000), weight=np.linspace(0.5, 1.0, 1_000))
    splitter = CombinatorialPurgedCV(data.t0, data.t1, n_groups=5, n_test_groups=2)
    found = cross_validate_paths(data, TRIAL, splitter)
    assert found.probability.shape == (4, 1_000)
    models = [
        fit_model(TRIAL, data.X[s.train], data.y[s.train], data.weight[s.train])
        for s in found.splits
    ]
    for path in range(4):
        for group in range(5):
            rows = np.flatnonzero(found.group == group)
            alone = models[found.split[path, group]].predict(data.X[rows])
            np.testing.assert_array_equal(found.probability[path, rows], alone)
            assert found.group_auc[path, group] == pytest.approx(roc_auc_score(data.y[rows], alone))
        assert found.auc[path] == pytest.approx(found.group_auc[path].mean())
        assert found.scores[path] == score(data.y, found.probability[path], data.weight)
    assert np.ptp(found.auc) > 0.0
    assert all(split.n_leaks == 0 for split in found.splits)


def test_group_of_one_class_leaves_its_paths_without_a_mean() -> None:
    """NaN for the group on every path, and for each path's mean; never a half."""
    data = dataset(600)
    y = data.y.copy()
    y[:100] = 1.0
    splitter = CombinatorialPurgedCV(data.t0, data.t1, n_groups=6, n_test_groups=2)
    found = cross_validate_paths(replace(data, y=y), TRIAL, splitter)
    assert np.isnan(found.group_auc[:, 0]).all()
    assert np.isfinite(found.group_auc[:, 1:]).all()
    assert np.isnan(found.auc).all()


def test_search_takes_any_splitter() -> None:
    """A combinatorial scheme scores a trial by the mean over its splits."""
    data = dataset(800)
    splitter = CombinatorialPurgedCV(data.t0, data.t1, n_groups=4, n_test_groups=2)
    (found,) = search(data, [TRIAL], splitter)
    assert len(found.out_of_fold.fold_auc) == 6
    assert np.bincount(found.out_of_fold.index).tolist() == [3] * 800


def test_search_tells_how_far_it_is() -> None:
    """After each trial: how many are done, how many there are, which one it was."""
    data, told = dataset(400), list[tuple[int, int, str]]()
    trials = make_trials(["logistic"], c=[0.1, 1.0], seed=0)
    search(data, trials, folds(data, 2), progress=lambda *said: told.append(said))
    assert told == [(1, 2, "logistic C=0.1"), (2, 2, "logistic C=1")]


def test_walk_predicts_forward_only() -> None:
    """Segments in order, each trained on resolved earlier rows; the first part is never tested."""
    data = dataset()
    found = walk(data, TRIAL, n_segments=5)
    assert len(found.fold_auc) == 5
    assert (np.diff(found.index) > 0).all()
    assert found.index[0] == pytest.approx(900, abs=5)
    assert all(split.train.max() < split.test.min() for split in found.splits)


def test_walk_without_any_fold_is_an_error() -> None:
    """Labels that resolve after everything leave nothing to train on."""
    data = dataset(200)
    endless = replace(data, t1=data.t1 + 10**9)
    with pytest.raises(DegenerateModelError, match="no fold"):
        walk(endless, TRIAL, n_segments=4)


def test_a_walk_survives_a_segment_of_one_class() -> None:
    """No AUC in the quiet segment, the others as ever; before the first event nothing is learnt."""
    data = dataset()
    plain = walk(data, TRIAL, n_segments=5)
    quiet = data.y.copy()
    quiet[plain.splits[2].test] = 0.0
    found = walk(replace(data, y=quiet), TRIAL, n_segments=5)
    assert np.isnan(found.fold_auc).tolist() == [False, False, True, False, False]
    assert found.fold_auc[:2] == plain.fold_auc[:2]
    assert np.isfinite(found.probability).all()
    late = data.y.copy()
    late[: plain.splits[1].test[0]] = 0.0
    assert len(walk(replace(data, y=late), TRIAL, n_segments=5).splits) == 3


def test_search_keeps_the_order_of_trials() -> None:
    """The list is the ledger of everything tried, in the order tried."""
    data = dataset(1_200)
    trials = [Trial("logistic", c, 0) for c in (10.0, 0.1, 1.0)]
    found = search(data, trials, folds(data))
    assert [r.trial for r in found] == trials
    alone = cross_validate(data, trials[1], folds(data))
    np.testing.assert_array_equal(found[1].out_of_fold.probability, alone.probability)


@pytest.mark.parametrize(
    ("gain", "margin", "family"),
    [(0.03, 0.02, "boosting"), (0.01, 0.02, "logistic"), (0.0, 0.0, "logistic")],
)
def test_challenger_must_win_by_more_than_the_margin(
    gain: float, margin: float, family: str
) -> None:
    """Another family is taken only beyond the margin; a draw keeps the incumbent."""
    results = [
        result("logistic", 0.1, 0.60),
        result("logistic", 1.0, 0.65),
        result("boosting", 1.0, 0.65 + gain),
    ]
    chosen = choose(results, margin=margin)
    assert chosen.trial.family == family
    assert chosen.trial.c == 1.0


def test_margin_is_not_asked_within_the_family() -> None:
    """Of the incumbent family the best is taken, however close."""
    results = [result("logistic", 0.1, 0.600), result("logistic", 1.0, 0.601)]
    assert choose(results, margin=0.02).trial.c == 1.0


def test_exactly_the_margin_is_not_enough() -> None:
    """A gain equal to the margin (numbers exact in binary) keeps the incumbent."""
    results = [result("logistic", 1.0, 0.5), result("boosting", 1.0, 0.75)]
    assert choose(results, margin=0.25).trial.family == "logistic"


def test_rows_between_two_times_are_whole_spans() -> None:
    """A row belongs to a window when it is decided and resolved in it, both ends included."""
    data = dataset(100)
    start, end = float(data.t0[10]), float(data.t1[50])
    inside = data.between(start, end)
    assert inside.t0.tolist() == data.t0[10:51].tolist()
    assert len(data.between(start, end - 1)) == 40
    assert len(data.between(start + 1, end)) == 40


def test_dropped_columns_leave_the_rest_as_it_was() -> None:
    """Names and columns go together; unknown names are no error; rows are untouched."""
    data = dataset(50)
    found = data.without(("spread_bp", "nope"))
    assert found.names == tuple(name for name in NAMES if name != "spread_bp")
    np.testing.assert_array_equal(found.X, np.delete(data.X, 2, axis=1))
    assert found.y is data.y


def test_refit_uses_all_rows() -> None:
    """The exported model is the one fitted on everything."""
    data = dataset(800)
    np.testing.assert_array_equal(
        refit(data, TRIAL).predict(data.X), fit_model(TRIAL, data.X, data.y).predict(data.X)
    )
