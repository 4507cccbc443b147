"""Stage 02: fit under purged validation, prove the export, register the version."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlwb.core.bars import INTERVAL_S
from mlwb.core.canonical import canonical_bytes, digest_bytes
from mlwb.core.clock import Clock, SystemClock, format_utc
from mlwb.drift import daily_losses
from mlwb.evidence import Record
from mlwb.features import FeatureStream, spec_digest
from mlwb.gates import Verdict
from mlwb.inference import Predictor, latency
from mlwb.model import (
    SCORE,
    Dataset,
    GroupEffect,
    ModelFacts,
    OutOfFold,
    PurgedKFold,
    Trial,
    TrialResult,
    ablate,
    choose,
    export_onnx,
    golden_file,
    make_sidecar,
    make_trials,
    measure_parity,
    parity_rows,
    reference_file,
    refit,
    scaler_file,
    score,
    search,
    walk,
)
from mlwb.params import Policy, TrainingParams
from mlwb.registry import Registry
from mlwb.stages import _training_records as records_of
from mlwb.stages._paper import one_way_cost, paper_trade
from mlwb.stages._training_changes import changes
from mlwb.stages._training_proof import prove
from mlwb.stages._training_result import Fitted, Inputs, Result
from mlwb.stages._training_selection import configuration_of, log_trials, note_look
from mlwb.stages.common import (
    judge_gates,
    load_check,
    manifest_of,
    next_version,
    registry_of,
    store_of,
    write_all,
)
from mlwb.stages.market import Prepared, prepare

__all__ = ["Fitted", "Inputs", "Result", "judge", "load", "measure", "record", "run"]

GATES = ("signal", "ablation", "wf", "pnl", "parity", "schema")
_LATENCY_REPEATS = 2_000
_ONLINE_BARS = 3_000
"""Bars stepped online and compared with the batch bit for bit, after 24 h of warm-up."""


def load(params: TrainingParams) -> Inputs:
    """Read the market, label it, cut the windows, look who serves; note the look to come.

    The held-out window is a test only once: the ledger of trials counts who was measured on it,
    before the measuring, so that a look that nobody records is counted too.
    """
    prepared = prepare(params.data, params.features.names, params.window, params.features.modules)
    labels = prepared.labels(params.label)
    data = prepared.dataset(labels)
    windows = prepared.windows
    registry = registry_of(params.run)
    champion = comparable_champion(registry, prepared, params)
    version = params.run.model_version or next_version(registry)
    configuration = configuration_of(prepared, params)
    return Inputs(
        params=params,
        prepared=prepared,
        labels=labels,
        train=data.between(windows.start, windows.train_end),
        holdout=data.between(windows.train_end, windows.end + params.label.horizon_s),
        version=version,
        champion=champion,
        taken=registry.versions(),
        configuration=note_look(configuration, params, SystemClock()),
    )


def comparable_champion(registry: Registry, prepared: Prepared, params: TrainingParams) -> str:
    """The version to beat: `latest`, or the newest bootstrap, of this market, label and schema.

    A version that was trained on bars of the held-out window is none: it would be judged on what
    it has seen.
    """
    wanted = _kinship(prepared, params)
    latest = registry.latest()
    for version in [latest, *reversed(registry.versions())]:
        if not version:
            continue
        stored = manifest_of(registry, version)
        is_candidate = version != latest and stored.get("role") != "bootstrap"
        unseen = stored.get("data_window", [0, math.inf])[1] <= prepared.windows.train_end
        if stored.get("kinship") == wanted and unseen and not is_candidate:
            return str(version)
    return ""


def measure(inputs: Inputs) -> Result:
    """Search, evaluate out of sample, refit, export, compare graph and model."""
    params, prepared = inputs.params, inputs.prepared
    bootstrap = None if inputs.champion else _fit_bootstrap(inputs)
    candidate = _fit(inputs, inputs.train, version=inputs.version, role="candidate")
    oof, trial = candidate.chosen.out_of_fold, candidate.chosen.trial
    champion = bootstrap.predictor if bootstrap else _load_champion(inputs)
    mismatches, compared = _online_mismatches(prepared)
    segments = walk(inputs.train, trial, n_segments=params.cv.n_segments)
    rows = parity_rows(candidate.model, inputs.train.X, seed=params.search.seed)
    return Result(
        inputs=inputs,
        candidate=candidate,
        bootstrap=bootstrap,
        scores=score(inputs.train.y[oof.index], oof.probability),
        holdout=score(inputs.holdout.y, candidate.predictor.predict(inputs.holdout.X)),
        champion_holdout=score(inputs.holdout.y, champion.predict(inputs.holdout.X)),
        proof=prove(
            inputs.train,
            inputs.holdout,
            candidate.trials,
            candidate.chosen,
            predictors=(champion, candidate.predictor),
            configuration=inputs.configuration,
            params=params,
        ),
        effects=tuple(_ablation(inputs, trial, oof)),
        segments=segments,
        paper=paper_trade(prepared, inputs.train, segments, params),
        parity=measure_parity(candidate.model, candidate.predictor, rows),
        feature_mismatches=mismatches,
        n_feature_values=compared,
        latencies={
            batch: latency(candidate.predictor, batch, _LATENCY_REPEATS, SystemClock())
            for batch in (1, 32)
        },
    )


def record(result: Result, params: TrainingParams, clock: Clock) -> tuple[Record, ...]:
    """Publish the version and write what was found.

    Returns
    -------
    tuple of Record
        offline_report, significance, ablation, walk_forward, pnl, parity, bench.
    """
    registry = registry_of(params.run, clock)
    if result.bootstrap is not None:
        publish(registry, result.bootstrap, result, clock=clock)
        if registry.latest() is None:
            registry.promote(
                result.bootstrap.version,
                decision=None,
                expect_current=None,
                bootstrap=True,
                load_check=load_check,
                reason="bootstrap champion of an empty registry",
            )
    publish(registry, result.candidate, result, clock=clock)
    log_trials(
        result.candidate.trials,
        result.proof.selection,
        configuration=result.inputs.configuration,
        params=params,
        clock=clock,
    )
    return write_all(store_of(params.run), records_of.build(result, params, clock))


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """Ask the gates that training answers."""
    return judge_gates(GATES, records, policy, clock)


def run(params: TrainingParams, policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """All four verbs."""
    return judge(record(measure(load(params)), params, clock), policy, clock)


def bootstrap_version(version: str, taken: Sequence[str]) -> str:
    """Name of the champion trained beside a candidate: the number before it where that is free."""
    head, _, last = version.rpartition(".")
    if head and last.isdigit() and int(last) > 0 and f"{head}.{int(last) - 1}" not in taken:
        return f"{head}.{int(last) - 1}"
    return f"{version}-bootstrap"


def _kinship(prepared: Prepared, params: TrainingParams) -> dict[str, Any]:
    """What two versions must share to be compared row by row."""
    return {
        "symbol": prepared.market.symbol,
        "label": params.label.kind,
        "horizon_s": params.label.horizon_s,
        "features": spec_digest(prepared.specs),
    }


def _fit_bootstrap(inputs: Inputs) -> Fitted:
    """The champion of an empty registry, trained on the earlier part of the window."""
    windows = inputs.prepared.windows
    early = inputs.train.between(windows.start, windows.champion_end)
    name = bootstrap_version(inputs.version, inputs.taken)
    return _fit(inputs, early, version=name, role="bootstrap")


def _fit(inputs: Inputs, data: Dataset, *, version: str, role: str) -> Fitted:
    """Search on purged folds, refit the chosen trial, export it and write its files."""
    params = inputs.params
    splitter = PurgedKFold(
        data.t0, data.t1, n_splits=params.cv.n_splits, embargo_s=params.cv.embargo_s
    )
    trials = make_trials(params.search.families, c=params.search.c, seed=params.search.seed)
    results = tuple(search(data, trials, splitter))
    chosen = choose(results, margin=params.search.challenger_margin)
    model = refit(data, chosen.trial)
    quoted = inputs.prepared.market.has_quotes
    label = params.label
    facts = ModelFacts(version, inputs.prepared.specs, label.kind, label.horizon_s, quoted)
    onnx = export_onnx(model)
    sidecar = make_sidecar(facts, data.X)
    predictor = Predictor.from_bytes(onnx, sidecar)
    files = {
        "model.onnx": onnx,
        "sidecar.json": sidecar.to_json(),
        "scaler_params.json": scaler_file(model, data.names),
        "golden_predictions.json": golden_file(predictor, data.X, seed=params.search.seed),
        "reference_distributions.json": _references(inputs, data, chosen),
    }
    fitted = Fitted(version, model, predictor, results, chosen, files)
    files["training_manifest.json"] = _manifest(inputs, fitted, data, role=role)
    return fitted


def _references(inputs: Inputs, data: Dataset, chosen: TrialResult) -> bytes:
    """Frozen bins of what a live window will be compared with.

    Every feature on all complete bars of the window, with a label or without; the scores the
    model gave rows it had not seen, and what those scores cost.
    """
    prepared = inputs.prepared
    rows = prepared.complete & (prepared.ts >= data.t0[0] - INTERVAL_S)
    rows &= prepared.ts < data.t1[-1]
    columns = {
        name: (values, prepared.ts[rows])
        for name, values in zip(prepared.names, prepared.X[rows].T, strict=True)
    }
    oof = chosen.out_of_fold
    columns[SCORE] = (oof.probability, data.t0[oof.index] - INTERVAL_S)
    t0, t1 = data.t0[oof.index], data.t1[oof.index]
    losses = daily_losses(
        oof.probability, data.y[oof.index].astype(np.int64), t0, horizon_s=t1 - t0
    )
    return reference_file(columns, n_bins=inputs.params.psi.n_bins, losses=losses)


def _manifest(inputs: Inputs, fitted: Fitted, data: Dataset, *, role: str) -> bytes:
    oof = fitted.chosen.out_of_fold
    found = score(data.y[oof.index], oof.probability)
    return canonical_bytes(
        {
            "schema": "mlwb.training/1",
            "model_version": fitted.version,
            "role": role,
            "kinship": _kinship(inputs.prepared, inputs.params),
            "data_window": [int(data.t0[0]), int(data.t1[-1])],
            "n_rows": len(data),
            "features": data.names,
            "label": inputs.params.label,
            "cv_scheme": {"kind": "purged k-fold, clock time", **vars(inputs.params.cv)},
            "trials": [[r.trial.name, r.out_of_fold.mean_auc] for r in fitted.trials],
            "chosen": fitted.chosen.trial.name,
            "offline_metrics": {"auc": oof.mean_auc, "precision_at_20": found.precision_top_20pct},
            "psi_validation": None,
            "artifacts": {name: digest_bytes(content) for name, content in fitted.files.items()},
            "checksum": digest_bytes(fitted.files["model.onnx"]),
        }
    )


def publish(registry: Registry, fitted: Fitted, result: Result, *, clock: Clock) -> None:
    """Write a version's files to staging and register them in one step."""
    is_candidate = fitted is result.candidate
    rows = parity_rows(fitted.model, result.inputs.train.X, seed=fitted.chosen.trial.seed)
    parity = result.parity if is_candidate else measure_parity(fitted.model, fitted.predictor, rows)
    times = result.latencies
    files = dict(fitted.files)
    files["parity.json"] = canonical_bytes({"schema": "mlwb.parity/1", **vars(parity)})
    files["bench.json"] = canonical_bytes(
        {
            "schema": "mlwb.bench/1",
            **{f"batch_{b}": records_of.quantiles(ms) for b, ms in times.items()},
            "measured_on": platform.machine(),
            "of": result.candidate.version,
        }
    )
    files["training_log.txt"] = _log(fitted, clock).encode()
    files["CHANGES.md"] = changes(fitted, result, _followed(registry, fitted, result)).encode()
    staging = registry.stage(fitted.version)
    for name, content in files.items():
        (staging / name).write_bytes(content)
    registry.register(fitted.version, staging)


