"""The probe of fitting: honest pipelines pass, each planted leak is caught."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.model import Dataset, PurgedKFold, WinsorScaler, fit_model, outside_influence, refit
from tests.model.model_kit import TRIALS, dataset

Scorer = Callable[[Float2D], Float1D]


def influence(fit: Callable[[Dataset, Int1D], Scorer], number: int = 2) -> int:
    """Test rows of one of five folds that something outside training has moved."""
    data = dataset(900)
    split = list(PurgedKFold(data.t0, data.t1).splits())[number]
    return outside_influence(fit, data, split, seed=0)


@pytest.mark.parametrize("family", ["logistic", "boosting"])
@pytest.mark.parametrize("number", [0, 4])
def test_fit_of_the_package_uses_training_rows_only(family: str, number: int) -> None:
    """Scaler, clip bounds and model: not one score changes in any bit."""
    found = influence(lambda data, train: refit(data.rows(train), TRIALS[family]).predict, number)
    assert found == 0


def scaled_on_all(data: Dataset, train: Int1D) -> Scorer:
    """The classic leak: the scaler has seen the test rows."""
    scaler = WinsorScaler().fit(data.X)
    model = fit_model(TRIALS["logistic"], scaler.transform(data.X[train]), data.y[train])
    return lambda rows: model.predict(scaler.transform(rows))


def selected_on_all(data: Dataset, train: Int1D) -> Scorer:
    """Features chosen by their correlation with the target over all rows."""
    z = np.argsort(-np.abs(np.cov(data.X.T, data.target)[-1, :-1]))[:2]
    model = fit_model(TRIALS["logistic"], data.X[train][:, z], data.y[train])
    return lambda rows: model.predict(rows[:, z])


def fitted_on_all(data: Dataset, train: Int1D) -> Scorer:
    """No split at all."""
    del train
    return refit(data, TRIALS["logistic"]).predict


@pytest.mark.parametrize("leak", [scaled_on_all, selected_on_all, fitted_on_all])
def test_planted_leak_is_caught(leak: Callable[[Dataset, Int1D], Scorer]) -> None:
    """Most test rows are scored differently once the outside has changed."""
    assert influence(leak) > 150


def test_data_is_left_as_it_was() -> None:
    """The probe works on copies."""
    data = dataset(300)
    before = data.X.copy(), data.y.copy(), data.target.copy()
    split = next(PurgedKFold(data.t0, data.t1).splits())
    outside_influence(scaled_on_all, data, split, seed=1)
    for now, then in zip((data.X, data.y, data.target), before, strict=True):
        np.testing.assert_array_equal(now, then)
