"""`mlwb registry --at`, push, pull and follow: between a home, an object store and a replica."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mlwb.cli import _registry_at
from mlwb.cli._app import app
from mlwb.core.clock import SystemClock, format_utc
from mlwb.core.errors import MlwbError, StoreUnavailableError
from mlwb.core.signing import PRIVATE_KEY_ENV, PUBLIC_KEY_ENV
from mlwb.evidence import Context, EvidenceStore, new_record, rate
from mlwb.registry import REMOTE_ENV, REQUIRED_FILES, MemoryStore, Mirror, Registry, RemoteRegistry
from tests.inference.version_kit import write_version
from tests.records import DETAILS
from tests.serve.registry_kit import begin, yes
from tests.serve.registry_kit import publish as publish_model

AT = "s3://bucket/prefix"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """What the command line opens instead of a real store."""
    kept = MemoryStore()

    def opened(url: str, _: object) -> MemoryStore:
        assert url == AT
        return kept

    monkeypatch.setattr(_registry_at, "open_store", opened)
    return kept


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsynced: object) -> Path:
    """A workbench with v1 in production and v2 as candidate, and no remote named."""
    assert unsynced
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    for name in (PRIVATE_KEY_ENV, PUBLIC_KEY_ENV, REMOTE_ENV):
        monkeypatch.delenv(name, raising=False)
    registry = Registry(tmp_path / "artifacts" / "models", clock=SystemClock())
    for version in ("v1", "v2"):
        publish(registry, version)
    registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
    return tmp_path


def publish(registry: Registry | RemoteRegistry, version: str) -> None:
    """Publish a version that the commands can describe."""
    staging = registry.stage(version)
    for name in REQUIRED_FILES:
        (staging / name).write_text(f"{version}\n")
    record = {
        "offline_metrics": {"auc": 0.6123}, "kinship": {"symbol": "EURUSD"},
        "label": {"kind": "volatility"}, "chosen": "logistic",
    }  # fmt: skip
    (staging / "training_manifest.json").write_text(json.dumps(record))
    registry.register(version, staging)


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and output of a command, an error of ours as the command line tells it."""
    done = CliRunner().invoke(app, ["registry", *arguments])
    if isinstance(done.exception, MlwbError):
        return done.exception.exit_code, str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def remote(store: MemoryStore, folder: Path) -> RemoteRegistry:
    """The registry of the store, as another machine opens it."""
    return RemoteRegistry(store, folder / "scratch", clock=SystemClock())


def bootstrap(store: MemoryStore, folder: Path, version: str) -> None:
    """Make a version the first latest of the store."""
    remote(store, folder).promote(
        version, decision=None, expect_current=None, reason="first", bootstrap=True
    )


def test_a_version_goes_over_byte_for_byte(store: MemoryStore, home: Path) -> None:
    """Push names it or takes the candidate; the same digest here and there; twice is once."""
    assert run("push", "--at", AT, "--json")[0] == 0
    code, said = run("--at", AT, "push", "v1", "--json")
    digest = Registry(home / "artifacts" / "models", clock=SystemClock()).show("v1").sha256
    assert json.loads(said) == {"version": "v1", "manifest_sha256": digest, "at": "memory"}
    assert run("push", "v1", "--at", AT) == (0, "v1 is in memory (11 files, 0.0 MB)\n")
    assert code == 0
    assert remote(store, home).state().registered.keys() == {"v1", "v2"}
    assert remote(store, home).state().seq == 2


