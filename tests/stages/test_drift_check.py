"""The daily check: full days only, no day twice, the same numbers twice, evidence that adds up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import ArtifactNotFoundError, EmptyWindowError, ParityError
from mlwb.core.home import find_project
from mlwb.core.predictionlog import PredictionLine, encode_line
from mlwb.drift import CheckNote, bin_counts, psi_of_counts, suited_block_days
from mlwb.evidence import EvidenceStore, Record, metrics_digest
from mlwb.gates import Outcome, Verdict
from mlwb.inference import load_reference
from mlwb.params import DriftCheckParams, load_params, load_policy
from mlwb.serve import ServeSettings, create_app
from mlwb.stages import drift_check
from tests.inference.version_kit import NAMES, add_reference, rewrite
from tests.serve.asgi_kit import call
from tests.stages.drift_kit import FIRST_DAY, home_with_version, serve_days

pytestmark = pytest.mark.slow

PARAMS = find_project() / "params"
POLICY = load_policy(PARAMS / "policy.yml")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`v1.0.0` serves, with a reference of thirty days."""
    return home_with_version(tmp_path)


def _params(home: Path, rolling_days: int = 7) -> DriftCheckParams:
    params: DriftCheckParams = load_params(
        "drift_check", PARAMS, overrides={"check.rolling_days": rolling_days}
    )
    return replace(params, run=replace(params.run, home=str(home)))


def _check(home: Path, day: int, *, hour: int = 1, rolling_days: int = 7) -> tuple[Record, Verdict]:
    """Check on a UTC day, counted from the first."""
    clock = ManualClock(datetime(2026, 1, 1, hour, tzinfo=UTC) + timedelta(days=day))
    params = _params(home, rolling_days)
    inputs = drift_check.load(params, clock)
    (record,) = drift_check.record(inputs, drift_check.measure(inputs), params, clock)
    return record, drift_check.judge([record], POLICY, clock)


def _value(record: Record, name: str, segment: str = "") -> float:
    found = record.value(name, segment)
    assert found is not None
    return float(found)


def _days(first: int, last: int) -> range:
    return range(FIRST_DAY + first, FIRST_DAY + last)


def test_a_quiet_week_passes(home: Path) -> None:
    """Oracle: PSI of the rows themselves against the frozen bins, over seven days and the last."""
    rows = serve_days(home, _days(0, 9))
    record, verdict = _check(home, 9)
    assert verdict.outcome is Outcome.PASS
    frozen = load_reference(home / "artifacts" / "models" / "v1.0.0").features
    week = np.vstack([rows[FIRST_DAY + day] for day in range(2, 9)])
    for column, name in enumerate((*NAMES, "prediction")):
        bins = frozen[name].bins
        spans = {"psi": week[:, column], "psi_day": rows[FIRST_DAY + 8][:, column]}
        for metric, values in spans.items():
            expected = psi_of_counts(name, bins.counts, bin_counts(bins.edges, values))
            if name != "prediction":
                assert record.value(metric, name) == expected.value
            elif metric == "psi":
                assert record.value("prediction_psi") == expected.value
    assert record.value("rows") == 7 * 1_440
    assert _value(record, "golden_max_abs_diff") <= 1e-12
    assert record.details["rolling_days"] == [f"2026-01-{day:02}" for day in range(3, 10)]
    assert len(record.details["days"]) == 9


def test_evidence_holds_what_the_index_was_worked_out_from(home: Path) -> None:
    """Anyone recomputes it from the file: edges, counts of both sides."""
    serve_days(home, _days(0, 3))
    record, _ = _check(home, 3)
    for item in record.details["features"][:-1]:
        again = psi_of_counts(
            item["name"], np.array(item["reference_counts"]), np.array(item["current_counts"])
        )
        assert again.value == record.value("psi", item["name"])
        assert again.per_bin.tolist() == item["per_bin"]
    assert record.origin == "live"
    assert record.inputs[0].sha256 == record.details["reference"]


