"""What the predictions turned out to be worth, by the day on which their labels matured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.clock import DAY_S
from mlwb.core.errors import ArtifactError, DataSchemaError

__all__ = ["Loss", "LossDays", "daily_losses"]

Loss: TypeAlias = Literal["brier", "log_loss"]

LOSS_DAYS_SCHEMA = "mlwb.loss-days/1"
_SURE = 1e-12
"""A probability of 0 or 1 that was wrong costs 27.6 nats, not infinitely many."""


@dataclass(frozen=True)
class LossDays:
    """Losses of a classifier by UTC day; those of training's held-out rows are the reference.

    Parameters
    ----------
    days : ndarray of shape (n_days,), int64
        UTC day numbers on which labels matured, increasing.
    rows : ndarray of shape (n_days,), int64
        Labels that matured, at least one.
    brier, log_loss : ndarray of shape (n_days,), float64
        Sums over those rows of ``(p - y)^2`` and of ``-ln`` of the probability of what happened.
    expected : ndarray of shape (n_days,), float64
        Sum of ``p (1 - p)``: the Brier loss that the model itself expected. Known before any label,
        right as long as the model is calibrated, and no more than advice: see :attr:`surprise`.
    """

    days: Int1D
    rows: Int1D
    brier: Float1D
    log_loss: Float1D
    expected: Float1D

    @property
    def surprise(self) -> Float1D:
        """Mean Brier loss less the expected one, by day: the back-test of ``expected``."""
        return np.asarray((self.brier - self.expected) / self.rows, dtype=np.float64)

    def mean(self, loss: Loss = "brier") -> Float1D:
        """Mean loss of each day, shape (n_days,)."""
        total = self.brier if loss == "brier" else self.log_loss
        return np.asarray(total / self.rows, dtype=np.float64)

    def __add__(self, other: LossDays) -> LossDays:
        """Both together, as if all rows had come at once."""
        days, place = np.unique(np.concatenate([self.days, other.days]), return_inverse=True)

        def summed(name: str) -> Float1D:
            both = np.concatenate([getattr(self, name), getattr(other, name)])
            return np.asarray(np.bincount(place, weights=both, minlength=len(days)), np.float64)

        rows = np.asarray(summed("rows"), dtype=np.int64)
        return LossDays(days, rows, summed("brier"), summed("log_loss"), summed("expected"))

    def to_json(self) -> dict[str, Any]:
        """Plain form, to be kept with a version."""
        return {"schema": LOSS_DAYS_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> LossDays:
        """Inverse of :meth:`to_json`.

        Raises
        ------
        ArtifactError
            Not of this schema, or its parts do not fit.
        """
        if stored.get("schema") != LOSS_DAYS_SCHEMA:
            raise ArtifactError("not losses by day", expected=LOSS_DAYS_SCHEMA)
        try:
            whole = [np.asarray(stored[key], dtype=np.int64) for key in ("days", "rows")]
            sums = [
                np.asarray(stored[key], dtype=np.float64)
                for key in ("brier", "log_loss", "expected")
            ]
            found = cls(whole[0], whole[1], sums[0], sums[1], sums[2])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ArtifactError(f"not losses by day: {error}") from error
        same = len({getattr(found, each.name).shape for each in fields(cls)}) == 1
        finite = all(bool(np.isfinite(column).all() and (column >= 0).all()) for column in sums)
        if (
            not same
            or not finite
            or bool((np.diff(found.days) <= 0).any() or (found.rows < 1).any())
        ):
            raise ArtifactError("the parts of losses by day do not fit")
        return found


def daily_losses(
    probability: Float1D, label: Int1D, ts: Int1D, *, horizon_s: int | Int1D
) -> LossDays:
    """Losses by the day on which each label matured.

    Parameters
    ----------
    probability : ndarray of shape (n_obs,), float64
        Of label 1, in [0, 1].
    label : ndarray of shape (n_obs,), int64
        0 or 1.
    ts : ndarray of shape (n_obs,), int64
        Unix seconds of each prediction, in any order.
    horizon_s : int or ndarray of shape (n_obs,), int64
        Seconds until the label was known. The AUC of days does not add up and is not here.

    Returns
    -------
    LossDays

    Raises
    ------
    DataSchemaError
        A probability outside [0, 1] or NaN, a label that is neither 0 nor 1.

    Examples
    --------
    >>> found = daily_losses(
    ...     np.array([0.8, 0.5]), np.array([1, 0]), np.array([0, 86_100]), horizon_s=300
    ... )
    >>> found.days.tolist(), found.mean().round(4).tolist()
    ([0, 1], [0.04, 0.25])
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(label)
    if not bool(((p >= 0.0) & (p <= 1.0)).all() and ((y == 0) | (y == 1)).all()):
        raise DataSchemaError("losses need probabilities in [0, 1] and labels 0 or 1")
    days, place = np.unique((np.asarray(ts) + horizon_s) // DAY_S, return_inverse=True)

    def summed(values: Float1D) -> Float1D:
        return np.asarray(np.bincount(place, weights=values, minlength=len(days)), np.float64)

    happened = np.where(y == 1, p, 1.0 - p)
    return LossDays(
        np.asarray(days, dtype=np.int64),
        np.bincount(place, minlength=len(days)).astype(np.int64),
        summed(np.square(1.0 - happened)),
        summed(-np.log(np.maximum(happened, _SURE))),
        summed(p * (1.0 - p)),
    )
