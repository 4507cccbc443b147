"""Stage 03: the held-out window against the reference frozen in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.clock import Clock, SystemClock
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import (
    BinnedReference,
    BlockCounts,
    FeatureReference,
    PsiResult,
    count_blocks,
    in_full_blocks,
    psi_of_counts,
)
from mlwb.drift.calibration import BlockNull, Bounds, block_null, bounds, ks_of_counts
from mlwb.evidence import Input, Metric, Record, new_record
from mlwb.gates import Verdict
from mlwb.inference import Predictor, VersionReference, load_reference
from mlwb.model import SCORE
from mlwb.params import Policy, PsiValidationParams
from mlwb.registry import Registry
from mlwb.stages.common import (
    Prepared,
    candidate_of,
    check_unseen,
    context,
    home_of,
    judge_gates,
    manifest_of,
    market_inputs,
    market_origin,
    null,
    policy_of,
    prepare,
    store_of,
    write_all,
)

__all__ = ["FeatureDrift", "Inputs", "Result", "judge", "load", "measure", "record", "run"]

GATES = ("psi", "drift")
_DAY_S = 86_400
ROLLING_DAYS = 7
"""Length of the rolling window (requirements: 7-day rolling PSI)."""


@dataclass(frozen=True)
class Inputs:
    """What PSI validation reads.

    Parameters
    ----------
    params : PsiValidationParams
        As loaded.
    version : str
        Of the candidate.
    reference : VersionReference
        Frozen in training, with its digest.
    current : mapping of str to ndarray
        Held-out values of every feature on full days, and the candidate's scores on them.
    ts : ndarray of int64
        Unix second of each held-out row.
    prepared : Prepared
        Market and features.
    """

    params: PsiValidationParams
    version: str
    reference: VersionReference
    current: dict[str, Float1D]
    ts: Int1D
    prepared: Prepared


@dataclass(frozen=True)
class FeatureDrift:
    """One feature, or the score, against its reference.

    Parameters
    ----------
    name : str
        Feature name.
    psi : PsiResult
        Plain statistic on all held-out rows.
    null : BlockNull or None
        Windows of the reference against the rest of it; None where the reference is too short.
    bounds : Bounds or None
        Of the population PSI, from that null.
    blocks : BlockCounts
        Held-out counts by block of time.
    frozen : FeatureReference
        What they are compared with.
    """

    name: str
    psi: PsiResult
    null: BlockNull | None
    bounds: Bounds | None
    blocks: BlockCounts
    frozen: FeatureReference

    @property
    def reference(self) -> BinnedReference:
        """Frozen bins."""
        return self.frozen.bins

    @property
    def current(self) -> Int1D:
        """Held-out counts of all days together."""
        return self.blocks.total


@dataclass(frozen=True)
class Result:
    """What PSI validation measured.

    Parameters
    ----------
    inputs : Inputs
        What it read.
    features : tuple of FeatureDrift
        In column order.
    prediction : FeatureDrift
        The candidate's own score.
    overall : float
        Mean PSI over features, the requirements' number.
    overall_bounds : Bounds or None
        Of that mean, from the mean of the features' nulls window by window.
    rolling : ndarray of float64
        Overall PSI of every seven held-out days in a row.
    averaged : tuple of str
        Features in the mean: those that vary and are no function of the clock.
    ks, ks_p : float
        Two-sample KS of the score at the frozen edges, p for independent rows.
    """

    inputs: Inputs
    features: tuple[FeatureDrift, ...]
    prediction: FeatureDrift
    overall: float
    overall_bounds: Bounds | None
    rolling: Float1D
    averaged: tuple[str, ...]
    ks: float
    ks_p: float

    @property
    def worst(self) -> FeatureDrift:
        """The feature with the largest plain index."""
        return max(self.features, key=lambda item: item.psi.value)


def load(params: PsiValidationParams) -> Inputs:
    """Read the candidate's frozen reference and compute the held-out features."""
    registry = Registry(home_of(params.run).models, clock=SystemClock())
    version = candidate_of(params.run, registry)
    folder = registry.resolve(version)
    predictor, reference = Predictor.load(folder), load_reference(folder)
    manifest = manifest_of(registry, version)
    prepared, current, ts = heldout(params, predictor, manifest)
    return Inputs(
        params=params,
        version=version,
        reference=reference,
        current=current,
        ts=ts,
        prepared=prepared,
    )


