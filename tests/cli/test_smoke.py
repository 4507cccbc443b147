"""``mlwb smoke``: a server of its own, one that runs, and what has changed since."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.cli._smoke import _key
from mlwb.core.canonical import canonical_bytes
from mlwb.core.errors import ArtifactNotFoundError, MlwbError, ParamsError
from mlwb.core.home import find_home
from mlwb.evidence import EvidenceStore
from mlwb.features import spec_digest, specs
from tests.inference.version_kit import NAMES, point, rewrite, write_version
from tests.serve.server_kit import server

FEW = ["-n", "100", "-p", "data.days=3"]


def smoke(*options: str) -> Any:
    """Outcome of the command."""
    return CliRunner().invoke(app, ["smoke", *FEW, *options])


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose `latest` is a model of the synthetic market."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    found = find_home({"MLWB_HOME": str(tmp_path)}).models
    folder = write_version(found, "v1.0.0")
    manifest = {
        "model_version": "v1.0.0",
        "kinship": {"symbol": "SYNTH", "features": spec_digest(specs(NAMES, quoted=True))},
        "data_window": [0, 0],
    }
    (folder / "training_manifest.json").write_bytes(canonical_bytes(manifest))
    rewrite(folder, "training_manifest.json", {})
    point(found, "latest", "v1.0.0")
    return found


@pytest.mark.slow
@pytest.mark.server
def test_a_server_of_its_own_and_one_that_runs(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorded, compared with the test of the same kind before; a version unknown here is not."""
    first = smoke()
    assert "100 warm requests to v1.0.0: 0 errors" in first.stdout, first.exception
    assert "no test of this kind before" in first.stdout
    write_version(models, "v2.0.0")
    shutil.copy(models / "v1.0.0" / "training_manifest.json", models / "v2.0.0")
    rewrite(models / "v2.0.0", "training_manifest.json", {})
    again = json.loads(smoke("--version", "v2.0.0", "--compare", "--json").stdout)
    assert again["version"] == "v2.0.0"
    assert (again["requests"], again["errors"], again["score_mismatches"]) == (100, 0, 0)
    store = EvidenceStore(find_home({"MLWB_HOME": str(tmp_path)}).evidence)
    kinds = ["smoke", "metrics_baseline"]
    assert [entry.kind for entry in store.index()] == kinds * 2
    assert again["baseline"] == store.index()[1].run_id
    assert not [line for line in again["differences"] if "gone" in line or "new" in line]
    with server(models, tmp_path) as running:
        found = json.loads(smoke("--url", running.url, "--cold", "--no-record", "--json").stdout)
        assert (found["version"], found["cold"], found["records"]) == ("v1.0.0", True, [])
        assert len(store.index()) == 4
        monkeypatch.setenv("MLWB_HOME", str(tmp_path / "another"))
        assert isinstance(smoke("--url", running.url).exception, ArtifactNotFoundError)


@pytest.mark.usefixtures("models")
def test_a_key_comes_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a server that is named; an empty one is a mistake, and its name is all that is shown."""
    monkeypatch.setenv("BOT_KEY", "secret")
    for options in (["--key-env", "BOT_KEY"], ["--url", "http://x", "--key-env", "NO_KEY"]):
        refused = smoke(*options)
        assert isinstance(refused.exception, ParamsError)
        assert "secret" not in str(refused.exception)


def test_the_usual_variable_is_for_a_server_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of every command that asks one; a server of its own gets no key."""
    assert _key("http://x", "MLWB_API_KEY") == ""
    monkeypatch.setenv("MLWB_API_KEY", "secret")
    assert _key("http://x", "MLWB_API_KEY") == "secret"
    assert _key("", "MLWB_API_KEY") == ""


@pytest.mark.usefixtures("models")
def test_a_server_that_runs_is_not_told_what_to_serve() -> None:
    """Naming both is a mistake, not a guess."""
    refused = smoke("--url", "http://x", "--version", "v1.0.0").exception
    assert isinstance(refused, ParamsError)


@pytest.mark.usefixtures("models")
def test_too_few_requests_are_refused() -> None:
    """As the parameter would be."""
    refused = CliRunner().invoke(app, ["smoke", "-n", "10"]).exception
    assert isinstance(refused, MlwbError)
    assert "smoke_requests" in str(refused)
