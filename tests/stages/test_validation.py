"""The validation window: live hours only, silence resets, what was not measured does not pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import EvidenceMissingError
from mlwb.core.home import find_project
from mlwb.core.host_clock import HostClock
from mlwb.core.predictionlog import PredictionLine, encode_line
from mlwb.drift import SCORE
from mlwb.evidence import Context, Metric, Record, check_record, lint, new_record
from mlwb.gates import Outcome, Verdict, progress_of, read_view
from mlwb.inference import load_reference
from mlwb.params import DailyReportParams, load_params, load_policy
from mlwb.stages import validation
from mlwb.stages.common import store_of
from tests.inference.version_kit import add_reference, point, sidecar_for, write_version
from tests.monitor.log_kit import DAY, answer, comparison, write
from tests.records import DETAILS
from tests.stages.drift_kit import home_with_version

pytestmark = pytest.mark.slow

PARAMS = find_project() / "params"
POLICY = load_policy(PARAMS / "policy.yml")
NOW = DAY + 30 * 3_600
"""30 hours after the logs begin."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`v1.0.0` serves, `v2.0.0` is the candidate."""
    home_with_version(tmp_path, days=3)
    models = tmp_path / "artifacts" / "models"
    add_reference(write_version(models, "v2.0.0", sidecar=sidecar_for("v2.0.0")), days=3)
    point(models, "candidate", "v2.0.0")
    return tmp_path


def _params(home: Path, version: str = "") -> DailyReportParams:
    found: DailyReportParams = load_params("daily_report", PARAMS)
    return replace(found, run=replace(found.run, home=str(home), model_version=version))


def _scores(home: Path, n: int) -> list[float]:
    """Scores as the reference has them."""
    bins = load_reference(home / "artifacts" / "models" / "v2.0.0").features[SCORE].bins
    edges = np.concatenate([[0.0], bins.edges, [1.0]])
    middles = (edges[:-1] + edges[1:]) / 2.0
    weights = bins.counts[: len(middles)] / bins.counts[: len(middles)].sum()
    found: list[float] = np.random.default_rng(3).choice(middles, n, p=weights).tolist()
    return found


def _beside(home: Path, minutes: Iterable[int], **changes: Any) -> list[PredictionLine]:
    """A row a minute beside the candidate, which agrees."""
    found = list(minutes)
    return [
        comparison(DAY + 60 * minute, **{"score": score, "other": score, **changes})
        for minute, score in zip(found, _scores(home, len(found)), strict=True)
    ]


def _shadow_log(home: Path) -> Path:
    return home / "artifacts" / "shadow" / "predictions.jsonl"


def _validate(home: Path, *, now: float = NOW, version: str = "") -> tuple[Record, Verdict]:
    clock = ManualClock(datetime.fromtimestamp(now, UTC))
    params = _params(home, version)
    inputs = validation.load(params, clock)
    (record,) = validation.record(inputs, validation.measure(inputs), params, clock)
    check_record(record.to_json())
    assert lint(record) == ()
    (verdict,) = validation.judge([record], POLICY, clock)
    return record, verdict


def _states(record: Record) -> dict[str, str]:
    return {item["id"]: item["state"] for item in record.details["questions"]}


def test_thirty_quiet_hours_pass_and_progress_moves(home: Path) -> None:
    """Every minute, agreeing and fast, until now: covered, no alert, the gate passes."""
    write(_shadow_log(home), _beside(home, range(30 * 60)))
    record, verdict = _validate(home)
    assert verdict.outcome is Outcome.PASS, verdict.reason
    assert record.value("covered_h") == pytest.approx(30 - 1 / 60)
    assert (record.value("critical_alerts"), record.details["risk"]) == (0, "OK")
    view = read_view(store_of(_params(home).run), "v2.0.0")
    found = progress_of(view, POLICY, datetime.fromtimestamp(NOW, UTC))
    (mine,) = (item for item in found if item.gate == "validation")
    assert mine.is_done
    assert mine.reached == record.value("covered_h")