def test_a_shift_fails(home: Path) -> None:
    """Beyond chance and beyond the limit, the feature that moved and no other."""
    serve_days(home, _days(0, 8), shift=1.5)
    record, verdict = _check(home, 8)
    assert verdict.outcome is Outcome.FAIL
    failed = {(check.id, check.segment) for check in verdict.checks if check.outcome == "FAIL"}
    assert {("drift_check.moved", name) for name in ("rsi14_z", "overall")} <= failed
    assert not [name for _, name in failed if name == "spread_bp"]
    assert _value(record, "prediction_ks_p") < 1e-6


def test_the_watch_alarms_where_no_limit_is_missed(home: Path) -> None:
    """A shift too small for the limits is found by betting on days; it blocks nothing."""
    serve_days(home, _days(0, 20), shift=0.25)
    record, verdict = _check(home, 20)
    assert _value(record, "e_value_highest") > 20
    assert verdict.outcome is Outcome.PASS
    assert "warning: e_value_highest" in verdict.reason


def test_an_alarm_stays(home: Path) -> None:
    """Evidence falls when nobody acts on it; the highest is kept, from check to check."""
    serve_days(home, _days(0, 12), shift=0.5)
    first, _ = _check(home, 12)
    serve_days(home, _days(12, 25))
    second, _ = _check(home, 25)
    assert _value(second, "e_value") < _value(first, "e_value")
    for name in ("e_value_highest", "sr_highest"):
        assert _value(second, name) >= _value(first, name)


def test_counts_that_were_edited_after_a_check_fail(home: Path) -> None:
    """Drift cannot be hidden by putting quiet counts in place of those a check has seen."""
    serve_days(home, _days(0, 8), shift=1.5)
    _check(home, 8)
    (home / "artifacts" / "drift" / "v1.0.0" / "0.jsonl").unlink()
    serve_days(home, _days(0, 9))
    record, verdict = _check(home, 9)
    assert _value(record, "rows_taken_back") > 1_000
    assert verdict.outcome is Outcome.FAIL
    assert "rows_taken_back" in verdict.reason


def test_rows_written_late_are_not_taken_back(home: Path) -> None:
    """Another worker's rows come on top; before the first check there is nothing to compare."""
    serve_days(home, _days(0, 8))
    first, _ = _check(home, 8)
    assert first.value("rows_taken_back") is None
    serve_days(home, _days(7, 9), worker=1)
    record, verdict = _check(home, 9)
    assert record.value("rows_taken_back") == 0
    assert verdict.outcome is Outcome.PASS
    assert _check(home, 60)[0].value("rows_taken_back") is None


def test_twice_a_day_is_once(home: Path) -> None:
    """The second check measures the same, and no day is bet on twice."""
    serve_days(home, _days(0, 5))
    first, _ = _check(home, 5, hour=1)
    serve_days(home, _days(5, 6), hours=7, worker=1)
    second, _ = _check(home, 5, hour=23)
    assert metrics_digest(first) == metrics_digest(second)
    assert second.upstream[0].run_id == first.run_id
    assert EvidenceStore(home / "evidence" / "ml").verify() == ()


def test_going_on_is_starting_over(home: Path, tmp_path: Path) -> None:
    """Checks on some days leave the watch where one check at the end would."""
    other = home_with_version(tmp_path / "other")
    for folder in (home, other):
        serve_days(folder, _days(0, 8))
    for day in (1, 6):
        _check(home, day)
    stepwise, _ = _check(home, 8)
    at_once, _ = _check(other, 8)
    assert stepwise.details["watch"] == at_once.details["watch"]
    assert metrics_digest(stepwise) == metrics_digest(at_once)