def heldout(
    params: PsiValidationParams, predictor: Predictor, manifest: Mapping[str, Any]
) -> tuple[Prepared, dict[str, Float1D], Int1D]:
    """Features and scores of the full days after the training window, where all are known.

    Raises
    ------
    EmptyWindowError
        The held-out window has no such row.
    DataSchemaError, LeakageError
        The market is not the one the version was trained on, or the version has seen it.
    """
    names, modules = predictor.sidecar.names, params.features.modules
    prepared = prepare(params.data, names, params.window, modules)
    check_unseen(prepared, manifest)
    rows = prepared.complete & (prepared.ts >= prepared.windows.train_end)
    days = prepared.ts // _DAY_S
    rows[rows] = in_full_blocks(days[rows])
    kept: Float2D = prepared.X[rows]
    if len(kept) == 0:
        raise EmptyWindowError("the held-out window has no row with all features")
    current = dict(zip(prepared.names, kept.T, strict=True))
    current[SCORE] = predictor.predict(kept)
    return prepared, current, prepared.ts[rows]


def measure(inputs: Inputs) -> Result:
    """Plain PSI, its block null and bounds, rolling windows, KS of the score."""
    found = [
        _drift(inputs.reference.features[name], inputs.current[name], inputs.ts)
        for name in (*inputs.prepared.names, SCORE)
    ]
    features, prediction = tuple(found[:-1]), found[-1]
    averaged = [item for item in features if is_averaged(item, inputs.prepared)]
    overall = float(np.mean([item.psi.value for item in averaged]))
    ks, ks_p = ks_of_counts(prediction.reference.counts, prediction.current)
    return Result(
        inputs=inputs,
        features=features,
        prediction=prediction,
        overall=overall,
        overall_bounds=_overall_bounds(averaged, overall),
        rolling=_rolling(averaged),
        averaged=tuple(item.name for item in averaged),
        ks=ks,
        ks_p=ks_p,
    )


