"""``mlwb report pnl`` from outside: served scores become records, records a trigger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mlwb.cli._app import app as cli
from mlwb.core.clock import ManualClock, SystemClock
from mlwb.core.errors import ParamsError
from mlwb.inference import LabelField
from mlwb.registry import REQUIRED_FILES, Registry
from mlwb.serve import ServeSettings, create_app
from tests.inference.version_kit import sidecar_for, write_version
from tests.serve.asgi_kit import call
from tests.serve.registry_kit import promote, publish

_TRADES = 50
_LONG = [1.0, 0.0, 0.0, 1.0]


def _mlwb(home: Path, *arguments: str) -> tuple[int, Any]:
    """A process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "mlwb", *arguments, "--json"],
        env={**os.environ, "MLWB_HOME": str(home)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def _registry(home: Path) -> Registry:
    """`v1.0.0`, and `v2.0.0` of a direction label promoted over it."""
    registry = Registry(home / "artifacts" / "models", clock=SystemClock())
    publish(registry, "v1.0.0")
    registry.promote("v1.0.0", decision=None, expect_current=None, reason="first", bootstrap=True)
    label = LabelField("direction", 60)
    made = write_version(
        home / "made", "v2.0.0", sidecar=replace(sidecar_for("v2.0.0"), label=label)
    )
    (made / "training_manifest.json").write_text('{"kinship": {"symbol": "bars"}}')
    staging = registry.stage("v2.0.0")
    for name in REQUIRED_FILES:
        path = made / name
        (staging / name).write_bytes(path.read_bytes() if path.is_file() else b"content\n")
    registry.register("v2.0.0", staging)
    promote(registry, "v2.0.0")
    return registry


def _first_midnight() -> datetime:
    today = SystemClock().now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=3)


def _serve(home: Path, first: datetime) -> None:
    """Three days of a server that says `long` every other minute, fifty times a day."""
    log = home / "artifacts" / "predictions.jsonl"
    clock = ManualClock(first)
    settings = ServeSettings(home / "artifacts" / "models", prediction_log=log)
    app = create_app(settings, clock=clock)
    lines = app.state.log
    assert lines is not None
    lines.start()
    for day in range(3):
        for trade in range(_TRADES):
            at = first + timedelta(days=day, minutes=2 * trade, seconds=5)
            clock.advance((at - clock.now()).total_seconds())
            reply = call(app, "/ml/predict", json.dumps({"features": _LONG}).encode())
            assert json.loads(reply.body)["score"] > 0.5
    lines.close()


def _bars(path: Path, first: datetime, wins: int) -> None:
    """Each held minute earns half a percent, or loses it; `wins` of fifty a day earn it."""
    rows, price = ["ts,open,high,low,close,volume,bid,ask"], 100.0
    for minute in range(3 * 1_440 + 10):
        step, in_day = divmod(minute % 1_440, 2)
        if in_day == 0 and 1 <= step <= _TRADES:  # the close after the one it was filled at
            price *= 1.005 if (step * 7) % _TRADES < wins else 0.995
        ts = (first + timedelta(minutes=minute - 1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows.append(f"{ts},{price},{price},{price},{price},1.0,{price - 0.001},{price + 0.001}")
    path.write_text("\n".join(rows) + "\n")


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize(("wins", "fires"), [(25, True), (26, False)])
def test_served_scores_become_a_trigger(tmp_path: Path, wins: int, fires: bool) -> None:
    """25 of 50 on each of three days call for a rollback; 26 are 52 % to the digit and do not.

    A server, the daily job and the monitor, each a process or an application of its own.
    """
    _registry(tmp_path)
    first = _first_midnight()
    _serve(tmp_path, first)
    _bars(tmp_path / "bars.csv", first, wins)
    code, told = _mlwb(
        tmp_path, "report", "pnl", "--data", str(tmp_path / "bars.csv"),
        "-p", "backtest.max_position=0.1",
    )  # fmt: skip
    rates = [m for r in told["records"] for m in r["metrics"] if m["name"] == "win_rate"]
    assert [(m["k"], m["n"]) for m in rates] == [(wins, _TRADES)] * 3
    assert {r["details"]["simulated"] for r in told["records"]} == {True}
    assert code == int(fires)
    code, look = _mlwb(tmp_path, "monitor", "--url", "http://127.0.0.1:9")
    rows = {row["name"]: row for row in look["triggers"]}
    assert rows["win_rate"]["state"] == ("fired" if fires else "ok")
    assert rows["win_rate"]["value"] == wins / _TRADES
    assert (look["outcome"], look["target"]) == (("would", "v1.0.0") if fires else ("quiet", ""))
    assert rows["sharpe"]["source"] == "3 UTC days, 20 are needed"
    assert code == int(fires)


def _run(home: Path, *arguments: str) -> Result:
    environ = {"MLWB_HOME": str(home), "COLUMNS": "200"}
    return CliRunner().invoke(cli, ["report", "pnl", *arguments], env=environ)


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    """Trades and a market at once; whose trades, where none are given; a day that is none."""

    def refused(*arguments: str) -> str:
        found = _run(tmp_path, *arguments)
        assert isinstance(found.exception, ParamsError)
        return str(found.exception)

    assert "not both" in refused("--trades", "a.csv", "--data", "b.csv")
    assert "something about --trades" in refused("--equity", "5")
    assert "no UTC date" in refused("--date", "yesterday")


@pytest.mark.slow
def test_a_desks_file_is_told_in_a_table(tmp_path: Path) -> None:
    """Day, whose, won of how many; the same file again adds no record."""
    registry = _registry(tmp_path)
    assert registry.latest() == "v2.0.0"
    day = _first_midnight().date()
    text = "time,symbol,side,qty,return,costs,version\n"
    text += f"{day}T10:00:00Z,X,buy,1,0.01,0.001,v2.0.0\n" * 20
    text += f"{day}T11:00:00Z,X,sell,1,-0.01,0.001,v2.0.0\n" * 20
    path = tmp_path / "closed.csv"
    path.write_text(text)
    found = _run(tmp_path, "--trades", str(path))
    assert found.exit_code == 0, found.exception
    words = found.stdout.split()
    assert {"broker", "50.0%", "40", "-4.000%"} <= set(words)
    assert "1 of 3 UTC days with 30 live trades" in found.stdout
    records = list((tmp_path / "evidence" / "ml").glob("*_pnl-*.json"))
    assert _run(tmp_path, "--trades", str(path)).exit_code == 0
    assert list((tmp_path / "evidence" / "ml").glob("*_pnl-*.json")) == records
