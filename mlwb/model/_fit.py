"""Estimators: clip and scale fitted inside the fold, then a family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin  # type: ignore[import-untyped]
from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.errors import DegenerateModelError, ParamsError

__all__ = ["FAMILIES", "FittedModel", "Trial", "WinsorScaler", "fit_model"]

FAMILIES = ("logistic", "boosting")
WINSOR = (0.005, 0.995)
"""Quantiles values are clipped to (requirements: percentiles 0.5 and 99.5)."""


class WinsorScaler(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Clip every feature to its training quantiles, then standardise it.

    Attributes
    ----------
    lower_, upper_ : ndarray of shape (n_features,), float64
        Clip bounds, in the feature's unit.
    mean_, scale_ : ndarray of shape (n_features,), float64
        Of the clipped training values; a constant feature has scale 1.
    """

    def fit(self, X: Float2D, y: object = None) -> WinsorScaler:  # noqa: ARG002, N803 - the scikit-learn signature
        """Learn bounds, mean and scale from finite training rows."""
        self.lower_, self.upper_ = np.quantile(X, WINSOR, axis=0)
        clipped = np.clip(X, self.lower_, self.upper_)
        self.mean_ = clipped.mean(axis=0)
        scale = clipped.std(axis=0)
        self.scale_ = np.where(scale > 0.0, scale, 1.0)
        return self

    def transform(self, X: Float2D) -> Float2D:  # noqa: N803 - the scikit-learn signature
        """Clip and standardise; shape (n_rows, n_features)."""
        return np.asarray((np.clip(X, self.lower_, self.upper_) - self.mean_) / self.scale_)

    def clip_rate(self, X: Float2D) -> Float1D:  # noqa: N803 - the scikit-learn signature
        """Share of rows outside the bounds, one value a feature; about 0.01 is expected."""
        outside = (self.lower_ > X) | (self.upper_ < X)
        return np.asarray(outside.mean(axis=0), dtype=np.float64)


@dataclass(frozen=True)
class Trial:
    """One configuration that can be tried.

    Parameters
    ----------
    family : {"logistic", "boosting"}
        Estimator family.
    c : float
        Inverse L2 strength of the logistic family; 1.0 elsewhere and unused.
    seed : int
        Random state of the fit.
    """

    family: str
    c: float
    seed: int

    @property
    def name(self) -> str:
        """Short text for tables, ``logistic C=0.1``."""
        return f"{self.family} C={self.c:g}" if self.family == "logistic" else self.family


@dataclass(frozen=True)
class FittedModel:
    """A fitted scaler and classifier; the same arithmetic the ONNX graph does.

    Parameters
    ----------
    trial : Trial
        What was fitted.
    scaler : WinsorScaler
        Clip bounds and scale.
    classifier : object
        scikit-learn classifier with ``predict_proba``.
    """

    trial: Trial
    scaler: WinsorScaler
    classifier: Any

    def predict(self, X: Float2D) -> Float1D:  # noqa: N803 - the scikit-learn convention
        """Probability of label 1, shape (n_rows,)."""
        prepared = _prepared(self.trial.family, self.scaler.transform(X))
        return np.asarray(self.classifier.predict_proba(prepared)[:, 1], dtype=np.float64)


def fit_model(trial: Trial, X: Float2D, y: Float1D) -> FittedModel:  # noqa: N803 - the scikit-learn convention
    """Fit scaler and classifier on training rows only.

    Parameters
    ----------
    trial : Trial
        What to fit.
    X : ndarray of shape (n_rows, n_features), float64
        Finite training rows.
    y : ndarray of shape (n_rows,), float64
        0 or 1.

    Returns
    -------
    FittedModel

    Raises
    ------
    DegenerateModelError
        No rows, one class only, or values that are not finite.
    ParamsError
        Unknown family.
    """
    if len(y) == 0 or len(np.unique(y)) < 2 or not np.isfinite(X).all():
        raise DegenerateModelError(
            "nothing to learn from",
            expected="finite rows of both classes",
            got=f"{len(y)} rows, {len(np.unique(y))} classes",
        )
    scaler = WinsorScaler().fit(X)
    classifier = _classifier(trial)
    classifier.fit(_prepared(trial.family, scaler.transform(X)), y)
    if trial.family == "boosting":
        _narrow_thresholds(classifier)
    return FittedModel(trial, scaler, classifier)


def _prepared(family: str, scaled: Float2D) -> Any:
    """Trees are fitted and served on float32, so that both see the same side of a threshold."""
    return scaled.astype(np.float32) if family == "boosting" else scaled


def _narrow_thresholds(classifier: Any) -> None:
    """Round every split threshold down to float32.

    For float32 values ``x <= t`` and ``x <= t rounded down`` are the same, so the model stays what
    it is. ONNX holds float32 thresholds; rounded to the nearest, as the converter does, a value
    on such a threshold would fall to the other side.
    """
    for group in classifier._predictors:  # noqa: SLF001 - scikit-learn publishes no other way
        for tree in group:
            exact = tree.nodes["num_threshold"]
            narrow = exact.astype(np.float32)
            above = narrow > exact
            narrow[above] = np.nextafter(narrow[above], np.float32(-np.inf))
            tree.nodes["num_threshold"] = narrow


def _classifier(trial: Trial) -> Any:
    if trial.family == "logistic":
        return LogisticRegression(C=trial.c, solver="newton-cholesky", max_iter=100, tol=1e-8)
    if trial.family == "boosting":
        # early_stopping would validate on random rows, which leak in a time series
        return HistGradientBoostingClassifier(
            max_iter=80,
            learning_rate=0.08,
            max_leaf_nodes=15,
            min_samples_leaf=200,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=trial.seed,
        )
    raise ParamsError("no such model family", expected=", ".join(FAMILIES), got=repr(trial.family))
