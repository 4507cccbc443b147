"""`mlwb report`: words for people, JSON for machines, an exit code for the scheduler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.client import PredictClient
from mlwb.core.clock import SystemClock
from mlwb.core.home import find_home
from mlwb.evidence import EvidenceStore
from mlwb.stages._served_readings import counted_between, requests_of
from tests.inference.version_kit import add_reference, sidecar_for, write_version
from tests.monitor.log_kit import comparison, write
from tests.serve.server_kit import server
from tests.stages.drift_kit import home_with_version

pytestmark = pytest.mark.slow

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


@pytest.mark.usefixtures("home")
def test_a_day_is_told_in_words_files_and_json() -> None:
    """Yesterday: words, a page, a row, and the window beside it; --json is one document."""
    done = run(app, ["report", "daily"])
    assert done.exit_code == 0, done.output
    for told in ("WARN, 0 rows", "not measured rollback.p95_ms", "validation", "report_"):
        assert told in done.output
    said = json.loads(run(app, ["report", "daily", "--json"]).stdout)
    assert said["record"]["details"]["risk"] == "WARN"
    assert said["validation"]["kind"] == "validation"
    assert b"WARN" in Path(said["page"]).read_bytes()
    assert run(app, ["report", "daily", "--strict"]).exit_code == 1
    assert run(app, ["report", "daily", "--date", "yesterday"]).exception is not None


@pytest.mark.usefixtures("home")
def test_a_week_is_told_from_its_days() -> None:
    """One day of seven: not OK, and said so."""
    run(app, ["report", "daily"])
    said = json.loads(run(app, ["report", "weekly", "--json"]).stdout)
    assert (said["week"]["days"], said["risk"]) == (1, "WARN")
    assert Path(said["page"]).is_file()
    assert "1 of 7 days told" in run(app, ["report", "weekly"]).output


@pytest.mark.server
def test_two_looks_at_a_real_server_count_its_requests(home: Path) -> None:
    """What was asked between two scrapes stands in the counters of the day, by status."""
    now = SystemClock().now().timestamp()
    with server(home / "artifacts" / "models", home) as running:
        url = running.url
        assert run(app, ["report", "scrape", "--url", url]).exit_code == 0
        with PredictClient(url) as client:
            client.predict([1.0, 0.0, 10.0, 0.0])
        said = json.loads(run(app, ["report", "scrape", "--url", url, "--json"]).stdout)
    assert said["series"][url] > 0
    here = find_home({"MLWB_HOME": str(home)})
    grown = counted_between(here, int(now) - 1, int(now) + 120)
    assert requests_of(grown, "v1.0.0") == {"success": 1}
    assert run(app, ["report", "scrape", "--url", url]).exception is not None
