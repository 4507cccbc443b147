"""Stage 03: the held-out window against the reference frozen in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.clock import DAY_S, Clock
from mlwb.core.errors import DataSchemaError, EmptyWindowError
from mlwb.drift import count_blocks, in_full_blocks
from mlwb.drift.calibration import overall, reading
from mlwb.evidence import Input, Record, new_record
from mlwb.gates import Verdict
from mlwb.inference import Predictor, VersionReference, load_reference
from mlwb.model import SCORE
from mlwb.params import LabelParams, Policy, PsiValidationParams
from mlwb.stages._psi_validation_drift import all_at_once, drifted, is_averaged, rolling
from mlwb.stages._psi_validation_inputs import Inputs, Limits
from mlwb.stages._psi_validation_losses import realised
from mlwb.stages._psi_validation_metrics import snapshot_details, snapshot_metrics
from mlwb.stages._psi_validation_result import Drifted, Result, Whole
from mlwb.stages.common import (
    candidate_of,
    context,
    judge_gates,
    manifest_of,
    policy_of,
    registry_of,
    store_of,
    write_all,
)
from mlwb.stages.market import Prepared, check_unseen, market_inputs, market_origin, prepare

__all__ = ["Drifted", "Inputs", "Limits", "Result", "judge", "load", "measure", "record", "run"]

GATES = ("psi", "drift")


def load(params: PsiValidationParams) -> Inputs:
    """Read the candidate's frozen reference and compute the held-out features.

    Raises
    ------
    DataSchemaError
        The bars are not those of the market the version was trained on.
    """
    registry = registry_of(params.run)
    version = candidate_of(params.run, registry)
    folder = registry.resolve(version)
    predictor, reference = Predictor.load(folder), load_reference(folder)
    manifest = manifest_of(registry, version)
    prepared, current, ts = heldout(params, predictor, manifest)
    _check_training_days(prepared, reference)
    return Inputs(
        params=params,
        version=version,
        reference=reference,
        current=current,
        ts=ts,
        prepared=prepared,
        label=LabelParams(**manifest["label"]),
        limits=_limits(policy_of(params.run)),
    )


def _check_training_days(prepared: Prepared, reference: VersionReference) -> None:
    """Refuse bars that hold other rows on the days of training than training counted.

    A name says little about a market. The first and last day are cut by labels and warm-up, and a
    vendor may correct a day: half of the days in between must be counted alike. Bars that begin
    after training have no such day and are taken at their name.
    """
    rows = prepared.complete & (prepared.ts < prepared.windows.train_end)
    same: dict[int, bool] = {}
    for name in prepared.names:
        frozen = reference.features[name]
        now = count_blocks(frozen.bins.edges, prepared.column(name)[rows], prepared.ts[rows])
        counted = dict(zip(now.days.tolist(), now.daily, strict=True))
        for day, counts in [*zip(frozen.blocks.days.tolist(), frozen.blocks.daily, strict=True)][
            1:-1
        ]:
            if day in counted:
                is_equal = bool((counted[day] == counts).all())
                same[day] = same.get(day, True) and is_equal
    if 2 * sum(same.values()) < len(same):
        raise DataSchemaError(
            f"{reference.version} was trained on another market",
            expected="bars that hold, on the days of training, the rows it counted",
            got=f"{sum(same.values())} of {len(same)} of those days are alike",
            todo="name the same data as in training",
        )


def _limits(policy: Policy) -> Limits:
    """The numbers that readings are held against; their home is the policy."""
    return Limits(
        feature=float(policy.limit("psi.feature").value),
        overall=float(policy.limit("psi.overall").value),
        prediction=float(policy.limit("drift.prediction_psi").value),
        level=float(str(policy.gates["psi"].settings["level"])),
        sure=float(str(policy.gates["psi"].settings["sure"])),
        loss_tolerance=float(str(policy.gates["drift"].settings["loss_tolerance"])),
        loss_evidence=float(policy.limit("drift.realised_loss").value),
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
    days = prepared.ts // DAY_S
    rows[rows] = in_full_blocks(days[rows])
    kept: Float2D = prepared.X[rows]
    if len(kept) == 0:
        raise EmptyWindowError("the held-out window has no row with all features")
    current = dict(zip(prepared.names, kept.T, strict=True))
    current[SCORE] = predictor.predict(kept)
    return prepared, current, prepared.ts[rows]


def measure(inputs: Inputs) -> Result:
    """Calibrated PSI of every feature and the score, their mean, its weeks; realised losses."""
    limits = inputs.limits
    features = drifted(inputs, inputs.prepared.names, limits.feature)
    (prediction,) = drifted(inputs, [SCORE], limits.prediction)
    averaged = [item for item in features if is_averaged(item, inputs.prepared)]
    names = tuple(item.name for item in averaged)
    mean = overall([item.calibrated for item in averaged])
    said = reading(mean, limits.overall, level=limits.level, sure=limits.sure)
    return Result(
        inputs=inputs,
        features=features,
        prediction=prediction,
        overall=Whole(mean, limits.overall, said, names),
        rolling=rolling(averaged),
        together=all_at_once(inputs, names),
        realised=realised(inputs),
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
    snapshot = new_record(
        "psi_snapshot", snapshot_metrics(result), shared, details=snapshot_details(result)
    )
    return write_all(store_of(params.run), [snapshot])


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """Ask the gates psi and drift."""
    return judge_gates(GATES, records, policy, clock)


def run(params: PsiValidationParams, policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """All four verbs."""
    return judge(record(measure(load(params)), params, clock), policy, clock)
