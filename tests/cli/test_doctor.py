"""`mlwb doctor`: each thing that can be wrong is named, with what to do; the rest is well."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import pytest
from typer.testing import CliRunner

from mlwb.cli import _doctor_home, _doctor_host
from mlwb.cli._app import app
from mlwb.cli._finding import Finding
from mlwb.core.clock import SystemClock
from mlwb.core.errors import ServeError
from mlwb.core.home import find_home, find_project
from mlwb.core.host_clock import HostClock
from mlwb.core.signing import PRIVATE_KEY_ENV, PUBLIC_KEY_ENV
from mlwb.evidence import Context, EvidenceStore, new_record, rate
from mlwb.params import load_policy
from mlwb.registry import REQUIRED_FILES, Registry
from mlwb.serve import KeyFile, ServeSettings
from tests.records import DETAILS

POLICY = load_policy(find_project() / "params" / "policy.yml")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsynced: object) -> Path:
    """A home with one version in production and one record, and no server."""
    assert unsynced
    for name in [name for name in os.environ if name.startswith("MLWB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    monkeypatch.setenv("MLWB_PORT", "9")
    registry = Registry(tmp_path / "artifacts" / "models", clock=SystemClock())
    staging = registry.stage("v1")
    for name in REQUIRED_FILES:
        (staging / name).write_text("{}\n")
    registry.register("v1", staging)
    registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
    metric = rate("error_rate", 3, 1200, definition="of a test")
    context = Context(clock=SystemClock(), model_version="v1")
    store = EvidenceStore(tmp_path / "evidence" / "ml")
    store.write(new_record("smoke", [metric], context, details=DETAILS["smoke"]))
    return tmp_path


def doctor(*arguments: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit code, and what was found about each thing."""
    done = CliRunner().invoke(app, ["doctor", "--json", *arguments], catch_exceptions=False)
    said = json.loads(done.stdout)
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in said["findings"]:
        found.setdefault(finding["about"], []).append(finding)
    assert said["ok"] is (done.exit_code == 0)
    return done.exit_code, found


