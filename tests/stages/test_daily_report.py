"""A day told: the numbers of its rows, the same twice, and never OK where nothing was measured."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import ParamsError
from mlwb.core.home import find_project
from mlwb.evidence import EvidenceStore, Record, check_record, lint, metrics_digest
from mlwb.monitor import Snapshot
from mlwb.params import DailyReportParams, load_params
from mlwb.stages import daily_report
from mlwb.stages._served_readings import snapshots_path
from mlwb.stages.common import home_of
from tests.monitor.log_kit import DAY, answer, comparison, write
from tests.stages.drift_kit import FIRST_DAY, home_with_version, serve_days

pytestmark = pytest.mark.slow

PARAMS = find_project() / "params"
REQUESTS = 'ml_predict_requests_total{{model_version="v1.0.0",status="{}"}}'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`v1.0.0` serves."""
    return home_with_version(tmp_path, days=3)


def _params(home: Path) -> DailyReportParams:
    found: DailyReportParams = load_params("daily_report", PARAMS)
    return replace(found, run=replace(found.run, home=str(home)))


def _tell(home: Path, *, at: float = DAY + 86_400 + 1_200, day: date | None = None) -> Record:
    clock, params = ManualClock(datetime.fromtimestamp(at, UTC)), _params(home)
    inputs = daily_report.load(params, clock, day)
    (record,) = daily_report.record(inputs, daily_report.measure(inputs), params, clock)
    check_record(record.to_json())
    assert lint(record) == ()
    return record


