"""Every day: what servers did on one UTC day, as they wrote it down.

It reads logs, counts of live rows, looks at counters and the ledger, and never a server, so that a
day that is over gives the same numbers whenever it is asked.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from mlwb.core import fsops
from mlwb.core.clock import DAY_S, Clock, SystemClock, format_utc, parse_utc
from mlwb.core.errors import EvidenceMissingError, LockHeldError, ParamsError
from mlwb.core.home import Home
from mlwb.drift import SCORE, psi_of_counts, read_live_hours, window_counts
from mlwb.evidence import Record, metrics_digest, new_record
from mlwb.gates import evaluate_watch
from mlwb.inference import Predictor, load_reference
from mlwb.monitor import (
    LIVE_PNL,
    Alerts,
    Beats,
    Coverage,
    DayPanels,
    Fold,
    Reading,
    Rules,
    TradingDay,
    day_panels,
    gate_warnings,
    history_csv,
    history_row,
    increases,
    money_alerts,
    parse_history,
    record_alerts,
    rollback_alerts,
    trading_days,
)
from mlwb.params import DailyReportParams, Policy
from mlwb.registry import Registry
from mlwb.stages._daily_records import daily_csv, daily_metrics
from mlwb.stages._served_lines import drift_dir, fold_logs
from mlwb.stages._served_readings import (
    answer_errors,
    enough,
    flips_of,
    looks_between,
    p95_of,
    rank_corr_of,
    requests_of,
    share_of,
    watched_in,
)
from mlwb.stages.common import context, home_of, match_delta_of, policy_of, store_of

__all__ = ["Inputs", "Result", "history", "judge", "load", "measure", "record", "run"]

_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Inputs:
    """What one day is told from.

    Parameters
    ----------
    params : DailyReportParams
        As loaded.
    day : date
        UTC.
    version : str
        The one that answered most rows; where none was answered, the one in `latest`.
    rows : Fold
        Live rows of the day, of all versions.
    psi : mapping of str to Reading
        By feature, the score last, of what servers counted that day for the version.
    grown : mapping of str to float, or None
        What every counter grew by; None where no server's counters were looked at.
    watched : Beats
        When they were.
    records : tuple of Record
        Live evidence written that day that speaks of rollback or drift.
    drift : Record or None
        The daily drift check whose last day it is.
    trades : tuple of Record
        Trades of days until this one, as far as they were told.
    panels : DayPanels
        What looks at the counters give for the panels of the dashboard.
    damaged : int
        Lines of the logs that cannot be read.
    """

    params: DailyReportParams
    day: date
    version: str
    rows: Fold
    psi: Mapping[str, Reading]
    grown: Mapping[str, float] | None
    watched: Beats
    records: tuple[Record, ...]
    drift: Record | None
    trades: tuple[Record, ...]
    panels: DayPanels
    damaged: int

    @property
    def trading(self) -> tuple[TradingDay, ...]:
        """The same of the version, day by day."""
        judged = Rules.of(policy_of(self.params.run)).judged_labels
        return trading_days(self.trades, self.version, judged)


@dataclass(frozen=True)
class Result:
    """The day against the policy.

    Parameters
    ----------
    readings : mapping of str to Reading
        By name of the metric.
    alerts : Alerts
        Every question about the day.
    drift_outcome, drift_reason : str
        What the drift check of the day said; ``not measured`` where there was none.
    """

    readings: Mapping[str, Reading]
    alerts: Alerts
    drift_outcome: str
    drift_reason: str


def load(params: DailyReportParams, clock: Clock, day: date | None = None) -> Inputs:
    """Read one UTC day; yesterday unless told otherwise.

    Raises
    ------
    ParamsError
        The day is not over, and nothing can be said of it for good.
    EvidenceMissingError
        There is no version to speak of.
    """
    today = clock.now().astimezone(UTC).date()
    wanted = day or date.fromordinal(today.toordinal() - 1)
    if wanted >= today:
        raise ParamsError("the day is not over", expected=f"before {today}", got=str(wanted))
    home, policy = home_of(params.run), policy_of(params.run)
    first_s = int(datetime(wanted.year, wanted.month, wanted.day, tzinfo=UTC).timestamp())
    rows = Fold(first_s, first_s + DAY_S, match_delta=match_delta_of(policy))
    damaged = fold_logs(home, rows)
    registry = Registry(home.models, clock=SystemClock())
    answered = rows.answers.versions
    version = max(answered, key=lambda name: (answered[name], name), default="")
    version = version or params.run.model_version or registry.latest() or ""
    if not version:
        raise EvidenceMissingError("no version serves", todo="promote one: mlwb registry promote")
    looks = looks_between(home, first_s, first_s + DAY_S)
    return Inputs(
        params=params,
        day=wanted,
        version=version,
        rows=rows,
        psi=_psi(home, registry, version, first_s // 3_600),
        grown=increases(looks, first_s, first_s + DAY_S),
        watched=watched_in(looks, first_s, first_s + DAY_S),
        records=_records(params, first_s, first_s + DAY_S),
        drift=_drift(params, wanted, version),
        trades=_trades(params, wanted),
        panels=day_panels(looks, first_s, first_s + DAY_S),
        damaged=damaged,
    )


def measure(inputs: Inputs) -> Result:
    """Ask the rollback limits and the gates' limits of the day."""
    policy, rows = policy_of(inputs.params.run), inputs.rows
    compared = rows.of(rows.candidate)
    least = policy.limit("shadow.match_rate").min_n
    nothing = Reading(float("nan"), 0, "no server counted rows of this version that day")
    readings = {
        "p95_ms": p95_of(rows.answers.latency_ms),
        "error_rate": answer_errors(requests_of(inputs.grown), least),
        "prediction_psi": enough(inputs.psi.get(SCORE, nothing), least),
    }
    beside = {
        "rank_corr": rank_corr_of(compared, least),
        "match_rate": share_of(compared.matched, compared.compared, least),
        "shadow_error_rate": share_of(compared.failed, compared.asked, least),
    }
    asked = {**readings, "rank_corr": beside["rank_corr"]} if compared.asked else readings
    gates = {
        "perf.p95_ms": readings["p95_ms"],
        "perf.error_rate": readings["error_rate"],
        "shadow.match_rate": beside["match_rate"],
        "shadow.error_rate": beside["shadow_error_rate"],
    }
    outcome, reason = _drift_said(inputs.drift, policy)
    over = datetime(inputs.day.year, inputs.day.month, inputs.day.day, tzinfo=UTC)
    money = money_alerts(inputs.trades, inputs.version, policy, now=over + timedelta(days=1))
    questions = (
        *rollback_alerts({**asked, **flips_of(inputs.grown)}, policy, money=money),
        *record_alerts(inputs.records, policy),
        *gate_warnings(gates, policy),
    )
    return Result({**readings, **beside}, Alerts(questions), outcome, reason)


