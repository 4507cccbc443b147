"""`mlwb report`: words for people, JSON for machines, an exit code for the scheduler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.core.clock import SystemClock
from mlwb.evidence import EvidenceStore
from tests.inference.version_kit import add_reference, sidecar_for, write_version
from tests.monitor.log_kit import comparison, write
from tests.stages.drift_kit import home_with_version

run = CliRunner().invoke


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`v1.0.0` serves."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    return home_with_version(tmp_path, days=3)


def test_validation_says_what_is_open(home: Path) -> None:
    """Nothing was served: not OK, each question named, a record written, exit 1 only if strict."""
    done = run(app, ["report", "validation"])
    assert done.exit_code == 0, done.output
    for told in ("v1.0.0 WARN, 0.00 h", "not measured rollback.p95_ms", "GATE validation: FAIL"):
        assert told in done.output
    assert EvidenceStore(home / "evidence" / "ml").newest("validation").model_version == "v1.0.0"
    assert run(app, ["report", "validation", "--strict"]).exit_code == 1


def test_validation_exits_1_on_an_alert(home: Path) -> None:
    """An hour beside the champion with scores that lie elsewhere than in training."""
    now = SystemClock().now().timestamp()
    lines = [comparison(now - 10 * i, other=0.999) for i in range(400)]
    path = home / "artifacts" / "shadow" / "predictions.jsonl"
    write(path, [line for line in lines if line.shadow])
    models = home / "artifacts" / "models"
    add_reference(write_version(models, "v2.0.0", sidecar=sidecar_for("v2.0.0")), days=3)
    done = run(app, ["report", "validation", "--version", "v2.0.0", "--json"])
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    states = {item["id"]: item["state"] for item in said["record"]["details"]["questions"]}
    assert states["rollback.prediction_psi"] == "raised"
    assert said["verdict"]["outcome"] == "FAIL"
