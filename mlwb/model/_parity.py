"""The ONNX graph against the fitted model, on ordinary rows and on the rows where graphs break."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Float2D
from mlwb.inference import Predictor
from mlwb.model._fit import FittedModel

__all__ = ["Parity", "measure_parity", "parity_rows"]

LEAST_ROWS = 100_000
"""Small sets hide defects: two rows in 400,000 were seen to differ by 2.5e-3 in trees fitted on
float64, and none in 5,000."""
TOLERANCE = 1e-5
"""Difference above which a row is counted; the limit itself is the policy's."""


@dataclass(frozen=True)
class Parity:
    """How far the graph is from the model it was made of.

    Parameters
    ----------
    n_rows : int
        Rows compared.
    max_abs_diff, p99_abs_diff : float
        Of the probabilities.
    n_above : int
        Rows that differ by more than 1e-5.
    flips : int
        Rows that fall on different sides of one half by more than rounding (1e-9).
    worst_row : tuple of float
        The row with the largest difference.
    """

    n_rows: int
    max_abs_diff: float
    p99_abs_diff: float
    n_above: int
    flips: int
    worst_row: tuple[float, ...]


def parity_rows(model: FittedModel, X: Float2D, *, seed: int) -> Float2D:
    """Rows to compare on: real ones, clip edges, split thresholds and extremes, >= 100,000.

    Parameters
    ----------
    model : FittedModel
        Its bounds and thresholds are walked.
    X : ndarray of shape (n_rows, n_features), float64
        Real rows.
    seed : int
        Of the rows drawn to fill up, values shuffled within columns.

    Returns
    -------
    ndarray of shape (>= 100000, n_features), float64
    """
    rng = np.random.default_rng(seed)
    edges = _edge_rows(model, X)
    missing = max(LEAST_ROWS - len(X) - len(edges), 0)
    mixed = np.column_stack([rng.choice(column, size=missing) for column in X.T])
    return np.vstack([X, edges, mixed])


def measure_parity(model: FittedModel, predictor: Predictor, rows: Float2D) -> Parity:
    """Compare the two on every row.

    Parameters
    ----------
    model : FittedModel
        The reference.
    predictor : Predictor
        The exported graph in the runtime that serves it.
    rows : ndarray of shape (n_rows, n_features), float64
        Finite.

    Returns
    -------
    Parity
    """
    expected, got = model.predict(rows), predictor.predict(rows)
    difference = np.abs(expected - got)
    sides = (expected - 0.5) * (got - 0.5) < 0.0
    worst = int(np.argmax(difference))
    return Parity(
        n_rows=len(rows),
        max_abs_diff=float(difference[worst]),
        p99_abs_diff=float(np.quantile(difference, 0.99)),
        n_above=int((difference > TOLERANCE).sum()),
        flips=int((sides & (difference > 1e-9)).sum()),
        worst_row=tuple(float(x) for x in rows[worst]),
    )


def _edge_rows(model: FittedModel, X: Float2D) -> Float2D:
    """A typical row with one feature at a time on, just below and just above each special value."""
    typical = np.median(X, axis=0)
    rows: list[Float1D] = []
    for column in range(X.shape[1]):
        scaler = model.scaler
        special = [scaler.lower_[column], scaler.upper_[column], scaler.mean_[column], 0.0]
        special += list(X[:, column].min() - np.array([0.0, 1e3]))
        special += list(X[:, column].max() + np.array([0.0, 1e3]))
        around = [[np.nextafter(v, -np.inf), v, np.nextafter(v, np.inf)] for v in special]
        values = np.concatenate([*around, _threshold_values(model, column)])
        block = np.tile(typical, (len(values), 1))
        block[:, column] = values
        rows.extend(block)
    return np.asarray(rows)


def _threshold_values(model: FittedModel, column: int) -> Float1D:
    """Raw values whose scaled form is on, just below and just above each split threshold.

    The step is one of the type the family computes in: a step of float64 would vanish in the cast
    to float32 that trees are served on.
    """
    scale, mean = model.scaler.scale_[column], model.scaler.mean_[column]
    at = model.family.thresholds(model.classifier, column).astype(model.family.dtype)
    sides = [np.nextafter(at, at.dtype.type(-np.inf)), at, np.nextafter(at, at.dtype.type(np.inf))]
    return np.asarray(np.concatenate(sides).astype(np.float64) * scale + mean)