def _served(home: Path, **changes: Any) -> None:
    """A day of a row a minute, counted and compared, and a look at the counters each hour."""
    serve_days(home, range(FIRST_DAY, FIRST_DAY + 1))
    artifacts, rng = home / "artifacts", np.random.default_rng(3)
    scores = rng.uniform(0.1, 0.9, 1_440).tolist()
    rows = [(DAY + 60 * i, score) for i, score in enumerate(scores)]
    write(artifacts / "predictions.jsonl", [answer(ts, score=s, **changes) for ts, s in rows])
    away = [None if i % 100 == 1 else 0.09 if i % 50 == 3 else 0.01 for i in range(1_440)]
    beside = [
        comparison(ts, score=s, other=None if delta is None else s + delta)
        for (ts, s), delta in zip(rows, away, strict=True)
    ]
    write(artifacts / "shadow" / "predictions.jsonl", beside)
    _look(home, {hour: (60 * hour, hour // 12) for hour in range(24)})


def _look(home: Path, counted: dict[int, tuple[int, int]]) -> None:
    path = snapshots_path(home_of(_params(home).run), datetime.fromtimestamp(DAY, UTC))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        for hour, (good, bad) in counted.items():
            values = {REQUESTS.format("success"): good, REQUESTS.format("server_error"): bad}
            moment = datetime.fromtimestamp(DAY + 3_600 * hour, UTC)
            handle.write(Snapshot(moment, "http://a", dict(values)).encode())


def test_a_day_is_the_numbers_of_its_rows(home: Path) -> None:
    """Rows, hours, requests by status, agreement as k of n, latency, PSI of what was counted."""
    _served(home)
    record = _tell(home)
    assert (record.value("rows"), record.details["versions"]) == (1_440, {"v1.0.0": 1_440})
    assert record.value("covered_h") == pytest.approx(24 - 1 / 60)
    assert (record.value("gaps"), record.value("p95_ms"), record.value("p50_ms")) == (0, 2.0, 2.0)
    assert record.value("longest_unwatched_s") == 3_600
    assert record.details["unwatched"][0][:2] == ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"]
    assert record.value("requests", "success") == 23 * 60
    error = next(metric for metric in record.metrics if metric.name == "error_rate")
    assert (error.k, error.n) == (1, 23 * 60 + 1)
    match = next(metric for metric in record.metrics if metric.name == "match_rate")
    assert (match.k, match.n) == (1_440 - 15 - 29, 1_440 - 15)
    assert match.ci is not None
    assert match.ci.lo < (match.value or 0) < match.ci.hi
    assert set(record.segments("psi")) >= {"spread_bp", "prediction"}
    assert record.value("critical_alerts") == 0
    assert record.details["risk"] == "OK"


def test_a_few_rows_are_no_drift(home: Path) -> None:
    """The index of an hour's rows can be high by chance: no limit of the day is asked about it."""
    serve_days(home, range(FIRST_DAY, FIRST_DAY + 1), hours=1)
    write(home / "artifacts" / "predictions.jsonl", [answer(DAY + 60 * i) for i in range(60)])
    record = _tell(home)
    assert record.value("psi", "prediction") is not None
    assert record.value("prediction_psi") is None
    assert record.details["risk"] == "WARN"


def test_the_same_day_twice_is_the_same(home: Path) -> None:
    """One record, one row, the same bytes; a row that is found later makes a new record."""
    _served(home)
    first, folder = _tell(home), home / "evidence" / "ml" / "daily"
    tables = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    second = _tell(home, at=DAY + 5 * 86_400, day=date(2026, 1, 1))
    assert second.run_id == first.run_id
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == tables
    with (home / "artifacts" / "predictions.jsonl.20260101T000000.000000Z").open("wb") as handle:
        write(Path(handle.name), [answer(DAY + 30)])
    third = _tell(home, at=DAY + 6 * 86_400, day=date(2026, 1, 1))
    assert metrics_digest(third) != metrics_digest(first)
    (row,) = csv.DictReader((folder / "ml_daily_reports.csv").read_text().splitlines())
    assert (row["rows"], row["run_id"]) == ("1441", third.run_id)


def test_files_are_named_after_the_day(home: Path) -> None:
    """Written on the second, about the first; the ledger verifies with both days told."""
    _served(home)
    _tell(home)
    _tell(home, at=DAY + 2 * 86_400 + 60)
    folder = home / "evidence" / "ml" / "daily"
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    assert names == [
        "ml_daily_reports.csv",
        "report_2026-01-01.csv",
        "report_2026-01-01.json",
        "report_2026-01-02.csv",
        "report_2026-01-02.json",
    ]
    store = EvidenceStore(home / "evidence" / "ml")
    assert store.verify() == ()
    assert [row["date"] for row in daily_report.history(_params(home))] == [
        "2026-01-01",
        "2026-01-02",
    ]


def test_an_empty_day_is_not_ok(home: Path) -> None:
    """Nothing served, nothing measured: WARN, a gap of a day, and a row all the same."""
    record = _tell(home)
    assert (record.value("rows"), record.value("longest_gap_s")) == (0, 86_400)
    assert record.value("longest_unwatched_s") == 86_400
    assert record.value("critical_alerts") is None
    assert record.details["risk"] == "WARN"
    (row,) = daily_report.history(_params(home))
    assert (row["risk"], row["p95_ms"], row["critical_alerts"]) == ("WARN", "", "")


def test_a_slow_day_is_critical_and_a_slower_one_than_asked_warns(home: Path) -> None:
    """200 ms is the trigger, 80 ms what the gate asks for."""
    for latency, risk in ((199.0, "WARN"), (201.0, "CRITICAL"), (79.0, "OK")):
        _served(home, latency_ms=latency)
        assert _tell(home).details["risk"] == risk


def test_a_day_that_is_not_over_is_refused(home: Path) -> None:
    """Its numbers would be others an hour later."""
    with pytest.raises(ParamsError, match="not over"):
        _tell(home, day=date(2026, 1, 2))


def test_a_damaged_history_is_not_written_over(home: Path) -> None:
    """A table that is none of ours is an error that names the line; the record stands."""
    path = home / "evidence" / "ml" / "daily" / "ml_daily_reports.csv"
    path.parent.mkdir(parents=True)
    path.write_text("date,rows\nyesterday,3\n")
    with pytest.raises(Exception, match="line 2"):
        _tell(home)
    assert path.read_text() == "date,rows\nyesterday,3\n"


def test_an_unaudited_flip_makes_the_day_critical(home: Path) -> None:
    """A server's counters saw `latest` move without a line in the registry's log."""
    _served(home)
    path = snapshots_path(home_of(_params(home).run), datetime.fromtimestamp(DAY, UTC))
    flips = 'ml_registry_flips_total{status="unaudited"}'
    looks = [Snapshot(datetime.fromtimestamp(DAY + s, UTC), "http://b", {flips: float(n)})
             for s, n in ((10, 0), (70, 1))]  # fmt: skip
    with path.open("ab") as handle:
        handle.writelines(look.encode() for look in looks)
    record = _tell(home)
    states = {item["id"]: item["state"] for item in record.details["questions"]}
    assert (record.details["risk"], states["rollback.unaudited"]) == ("CRITICAL", "raised")
