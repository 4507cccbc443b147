"""`mlwb registry`: what is wrong, the command that puts it right, and that it does."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.cli._registry_care import remedy
from mlwb.core import fsops
from mlwb.core.chain import Problem
from mlwb.core.clock import SystemClock
from mlwb.core.errors import MlwbError
from mlwb.core.signing import PRIVATE_KEY_ENV, PUBLIC_KEY_ENV
from mlwb.registry import REQUIRED_FILES, Registry


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsynced: object) -> Path:
    """A workbench whose registry has v1 in production and v2 to v5 published."""
    assert unsynced
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    monkeypatch.delenv(PRIVATE_KEY_ENV, raising=False)
    monkeypatch.delenv(PUBLIC_KEY_ENV, raising=False)
    registry = Registry(tmp_path / "artifacts" / "models", clock=SystemClock())
    for number in range(1, 6):
        staging = registry.stage(f"v{number}")
        for name in REQUIRED_FILES:
            (staging / name).write_text("same\n")
        record = {"offline_metrics": {"auc": 0.6 + number / 100}, "features": ["a"]}
        (staging / "training_manifest.json").write_text(json.dumps(record))
        registry.register(f"v{number}", staging)
    registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
    return tmp_path


def _run(*arguments: str) -> tuple[int, str]:
    """Exit code and output of a command, an error of ours as the command line tells it."""
    done = CliRunner().invoke(app, ["registry", *arguments])
    if isinstance(done.exception, MlwbError):
        return done.exception.exit_code, str(done.exception)
    return done.exit_code, done.output


def _damage(home: Path, version: str) -> None:
    path = home / "artifacts" / "models" / version / "model.onnx"
    path.chmod(0o644)
    path.write_bytes(b"?")


def test_doctor_names_the_command_that_helps(home: Path) -> None:
    """A damaged champion with nothing before it: the words on the screen, typed in, repair it."""
    _damage(home, "v1")
    code, said = _run("doctor")
    assert code == 5
    command = next(line.strip() for line in said.splitlines() if "mlwb registry" in line)
    assert command == "mlwb registry restore v1"
    code, said = _run(*command.split()[2:], "--json")
    assert (code, json.loads(said)["version"]) == (0, "v1")
    assert _run("doctor") == (0, "in order\n")
    (line,) = _run("show", "v1", "--json")[1].splitlines()
    assert json.loads(line)["manifest"]["version"] == "v1"


def test_doctor_names_the_version_that_latest_was_moved_from(home: Path) -> None:
    """Somebody moved the link by hand: the words on the screen, typed in, put it right."""
    latest = home / "artifacts" / "models" / "latest"
    latest.unlink()
    latest.symlink_to("v2")
    code, said = _run("doctor")
    assert code == 5
    command = next(line.strip() for line in said.splitlines() if "mlwb registry" in line)
    assert command == 'mlwb registry rollback v1 --reason "latest was moved"'
    assert _run(*shlex.split(command)[2:])[0] == 0
    assert _run("doctor") == (0, "in order\n")


def test_a_champion_that_no_copy_brings_back(home: Path) -> None:
    """Restoring says what to do instead, and that leaves an empty place for a first champion."""
    _damage(home, "v1")
    fsops.remove_tree(home / "artifacts" / "backups")
    code, said = _run("restore", "v1")
    assert (code, "mlwb registry quarantine v1" in said) == (5, True)
    assert _run("quarantine", "v1")[0] == 2, "a reason is needed"
    code, said = _run("quarantine", "v1", "--reason", "disk error", "--json")
    found = json.loads(said)
    assert (code, found["version"], found["latest"]) == (0, "v1", None)
    assert _run("doctor")[0] == 0


def test_lost_links_are_recovered(home: Path) -> None:
    """Links dropped by a copy come back by the command doctor names."""
    (home / "artifacts" / "models" / "latest").unlink()
    code, said = _run("doctor")
    assert (code, "mlwb registry recover" in said) == (5, True)
    assert _run("recover", "--json") == (0, "[]\n")
    assert _run("doctor")[0] == 0


def test_garbage_is_named_before_it_goes(home: Path) -> None:
    """Without --apply nothing is removed; with it exactly what was named."""
    models = home / "artifacts" / "models"
    code, said = _run("gc")
    assert (code, "would remove v2" in said, (models / "v2").exists()) == (0, True, True)
    assert json.loads(_run("gc", "--json")[1]) == {"would_remove": ["v2"]}
    assert json.loads(_run("gc", "--apply", "--json")[1]) == {"removed": ["v2"]}
    assert not (models / "v2").exists()
    assert "nothing to remove" in _run("gc", "--apply")[1]


def test_two_versions_are_compared() -> None:
    """The metric that changed stands there with both values; a version equals itself."""
    code, said = _run("diff", "v1", "candidate")
    assert code == 0
    line = next(line for line in said.splitlines() if "offline_metrics.auc" in line)
    assert line.split()[1:] == ["0.61", "0.65"]
    assert _run("diff", "v1", "latest") == (0, "the same\n")
    assert json.loads(_run("diff", "v1", "v5", "--json")[1])[0]["name"] == "offline_metrics.auc"


def test_keys_from_nothing_to_signed(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Make a pair, pin it, see what is unsigned, sign it, and see that it is."""
    key = tmp_path_factory.mktemp("keys") / "signing.pem"
    code, said = _run("keygen", str(key))
    assert code == 0
    for line in said.splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        monkeypatch.setenv(name, value)
    machines = json.loads(_run("keygen", str(key.with_name("other.pem")), "--json")[1])
    assert machines[PRIVATE_KEY_ENV] == str(key.with_name("other.pem"))
    code, said = _run("verify", "v1")
    assert (code, "unsigned" in said) == (5, True)
    for version in ("v1", "v2", "v3", "v4", "v5"):
        assert json.loads(_run("sign", version, "--json")[1])["version"] == version
    assert _run("doctor") == (0, "in order\n")
    assert "signed by" in _run("verify", "v1")[1]
    assert _run("keygen", str(key))[0] == 2, "a key is never replaced"
    assert (home / "artifacts" / "promotions.sig").exists()


def test_a_copy_on_demand(home: Path) -> None:
    """Backup makes a copy of latest; asked again it is the same one."""
    fsops.remove_tree(home / "artifacts" / "backups")
    (name,) = json.loads(_run("backup", "--json")[1]).values()
    assert [path.name for path in (home / "artifacts" / "backups").iterdir()] == [name]
    assert name[9:] == "v1"


@pytest.mark.parametrize(
    ("where", "command"),
    [("v1.8.0", "mlwb registry sign v1.8.0"), ("promotions.sig", "mlwb registry sign")],
)
def test_what_is_unsigned_is_signed_by_its_name(where: str, command: str) -> None:
    """A version's dots are no file suffix: signing the log alone would not help it."""
    assert remedy(Problem("unsigned", where, "no signature")) == command
