"""Parity is measured where graphs break, and sees it when one does."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mlwb.inference import Predictor
from mlwb.model import FittedModel, export_onnx, make_sidecar, measure_parity, parity_rows
from tests.model.model_kit import TRIALS, facts, fitted


def served(model: FittedModel) -> Predictor:
    """The graph of a model."""
    return Predictor.from_bytes(export_onnx(model), make_sidecar(facts(), fitted("logistic")[1]))


@pytest.mark.parametrize("family", TRIALS)
def test_rows_hold_the_edges(family: str) -> None:
    """At least 100,000 rows: the real ones, and every clip bound with both its neighbours."""
    model, X = fitted(family)
    rows = parity_rows(model, X, seed=0)
    assert rows.shape == (max(100_000, len(rows)), X.shape[1])
    assert np.isfinite(rows).all()
    np.testing.assert_array_equal(rows[: len(X)], X)
    for column in range(X.shape[1]):
        for bound in (model.scaler.lower_[column], model.scaler.upper_[column]):
            wanted = [np.nextafter(bound, -np.inf), bound, np.nextafter(bound, np.inf)]
            assert np.isin(wanted, rows[:, column]).all()


def test_rows_hold_every_split_threshold() -> None:
    """As the trees see rows, in float32: each threshold and both its neighbours occur."""
    model, X = fitted("boosting")
    seen = model.scaler.transform(parity_rows(model, X, seed=0)).astype(np.float32)
    missed, total = 0, 0
    for group in model.classifier._predictors:
        splits = group[0].nodes[group[0].nodes["is_leaf"] == 0]
        for column, threshold in zip(splits["feature_idx"], splits["num_threshold"], strict=True):
            at = np.float32(threshold)
            wanted = [
                np.nextafter(at, np.float32(-np.inf)),
                at,
                np.nextafter(at, np.float32("inf")),
            ]
            missed += int((~np.isin(wanted, seen[:, column])).sum())
            total += 3
    assert total > 1_000
    assert missed == 0


def test_large_samples_are_used_whole() -> None:
    """More real rows than the minimum: all of them and the edges, nothing drawn."""
    model, X = fitted("logistic")
    many = np.tile(X, (20, 1))
    rows = parity_rows(model, many, seed=0)
    edges = len(parity_rows(model, X, seed=0))
    assert len(many) < len(rows) < len(many) + 500
    assert edges == 100_000


def test_same_seed_same_rows() -> None:
    """The filled-up rows are a function of the seed."""
    model, X = fitted("logistic")
    np.testing.assert_array_equal(parity_rows(model, X, seed=3), parity_rows(model, X, seed=3))
    assert not np.array_equal(parity_rows(model, X, seed=3), parity_rows(model, X, seed=4))


@pytest.mark.parametrize(("family", "limit"), [("logistic", 1e-12), ("boosting", 1e-6)])
def test_exported_graph_has_parity(family: str, limit: float) -> None:
    """On 100,000 rows with all edges: no row above 1e-5, no flip, and far closer in fact."""
    model, X = fitted(family)
    found = measure_parity(model, served(model), parity_rows(model, X, seed=0))
    assert found.n_rows >= 100_000
    assert found.max_abs_diff < limit
    assert (found.n_above, found.flips) == (0, 0)
    assert found.p99_abs_diff <= found.max_abs_diff


def test_another_graph_is_seen() -> None:
    """One coefficient off by a thousandth: rows above the tolerance, flips, the worst row named."""
    model, X = fitted("logistic")
    classifier = SimpleNamespace(
        coef_=model.classifier.coef_ + np.array([[0.0, 0.0, 0.0, 0.0, 1e-3]]),
        intercept_=model.classifier.intercept_,
    )
    rows = parity_rows(model, X, seed=0)
    other = served(replace(model, classifier=classifier))
    found = measure_parity(model, other, rows)
    assert found.max_abs_diff > 1e-4
    assert found.n_above > 1_000
    assert found.flips > 0
    difference = np.abs(model.predict(rows) - other.predict(rows))
    assert found.worst_row == tuple(rows[int(difference.argmax())])
    assert found.n_above == (difference > 1e-5).sum()