def test_days_forgotten_by_the_server_stay_in_the_watch(home: Path) -> None:
    """Counts are kept a month; what was bet on them is in the evidence."""
    serve_days(home, _days(0, 6))
    first, _ = _check(home, 6)
    (home / "artifacts" / "drift" / "v1.0.0" / "0.jsonl").unlink()
    serve_days(home, _days(6, 8))
    second, _ = _check(home, 8)
    watched = [record.details["watch"]["spread_bp"]["wealth"] for record in (first, second)]
    assert [wealth["n_bets"] for wealth in watched] == [6, 8]


def test_part_of_a_day_is_not_judged(home: Path) -> None:
    """Neither today nor a day that saw less than three quarters of a usual one."""
    serve_days(home, _days(0, 1), hours=17)
    record, verdict = _check(home, 1)
    assert verdict.outcome is Outcome.UNPROVEN
    assert record.details["partial_days"] == ["2026-01-01"]
    assert record.value("psi", "spread_bp") is None
    assert record.value("rows") == 0
    serve_days(home, _days(1, 2), hours=18)
    record, _ = _check(home, 1, hour=23)
    assert record.details["rolling_days"] == []
    record, _ = _check(home, 2)
    assert record.details["rolling_days"] == ["2026-01-02"]
    assert record.value("rows") == 18 * 60


def test_traffic_long_gone_says_nothing_of_today(home: Path) -> None:
    """Nothing served in the rolling week is unproven; what was bet before stays."""
    serve_days(home, _days(0, 3))
    record, verdict = _check(home, 11)
    assert verdict.outcome is Outcome.UNPROVEN
    assert (record.value("rows"), record.value("psi", "spread_bp")) == (0, None)
    assert record.details["watch"]["spread_bp"]["wealth"]["n_bets"] == 3


def test_workers_are_one_traffic(home: Path) -> None:
    """The rows of both files are judged together."""
    serve_days(home, _days(0, 2))
    serve_days(home, _days(0, 2), worker=1)
    record, _ = _check(home, 2, rolling_days=1)
    assert record.value("rows") == 2 * 1_440
    assert record.details["rolling_days"] == ["2026-01-02"]


def test_the_prediction_log_is_counted_beside(home: Path) -> None:
    """Another version's lines are not ours; half a line a killed server left stops nothing."""
    serve_days(home, _days(0, 1))
    lines = [
        PredictionLine(
            datetime(2026, 1, 1, hour, tzinfo=UTC), "a", "/ml/predict", version, "0" * 8, 0.5, 1.0
        )
        for hour in range(24)
        for version in ("v1.0.0", "v0.9.0")
    ]
    (home / "artifacts" / "predictions.jsonl").write_bytes(b"".join(map(encode_line, lines)))
    record, _ = _check(home, 1)
    assert record.value("rows_logged") == 24
    with (home / "artifacts" / "predictions.jsonl").open("ab") as handle:
        handle.write(b'{"ts":"2026' + encode_line(lines[0]))
    record, verdict = _check(home, 1)
    assert record.value("rows_logged") is None
    assert verdict.outcome is Outcome.PASS


def test_no_traffic_says_what_to_do(home: Path) -> None:
    """Nothing was served: an error, not a pass."""
    with pytest.raises(EmptyWindowError, match="mlwb serve"):
        _check(home, 1)


def test_no_version_says_what_to_do(tmp_path: Path) -> None:
    """Nothing is promoted."""
    with pytest.raises(ArtifactNotFoundError, match="promote"):
        _check(tmp_path, 1)


def test_a_model_that_scores_otherwise_is_refused(home: Path) -> None:
    """The golden rows come out as in training, or nothing is measured."""
    serve_days(home, _days(0, 1))
    folder = home / "artifacts" / "models" / "v1.0.0"
    golden = json.loads((folder / "golden_predictions.json").read_bytes())
    rewrite(folder, "golden_predictions.json", {"scores": [0.5, *golden["scores"][1:]]})
    with pytest.raises(ParityError):
        _check(home, 1)