def test_a_home_that_is_well() -> None:
    """Every thing once, none of them failed, in the order of the page that documents them."""
    code, found = doctor()
    assert code == 0
    assert {
        name: one["state"] for name, (one,) in found.items() if name != "clock"
    } == dict.fromkeys(found.keys() - {"clock"}, "ok")
    assert "latest is v1" in found["versions"][0]["what"]
    page = (find_project() / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = page.split("\n## Doctor\n", 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^\| `([a-z ]+)` \|", section, re.MULTILINE) == list(found)


def test_one_screen_for_a_person() -> None:
    """A line a finding, what to do below it; the first failure gives the exit code."""
    done = CliRunner().invoke(app, ["doctor", "--url", "http://127.0.0.1:9"])
    assert done.exit_code == 7
    lines = done.output.splitlines()
    assert lines[0].startswith("ok    python       3.")
    assert lines[-2].startswith("fail  server       http://127.0.0.1:9 does not answer")
    assert lines[-1].split() == ["mlwb", "serve"]


def _flip(home: Path) -> None:
    (home / "artifacts" / "models" / "v1" / "model.onnx").chmod(0o644)
    (home / "artifacts" / "models" / "v1" / "model.onnx").write_bytes(b"?")


def _edit(home: Path) -> None:
    (record,) = (home / "evidence" / "ml").glob("mlwb_v1_*.json")
    record.chmod(0o644)
    record.write_bytes(record.read_bytes().replace(b"1200", b"1201"))


def _cut(home: Path) -> None:
    (home / "outputs" / "mlwb_v1_run_a").mkdir(parents=True)


def _stop(home: Path) -> None:
    (home / "artifacts" / "serve.kill").touch()


def _spoil_keys(home: Path) -> None:
    (home / "artifacts" / "keys.json").write_text("{")


def _open_keys(home: Path) -> None:
    keys = KeyFile(home / "artifacts" / "keys.json")
    keys.add("bot", ["predict"], now=SystemClock().now(), days=1)
    keys.path.chmod(0o644)


def _take_outputs(home: Path) -> None:
    (home / "outputs").write_text("")


@pytest.mark.parametrize(
    ("harm", "about", "state", "code", "todo"),
    [
        (_flip, "versions", "fail", 5, "mlwb registry restore v1"),
        (_edit, "evidence", "fail", 6, "docs/evidence.md"),
        (_cut, "runs", "warn", 0, "cut off"),
        (_stop, "kill switch", "warn", 0, "rm "),
        (_spoil_keys, "keys", "fail", 2, ""),
        (_open_keys, "keys", "warn", 0, ""),
        (_take_outputs, "home", "fail", 5, "give it to the user"),
    ],
)
def test_what_is_wrong_is_named(
    *, harm: Callable[[Path], None], about: str, state: str, code: int, todo: str, home: Path
) -> None:
    """One thing is harmed: it is told with what to do, all else is as it was."""
    before = doctor()[1]
    harm(home)
    found_code, after = doctor()
    first = after.pop(about)[0]
    assert (found_code, first["state"]) == (code, state)
    assert todo in first["todo"]
    before.pop(about)
    assert before == after


@pytest.mark.parametrize(
    ("name", "value", "about", "state", "code"),
    [
        ("MLWB_RELAOD_S", "1", "variables", "warn", 0),
        ("MLWB_PORT", "many", "settings", "fail", 2),
        ("MLWB_PROFILE", "production", "keys", "fail", 2),
        ("SERVE_KILL", "1", "kill switch", "warn", 0),
        (PRIVATE_KEY_ENV, "/nowhere.pem", "evidence", "ok", 0),
        (PUBLIC_KEY_ENV, "/nowhere.pem", "versions", "fail", 5),
    ],
)
def test_what_the_environment_says_wrong(
    *, name: str, value: str, about: str, state: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that nothing reads, or that says nothing usable, is told as what it is."""
    monkeypatch.setenv(name, value)
    found_code, found = doctor()
    assert (found_code, found[about][0]["state"]) == (code, state)


def test_packages_beside_the_lock(tmp_path: Path) -> None:
    """Another version than any that is locked is named; one that is absent is no matter."""
    lock, have = tmp_path / "requirements.lock", metadata.version("typer")
    lock.write_text(f"typer=={have} \\\n    --hash=sha256:0\nunheard-of==1\nnumpy==0.1 ; x\n")
    (finding,) = _doctor_host.packages(lock)
    assert finding.state == "warn"
    assert (
        finding.what == f"1 differ from {lock.name}: numpy {metadata.version('numpy')} (lock: 0.1)"
    )
    lock.write_text(f"typer==0.1 ; y\ntyper=={have} ; z\n")
    assert [found.state for found in _doctor_host.packages(lock)] == ["ok"]
    assert [found.state for found in _doctor_host.packages(tmp_path / "none")] == ["ok"]


def test_an_extra_is_whole_or_absent() -> None:
    """Half an extra is told with what is missing; one that nobody installed is no matter."""
    given = ["typer>=0.16", 'numpy>=2; extra == "research"', 'unheard-of; extra == "research"']
    given += ['obscure; extra == "s3"', 'filelock; extra == "ui"']
    half, named = _doctor_host.extras(given)
    assert half[1:4] == ("warn", "research lacks unheard-of", "pip install 'mlwb[research]'")
    assert named == Finding("extras", "ok", "ui")


def test_what_the_base_brings_is_no_half_of_an_extra() -> None:
    """Typer needs rich: that it is there says nothing of an extra that names it too."""
    given = ["typer>=0.16", 'rich; extra == "research"', 'unheard-of; extra == "research"']
    (named,) = _doctor_host.extras(given)
    assert named == Finding("extras", "ok", "none: the serving half only")


@pytest.mark.parametrize(
    ("clock", "state"),
    [
        (HostClock(is_synchronised=True, offset_ms=-2.5, max_error_ms=9.0), "ok"),
        (HostClock(is_synchronised=True, offset_ms=-100.0, max_error_ms=9.0), "warn"),
        (HostClock(is_synchronised=False, offset_ms=0.0, max_error_ms=9.0), "warn"),
    ],
)
def test_the_clock_is_held_against_the_policy(clock: HostClock, state: str) -> None:
    """The limit is that of the gate `validation`."""
    (finding,) = _doctor_host.clock(POLICY, clock)
    assert finding.state == state


@pytest.mark.parametrize(("free", "state"), [(30, "ok"), (29, "warn"), (10, "warn"), (9, "fail")])
def test_room_for_the_logs(
    free: int, state: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room is held against what the settings let a log come to: three files of ten megabytes."""
    usage = SimpleNamespace(free=free * 10**6)
    monkeypatch.setattr(_doctor_home, "shutil", SimpleNamespace(disk_usage=lambda _: usage))
    settings = ServeSettings(home, log_limit=10**7, log_files=3)
    (finding,) = _doctor_home.disk(find_home(os.environ), settings)
    assert finding.state == state


class _Client:
    """A server that says this of its health, or that is away."""

    health_now: ClassVar[dict[str, object] | None] = None

    def __init__(self, url: str, *, timeout_s: float) -> None:
        assert timeout_s > 0
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def health(self) -> dict[str, object]:
        if self.health_now is None:
            raise ServeError("it does not answer", status=503, problem="unreachable")
        return self.health_now


@pytest.mark.parametrize(
    ("health", "url", "state", "says"),
    [
        (None, "", "ok", "none at http://127.0.0.1:9"),
        (None, "http://desk:1", "fail", "http://desk:1 does not answer"),
        ({"ready": True, "model_version": "v1"}, "", "ok", "answers with v1"),
        ({"ready": True, "model_version": "v0"}, "", "warn", "with v0, latest is v1"),
        ({"ready": True, "model_version": "v0"}, "http://desk:1", "ok", "answers with v0"),
        ({"ready": True, "model_version": "v1", "reasons": ["x:y"]}, "", "warn", "degraded: x:y"),
        ({"ready": False, "reasons": ["killed"]}, "", "fail", "refuses predictions: killed"),
    ],
)
def test_what_a_server_says_of_itself(
    *,
    health: dict[str, object] | None,
    url: str,
    state: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that was named must answer; any other is told as it is found."""
    monkeypatch.setattr(_Client, "health_now", health)
    monkeypatch.setattr(_doctor_home, "PredictClient", _Client)
    settings = ServeSettings.from_env(os.environ)
    (finding,) = _doctor_home.server(settings, url, "v1")
    assert (finding.state, says in finding.what) == (state, True), finding
