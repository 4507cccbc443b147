"""Scaling and fitting on training rows alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

from mlwb.core.errors import DegenerateModelError, ParamsError
from mlwb.model import Trial, WinsorScaler, fit_model
from tests.model.model_kit import TRIALS, dataset, fitted


def test_scaler_clips_then_standardises() -> None:
    """Numpy's 0.5 and 99.5 % quantiles, then scikit-learn's StandardScaler on clipped values."""
    X = dataset().X
    scaler = WinsorScaler().fit(X)
    low, high = np.quantile(X, [0.005, 0.995], axis=0)
    np.testing.assert_array_equal(scaler.lower_, low)
    np.testing.assert_array_equal(scaler.upper_, high)
    expected = StandardScaler().fit_transform(np.clip(X, low, high))
    np.testing.assert_allclose(scaler.transform(X)[:, 1:], expected[:, 1:], atol=1e-12)


def test_scaler_leaves_a_constant_feature_finite() -> None:
    """The bias has no spread: it becomes 0 for the value it was fitted on, not NaN."""
    scaled = WinsorScaler().fit(dataset().X).transform(dataset().X)
    assert set(scaled[:, 0]) == {0.0}


def test_one_wild_row_moves_nothing_it_can_be_clipped_from() -> None:
    """A value of 1e9 in one row leaves mean and scale as they are, and itself at the bound."""
    X = dataset().X
    wild = X.copy()
    wild[5, 1] = 1e9
    calm, spoiled = WinsorScaler().fit(X), WinsorScaler().fit(wild)
    assert spoiled.scale_[1] == pytest.approx(calm.scale_[1], rel=0.02)
    assert spoiled.transform(wild)[5, 1] == spoiled.transform(wild)[:, 1].max()


def test_clip_rate_counts_rows_outside() -> None:
    """About 1 % on the training rows, all of them far away, none inside."""
    X = dataset().X
    scaler = WinsorScaler().fit(X)
    assert scaler.clip_rate(X)[3] == pytest.approx(0.01, abs=0.002)
    assert scaler.clip_rate(X + 1e6).tolist() == [1.0] * X.shape[1]
    assert scaler.clip_rate(np.median(X, axis=0)[None, :]).tolist() == [0.0] * X.shape[1]


def test_logistic_is_another_solvers_optimum() -> None:
    """scikit-learn's lbfgs on the same scaled rows reaches the same coefficients."""
    model, X = fitted("logistic")
    y = dataset(6_000).y
    scaled = model.scaler.transform(X)
    other = LogisticRegression(C=1.0, solver="lbfgs", tol=1e-10, max_iter=1_000).fit(scaled, y)
    np.testing.assert_allclose(model.classifier.coef_, other.coef_, atol=1e-5)
    np.testing.assert_allclose(model.predict(X), other.predict_proba(scaled)[:, 1], atol=1e-5)


@pytest.mark.parametrize("family", TRIALS)
def test_same_rows_same_model(family: str) -> None:
    """Fitted twice, the predictions are equal bit for bit; they are probabilities that vary."""
    model, X = fitted(family)
    again = fit_model(TRIALS[family], X, dataset(6_000).y)
    found = model.predict(X)
    np.testing.assert_array_equal(found, again.predict(X))
    assert 0.0 < found.min() < found.max() < 1.0


def test_strength_of_the_penalty_is_used() -> None:
    """A smaller C shrinks the coefficients."""
    data = dataset()
    sizes = [
        np.abs(fit_model(Trial("logistic", c, 0), data.X, data.y).classifier.coef_).sum()
        for c in (1e-4, 1e-2, 1.0)
    ]
    assert sizes[0] < sizes[1] < sizes[2]


def test_float32_thresholds_change_no_tree() -> None:
    """On float32 rows, those on thresholds included, rounding thresholds down moves no row."""
    model, X = fitted("boosting")
    exact = HistGradientBoostingClassifier(**model.classifier.get_params())
    scaled = model.scaler.transform(X).astype(np.float32)
    exact.fit(scaled, dataset(6_000).y)
    found = [tree.nodes for group in model.classifier._predictors for tree in group]
    wanted = [tree.nodes for group in exact._predictors for tree in group]
    rows = [scaled]
    for column in range(X.shape[1]):
        at = np.concatenate([n["num_threshold"][n["feature_idx"] == column] for n in wanted])
        block = np.tile(np.median(scaled, axis=0), (len(at), 1))
        block[:, column] = at
        rows.append(block)
    edges = np.vstack(rows).astype(np.float32)
    np.testing.assert_array_equal(model.classifier.predict_proba(edges), exact.predict_proba(edges))
    for a, b in zip(found, wanted, strict=True):
        assert (a["num_threshold"] == a["num_threshold"].astype(np.float32)).all()
        assert (a["num_threshold"] <= b["num_threshold"]).all()


def test_trial_names_itself() -> None:
    """What tables show: the strength only where it is used."""
    assert Trial("logistic", 0.1, 0).name == "logistic C=0.1"
    assert Trial("boosting", 0.1, 0).name == "boosting"


@pytest.mark.parametrize(
    ("row", "value"), [(0, np.nan), (0, np.inf), (0, None)], ids=["nan", "inf", "one class"]
)
def test_nothing_to_learn_from_is_an_error(row: int, value: float | None) -> None:
    """Values that are not finite and a single class."""
    data = dataset(100)
    X, y = data.X.copy(), np.zeros(100) if value is None else data.y
    if value is not None:
        X[row, 1] = value
    with pytest.raises(DegenerateModelError, match="nothing to learn from"):
        fit_model(TRIALS["logistic"], X, y)


def test_no_rows_are_an_error() -> None:
    """An empty training side."""
    with pytest.raises(DegenerateModelError, match="0 rows, 0 classes"):
        fit_model(TRIALS["logistic"], np.empty((0, 2)), np.empty(0))


def test_unknown_family_is_an_error() -> None:
    """With the families there are."""
    with pytest.raises(ParamsError, match="logistic, boosting"):
        fit_model(Trial("forest", 1.0, 0), dataset(100).X, dataset(100).y)