def test_another_reference_starts_anew(home: Path) -> None:
    """Counts against other bins are left out, and so is the watch of before."""
    serve_days(home, _days(0, 3))
    _check(home, 3)
    add_reference(home / "artifacts" / "models" / "v1.0.0", days=30, seed=9)
    serve_days(home, _days(3, 4))
    record, _ = _check(home, 4)
    assert record.upstream == ()
    assert record.details["days"] == ["2026-01-04"]
    assert record.details["watch"]["spread_bp"]["wealth"]["n_bets"] == 1
    assert record.details["volatile"]["foreign_lines"] == 72


def test_the_server_is_left_a_note(home: Path) -> None:
    """The last day looked at and the evidence over features."""
    serve_days(home, _days(0, 2))
    record, _ = _check(home, 2)
    digest = load_reference(home / "artifacts" / "models" / "v1.0.0").digest
    note = CheckNote.read(home / "artifacts" / "drift", "v1.0.0", digest)
    assert note is not None
    assert (note.day, note.e_value) == ("2026-01-02", record.value("e_value"))


def test_what_a_server_counted_is_what_is_judged(home: Path) -> None:
    """Two days through the routes, past a restart: PSI of the rows sent, to the last bit."""
    rng, clock = np.random.default_rng(5), ManualClock()
    rows = np.column_stack(
        [
            np.ones(960),
            rng.uniform(-0.5, 0.5, 960),
            rng.uniform(0, 30, 960),
            rng.uniform(-2, 2, 960),
        ]
    )
    settings = ServeSettings.from_env({"MLWB_MODELS_DIR": str(home / "artifacts" / "models")})
    for day in range(2):
        app = create_app(settings, clock=clock)
        for hour in range(24):
            sent = rows[20 * (24 * day + hour) :][:20].tolist()
            assert call(app, "/ml/predict", json.dumps({"rows": sent}).encode()).status == 200
            clock.advance(3_600)
        app.state.drift.close()
    record, _ = _check(home, 2)
    frozen = load_reference(home / "artifacts" / "models" / "v1.0.0").features
    for column, name in enumerate(NAMES):
        bins = frozen[name].bins
        expected = psi_of_counts(name, bins.counts, bin_counts(bins.edges, rows[:, column]))
        assert record.value("psi", name) == expected.value
    assert record.value("rows") == 960


def test_a_clock_and_a_constant_are_not_watched(tmp_path: Path) -> None:
    """Their days are all alike; a bet on which of them is odd would be a bet on ties."""
    home = home_with_version(tmp_path, names=("bias", "minute_sin", "own", "rsi14_z"))
    serve_days(home, _days(0, 2))
    record, _ = _check(home, 2)
    assert set(record.details["watch"]) == {"own", "rsi14_z", "prediction"}
    assert record.details["averaged"] == ["own", "rsi14_z"]


def test_a_level_that_lasts_is_watched_in_blocks(home: Path) -> None:
    """Blocks as long as the reference's memory asks for, on the grid of the reference's days."""
    folder = home / "artifacts" / "models" / "v1.0.0"
    add_reference(folder, days=70, first_day=FIRST_DAY - 70, level=0.2)
    serve_days(home, _days(0, 8))
    record, _ = _check(home, 8)
    frozen = load_reference(folder).features["rsi14_z"]
    watch = record.details["watch"]["rsi14_z"]
    assert suited_block_days(frozen.blocks.daily) == watch["block_days"] == 7
    assert (watch["first_day"], watch["wealth"]["n_bets"]) == (FIRST_DAY, 1)
    assert record.details["highest"]["sr"] > 0


def test_a_reference_without_a_null_gates_nothing(tmp_path: Path) -> None:
    """Four days cannot judge a window: not gateable, and not passed."""
    home = home_with_version(tmp_path, days=4)
    serve_days(home, _days(0, 2))
    record, verdict = _check(home, 2)
    assert {metric.value for metric in record.segments("gateable").values()} == {0}
    assert verdict.outcome not in (Outcome.PASS, Outcome.FAIL)
