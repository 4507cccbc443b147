"""``mlwb evidence trials`` shows what was tried, and refuses a ledger that was edited."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.core.clock import ManualClock
from mlwb.core.errors import BrokenChainError
from mlwb.core.home import find_home
from mlwb.evidence import Kinship, LoggedTrial, TrialLedger

BTC = Kinship("BTCUSDT", "volatility", 60)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrialLedger:
    """Three trials of two configurations in a home of their own."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    found = TrialLedger(find_home({"MLWB_HOME": str(tmp_path)}).evidence)
    for name, score in (("logistic C=0.1", 0.66), ("boosting", None), ("logistic C=0.1", 0.67)):
        found.note([LoggedTrial(BTC, name, "p", "f", "w", "a1b2c3d4", score, 0.1)], ManualClock())
    return found


@pytest.mark.usefixtures("ledger")
def test_trials_are_counted_for_people() -> None:
    """How many configurations, how often, and the newest score of each."""
    shown = CliRunner().invoke(app, ["evidence", "trials"], catch_exceptions=False)
    assert shown.exit_code == 0
    assert "BTCUSDT volatility over 60 s: 2 configurations, tried 3 times" in shown.stdout
    assert "0.6700" in shown.stdout
    assert "0.6600" not in shown.stdout
    assert [line.split()[1] for line in shown.stdout.splitlines() if "boosting" in line] == ["-"]


@pytest.mark.usefixtures("ledger")
def test_trials_are_listed_for_machines() -> None:
    """The same as JSON."""
    shown = CliRunner().invoke(app, ["evidence", "trials", "--json"], catch_exceptions=False)
    (found,) = json.loads(shown.stdout)
    assert (found["n_distinct"], found["n_logged"]) == (2, 3)
    assert found["kinship"] == {"symbol": "BTCUSDT", "label": "volatility", "horizon_s": 60}
    assert [trial["score"] for trial in found["newest"]] == [0.67, None]


def test_edited_trials_are_refused(ledger: TrialLedger) -> None:
    """Neither shown nor passed by `evidence verify`."""
    path = ledger.root / "trials.jsonl"
    path.write_bytes(path.read_bytes().replace(b"0.66", b"0.99"))
    assert isinstance(CliRunner().invoke(app, ["evidence", "trials"]).exception, BrokenChainError)
    verified = CliRunner().invoke(app, ["evidence", "verify"])
    assert verified.exit_code == 6
    assert "trials.jsonl line 1" in verified.stdout


def test_nothing_tried_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home is no error."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    shown = CliRunner().invoke(app, ["evidence", "trials"], catch_exceptions=False)
    assert "nothing was tried yet" in shown.stdout
    assert CliRunner().invoke(app, ["evidence", "trials", "--json"]).stdout == "[]\n"