def record(result: Result, params: PsiValidationParams, clock: Clock) -> tuple[Record, ...]:
    """Write the PSI snapshot, with edges and counts of both sides."""
    inputs = result.inputs
    frozen = Input("reference", f"models/{inputs.version}", inputs.reference.digest)
    shared = context(
        "psi_validation",
        params,
        clock,
        version=inputs.version,
        origin=market_origin(inputs.prepared),
        inputs=(*market_inputs(inputs.prepared), frozen),
    )
    limit = float(policy_of(params.run).limit("psi.feature").value)
    metrics = [m for item in result.features for m in _feature_metrics(item, limit)]
    details = {
        "features": [_detail(item) for item in (*result.features, result.prediction)],
        "heldout_days": int(np.ptp(inputs.ts // _DAY_S)) + 1,
    }
    snapshot = new_record(
        "psi_snapshot", [*metrics, *_overall_metrics(result)], shared, details=details
    )
    return write_all(store_of(params.run), [snapshot])


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """Ask the gates psi and drift."""
    return judge_gates(GATES, records, policy, clock)


def run(params: PsiValidationParams, policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """All four verbs."""
    return judge(record(measure(load(params)), params, clock), policy, clock)


def _drift(frozen: FeatureReference, values: Float1D, ts: Int1D) -> FeatureDrift:
    name, blocks = frozen.name, count_blocks(frozen.bins.edges, values, ts)
    found = psi_of_counts(name, frozen.bins.counts, blocks.total)
    try:
        null_scores = block_null(name, list(frozen.blocks.daily), window_blocks=len(blocks.days))
    except EmptyWindowError:
        return FeatureDrift(name, found, None, None, blocks, frozen)
    limits = bounds(found.value, null_scores)
    return FeatureDrift(name, found, null_scores, limits, blocks, frozen)


def _overall_bounds(features: Sequence[FeatureDrift], overall: float) -> Bounds | None:
    nulls = [item.null for item in features if item.null is not None]
    if len(nulls) != len(features):
        return None
    scores = np.mean([item.scores for item in nulls], axis=0)
    return bounds(overall, BlockNull(scores, nulls[0].window_blocks, nulls[0].n_blocks))


def is_averaged(item: FeatureDrift, prepared: Prepared) -> bool:
    """Whether a feature belongs in the mean: a constant or a clock would only dilute it."""
    spec = next(spec for spec in prepared.specs if spec.name == item.name)
    return item.reference.n_bins > 1 and set(spec.inputs) - {"ts"} != set()


def _rolling(features: Sequence[FeatureDrift]) -> Float1D:
    n_days = len(features[0].blocks.days)
    width = min(ROLLING_DAYS, n_days)
    means = [
        np.mean(
            [
                psi_of_counts(
                    item.name,
                    item.reference.counts,
                    item.blocks.daily[start : start + width].sum(axis=0),
                ).value
                for item in features
            ]
        )
        for start in range(n_days - width + 1)
    ]
    return np.asarray(means, dtype=np.float64)


def _feature_metrics(item: FeatureDrift, limit: float) -> list[Metric]:
    name, n = item.name, item.psi.n_obs
    metrics = [
        Metric("psi", item.psi.value, unit="nats", n=n, segment=name),
        Metric("psi_noise_floor", item.psi.noise_floor, unit="nats", n=n, segment=name),
    ]
    if item.null is None or item.bounds is None:
        reason = "the training window is too short for its own null"
        names = ("psi_upper", "psi_lower", "p_block", "psi_null95")
        return [*metrics, *(null(m, reason, "nats", name) for m in names), _gateable(item, limit)]
    return [
        *metrics,
        Metric("psi_upper", item.bounds.upper, unit="nats", n=n, segment=name),
        Metric("psi_lower", item.bounds.lower, unit="nats", n=n, segment=name),
        Metric("p_block", item.null.p_value(item.psi.value), n=len(item.null.scores), segment=name),
        Metric("psi_null95", item.null.limit95, unit="nats", segment=name),
        Metric("null_windows", item.null.n_disjoint, n=len(item.null.scores), segment=name),
        _gateable(item, limit),
    ]


def _gateable(item: FeatureDrift, limit: float) -> Metric:
    can = item.null is not None and item.null.limit95 < limit
    definition = f"95 % of the reference's own windows stay below the limit of {limit:g}"
    return Metric("gateable", int(can), segment=item.name, definition=definition)


def _overall_metrics(result: Result) -> list[Metric]:
    n = result.prediction.psi.n_obs
    limits = result.overall_bounds
    reason = "a feature has no null"
    nats = "nats"
    upper = null("psi_overall_upper", reason, nats)
    lower = null("psi_overall_lower", reason, nats)
    if limits is not None:
        upper = Metric("psi_overall_upper", limits.upper, unit=nats, n=n)
        lower = Metric("psi_overall_lower", limits.lower, unit=nats, n=n)
    return [
        Metric(
            "psi_overall",
            result.overall,
            unit=nats,
            n=n,
            definition="mean over " + ", ".join(result.averaged),
        ),
        upper,
        lower,
        Metric("psi_rolling_7d_max", float(result.rolling.max()), unit=nats, n=len(result.rolling)),
        Metric("prediction_psi", result.prediction.psi.value, unit=nats, n=n),
        Metric("prediction_ks", result.ks, n=n),
        Metric("prediction_ks_p", result.ks_p, n=n, definition="for independent rows"),
    ]


def _detail(item: FeatureDrift) -> dict[str, Any]:
    return {
        "name": item.name,
        "edges": item.reference.edges,
        "reference_counts": item.reference.counts,
        "current_counts": item.current,
        "per_bin": item.psi.per_bin,
        "reference_digest": item.reference.digest,
        "null_scores": [] if item.null is None else item.null.scores,
    }
