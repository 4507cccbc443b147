"""Every day: the rows a server counted, against the reference frozen with its version.

It reads what the server wrote and never the server itself, so that it can run at any time, beside
any number of workers. Only full UTC days are judged, and no day is bet on twice: run again on the
same day it measures the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlwb.core.clock import DAY_S, Clock, SystemClock
from mlwb.core.errors import (
    ArtifactNotFoundError,
    EmptyWindowError,
)
from mlwb.drift import (
    FULL_SHARE,
    SCORE,
    BlockMartingale,
    CheckNote,
    FeatureReference,
    HourTable,
    covered_share,
    hours_to_blocks,
    suited_block_days,
    together,
)
from mlwb.drift.calibration import Calibrated, calibrate, ks_of_counts, overall
from mlwb.evidence import Input, Record, Upstream, new_record
from mlwb.features import FEATURES
from mlwb.gates import Verdict, evaluate_watch
from mlwb.inference import Predictor, load_reference
from mlwb.params import DriftCheckParams, Policy
from mlwb.registry import Registry
from mlwb.stages._drift_check_inputs import (
    Inputs,
    check_before,
    counted,
    golden_difference,
    rows_logged,
)
from mlwb.stages._drift_check_records import Limits, check_details, check_metrics
from mlwb.stages._drift_check_result import Column, Result, Watch, day_name
from mlwb.stages._served_lines import drift_dir
from mlwb.stages.common import context, home_of, policy_of, store_of, write_all

__all__ = ["Inputs", "Result", "judge", "load", "measure", "record", "run"]

WATCH = "drift_check"
_DAY_HOURS = 24


def load(params: DriftCheckParams, clock: Clock) -> Inputs:
    """Read the served version, what was counted for it, and the check before.

    Raises
    ------
    ArtifactNotFoundError
        Nothing is served.
    ModelError
        A golden row does not come out as in training.
    EmptyWindowError
        The server has not counted a row for this version.
    """
    home = home_of(params.run)
    registry = Registry(home.models, clock=SystemClock())
    version = params.run.model_version or registry.latest()
    if not version:
        raise ArtifactNotFoundError(
            "there is no served version to check", todo="promote one: mlwb registry promote"
        )
    folder = registry.resolve(version)
    predictor, reference = Predictor.load(folder), load_reference(folder)
    names = (*predictor.sidecar.names, SCORE)
    diff, n_golden = golden_difference(predictor)
    return Inputs(
        params=params,
        version=version,
        reference=reference,
        names=names,
        golden_diff=diff,
        n_golden=n_golden,
        log=counted(home, version, reference, names),
        today=int(clock.now().timestamp()) // DAY_S,
        before=check_before(params, version, reference),
        logged=rows_logged(home, version),
    )


def measure(inputs: Inputs) -> Result:
    """Index of the last full day and of the rolling days with what chance gives, and the watch."""
    days = _full_days(inputs)
    first = inputs.today - inputs.params.check.rolling_days
    rolling = [day for day in days if day >= first]
    columns = tuple(
        _column(inputs, place, days, rolling) for place in range(len(inputs.references))
    )
    features, prediction = columns[:-1], columns[-1]
    averaged = [item for item in features if item.rolling is not None and _varies(item.frozen)]
    mean = overall([item.rolling for item in averaged if item.rolling]) if averaged else None
    seen = _rows_of(inputs.log.hours, rolling)
    served = hours_to_blocks(seen, len(features)).total if seen else None
    frozen = prediction.frozen.bins.counts
    watched = [item.watches for item in features if item.watches]
    return Result(
        features=features,
        prediction=prediction,
        overall=mean,
        averaged=tuple(item.name for item in averaged),
        ks=None if served is None else ks_of_counts(frozen, served),
        watch=_together(inputs, watched) if watched else None,
        days=tuple(days),
        rolling_days=tuple(rolling),
        partial_days=tuple(sorted(_days_with_rows(inputs) - set(days))),
    )


def record(
    inputs: Inputs, result: Result, params: DriftCheckParams, clock: Clock
) -> tuple[Record, ...]:
    """Write the check with edges and counts of both sides, and the note the server shows."""
    frozen = Input("reference", f"models/{inputs.version}", inputs.reference.digest)
    shared = context(
        "drift_check", params, clock, version=inputs.version, origin="live", inputs=(frozen,)
    )
    before = inputs.before
    check = new_record(
        "drift_check",
        check_metrics(
            result,
            _limits(policy_of(params.run)),
            golden=(inputs.golden_diff, inputs.n_golden),
            logged=inputs.logged,
            taken_back=inputs.rows_taken_back,
        ),
        shared,
        details=check_details(result, inputs.reference.digest, inputs.log),
        upstream=() if before is None else (Upstream(before.run_id, before.sha256),),
    )
    written = write_all(store_of(params.run), [check])
    if result.watch is not None and result.days:
        day, e_value = day_name(result.days[-1]), result.watch.highest_e_value
        note = CheckNote(inputs.version, inputs.reference.digest, day, e_value)
        note.write(drift_dir(home_of(params.run)))
    return written


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> Verdict:
    """Hold the check against the limits that must hold while a version serves."""
    return evaluate_watch(WATCH, {item.kind: item for item in records}, policy, clock.now())


def run(params: DriftCheckParams, policy: Policy, clock: Clock) -> Verdict:
    """All four verbs."""
    inputs = load(params, clock)
    return judge(record(inputs, measure(inputs), params, clock), policy, clock)


def _days_with_rows(inputs: Inputs) -> set[int]:
    return {hour // _DAY_HOURS for hour in inputs.log.hours if hour // _DAY_HOURS < inputs.today}


def _full_days(inputs: Inputs) -> list[int]:
    """Days that are over and have seen three quarters of what a day of the reference holds."""
    reference = inputs.references[-1].blocks
    by_day: dict[int, list[int]] = {}
    for hour in inputs.log.hours:
        by_day.setdefault(hour // _DAY_HOURS, []).append(hour)
    return sorted(
        day
        for day in _days_with_rows(inputs)
        if covered_share(reference, by_day[day]) >= FULL_SHARE
    )


def _rows_of(hours: Mapping[int, HourTable], days: Sequence[int]) -> dict[int, HourTable]:
    chosen = set(days)
    return {hour: table for hour, table in hours.items() if hour // _DAY_HOURS in chosen}


def _column(inputs: Inputs, place: int, days: Sequence[int], rolling: Sequence[int]) -> Column:
    frozen, hours = inputs.references[place], inputs.log.hours
    week, last = _rows_of(hours, rolling), _rows_of(hours, rolling[-1:])
    return Column(
        frozen=frozen,
        day=_calibrated(frozen, last, place),
        rolling=_calibrated(frozen, week, place),
        counts=hours_to_blocks(week, place).total if week else None,
        watches=_watched(inputs, frozen, place, days),
    )


def _calibrated(
    frozen: FeatureReference, hours: Mapping[int, HourTable], place: int
) -> Calibrated | None:
    if not hours:
        return None
    try:
        return calibrate(frozen, hours_to_blocks(hours, place))
    except EmptyWindowError:  # the reference has no day with these hours
        return None


def _watched(
    inputs: Inputs, frozen: FeatureReference, place: int, days: Sequence[int]
) -> tuple[BlockMartingale, ...]:
    """The watch of one column where the check before left it, and after each day since.

    Empty for a constant or a clock, whose days are all alike, and where the reference is too short.
    """
    stored: Mapping[str, Any] = inputs.before.details["watch"] if inputs.before else {}
    if not _varies(frozen):
        return ()
    try:
        watches = [
            BlockMartingale.from_json(stored[frozen.name])
            if frozen.name in stored
            else _begun(frozen)
        ]
    except EmptyWindowError:
        return ()
    for day in days:
        if day > watches[-1].last_day:
            counts = hours_to_blocks(_rows_of(inputs.log.hours, [day]), place).total
            watches.append(watches[-1].update(day, counts))
    return tuple(watches)


def _begun(frozen: FeatureReference) -> BlockMartingale:
    """From the days of the reference, in blocks long enough to pass for exchangeable."""
    daily = frozen.blocks.daily
    return BlockMartingale.start(
        frozen.name, daily, days=frozen.blocks.days, block_days=suited_block_days(daily)
    )


def _together(inputs: Inputs, watched: Sequence[Sequence[BlockMartingale]]) -> Watch:
    """Evidence over the features now, and the highest on any day since the version serves."""
    before = inputs.before.details["highest"] if inputs.before else {}
    means = [
        (together(of_day).e_value, float(np.mean([watch.sr for watch in of_day])))
        for of_day in zip(*watched, strict=True)
    ]
    return Watch(
        e_value=means[-1][0],
        highest_e_value=max(before.get("e_value", 0.0), *(e_value for e_value, _ in means)),
        highest_sr=max(before.get("sr", 0.0), *(sr for _, sr in means)),
    )


def _varies(frozen: FeatureReference) -> bool:
    """Whether a column can drift at all: no constant, and no function of the clock alone."""
    inputs = next((spec.inputs for spec in FEATURES if spec.name == frozen.name), ("close",))
    return frozen.bins.n_bins > 1 and set(inputs) != {"ts"}


def _limits(policy: Policy) -> Limits:
    return Limits(
        feature=policy.number("drift_check.feature"),
        overall=policy.number("drift_check.overall"),
        prediction=policy.number("drift_check.prediction"),
        level=float(str(policy.gates["psi"].settings["level"])),
        sure=float(str(policy.gates["psi"].settings["sure"])),
    )
