"""PSI validation as evidence: every number of the page, and counts to recompute them from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlwb.core.clock import DAY_S
from mlwb.drift import BLOCK_S, N_SPECIAL, psi_spec, spec_digest
from mlwb.drift.battery import Opinion
from mlwb.drift.calibration import BlockNull, Calibrated, is_gateable
from mlwb.evidence import Metric, rate
from mlwb.stages._psi_validation_losses import loss_details, loss_metrics
from mlwb.stages._psi_validation_result import Drifted, Result
from mlwb.stages.common import null

__all__ = ["snapshot_details", "snapshot_metrics"]

_NATS = "nats"
_NO_NULL = "the training window is too short for its own null"
_NOT_JUDGED = "no window of this length can judge it"


def snapshot_metrics(result: Result) -> list[Metric]:
    """Every number, each with its unit and its count.

    Parameters
    ----------
    result : Result
        As measured.

    Returns
    -------
    list of Metric
        Segments are feature names. What has no value says why.
    """
    metrics = [metric for item in result.features for metric in _feature(item)]
    return [
        *metrics,
        *_overall(result),
        *_rolling(result),
        *_prediction(result),
        *_together(result),
        *loss_metrics(result.realised),
    ]


def snapshot_details(result: Result) -> dict[str, Any]:
    """Counts of both sides, null scores and readings."""
    inputs = result.inputs
    return {
        "spec": {key: value for key, value in psi_spec([]).items() if key != "edges"},
        "features": [_counts(item) for item in (*result.features, result.prediction)],
        "heldout_days": int(np.ptp(inputs.ts // DAY_S)) + 1,
        "full_days": result.days,
        "held_against": vars(inputs.limits),
        "readings": {item.name: item.reading for item in (*result.features, result.prediction)},
        "overall_reading": result.overall.reading,
        "averaged": result.overall.averaged,
        "overall_null": _law(result.overall.calibrated.null),
        "rolling_null": _law(result.rolling.null),
        "losses": loss_details(result.realised),
    }


def _feature(item: Drifted) -> Iterator[Metric]:
    found = item.calibrated
    n = found.psi.n_obs

    def told(name: str, value: float | None, why: str, unit: str = "1") -> Metric:
        if value is None:
            return null(name, why, unit, item.name)
        return Metric(name, value, unit=unit, n=n, segment=item.name)

    yield told("psi", found.psi.value, "", _NATS)
    yield told("psi_raw", found.psi.raw, "a cell is empty on one side", _NATS)
    yield told("psi_noise_floor", found.psi.noise_floor, "", _NATS)
    yield told("psi_corrected", found.corrected, "", _NATS)
    for name, value in _ends(found).items():
        yield told(name, value, _NO_NULL, _NATS)
    yield told("design_effect", found.design_effect, _NO_NULL)
    yield told("psi_n_eff", found.n_eff, _NO_NULL, "rows")
    yield from _p_values(item)
    yield from _judgeable(item)
    yield from _shape(item)
    yield from _recent(item)


def _ends(found: Calibrated) -> dict[str, float | None]:
    """Bounds of the population PSI, and what chance reaches in one window of twenty."""
    bounds, own = found.bounds, found.null
    return {
        "psi_upper": None if bounds is None else bounds.upper,
        "psi_lower": None if bounds is None else bounds.lower,
        "psi_null95": None if own is None else own.limit95,
    }


def _p_values(item: Drifted) -> Iterator[Metric]:
    found, name = item.calibrated.null, item.name
    days = None if found is None else found.n_blocks
    values = (
        ("p_block", item.calibrated.p_value, _NO_NULL, "against the reference's own windows"),
        ("p_holm", item.p_holm, _NOT_JUDGED, "Holm over the features that can be judged"),
        ("q_bh", item.q_bh, _NO_NULL, "Benjamini-Hochberg over the features with a null"),
    )
    for metric, value, why, definition in values:
        if value is None:
            yield null(metric, why, segment=name)
        else:
            yield Metric(metric, value, n=days, segment=name, definition=definition)
    if found is not None:
        yield Metric("null_windows", found.n_disjoint, n=days, segment=name)
        yield Metric("null_memory", found.memory, n=days, segment=name)


def _judgeable(item: Drifted) -> Iterator[Metric]:
    definition = f"95 % of the reference's own windows stay below {item.limit:g}"
    yield Metric("gateable", int(item.is_gateable), segment=item.name, definition=definition)
    yield from _planned(item)
    days = item.gateable_days
    if days is None:
        why = "no window of this reference can judge it"
        yield null("gateable_days", why, "d", item.name)
    else:
        yield Metric("gateable_days", days, unit="d", segment=item.name)


def _planned(item: Drifted) -> Iterator[Metric]:
    if item.plan is None:
        yield null("psi_detectable", "no null, or nothing that varies", _NATS, item.name)
        return
    found = item.plan
    definition = f"{found.days} days find it with {found.power:.0%} power at {found.level:g}"
    yield Metric("psi_detectable", item.plan.detectable, unit=_NATS, segment=item.name,
                 definition=definition)  # fmt: skip


def _shape(item: Drifted) -> Iterator[Metric]:
    """Bins, what is missing, what lies outside everything training saw, other statistics."""
    name = item.name
    yield Metric("n_bins", item.reference.n_bins, segment=name)
    yield from (metric for other in item.others for metric in _other(other, name))
    found = item.missing
    if found is None:
        return
    for side, counts in (("reference", found.reference), ("heldout", found.current)):
        k, n = int(counts[-N_SPECIAL:].sum()), int(counts.sum())
        yield rate(f"missing_share_{side}", k, n, segment=name, definition="bars without a value")
    yield Metric("psi_missing", found.split.missing, unit=_NATS, segment=name,
                 definition="what an index that counts those bars adds for them")  # fmt: skip
    yield Metric("psi_finite", found.split.finite, unit=_NATS, segment=name,
                 definition="the rest of that index: the finite values")  # fmt: skip
    n = item.psi.n_obs
    outside = found.below + found.above
    yield rate("out_of_range_share", outside, n, segment=name, definition="beyond training's range")


def _other(item: Opinion, segment: str) -> Iterator[Metric]:
    yield Metric(item.name, item.value, segment=segment)
    n = len(item.scores)
    for name, value in (("null95", item.limit95), ("p_block", item.p_value)):
        if value is None:
            yield null(f"{item.name}_{name}", _NO_NULL, segment=segment)
        else:
            yield Metric(f"{item.name}_{name}", value, n=n, segment=segment)


def _recent(item: Drifted) -> Iterator[Metric]:
    recent, name = item.recent, item.name
    if recent is None:
        why = "the training window is shorter than the held-out window"
        yield null("psi_recent", why, _NATS, name)
        yield null("p_recent", why, segment=name)
        yield null("q_recent", why, segment=name)
        return
    definition = "against the window of the same length before"
    n = recent.psi.n_obs
    yield Metric(
        "psi_recent", recent.psi.value, unit=_NATS, n=n, segment=name, definition=definition
    )
    for metric, value in (("p_recent", recent.p_value), ("q_recent", item.q_recent)):
        if recent.null is None or value is None:
            yield null(metric, "too few neighbouring windows in the reference", segment=name)
        else:
            yield Metric(metric, value, n=len(recent.null.scores), segment=name)


def _overall(result: Result) -> Iterator[Metric]:
    found, averaged = result.overall.calibrated, result.overall.averaged
    n, reason = result.prediction.psi.n_obs, "a feature has no null"
    definition = "mean over " + ", ".join(averaged)
    yield Metric("psi_overall", found.psi.value, unit=_NATS, n=n, definition=definition)
    for end, value in {"psi_corrected": found.corrected, **_ends(found)}.items():
        name = end.replace("psi_", "psi_overall_")
        yield null(name, reason, _NATS) if value is None else Metric(name, value, _NATS, n)
    judged = int(is_gateable(found, result.overall.limit))
    yield Metric("overall_gateable", judged, definition=f"held against {result.overall.limit:g}")
    p_value = found.p_value
    yield null("p_overall", reason) if p_value is None else Metric("p_overall", p_value)


def _together(result: Result) -> Iterator[Metric]:
    found = result.together
    if found is None:
        for name in ("c2st_auc", "c2st_p", "pca_error", "pca_p"):
            yield null(name, _NO_NULL)
        return
    told, kept = found.classifier, found.pca
    definition = "classifier between training and held-out rows, folds of whole days"
    yield Metric("c2st_auc", told.auc, definition=definition)
    yield Metric("c2st_p", told.p_value, n=len(told.null))
    definition = "distance of held-out rows from training's principal components"
    yield Metric("pca_error", kept.error, definition=definition)
    yield Metric("pca_p", kept.p_value, n=len(kept.null))


def _rolling(result: Result) -> Iterator[Metric]:
    found, name = result.rolling, f"psi_rolling_{result.rolling.days}d_max"
    if not len(found.values):
        yield null(name, f"{result.days} of {found.days} full days are held out", _NATS)
        return
    yield Metric(name, float(found.values.max()), unit=_NATS, n=len(found.values))
    if found.null is not None:
        yield Metric(f"psi_rolling_{found.days}d_null95", found.null.limit95, unit=_NATS)


def _prediction(result: Result) -> Iterator[Metric]:
    item, n = result.prediction, result.prediction.psi.n_obs
    for metric in _feature(item):
        if metric.name in _OF_THE_SCORE:
            yield Metric(
                _OF_THE_SCORE[metric.name], metric.value, metric.unit, metric.n,
                definition=metric.definition, null_reason=metric.null_reason,
            )  # fmt: skip
    ks = result.ks
    yield Metric("prediction_ks", ks.value, n=n)
    if ks.p_value is None:
        yield null("prediction_ks_p", _NO_NULL)
    else:
        definition = "against the reference's own windows"
        yield Metric("prediction_ks_p", ks.p_value, n=len(ks.scores), definition=definition)


_OF_THE_SCORE = {
    "psi": "prediction_psi",
    "psi_corrected": "prediction_psi_corrected",
    "psi_upper": "prediction_psi_upper",
    "psi_lower": "prediction_psi_lower",
    "psi_null95": "prediction_psi_null95",
    "p_block": "prediction_p_block",
    "gateable": "prediction_gateable",
    "gateable_days": "prediction_gateable_days",
    "psi_recent": "prediction_psi_recent",
    "p_recent": "prediction_p_recent",
}


def _counts(item: Drifted) -> dict[str, Any]:
    """All a stranger needs: reference by day and hour, held-out rows by block and hour."""
    frozen, blocks = item.frozen.blocks, item.blocks
    return {
        "name": item.name,
        "edges": item.reference.edges,
        "spec": spec_digest(item.reference.edges),
        "reference_digest": item.reference.digest,
        "reference_counts": item.reference.counts,
        "reference_days": frozen.days,
        "reference_by_day": frozen.daily,
        "reference_by_hour": frozen.by_hour,
        "current_counts": item.current,
        "block_s": BLOCK_S,
        "current_starts": blocks.starts,
        "current_by_block": blocks.counts,
        "current_by_hour": blocks.by_hour,
        "per_bin": item.psi.per_bin,
        "null": _law(item.null),
        "recent_null": _law(item.recent.null if item.recent else None),
    }


def _law(found: BlockNull | None) -> dict[str, Any] | None:
    """What chance gives: PSI over its mean is ``F(degrees, degrees * (n_blocks - 1))``."""
    if found is None:
        return None
    return {
        "mean": found.mean,
        "degrees": found.degrees,
        "n_blocks": found.n_blocks,
        "window_blocks": found.window_blocks,
        "memory": found.memory,
        "windows_scored": len(found.scores),
    }
