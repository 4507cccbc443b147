"""The validation window: how long a version has been in place, and whether anything was critical.

It reads what servers wrote and never the server itself. Heartbeats are the live rows the version
scored, as the answer or beside it; a silence starts the hours anew. Rows replayed into a server
are told by their ids and count for nothing here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from mlwb.core.clock import Clock, SystemClock, format_utc, parse_utc
from mlwb.core.errors import EvidenceMissingError
from mlwb.core.host_clock import HostClock, host_clock
from mlwb.drift import SCORE, BinnedReference
from mlwb.evidence import Interval, Metric, Record, Upstream, new_record, rate
from mlwb.gates import Outcome, Verdict, evaluate_watch
from mlwb.inference import load_reference
from mlwb.monitor import (
    LIVE_PNL,
    Alert,
    Alerts,
    Comparisons,
    Coverage,
    Fold,
    Reading,
    coverage,
    money_alerts,
    record_alerts,
    rollback_alerts,
)
from mlwb.params import DailyReportParams, Policy
from mlwb.registry import Registry
from mlwb.stages._served_lines import fold_logs
from mlwb.stages._served_readings import (
    answer_errors,
    counted_between,
    flips_of,
    p95_of,
    psi_of,
    rank_corr_of,
    requests_of,
    share_of,
)
from mlwb.stages.common import (
    context,
    home_of,
    judge_gates,
    match_delta_of,
    policy_of,
    store_of,
    write_all,
)
from mlwb.stats import wilson

__all__ = ["Inputs", "Result", "judge", "load", "measure", "record", "run", "to_record"]

GATES = ("validation",)


@dataclass(frozen=True)
class Inputs:
    """What the window is measured from.

    Parameters
    ----------
    params : DailyReportParams
        As loaded.
    version : str
        In validation.
    is_latest : bool
        Whether it is the version that answers.
    coverage : Coverage
        Of the hours that the policy looks back on.
    rows : Fold
        Rows the version scored in the newest stretch.
    reference : BinnedReference
        Scores of training.
    records : tuple of Record
        Live evidence about the version, written since the stretch began.
    money : mapping of str to Reading
        Win rate and Sharpe ratio of the version's trades, as the triggers have them.
    grown : mapping of str to float, or None
        What counters grew by in the stretch; None where no server's counters were looked at.
    damaged : int
        Lines of the logs that cannot be read.
    host_clock : HostClock or None
        Of this machine, which wrote the logs; None where its kernel does not say.
    """

    params: DailyReportParams
    version: str
    is_latest: bool
    coverage: Coverage
    rows: Fold
    reference: BinnedReference
    records: tuple[Record, ...]
    money: Mapping[str, Reading]
    grown: Mapping[str, float] | None
    damaged: int
    host_clock: HostClock | None


@dataclass(frozen=True)
class Result:
    """What the window amounts to.

    Parameters
    ----------
    version : str
        In validation.
    coverage : Coverage
        Stretches and silences.
    alerts : Alerts
        Every question, and which of them were broken or could not be asked.
    readings : dict of str to Reading
        The numbers behind them.
    errors : tuple of int
        Rows the version failed to score, and those it was asked.
    n_rows : int
        Rows it scored in the stretch.
    replayed, damaged : int
        Rows left out of it, and lines of all logs that cannot be read.
    host_clock : HostClock or None
        Of the machine that wrote the logs.
    """

    version: str
    coverage: Coverage
    alerts: Alerts
    readings: dict[str, Reading]
    errors: tuple[int, int]
    n_rows: int
    replayed: int
    damaged: int
    host_clock: HostClock | None


def load(params: DailyReportParams, clock: Clock) -> Inputs:
    """Find the version, the newest stretch without silence, and what happened within it.

    Raises
    ------
    EvidenceMissingError
        There is neither a candidate nor a served version.
    ArtifactError
        The version, or its reference, cannot be read.
    """
    home, policy = home_of(params.run), policy_of(params.run)
    registry = Registry(home.models, clock=SystemClock())
    version = params.run.model_version or registry.candidate() or registry.latest()
    if not version:
        raise EvidenceMissingError("no version to validate", todo="train one first: mlwb run")
    frozen = load_reference(registry.resolve(version)).features[SCORE].bins
    now_s = math.ceil(clock.now().timestamp()) + 1
    window_s = 3600 * policy.limit("validation.covered_h").max_age_h
    gap_s = float(str(policy.gates["shadow"].settings["max_gap_s"]))
    edges, delta = frozen.edges.tolist(), match_delta_of(policy)
    whole = Fold(now_s - window_s, now_s, match_delta=delta, version=version, edges=edges)
    damaged = fold_logs(home, whole)
    covered = _covered(whole, gap_s)
    rows = Fold(covered.started, covered.finished + 1, match_delta=delta, version=version,
                edges=edges)  # fmt: skip
    if covered.covered_s:
        fold_logs(home, rows)
    return Inputs(
        params=params,
        version=version,
        is_latest=version == registry.latest(),
        coverage=covered,
        rows=rows,
        reference=frozen,
        money=_money(params, version, clock),
        records=_since(params, version, covered.started if covered.covered_s else whole.first_s),
        grown=counted_between(home, covered.started, covered.finished + 1),
        damaged=damaged,
        host_clock=host_clock(),
    )


def measure(inputs: Inputs) -> Result:
    """Ask every rollback limit of the rows of the stretch, and the records written since."""
    policy, rows = policy_of(inputs.params.run), inputs.rows
    compared = rows.of(inputs.version)
    least = policy.limit("shadow.match_rate").min_n
    readings = {
        "p95_ms": p95_of(rows.answers.latency_ms, compared.latency_ms),
        "error_rate": _error_rate(inputs, compared, least),
        "prediction_psi": psi_of(inputs.reference, rows, compared, least),
    }
    if compared.asked or not rows.answers.n:
        readings["rank_corr"] = rank_corr_of(compared, least)
    asked = rollback_alerts({**readings, **flips_of(inputs.grown)}, policy, money=inputs.money)
    broken = record_alerts(inputs.records, policy)
    checked = _drift_alerts(inputs.records, policy) if inputs.is_latest else ()
    return Result(
        version=inputs.version,
        coverage=inputs.coverage,
        alerts=Alerts((*asked, *checked, *broken)),
        readings=readings,
        errors=(compared.failed, compared.asked),
        n_rows=rows.answers.n + compared.compared,
        replayed=rows.replayed,
        damaged=inputs.damaged,
        host_clock=inputs.host_clock,
    )


def to_record(inputs: Inputs, result: Result, params: DailyReportParams, clock: Clock) -> Record:
    """The evidence of kind ``validation``; nothing is written."""
    covered, alerts = result.coverage, result.alerts
    shared = context("validation", params, clock, version=result.version, origin="live")
    now = clock.now()
    started = min(_utc(covered.started), now)
    details = {
        "started_at": format_utc(started),
        "finished_at": format_utc(max(started, min(_utc(covered.finished), now))),
        "silences": [[_stamp(gap.started), _stamp(gap.finished)] for gap in covered.gaps],
        "questions": [
            {"id": item.id, "state": item.state, "reason": item.reason, "needed": item.is_needed}
            for item in alerts.questions
        ],
        "risk": alerts.risk,
        "is_latest": inputs.is_latest,
    }
    return new_record(
        "validation",
        _metrics(result),
        shared,
        details=details,
        upstream=[Upstream(item.run_id, item.sha256) for item in inputs.records],
    )


def record(
    inputs: Inputs, result: Result, params: DailyReportParams, clock: Clock
) -> tuple[Record, ...]:
    """Write the evidence."""
    return write_all(store_of(params.run), [to_record(inputs, result, params, clock)])


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """Ask the gate validation."""
    return judge_gates(GATES, records, policy, clock)


def run(params: DailyReportParams, policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """All four verbs."""
    inputs = load(params, clock)
    return judge(record(inputs, measure(inputs), params, clock), policy, clock)


def _covered(whole: Fold, gap_s: float) -> Coverage:
    """Both ways a version is seen to work, together."""
    seconds = np.union1d(whole.beats.seconds(), whole.shadow_beats.seconds())
    return coverage(seconds, first_s=whole.first_s, last_s=whole.last_s, max_gap_s=gap_s)


def _money(params: DailyReportParams, version: str, clock: Clock) -> dict[str, Reading]:
    told = store_of(params.run).records(LIVE_PNL)
    return money_alerts(told, version, policy_of(params.run), now=clock.now())


def _since(params: DailyReportParams, version: str, started: int) -> tuple[Record, ...]:
    """Live records about the version that speak of rollback or drift."""
    store, policy = store_of(params.run), policy_of(params.run)
    watched = [*policy.watch["rollback"], *policy.watch["drift_check"]]
    kinds = {limit.kind for limit in watched}
    found = store.read_each(
        entry.run_id
        for entry in store.index()
        if entry.kind in kinds
        and entry.model_version == version
        and parse_utc(entry.timestamp).timestamp() >= started
    )
    return tuple(item for item in found if item.origin == "live")


def _error_rate(inputs: Inputs, compared: Comparisons, least: int) -> Reading:
    """The worse of what it failed beside the champion and what it failed as the answer."""
    beside = share_of(compared.failed, compared.asked, least)
    if not inputs.rows.answers.n:
        return beside
    answered = answer_errors(requests_of(inputs.grown, inputs.version), least)
    both = [answered, *([beside] if compared.asked else [])]
    unknown = [item for item in both if not item.is_known]
    return unknown[0] if unknown else max(both, key=lambda item: item.value)


def _drift_alerts(records: Sequence[Record], policy: Policy) -> tuple[Alert, ...]:
    """Whether the daily check was made at all, and could say something."""
    checks = [item for item in records if item.kind == "drift_check"]
    if not checks:
        return (Alert("drift_check", "not measured", "no drift check was made in the window"),)
    newest = checks[-1]
    verdict = evaluate_watch(
        "drift_check", {newest.kind: newest}, policy, parse_utc(newest.timestamp)
    )
    if verdict.outcome is Outcome.FAIL:  # named limit by limit by `record_alerts`
        return ()
    state = "quiet" if verdict.is_pass else "not measured"
    return (Alert("drift_check", state, verdict.reason),)


def _metrics(result: Result) -> list[Metric]:
    covered, alerts, readings = result.coverage, result.alerts, result.readings
    failed, asked = result.errors
    error = rate("error_rate", failed, asked, deterministic=False)
    if asked:
        error = replace(error, ci=Interval(0.95, *wilson(failed, asked), "Wilson"))
    return [
        Metric("covered_h", covered.covered_s / 3600.0, unit="h", n=covered.n_beats,
               deterministic=False,
               definition="newest stretch, until now, without a silence over the policy's"),
        Metric("seen_h", covered.seen_s / 3600.0, unit="h", n=covered.n_beats),
        Metric("longest_gap_s", covered.longest_gap_s, unit="s"),
        Metric("critical_alerts", alerts.count, null_reason=alerts.why,
               definition="rollback limits and hard drift limits that live numbers broke"),
        Metric("rows", result.n_rows),
        Metric("rows_replayed", result.replayed),
        Metric("lines_damaged", result.damaged),
        _clock(result.host_clock),
        error,
        *(_metric(name, readings[name], unit)
          for name, unit in (("p95_ms", "ms"), ("prediction_psi", "nats"), ("rank_corr", "1"))
          if name in readings),
    ]  # fmt: skip


def _clock(found: HostClock | None) -> Metric:
    """Offset of the host's clock, where a time daemon keeps it; else nothing is known of it."""
    if found is not None and found.is_synchronised:
        about = "what the kernel still has to correct, either way"
        return Metric("clock_offset_ms", abs(found.offset_ms), unit="ms", definition=about,
                      deterministic=False)  # fmt: skip
    why = "no time daemon keeps this clock" if found else "the kernel does not say"
    return Metric("clock_offset_ms", None, unit="ms", null_reason=why, deterministic=False)


def _metric(name: str, reading: Reading, unit: str) -> Metric:
    value = reading.value if reading.is_known else None
    return Metric(name, value, unit=unit, n=reading.n, null_reason=reading.why)


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _stamp(seconds: int) -> str:
    return format_utc(_utc(seconds))