def record(
    inputs: Inputs, result: Result, params: DailyReportParams, clock: Clock
) -> tuple[Record, ...]:
    """Write the day: evidence, its CSV, and its row in the table of all days.

    A day told before with the same numbers is not written again; the record of then comes back.
    """
    home, store = home_of(params.run), store_of(params.run)
    shared = context("daily_report", params, clock, version=inputs.version, origin="live")
    metrics = daily_metrics(
        inputs.rows,
        result.readings,
        requests=requests_of(inputs.grown),
        psi=inputs.psi,
        alerts=result.alerts,
        damaged=inputs.damaged,
        disk=shutil.disk_usage(home.root).free,
        max_gap_s=_max_gap_s(params),
        watched=inputs.watched,
    )
    made = new_record(
        "daily_report",
        metrics,
        shared,
        phase=f"daily-{inputs.day}",
        details=_details(inputs, result),
    )
    told = [entry for entry in store.index() if f"_daily-{inputs.day}_" in entry.run_id]
    before = store.read(told[-1].run_id) if told else None
    if before is None or metrics_digest(before) != metrics_digest(made):
        store.write(made)
        before = store.read(made.run_id)
    _write_tables(store.root / "daily", before)
    return (before,)


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> str:
    """The risk of the day in a word; the policy was asked when it was measured."""
    del policy, clock
    return str(records[-1].details["risk"])


def run(params: DailyReportParams, policy: Policy, clock: Clock) -> str:
    """All four verbs."""
    inputs = load(params, clock)
    return judge(record(inputs, measure(inputs), params, clock), policy, clock)


