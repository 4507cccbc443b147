"""Training's results as evidence records."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.core.clock import Clock
from mlwb.evidence import Interval, Metric, Record, new_record, rate
from mlwb.model import AucInterval, Scores, rank_correlation
from mlwb.params import TrainingParams
from mlwb.stages._paper_records import pnl_details, pnl_metrics
from mlwb.stages._proof_records import importance_metrics, proof_metrics
from mlwb.stages._training_result import Result
from mlwb.stages._training_selection import trials_head
from mlwb.stages.common import context, null
from mlwb.stages.market import market_inputs, market_origin

__all__ = ["build", "quantiles"]


def build(result: Result, params: TrainingParams, clock: Clock) -> list[Record]:
    """All records of a training, in the order they are written."""
    prepared = result.inputs.prepared
    shared = context(
        "training",
        params,
        clock,
        version=result.candidate.version,
        origin=market_origin(prepared),
        inputs=market_inputs(prepared),
    )
    return [
        new_record("offline_report", _offline(result), shared, details=_offline_details(result)),
        new_record("significance", _significance(result), shared),
        new_record("ablation", _ablation(result), shared),
        new_record("walk_forward", _walk(result), shared),
        new_record(
            "pnl", pnl_metrics(result.paper), shared, details=pnl_details(result.paper, params)
        ),
        new_record("parity", _parity(result), shared, details=_schema(result)),
        new_record("bench", _bench(result), shared),
    ]


def quantiles(values: Float1D) -> dict[str, float]:
    """p50, p95 and p99 of latencies, ms."""
    p50, p95, p99 = np.quantile(values, [0.5, 0.95, 0.99])
    return {"p50_ms": float(p50), "p95_ms": float(p95), "p99_ms": float(p99)}


def _offline(result: Result) -> list[Metric]:
    scores, holdout = result.scores, result.holdout
    n = scores.n_rows
    return [
        *_aucs(result),
        *_top(scores, ""),
        *_top(holdout, "_holdout"),
        Metric("base_rate", scores.base_rate, n=n),
        Metric("brier", scores.brier, n=n),
        *_ic(result),
        *_rows(result),
        *_improvement(result),
    ]


def _aucs(result: Result) -> list[Metric]:
    oof, proof = result.candidate.chosen.out_of_fold, result.proof
    n, n_held, n_train = result.scores.n_rows, result.holdout.n_rows, len(result.inputs.train)
    definition = "mean over purged folds, ties one half"
    return [
        Metric("auc", oof.mean_auc, n=n, ci=_auc_ci(proof.auc), definition=definition),
        *(
            Metric("auc_fold", value, n=len(split.test), segment=f"fold {i + 1}")
            for i, (value, split) in enumerate(zip(oof.fold_auc, oof.splits, strict=True))
        ),
        Metric("auc_pooled", result.scores.auc, n=n),
        Metric("auc_holdout", result.holdout.auc, n=n_held, ci=_auc_ci(proof.auc_holdout)),
        *(
            Metric("auc_path", float(value), n=n_train, segment=f"path {i + 1}")
            for i, value in enumerate(proof.paths.auc)
        ),
    ]


def _rows(result: Result) -> list[Metric]:
    oof, train = result.candidate.chosen.out_of_fold, result.inputs.train
    splits = (*oof.splits, *result.segments.splits, *result.proof.paths.splits)
    n = result.scores.n_rows
    return [
        Metric(
            "leak_count",
            sum(split.n_leaks for split in splits),
            unit="rows",
            n=n,
            definition="train rows whose label meets a test label: folds, segments, paths",
        ),
        Metric(
            "fit_leaks",
            result.proof.fit_leaks,
            unit="rows",
            n=len(oof.splits[0].test),
            definition="test rows whose score changes when rows outside training are replaced "
            "before fitting, first fold",
        ),
        Metric("purged", sum(split.n_purged for split in oof.splits), unit="rows"),
        Metric("embargoed", sum(split.n_embargoed for split in oof.splits), unit="rows"),
        Metric("n_rows", n, unit="rows"),
        Metric(
            "n_eff",
            float(train.weight.sum()),
            unit="rows",
            n=len(train),
            definition="sum of label uniqueness: labels that do not overlap",
        ),
        Metric(
            "gate_window_reuses",
            result.inputs.configuration.window_reuses,
            definition="other candidates that were measured on a held-out day before this one",
        ),
    ]


def _auc_ci(found: AucInterval) -> Interval | None:
    if not np.isfinite(found.low):
        return None
    return Interval(found.level, found.low, found.high, "circular block bootstrap")


def _top(scores: Scores, suffix: str) -> list[Metric]:
    definition = "of the fifth of rows with the highest score, ties shared"
    return [
        Metric(
            f"precision_top_20pct{suffix}",
            scores.precision_top_20pct,
            n=scores.n_top,
            definition=definition,
        ),
        Metric(
            f"recall_top_20pct{suffix}",
            scores.recall_top_20pct,
            n=scores.n_top,
            definition=definition,
        ),
    ]


def _ic(result: Result) -> list[Metric]:
    oof, train = result.candidate.chosen.out_of_fold, result.inputs.train
    target = train.target[oof.index]
    kind = result.inputs.params.label.kind
    what = "relative size of the coming return" if kind == "volatility" else "coming return"
    pooled = rank_correlation(oof.probability, target)
    return [
        Metric(
            "rank_ic",
            result.proof.skill.rank_ic,
            n=len(target),
            definition=f"with the {what}, by fold",
        ),
        Metric("rank_ic_pooled", pooled, n=len(target), definition=f"with the {what}"),
    ]


def _improvement(result: Result) -> list[Metric]:
    found = result.proof.challenge
    n = found.drawn.n_obs
    interval = Interval(0.95, found.low, found.high, "paired circular block bootstrap")
    definition = "held-out AUC over the champion's, minus one"
    against = "(1 + resampled improvement <= 0) / (B + 1), against the champion"
    return [
        Metric("improvement", found.improvement, n=n, ci=interval, definition=definition),
        Metric("improvement_p_against", found.p_against, n=n, definition=against),
    ]


def _offline_details(result: Result) -> dict[str, Any]:
    inputs = result.inputs
    champion = result.bootstrap.version if result.bootstrap else inputs.champion
    return {
        "symbol": inputs.prepared.market.symbol,
        "label": {"kind": inputs.params.label.kind, "horizon_s": inputs.params.label.horizon_s},
        "champion": champion,
        "champion_auc_holdout": result.champion_holdout.auc if result.champion_holdout else None,
        "chosen": result.candidate.chosen.trial.name,
        "trials": [
            {"name": found.trial.name, "auc": found.out_of_fold.mean_auc}
            for found in result.candidate.trials
        ],
        "train": {"rows": len(inputs.train)},
        "holdout": {"rows": len(inputs.holdout)},
        "splits": [split.to_json() for split in result.candidate.chosen.out_of_fold.splits],
        "path_splits": [split.to_json() for split in result.proof.paths.splits],
        "candidate": inputs.configuration.candidate,
        "volatile": {"trials_head": trials_head(result.inputs.params)},
    }


def _significance(result: Result) -> list[Metric]:
    drawn = result.proof.skill.drawn
    low, high = drawn.interval(0.95)
    interval = Interval(0.95, low, high, "circular block bootstrap")
    definition = "(1 + resampled mean rank IC <= 0) / (B + 1), against no skill"
    return [
        Metric("p_against", result.proof.skill.p_against, n=drawn.n_obs, definition=definition),
        Metric("mean_difference", drawn.mean, n=drawn.n_obs, ci=interval),
        Metric("n_resamples", len(drawn.draws), unit="1"),
        Metric("block_rows", drawn.block, unit="rows"),
        *proof_metrics(result),
    ]


def _ablation(result: Result) -> list[Metric]:
    n = result.scores.n_rows
    definition = "mean rank IC without the group minus with it"
    return [
        *(
            Metric("delta", e.delta, n=n, segment=e.group, definition=definition)
            for e in result.effects
        ),
        *(Metric("p_value", e.p_value, n=n, segment=e.group) for e in result.effects),
        *(
            Metric("p_adjusted", e.p_adjusted, n=n, segment=e.group, definition="Holm")
            for e in result.effects
        ),
        *(
            Metric(
                "delta_after_costs",
                e.delta_after_costs,
                n=n,
                segment=e.group,
                definition="IC after costs without the group minus with it",
            )
            for e in result.effects
            if np.isfinite(e.delta_after_costs)
        ),
        *importance_metrics(result.proof.importance),
    ]


def _walk(result: Result) -> list[Metric]:
    segments, train = result.segments, result.inputs.train
    returns = result.segment_returns
    positive, metrics = 0, []
    for number, split in enumerate(segments.splits):
        rows = segments.fold == number
        target = train.target[segments.index[rows]]
        ic = rank_correlation(segments.probability[rows], target)
        name = f"segment {number + 1}"
        metrics += [
            _segment_auc(segments.fold_auc[number], len(split.test), name),
            Metric("rank_ic", ic, n=len(split.test), segment=name),
        ]
        earned = 1.0
        if returns is not None:
            earned = float(returns[number])
            metrics.append(Metric("net_return", earned, n=len(split.test), segment=name))
        positive += int(ic > 0.0 and earned > 0.0)
    meaning = "rank IC > 0" + ("" if returns is None else " and net return > 0")
    share = rate(
        "positive_share", positive, len(segments.splits), definition=f"segments with {meaning}"
    )
    return [share, *metrics]


def _segment_auc(value: float, n: int, name: str) -> Metric:
    if np.isfinite(value):
        return Metric("auc", value, n=n, segment=name)
    return null("auc", "the segment holds one class only", segment=name)


def _parity(result: Result) -> list[Metric]:
    parity = result.parity
    n = parity.n_rows
    return [
        Metric("max_abs_diff", parity.max_abs_diff, n=n),
        Metric("p99_abs_diff", parity.p99_abs_diff, n=n),
        Metric("n_rows", n, unit="rows"),
        Metric("rows_above_1e-5", parity.n_above, unit="rows", n=n),
        Metric("flips", parity.flips, unit="rows", n=n),
        Metric(
            "feature_mismatches",
            result.feature_mismatches,
            n=result.n_feature_values,
            definition="values that differ in any bit, online against batch",
        ),
        Metric("schema_mismatches", _schema_mismatches(result), definition="CRC32, order, dtypes"),
    ]


def _schema_mismatches(result: Result) -> int:
    sidecar = result.candidate.predictor.sidecar
    names = result.inputs.prepared.names
    return sum(a != b for a, b in zip(sidecar.names, names, strict=True))


def _schema(result: Result) -> dict[str, Any]:
    sidecar = result.candidate.predictor.sidecar
    return {
        "schema_crc32": sidecar.schema_crc32,
        "feature_order": sidecar.names,
        "dtypes": [field.dtype for field in sidecar.features],
        "feature_spec_digest": sidecar.feature_spec_digest,
    }


def _bench(result: Result) -> list[Metric]:
    return [
        Metric(
            f"onnx_{name}",
            value,
            unit="ms",
            n=len(times),
            segment=f"batch_{batch}",
            deterministic=False,
        )
        for batch, times in result.latencies.items()
        for name, value in quantiles(times).items()
    ]
