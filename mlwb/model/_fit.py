"""Estimators: clip and scale fitted inside the fold, then a family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.errors import DegenerateModelError
from mlwb.features import WINSOR
from mlwb.model._families import find_family
from mlwb.model._family import Family, Trial

__all__ = ["FittedModel", "Trial", "WinsorScaler", "fit_model"]

_ROUNDING = 1e-6
"""Share by which a float32 probability may miss [0, 1]."""


class WinsorScaler(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Clip every feature to its training quantiles, then standardise it.

    Attributes
    ----------
    lower_, upper_ : ndarray of shape (n_features,), float64
        Clip bounds, in the feature's unit.
    mean_, scale_ : ndarray of shape (n_features,), float64
        Of the clipped training values; a constant feature has scale 1.
    """

    def fit(self, X: Float2D, y: object = None) -> WinsorScaler:  # noqa: ARG002 - the scikit-learn signature
        """Learn bounds, mean and scale from finite training rows."""
        self.lower_, self.upper_ = np.quantile(X, WINSOR, axis=0)
        clipped = np.clip(X, self.lower_, self.upper_)
        self.mean_ = clipped.mean(axis=0)
        scale = clipped.std(axis=0)
        self.scale_ = np.where(scale > 0.0, scale, 1.0)
        return self

    def transform(self, X: Float2D) -> Float2D:
        """Clip and standardise; shape (n_rows, n_features)."""
        return np.asarray((np.clip(X, self.lower_, self.upper_) - self.mean_) / self.scale_)

    def clip_rate(self, X: Float2D) -> Float1D:
        """Share of rows outside the bounds, one value a feature; about 0.01 is expected."""
        outside = (self.lower_ > X) | (self.upper_ < X)
        return np.asarray(outside.mean(axis=0), dtype=np.float64)


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

    @property
    def family(self) -> Family:
        """What the trial's family can do."""
        return find_family(self.trial.family)

    def predict(self, X: Float2D) -> Float1D:
        """Probability of label 1, shape (n_rows,).

        Raises
        ------
        DegenerateModelError
            The classifier fails, or gives something else than a probability for each row.
        """
        scaled = self.scaler.transform(X).astype(self.family.dtype, copy=False)
        try:
            found = np.asarray(self.classifier.predict_proba(scaled)[:, 1], dtype=np.float64)
        except Exception as error:
            raise _failed(self.trial, "predict", error) from error
        if found.shape != (len(X),) or not _are_probabilities(found):
            raise DegenerateModelError(
                f"{self.trial.name} predicts no probabilities",
                expected=f"{len(X)} numbers from 0 to 1",
                got=f"{found.size} numbers, {int((~np.isfinite(found)).sum())} not finite",
            )
        return found


def _are_probabilities(found: Float1D) -> bool:
    return bool(((found >= -_ROUNDING) & (found <= 1.0 + _ROUNDING)).all())


def _failed(trial: Trial, what: str, error: Exception) -> DegenerateModelError:
    """Families are written by users, and may raise anything."""
    got = f"{type(error).__name__}: {error}"
    return DegenerateModelError(f"{trial.name} cannot {what}", got=got)


def fit_model(
    trial: Trial,
    X: Float2D,
    y: Float1D,
    weight: Float1D | None = None,
) -> FittedModel:
    """Fit scaler and classifier on training rows only.

    Parameters
    ----------
    trial : Trial
        What to fit.
    X : ndarray of shape (n_rows, n_features), float64
        Finite training rows.
    y : ndarray of shape (n_rows,), float64
        0 or 1.
    weight : ndarray of shape (n_rows,), float64, optional
        How much each row counts for the classifier, > 0. Scaled to a mean of 1, so that a penalty
        keeps its meaning when all labels overlap alike. Clip bounds and scale are of plain rows.

    Returns
    -------
    FittedModel

    Raises
    ------
    DegenerateModelError
        No rows, one class only, values that are not finite, or a classifier that fails.
    ParamsError
        Unknown family.
    """
    family = find_family(trial.family)
    if len(y) == 0 or len(np.unique(y)) < 2 or not np.isfinite(X).all():
        raise DegenerateModelError(
            "nothing to learn from",
            expected="finite rows of both classes",
            got=f"{len(y)} rows, {len(np.unique(y))} classes",
        )
    scaler = WinsorScaler().fit(X)
    share = None if weight is None or np.ptp(weight) == 0.0 else weight / weight.mean()
    try:
        classifier = family.build(trial)
        family.fit(classifier, scaler.transform(X).astype(family.dtype, copy=False), y, share)
    except Exception as error:
        raise _failed(trial, "be fitted", error) from error
    return FittedModel(trial, scaler, classifier)
