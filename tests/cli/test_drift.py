"""`mlwb drift check`: a table for people, JSON for machines, an exit code for the scheduler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EmptyWindowError
from tests.stages.drift_kit import home_with_version, serve_days

run = CliRunner().invoke


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`v1.0.0` serves."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    return home_with_version(tmp_path)


def _until_yesterday(days: int) -> range:
    today = int(SystemClock().now().timestamp()) // 86_400
    return range(today - days, today)


def test_quiet_days_exit_0(home: Path) -> None:
    """One row a feature, then the limits and the verdict."""
    serve_days(home, _until_yesterday(2))
    done = run(app, ["drift", "check"])
    assert done.exit_code == 0, done.output
    for told in ("v1.0.0: 2880 rows served", "spread_bp", "passed", "DRIFT CHECK: PASS"):
        assert told in done.output


def test_drift_exits_1(home: Path) -> None:
    """The scheduler sees it; JSON holds record and verdict."""
    serve_days(home, _until_yesterday(3), shift=1.5)
    done = run(app, ["drift", "check", "--days", "3", "--json"])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["verdict"]["outcome"] == "FAIL"
    assert told["record"]["kind"] == "drift_check"
    assert "failed" in run(app, ["drift", "check"]).output


def test_too_few_days_exit_0_and_say_so(home: Path) -> None:
    """Unproven is no drift, and no pass; nothing is tabled that was not measured."""
    serve_days(home, _until_yesterday(1), hours=5)
    done = run(app, ["drift", "check"])
    assert done.exit_code == 0, done.output
    for told in ("no full UTC day", "golden_max_abs_diff", "DRIFT CHECK: UNPROVEN too few days"):
        assert told in done.output
    assert "rows served" not in done.output
    assert "spread_bp" not in done.output


def test_without_traffic_it_is_an_error(home: Path) -> None:
    """Nobody looked is not nothing found."""
    done = run(app, ["drift", "check"])
    assert isinstance(done.exception, EmptyWindowError)
    assert done.exception.exit_code == 3
    assert home.is_dir()
