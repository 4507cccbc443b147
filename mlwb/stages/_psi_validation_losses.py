"""What the held-out predictions turned out to be worth, once their labels are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwb.core.errors import EmptyWindowError
from mlwb.drift import LossDays, LossWatch, Reliability, daily_losses, reliability
from mlwb.evidence import Interval, Metric
from mlwb.model import SCORE
from mlwb.stages._psi_validation_inputs import Inputs
from mlwb.stages.common import null

__all__ = ["Realised", "loss_details", "loss_metrics", "realised"]

_SEED = 0
"""Of the resampled days of the calibration's intervals; evidence says so."""
_WHOLE_DAYS = "resampled days, seed 0"
_NAMES = (
    "brier_reference",
    "brier_heldout",
    "brier_expected",
    "brier_rise",
    "loss_e_value",
    "calibration_gap",
    "ece",
    "ece_chance",
    "calibration_slope",
)


@dataclass(frozen=True)
class Realised:
    """Losses by day on both sides, the evidence that they rose, and the calibration.

    Parameters
    ----------
    before : LossDays
        Training rows that the model had not been fitted on.
    now : LossDays
        Held-out rows whose labels are known.
    watches : tuple of LossWatch
        The watch before the first held-out day and after each; empty where training has too few
        days to rank one in.
    tolerance : float
        Rise of the daily Brier loss that is accepted.
    limit : float
        Evidence for harm that it is held against.
    calibration : Reliability
        Of the held-out probabilities.
    """

    before: LossDays
    now: LossDays
    watches: tuple[LossWatch, ...]
    tolerance: float
    limit: float
    calibration: Reliability

    @property
    def brier(self) -> tuple[float, float]:
        """Mean Brier loss a row, before and now."""
        first, second = (
            float(side.brier.sum() / side.rows.sum()) for side in (self.before, self.now)
        )
        return first, second

    @property
    def expected(self) -> float:
        """Mean Brier loss that the probabilities themselves lead to expect now."""
        return float(self.now.expected.sum() / self.now.rows.sum())

    @property
    def e_value(self) -> float | None:
        """Evidence for harm after the last held-out day; None where nothing could be ranked."""
        return self.watches[-1].e_value if len(self.watches) > 1 else None


def realised(inputs: Inputs) -> Realised | None:
    """Hold matured predictions against what such predictions cost in training.

    Parameters
    ----------
    inputs : Inputs
        Held-out scores, the market that resolves them, the version's losses.

    Returns
    -------
    Realised or None
        None where the version keeps no losses, or no held-out label is known yet.
    """
    before, prepared = inputs.reference.losses, inputs.prepared
    labels = prepared.labels(inputs.label)
    held = np.isin(prepared.ts, inputs.ts)
    rows = held & labels.valid
    if before is None or not rows.any():
        return None
    probability, y = inputs.current[SCORE][labels.valid[held]], labels.y[rows].astype(np.int64)
    t0, t1 = labels.t0[rows], labels.t1[rows]
    now = daily_losses(probability, y, t0, horizon_s=t1 - t0)
    found = reliability(probability, y, t1, rng=np.random.default_rng(_SEED))
    limits = inputs.limits
    watches = _watched(before, now, limits.loss_tolerance)
    return Realised(before, now, watches, limits.loss_tolerance, limits.loss_evidence, found)


def _watched(before: LossDays, now: LossDays, tolerance: float) -> tuple[LossWatch, ...]:
    try:
        watches = [LossWatch.start(before, tolerance=tolerance)]
    except EmptyWindowError:
        return ()
    for place in np.flatnonzero(now.days > watches[0].last_day):
        day = slice(place, place + 1)
        columns = {field.name: getattr(now, field.name)[day] for field in dataclasses.fields(now)}
        watches.append(watches[-1].update(LossDays(**columns)))
    return tuple(watches)


def loss_metrics(found: Realised | None) -> Iterator[Metric]:
    """Losses before and now, the evidence for harm, the calibration."""
    if found is None:
        for name in _NAMES:
            yield null(name, "no held-out label is known, or the version keeps no losses")
        return
    n = int(found.now.rows.sum())
    before, now = found.brier
    definition = "out of fold, in training"
    yield Metric("brier_reference", before, n=int(found.before.rows.sum()), definition=definition)
    yield Metric("brier_heldout", now, n=n, definition="of matured held-out labels")
    definition = "mean p (1 - p): what the probabilities lead to expect; advice"
    yield Metric("brier_expected", found.expected, n=n, definition=definition)
    yield Metric("brier_rise", now - before, n=n)
    if found.e_value is None:
        yield null("loss_e_value", "too few days of losses in training, or none held out")
    else:
        definition = f"days ranked among training's; harm is a rise beyond {found.tolerance:g}"
        n_days = found.watches[-1].wealth.n_bets
        yield Metric("loss_e_value", found.e_value, n=n_days, definition=definition)
    yield from _calibration(found)


def _calibration(found: Realised) -> Iterator[Metric]:
    told = found.calibration
    n = told.n_obs
    for name, value, ends in (
        ("calibration_gap", told.gap, told.gap_interval),
        ("ece", told.ece, told.ece_interval),
    ):
        interval = Interval(0.95, *ends, method=_WHOLE_DAYS) if np.isfinite(ends).all() else None
        yield Metric(name, value, n=n, ci=interval)
    definition = "95 % of calibrated models with as many such days"
    yield Metric("ece_chance", told.ece_chance, n=n, definition=definition)
    definition = "1 where calibrated, below where too sure (Cox 1958)"
    yield Metric("calibration_slope", told.slope, n=n, definition=definition)


def loss_details(found: Realised | None) -> dict[str, Any]:
    """Losses by day of both sides, and the state of the watch."""
    if found is None:
        return {}
    state = found.watches[-1].to_json() if found.watches else None
    return {"before": found.before.to_json(), "now": found.now.to_json(), "watch": state}