def _log(fitted: Fitted, clock: Clock) -> str:
    lines = [f"{format_utc(clock.now())} training {fitted.version}"]
    for found in fitted.trials:
        folds = " ".join(f"{value:.4f}" for value in found.out_of_fold.fold_auc)
        mean = found.out_of_fold.mean_auc
        lines.append(f"tried {found.trial.name}: AUC {mean:.4f} (folds {folds})")
    return "\n".join([*lines, f"took {fitted.chosen.trial.name}", ""])


def _followed(registry: Registry, fitted: Fitted, result: Result) -> bytes | None:
    """Training record of the version that this one is to replace."""
    if fitted is result.bootstrap:
        return None
    if result.bootstrap is not None:
        return result.bootstrap.files["training_manifest.json"]
    return (registry.resolve(result.inputs.champion) / "training_manifest.json").read_bytes()


def _load_champion(inputs: Inputs) -> Predictor:
    registry = registry_of(inputs.params.run)
    return Predictor.load(registry.resolve(inputs.champion))


def _ablation(inputs: Inputs, trial: Trial, oof: OutOfFold) -> list[GroupEffect]:
    params = inputs.params
    splitter = PurgedKFold(
        inputs.train.t0,
        inputs.train.t1,
        n_splits=params.cv.n_splits,
        embargo_s=params.cv.embargo_s,
    )
    cost = None
    if params.label.kind == "direction":  # the one label whose score is traded by its sign
        opened = inputs.train.t0 - INTERVAL_S
        at = np.searchsorted(inputs.prepared.ts, opened)
        cost = one_way_cost(inputs.prepared, params)[at]
    return ablate(
        inputs.train,
        trial,
        oof,
        splitter=splitter,
        target=inputs.train.target,
        cost=cost,
        n_resamples=params.resample.n_resamples,
        seed=params.resample.seed,
        least_block=max(params.label.horizon_s // INTERVAL_S, 1),
    )


def _online_mismatches(prepared: Prepared) -> tuple[int, int]:
    """Step the last bars online after a warm-up and count values that differ in any bit."""
    warm = 1_440
    first = max(len(prepared.bars) - _ONLINE_BARS, 0)
    begin = max(first - warm, 0)
    stream = FeatureStream(prepared.specs)
    online = [stream.step(bar) for bar in prepared.bars[begin:].tolist()]
    got = np.asarray(online)[first - begin :]
    expected = prepared.X[first:]
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    return int((~same).sum()), int(same.size)