def history(params: DailyReportParams) -> list[dict[str, str]]:
    """Rows of all days told so far, oldest first."""
    path = store_of(params.run).root / "daily" / "ml_daily_reports.csv"
    rows = parse_history(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return [rows[day] for day in sorted(rows)]


def _write_tables(folder: Path, told: Record) -> None:
    """The day's own table, and its row among the others; two reports at once take turns."""
    day = told.details["date"]
    try:
        with FileLock(folder / ".lock", timeout=_PATIENCE_S):
            fsops.write_atomic(folder / f"report_{day}.csv", daily_csv(told).encode())
            path = folder / "ml_daily_reports.csv"
            rows = parse_history(path.read_text(encoding="utf-8")) if path.is_file() else {}
            rows[day] = history_row(told)
            fsops.write_atomic(path, history_csv(rows.values()).encode())
    except Timeout as error:
        raise LockHeldError(
            "the table of days is held by another report", todo="try again later"
        ) from error


def _psi(home: Home, registry: Registry, version: str, first_hour: int) -> dict[str, Reading]:
    """Plain index of every column; empty where the version is gone or nothing was counted."""
    if version not in registry.versions():
        return {}
    folder = registry.resolve(version)
    frozen = load_reference(folder)
    names = (*Predictor.load(folder).sidecar.names, SCORE)
    shape = [len(frozen.features[name].bins.counts) for name in names]
    log = read_live_hours(drift_dir(home), version, frozen.digest, shape)
    counts = window_counts([log.hours], range(first_hour, first_hour + 24))
    found = {}
    for name, cells in zip(names, counts, strict=False):
        bins = frozen.features[name].bins
        if bins.n_bins > 1:
            n = int(np.sum(cells))
            found[name] = Reading(psi_of_counts(name, bins.counts, cells).value, n)
    return found


def _records(params: DailyReportParams, first_s: int, last_s: int) -> tuple[Record, ...]:
    store, policy = store_of(params.run), policy_of(params.run)
    watched = (*policy.watch["rollback"], *policy.watch["drift_check"])
    kinds = {limit.kind for limit in watched}
    found = store.read_each(
        entry.run_id
        for entry in store.index()
        if entry.kind in kinds and first_s <= parse_utc(entry.timestamp).timestamp() < last_s
    )
    return tuple(item for item in found if item.origin == "live")


def _trades(params: DailyReportParams, day: date) -> tuple[Record, ...]:
    told = store_of(params.run).records(LIVE_PNL)
    return tuple(item for item in told if item.details["date"] <= str(day))


def _drift(params: DailyReportParams, day: date, version: str) -> Record | None:
    store = store_of(params.run)
    entries = [e for e in store.index() if e.kind == "drift_check" and e.model_version == version]
    found = store.read_each(entry.run_id for entry in entries[-32:])
    about = [item for item in found if (item.details.get("days") or [""])[-1] == str(day)]
    return about[-1] if about else None


def _drift_said(drift: Record | None, policy: Policy) -> tuple[str, str]:
    if drift is None:
        return "not measured", "no drift check ends with this day: mlwb drift check"
    verdict = evaluate_watch("drift_check", {drift.kind: drift}, policy, parse_utc(drift.timestamp))
    return str(verdict.outcome), verdict.reason


def _details(inputs: Inputs, result: Result) -> dict[str, object]:
    rows, compared = inputs.rows, inputs.rows.of(inputs.rows.candidate)
    gap_s = _max_gap_s(inputs.params)
    return {
        "date": str(inputs.day),
        "risk": result.alerts.risk,
        "versions": dict(rows.answers.versions),
        "candidate": rows.candidate,
        "shadow_errors": dict(compared.errors),
        "gaps": _gaps(rows.beats.coverage(max_gap_s=gap_s)),
        "unwatched": _gaps(inputs.watched.coverage(max_gap_s=gap_s)),
        "drift_check": {
            "run_id": inputs.drift.run_id if inputs.drift else "",
            "outcome": result.drift_outcome,
            "reason": result.drift_reason,
        },
        "questions": [
            {"id": item.id, "state": item.state, "reason": item.reason, "needed": item.is_needed}
            for item in result.alerts.questions
        ],
    }


def _max_gap_s(params: DailyReportParams) -> float:
    return float(str(policy_of(params.run).gates["shadow"].settings["max_gap_s"]))


def _gaps(found: Coverage) -> list[list[str | int]]:
    return [[_stamp(gap.started), _stamp(gap.finished), gap.seconds] for gap in found.gaps]


def _stamp(seconds: int) -> str:
    return format_utc(datetime.fromtimestamp(seconds, UTC))