def test_a_silence_of_six_minutes_starts_the_hours_anew(home: Path) -> None:
    """Of 30 hours with a hole after ten, the last twenty count."""
    minutes = [m for m in range(30 * 60) if not 600 <= m < 606]
    write(_shadow_log(home), _beside(home, minutes))
    record, verdict = _validate(home)
    assert record.value("covered_h") == pytest.approx((1800 - 1 - 606) / 60)
    assert verdict.outcome is Outcome.FAIL
    assert len(record.details["silences"]) == 2  # before the first row, and the hole


def test_rows_the_candidate_failed_are_no_heartbeats(home: Path) -> None:
    """An hour of errors is an hour without the candidate."""
    lines = _beside(home, range(30 * 60))
    for minute in range(1000, 1060):
        lines[minute] = comparison(DAY + 60 * minute, other=None)
    write(_shadow_log(home), lines)
    record, _ = _validate(home)
    assert record.value("covered_h") == pytest.approx((1800 - 1 - 1060) / 60)


def test_who_stopped_is_not_in_place(home: Path) -> None:
    """The same thirty hours, looked at six minutes after the last row."""
    write(_shadow_log(home), _beside(home, range(30 * 60)))
    record, verdict = _validate(home, now=NOW + 360)
    assert record.value("covered_h") == 0
    assert record.value("critical_alerts") is None
    assert verdict.outcome is Outcome.FAIL


def test_without_a_row_there_is_an_honest_record(home: Path) -> None:
    """Nothing covered, nothing measured: never OK."""
    record, verdict = _validate(home)
    assert (record.value("covered_h"), record.value("critical_alerts")) == (0, None)
    assert record.details["risk"] == "WARN"
    assert not verdict.is_pass


def test_replayed_rows_cover_nothing(home: Path) -> None:
    """A day of market rows sent in a minute is not a day in place."""
    lines = [
        comparison(DAY + 60 * minute, request_id=f"replay.ab.{minute}") for minute in range(30 * 60)
    ]
    write(_shadow_log(home), lines)
    record, _ = _validate(home)
    assert (record.value("covered_h"), record.value("rows")) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "raised"),
    [
        ({"other": 0.5}, "rollback.rank_corr"),
        ({"score": 0.999, "other": 0.999}, "rollback.prediction_psi"),
    ],
)
def test_a_bad_candidate_is_critical(home: Path, changes: dict[str, Any], raised: str) -> None:
    """Scores that say nothing, or lie elsewhere than in training, are named and fail the gate."""
    lines = _beside(home, range(30 * 60), **changes)
    write(_shadow_log(home), lines)
    if raised == "rollback.rank_corr":  # against the champion's order, not a constant
        noise = np.random.default_rng(9).permutation(_scores(home, len(lines)))
        write(_shadow_log(home), _with_scores(lines, noise.tolist()))
    record, verdict = _validate(home)
    assert _states(record)[raised] == "raised"
    assert verdict.outcome is Outcome.FAIL
    assert record.details["risk"] == "CRITICAL"


def _with_scores(lines: list[PredictionLine], scores: list[float]) -> list[PredictionLine]:
    return [
        comparison(line.ts.timestamp(), score=line.score, other=score)
        for line, score in zip(lines, scores, strict=True)
    ]