def test_every_command_takes_the_other_registry(
    store: MemoryStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By option or by variable; `local` means this home whatever the variable says."""
    run("push", "v1", "--at", AT)
    run("push", "v2", "--at", AT)
    bootstrap(store, home, "v2")
    monkeypatch.setenv(REMOTE_ENV, AT)
    status = json.loads(run("status", "--json")[1])
    assert (status["latest"], status["candidate"], status["seq"]) == ("v2", None, 3)
    assert json.loads(run("--at", "local", "status", "--json")[1])["latest"] == "v1"
    assert [row["version"] for row in json.loads(run("list", "--json")[1])] == ["v1", "v2"]
    assert "EURUSD" in run("list")[1]
    assert json.loads(run("show", "latest")[1])["manifest"]["version"] == "v2"
    assert run("verify") == (0, "v1: intact\nv2: intact\n")
    assert run("doctor") == (0, "in order\n")
    assert run("recover") == (0, "in order\n")
    assert run("diff", "v1", "latest")[0] == 0
    assert run("gc") == (0, "nothing to remove\n")
    assert run("rollback", "--reason", "drift")[0] == 1, "nothing before it"
    assert "versions of its bucket" in run("backup")[1]
    assert not list(Path(home).glob("mlwb-registry-*"))


def test_the_other_registry_is_named_before_the_command_or_behind_it(
    store: MemoryStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both mean the same; behind the command goes before what is in front, or in a variable."""
    run("push", "v1", "--at", AT)
    assert json.loads(run("status", "--json", "--at", AT)[1])["latest"] is None
    assert run("status", "--at", AT, "--json") == run("--at", AT, "status", "--json")
    assert run("list", "--at", "local") == run("list") == run("--at", AT, "list", "--at", "local")
    monkeypatch.setenv(REMOTE_ENV, "s3://another")
    assert run("verify", "--at", AT) == (0, "v1: intact\n")
    assert run("--at", AT, "verify") == (0, "v1: intact\n")
    assert run("push", "v2", "--at", AT)[0] == 0
    commands = typer.main.get_command(app).load("registry").commands  # type: ignore[attr-defined]
    deaf = [
        name
        for name, command in commands.items()
        if not any("--at" in param.opts for param in command.params)
    ]
    assert deaf == ["keygen"]
    assert remote(store, home).state().registered.keys() == {"v1", "v2"}


@pytest.mark.slow
def test_a_decision_of_this_home_promotes_there(store: MemoryStore, tmp_path: Path) -> None:
    """Pushed, decided about here, promoted there: loaded first, said in both logs; once only."""
    home = tmp_path / "artifacts" / "models"
    shutil.rmtree(tmp_path / "artifacts")
    here = begin(home)
    publish_model(here, "v2.0.0")
    for version in here.versions():
        run("push", version, "--at", AT)
    bootstrap(store, tmp_path, "v1.0.0")
    assert "no decision about v2.0.0" in run("--at", AT, "promote", "v2.0.0")[1]
    evidence = EvidenceStore(tmp_path / "evidence" / "ml")
    details = {
        **DETAILS["decision"], **yes(here, "v2.0.0")["details"],
        "now": format_utc(SystemClock().now()),
    }  # fmt: skip
    metric = rate("gates_passed", 1, 1, definition="gates whose outcome is PASS")
    context = Context(clock=SystemClock(), model_version="v2.0.0")
    evidence.write(new_record("decision", [metric], context, details=details))
    assert run("--at", AT, "promote", "v2.0.0", "--json") == (0, '{"latest":"v2.0.0","seq":4}\n')
    assert remote(store, tmp_path).state().history == ("v1.0.0", "v2.0.0")
    assert here.latest() == "v1.0.0", "the directory of this home is another registry"
    assert run("--at", AT, "rollback", "--reason", "drift")[0] == 0
    assert "used before" in run("--at", AT, "promote", "v2.0.0")[1]


def test_a_damaged_object_is_named_and_restored_from_this_home(
    store: MemoryStore, home: Path
) -> None:
    """Doctor says which and what to type; typed, it is put right."""
    run("push", "v1", "--at", AT)
    bootstrap(store, home, "v1")
    key = next(key for key in store.objects if key.endswith("model.onnx"))
    store.objects[key] = b"?"
    code, said = run("--at", AT, "doctor")
    assert (code, "v1/model.onnx" in said) == (5, True)
    assert run("--at", AT, "verify", "v1")[0] == 5
    command = next(line.strip() for line in said.splitlines() if "mlwb registry" in line)
    assert command == f"mlwb registry restore v1 --at {AT}"
    assert run(*command.split()[2:])[0] == 0
    assert run("--at", AT, "doctor") == (0, "in order\n")


def test_a_replica_pulls(store: MemoryStore, home: Path, tmp_path: Path) -> None:
    """Into a directory of its own: links, log, and words for people and machines."""
    run("push", "v1", "--at", AT)
    into = tmp_path / "replica" / "models"
    assert json.loads(run("pull", "--into", str(into), "--at", AT, "--json")[1]) == {
        "latest": None, "seq": 1, "is_news": True, "problems": [],
    }  # fmt: skip
    bootstrap(store, home, "v1")
    said = run("pull", "--into", str(into), "--at", AT)[1].replace("\n", "")
    assert said == f"latest -> v1 (log entry 2) in {into}"
    said = run("pull", "--into", str(into), "--at", AT)[1].replace("\n", "")
    assert said == f"latest is v1 (log entry 2) in {into}"
    assert Registry(into, clock=SystemClock()).latest() == "v1"
    code, said = run("pull", "--at", AT)
    assert (code, "registry of its own" in said) == (2, True)


def test_following_prints_a_line_for_each_news(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved, away: as JSON lines with the time, as words with the error on the other stream."""
    into = str(tmp_path / "replica" / "models")
    run("push", "v1", "--at", AT)

    def script(mirror: Mirror, *, every_s: float, tell: Callable[[Any], None], **_: Any) -> None:
        assert every_s == 2.0
        tell(mirror.pull())
        tell(StoreUnavailableError("s3://bucket does not answer"))

    monkeypatch.setattr(Mirror, "follow", script)
    arguments = ("follow", "--every", "2", "--into", into, "--at", AT)
    lines = [json.loads(line) for line in run(*arguments, "--json")[1].splitlines()]
    assert [(line.get("seq"), line.get("error")) for line in lines] == [
        (1, None), (None, "artifact.storage.unavailable"),
    ]  # fmt: skip
    assert all(line["time"].endswith("Z") for line in lines)
    assert "does not answer" in run(*arguments)[1]
    assert store.objects


@pytest.mark.parametrize("command", ["push", "pull", "follow"])
def test_without_a_store_it_says_how_to_name_one(command: str) -> None:
    """Exit 2, with the option and the variable."""
    code, said = run(command)
    assert code == 2
    assert "--at s3://bucket/prefix, or MLWB_REGISTRY" in said


def test_a_wrong_url_is_a_wrong_option() -> None:
    """Exit 2 with an example of a right one."""
    code, said = run("--at", "bucket", "status")
    assert (code, "s3://bucket/prefix" in said) == (2, True)


def test_the_unit_runs_a_command_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `ops/systemd` starts is understood as it stands, by variable and options."""
    unit = Path(__file__).resolve().parents[2] / "ops" / "systemd" / "mlwb-follow.service"
    lines = unit.read_text().splitlines()
    (start,) = [line.split()[2:] for line in lines if line.startswith("ExecStart=")]
    (at,) = [line.rpartition("=")[2] for line in lines if f"={REMOTE_ENV}=" in line]
    monkeypatch.setenv(REMOTE_ENV, at)
    monkeypatch.setattr(_registry_at, "open_store", lambda *_: MemoryStore())
    followed: list[float] = []
    monkeypatch.setattr(Mirror, "follow", lambda _, *, every_s, **__: followed.append(every_s))
    assert run(*start) == (0, "")
    assert followed == [5.0]


def _servable(registry: Registry | RemoteRegistry, version: str, folder: Path) -> None:
    """A version that a server could load."""
    made = write_version(folder, version)
    staging = registry.stage(version)
    for name in REQUIRED_FILES:
        path = made / name
        (staging / name).write_bytes(path.read_bytes() if path.is_file() else b"content\n")
    registry.register(version, staging)


def _monitor(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(
        app, ["monitor", "--at", AT, "--url", "http://127.0.0.1:9", "--json", *arguments]
    )
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_monitor_rolls_back_where_the_registry_is(
    store: MemoryStore, home: Path, tmp_path: Path
) -> None:
    """`monitor --at`: the store's `latest` moves, loaded before, by the store's log; no other."""
    registry = remote(store, tmp_path)
    for version in ("v7.0.0", "v8.0.0"):
        _servable(registry, version, tmp_path / "made")
    registry.promote("v7.0.0", decision=None, expect_current=None, reason="first", bootstrap=True)
    decision = yes(registry, "v8.0.0")
    registry.promote("v8.0.0", decision=decision, expect_current="v7.0.0", reason="a test")
    quiet = _monitor()
    assert (quiet["outcome"], quiet["version"], quiet["problems"]) == ("quiet", "v8.0.0", [])
    acted = _monitor("--manual", "a drill", "--act")
    assert (acted["outcome"], acted["target"]) == ("acted", "v7.0.0")
    assert remote(store, tmp_path / "other").latest() == "v7.0.0"
    assert Registry(home / "artifacts" / "models", clock=SystemClock()).latest() == "v1"


def test_a_store_that_is_away_holds_the_monitor(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, measures what the server says, and rolls nothing back it cannot read."""

    def away(*_: object) -> None:
        raise StoreUnavailableError("the store does not answer")

    monkeypatch.setattr(store, "get", away)
    found = _monitor("--manual", "a drill", "--act")
    assert found["outcome"] == "held"
    assert any("does not answer" in problem for problem in found["problems"])
    states = {row["name"]: row["state"] for row in found["triggers"]}
    assert (states["unaudited"], states["manual"]) == ("not measured", "fired")
