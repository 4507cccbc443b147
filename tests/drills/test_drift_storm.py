"""Drill: all features move at once, for thousands of requests, then for days."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.core.chain import Chain
from mlwb.core.clock import DAY_S, ManualClock, SystemClock
from mlwb.core.home import find_project
from mlwb.core.linelog import set_aside_files
from mlwb.params import DriftCheckParams, load_params
from mlwb.stages import drift_check
from tests.drills.alert_kit import fires_between
from tests.drills.drill_kit import Bot, Drill, Served, logged, served_home, wait_until
from tests.serve.registry_kit import OTHER
from tests.stages.drift_kit import serve_days

pytestmark = [pytest.mark.slow, pytest.mark.server]

STORM = (0.4, 45.0, 1.6), (0.5, 50.0, 2.0)
N_ROWS = 3_000
LOG_LIMIT, LOG_FILES = 65_536, 3
PREDICTION = 'ml_psi_score{feature="prediction"}'


def _looker(home: Path, url: str, told: Path) -> Callable[..., dict[str, Any]]:
    """Looks of ``mlwb monitor``, whose messages are appended to a file."""
    code = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read() + b'\\n')"
    environ = {
        "MLWB_HOME": str(home),
        "MLWB_NOTIFY_COMMAND": json.dumps([sys.executable, "-c", code, str(told)]),
    }

    def look(*options: str) -> dict[str, Any]:
        arguments = ["monitor", "--json", "--url", url, *options]
        found: dict[str, Any] = json.loads(CliRunner().invoke(app, arguments, env=environ).stdout)
        return found

    return look


def _events(told: Path) -> list[str]:
    return [json.loads(line)["event"] for line in told.read_bytes().splitlines()]


def _today() -> int:
    return int(SystemClock().now().timestamp()) // DAY_S


def test_all_features_at_once(tmp_path: Path, drill: Drill, tool: Callable[[str], str]) -> None:
    """Every request answered; one alert, one message, one rollback; logs stay within bounds."""
    drill.incident("all features move at once")
    home, told = tmp_path / "home", tmp_path / "told"
    registry = served_home(home, reference_days=3)
    days = range(_today() - 1, _today() + 1)  # the hours of today that are to come count nowhere
    serve_days(home, days, version="v2.0.0", weights=OTHER)
    with Served(home, MLWB_LOG_LIMIT=str(LOG_LIMIT), MLWB_LOG_FILES=str(LOG_FILES)) as served:
        look = _looker(home, served.url, told)
        with Bot(served) as calm:
            calm.next_good("v2.0.0", 200)
        quiet = served.page()
        assert look()["outcome"] == "quiet"
        with Bot(served, span=STORM) as storm:
            storm.next_good("v2.0.0", N_ROWS)
            wait_until(lambda: served.metric(PREDICTION) > 0.25)
            fires_between(tool, tmp_path, (quiet, served.page()), "ML_PSI_Critical", minutes=70)
            looks = [look() for _ in range(6)]
            assert [item["outcome"] for item in looks] == ["quiet"] * 2 + ["would"] * 4
            assert registry.latest() == "v2.0.0"
            assert _events(told) == ["fired"]
            drill.sees("answers go on", "ML_PSI_Critical", "monitor: prediction_psi, one message")

            drill.begin()
            looks = [look("--act")]
            storm.next_good("v1.0.0")
            drill.recovered("mlwb monitor --act rolls back, once")
            looks += [look("--act") for _ in range(5)]
            storm.next_good("v1.0.0", 200)
        assert served.metric("ml_log_dropped_total") == 0
        assert (calm.reasons, storm.reasons) == (set(), set())
        assert served.stop() == 0
    assert looks[0]["outcome"] == "acted"
    assert {item["outcome"] for item in looks[1:]} == {"quiet"}
    assert _events(told) == ["fired", "acted"]
    links = Chain(home / "artifacts" / "promotions.log").links()
    assert [link.body.get("action") for link in links].count("rollback") == 1
    assert (calm.wrong, storm.wrong, registry.latest()) == ([], [], "v1.0.0")
    assert registry.doctor() == ()

    log = home / "artifacts" / "predictions.jsonl"
    kept = logged(home)
    assert len(set_aside_files(log)) == LOG_FILES
    assert [line.request_id for line in kept] == [
        item.request_id for item in (*calm.answers, *storm.answers)
    ][-len(kept) :]
    drill.lost(0, f"({LOG_FILES} files set aside are kept, as was said)")
    p50 = [statistics.median(item.latency_ms for item in bot.answers) for bot in (calm, storm)]
    drill.measured("p50 of an answer, calm and storm, ms", f"{p50[0]:.2f}, {p50[1]:.2f}")


def test_for_days(tmp_path: Path, drill: Drill) -> None:
    """Three daily checks that fail suggest training anew, in one message; nothing moves."""
    drill.incident("all features have moved for days")
    home, told = tmp_path / "home", tmp_path / "told"
    registry = served_home(home, reference_days=30)
    today = _today()
    serve_days(home, range(today - 9, today), shift=1.5, version="v2.0.0", weights=OTHER)
    params = load_params("drift_check", find_project() / "params")
    assert isinstance(params, DriftCheckParams)
    params = replace(params, run=replace(params.run, home=str(home)))
    for day in (today - 2, today - 1, today):
        clock = ManualClock(datetime.fromtimestamp(day * DAY_S + 1, UTC))
        inputs = drift_check.load(params, clock)
        drift_check.record(inputs, drift_check.measure(inputs), params, clock)
    look = _looker(home, "http://127.0.0.1:9", told)
    looks = [look("--act") for _ in range(3)]
    assert {item["outcome"] for item in looks} == {"quiet"}
    assert all("train" in item["retrain"] for item in looks)
    assert _events(told) == ["retrain"]
    assert registry.latest() == "v2.0.0"
    drill.sees(looks[0]["retrain"])
    drill.measured("by", "mlwb run, then a canary")
    drill.lost(0)