def test_a_log_cut_in_the_middle_costs_its_line(home: Path) -> None:
    """Half a line in a file set aside, junk in the named one: told, and the hours stand."""
    lines = _beside(home, range(30 * 60))
    path = write(_shadow_log(home), lines[900:])
    older = path.with_name("predictions.jsonl.20260101T150000.000000Z")
    data = b"".join(map(encode_line, lines[:900]))
    older.write_bytes(data[: len(data) // 2] + b"\n" + data[len(data) // 2 :][:-20])
    with path.open("ab") as handle:
        handle.write(b"\x00\x00junk\n")
    record, verdict = _validate(home)
    assert record.value("lines_damaged") in (2, 3)
    assert record.value("covered_h") == pytest.approx(30 - 1 / 60)
    assert verdict.outcome is Outcome.PASS, verdict.reason


def test_a_clock_that_steps_back_hides_nothing(home: Path) -> None:
    """Rows written twice over the same hour are that hour once; the hour lost stays a hole."""
    minutes = [*range(600), *range(540, 600), *range(660, 1800)]
    write(_shadow_log(home), _beside(home, minutes))
    record, _ = _validate(home)
    assert record.value("covered_h") == pytest.approx((1800 - 1 - 660) / 60)


def test_rows_from_the_future_do_not_count(home: Path) -> None:
    """A server whose clock runs a day ahead covers nothing of today."""
    write(_shadow_log(home), _beside(home, range(31 * 60, 60 * 60)))
    assert _validate(home)[0].value("covered_h") == 0


def test_the_served_version_needs_a_drift_check_and_its_errors(home: Path) -> None:
    """What answers is not proven quiet by its answers: failures and drift must be measured too."""
    path = home / "artifacts" / "predictions.jsonl"
    write(path, [answer(DAY + 60 * m, score=s) for m, s in enumerate(_scores(home, 1800))])
    record, verdict = _validate(home, version="v1.0.0")
    states = _states(record)
    assert record.value("covered_h") == pytest.approx(30 - 1 / 60)
    assert states["drift_check"] == states["rollback.error_rate"] == "not measured"
    assert record.value("critical_alerts") is None
    assert verdict.outcome is Outcome.UNPROVEN


def test_a_live_record_beyond_a_limit_is_an_alert(home: Path) -> None:
    """A drift check that found other bytes than in training stands in the window's way."""
    write(_shadow_log(home), _beside(home, range(30 * 60)))
    clock = ManualClock(datetime.fromtimestamp(NOW - 3_600, UTC))
    context = Context(clock=clock, model_version="v2.0.0", origin="live")
    broken = new_record(
        "drift_check",
        [Metric("golden_max_abs_diff", 0.5)],
        context,
        details=DETAILS["drift_check"],
    )
    store_of(_params(home).run).write(broken)
    record, verdict = _validate(home)
    assert record.value("critical_alerts") == 1
    assert _states(record)["drift_check.golden"] == "raised"
    assert verdict.outcome is Outcome.FAIL
    assert [item.run_id for item in record.upstream] == [broken.run_id]


def test_nothing_to_validate_is_said(tmp_path: Path) -> None:
    """Without a version there is no window."""
    with pytest.raises(EvidenceMissingError, match="no version to validate"):
        validation.load(_params(tmp_path), ManualClock())


@pytest.mark.parametrize(
    ("found", "offset", "outcome"),
    [
        (HostClock(is_synchronised=True, offset_ms=-99.0, max_error_ms=200.0), 99.0, Outcome.PASS),
        (
            HostClock(is_synchronised=True, offset_ms=-100.0, max_error_ms=200.0),
            100.0,
            Outcome.FAIL,
        ),
        (HostClock(is_synchronised=False, offset_ms=0.0, max_error_ms=0.0), None, Outcome.UNPROVEN),
        (None, None, Outcome.UNPROVEN),
    ],
)
def test_the_clock_of_the_host_is_asked(
    home: Path, found: HostClock | None, offset: float | None, outcome: Outcome
) -> None:
    """Beyond 100 ms it fails; a clock nobody keeps is unproven, which binds in production."""
    clock, params = ManualClock(datetime.fromtimestamp(NOW, UTC)), _params(home)
    inputs = replace(validation.load(params, clock), host_clock=found)
    made = validation.to_record(inputs, validation.measure(inputs), params, clock)
    check_record(made.to_json())
    assert made.value("clock_offset_ms") == offset
    known = "hard" if found and found.is_synchronised else "soft"
    for name, severity in (("policy.yml", known), ("policy.strict.yml", "hard")):
        (verdict,) = validation.judge([made], load_policy(PARAMS / name), clock)
        check = next(item for item in verdict.checks if item.id == "validation.clock_offset_ms")
        assert (check.outcome, check.severity) == (outcome, severity)
