"""Stage 01: what the market is like, what the features are, and whether they know anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.clock import Clock, SystemClock
from mlwb.data import QualityReport, quality
from mlwb.evidence import Interval, Metric, Record, new_record
from mlwb.features.labels import Labels, forward_return
from mlwb.gates import Verdict
from mlwb.params import FeatureStudyParams, Policy
from mlwb.registry import Registry
from mlwb.stages._quality_metrics import quality_record
from mlwb.stages.common import (
    Prepared,
    context,
    home_of,
    judge_gates,
    market_inputs,
    market_origin,
    next_version,
    prepare,
    store_of,
    write_all,
)
from mlwb.study import (
    Distribution,
    Information,
    Redundancy,
    Stationarity,
    describe,
    effective_n,
    information,
    redundancy,
    stationarity,
)

__all__ = ["Inputs", "Result", "judge", "load", "measure", "record", "run"]

GATES = ("data",)


@dataclass(frozen=True)
class Inputs:
    """What the study reads.

    Parameters
    ----------
    params : FeatureStudyParams
        As loaded.
    prepared : Prepared
        Market and features.
    labels : Labels
        Of every bar.
    version : str
        Version the study is made for.
    """

    params: FeatureStudyParams
    prepared: Prepared
    labels: Labels
    version: str


@dataclass(frozen=True)
class Result:
    """What the study measured.

    Parameters
    ----------
    inputs : Inputs
        What it read.
    quality : QualityReport
        Of the market as read.
    distributions : tuple of Distribution
        One a feature, over the training window.
    stationarity : tuple of Stationarity
        One a feature.
    information : tuple of Information
        One a feature and horizon, with the size of the coming return for a volatility label
        and the return itself for a direction label.
    n_effective : tuple of float
        Independent rows each feature is worth.
    redundancy : Redundancy
        Overlap of the features.
    base_rate : float
        Share of label 1 in the training window.
    """

    inputs: Inputs
    quality: QualityReport
    distributions: tuple[Distribution, ...]
    stationarity: tuple[Stationarity, ...]
    information: tuple[Information, ...]
    n_effective: tuple[float, ...]
    redundancy: Redundancy
    base_rate: float


def load(params: FeatureStudyParams) -> Inputs:
    """Read the market, compute features and labels."""
    prepared = prepare(params.data, params.features.names, params.window)
    registry = Registry(home_of(params.run).models, clock=SystemClock())
    version = params.run.model_version or next_version(registry)
    return Inputs(params, prepared, prepared.labels(params.label), version)


def measure(inputs: Inputs) -> Result:
    """Describe the market and every feature on the training window."""
    prepared, labels = inputs.prepared, inputs.labels
    rows = prepared.ts < prepared.windows.train_end
    complete = prepared.X[rows & prepared.complete]
    columns = prepared.X[rows].T
    named = list(zip(prepared.names, columns, strict=True))
    known = labels.valid & (labels.t1 <= prepared.windows.train_end)
    return Result(
        inputs=inputs,
        quality=quality(prepared.market),
        distributions=tuple(describe(name, values) for name, values in named),
        stationarity=tuple(stationarity(name, values) for name, values in named),
        information=tuple(_information(inputs, named)),
        n_effective=tuple(effective_n(values) for values in columns),
        redundancy=redundancy(complete, prepared.names),
        base_rate=float(labels.y[known].mean()) if known.any() else float("nan"),
    )


def record(result: Result, params: FeatureStudyParams, clock: Clock) -> tuple[Record, ...]:
    """Write data quality and feature study."""
    inputs = result.inputs
    shared = context(
        "feature_study",
        params,
        clock,
        version=inputs.version,
        origin=market_origin(inputs.prepared),
        inputs=market_inputs(inputs.prepared),
    )
    return write_all(
        store_of(params.run),
        [
            quality_record(inputs.prepared, result.quality, shared),
            new_record("feature_study", _study_metrics(result), shared, details=_details(result)),
        ],
    )


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """Ask the data gate."""
    return judge_gates(GATES, records, policy, clock)


def run(params: FeatureStudyParams, policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """All four verbs."""
    return judge(record(measure(load(params)), params, clock), policy, clock)


def _information(inputs: Inputs, named: Sequence[tuple[str, Float1D]]) -> list[Information]:
    params, prepared = inputs.params, inputs.prepared
    rows = prepared.ts < prepared.windows.train_end
    found = []
    for horizon_s in params.horizons_s:
        forward = forward_return(prepared.bars, horizon_s)[rows]
        resolved = prepared.ts[rows] + INTERVAL_S + horizon_s <= prepared.windows.train_end
        forward[~resolved] = np.nan
        target = np.abs(forward) if params.label.kind == "volatility" else forward
        found += [
            information(
                name,
                values,
                target,
                horizon_s=horizon_s,
                horizon_rows=max(horizon_s // INTERVAL_S, 1),
                n_resamples=params.resample.n_resamples,
                seed=params.resample.seed,
            )
            for name, values in named
            if np.nanstd(values) > 0.0
        ]
    return found


def _study_metrics(result: Result) -> list[Metric]:
    metrics = [Metric("base_rate", result.base_rate)]
    for found in result.distributions:
        metrics += [
            Metric("missing_share", found.missing_share, n=found.n_obs, segment=found.name),
            Metric("mode_share", found.mode_share, n=found.n_obs, segment=found.name),
        ]
    for item in result.information:
        interval = None
        if np.isfinite(item.low):
            interval = Interval(0.95, item.low, item.high, "circular block bootstrap")
        segment = f"{item.name}@{item.horizon_s}s"
        metrics.append(Metric("rank_ic", item.rank_ic, n=item.n_obs, ci=interval, segment=segment))
    for test in result.stationarity:
        metrics += [
            Metric("adf_p", test.adf_p, n=test.n_obs, segment=test.name),
            Metric("kpss_p", test.kpss_p, n=test.n_obs, segment=test.name),
        ]
    for name, value in zip(result.redundancy.names, result.redundancy.vif, strict=True):
        metrics.append(Metric("vif", float(value), segment=name))
    names = result.inputs.prepared.names
    for name, n_effective in zip(names, result.n_effective, strict=True):
        metrics.append(Metric("n_effective", n_effective, unit="rows", segment=name))
    return metrics


def _details(result: Result) -> dict[str, object]:
    return {
        "stationarity": {test.name: test.verdict for test in result.stationarity},
        "units": {spec.name: spec.unit for spec in result.inputs.prepared.specs},
        "sources": {spec.name: spec.source for spec in result.inputs.prepared.specs},
        "label": {
            "kind": result.inputs.params.label.kind,
            "horizon_s": result.inputs.params.label.horizon_s,
        },
    }
