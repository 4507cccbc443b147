"""No change of a key without a line about it, however the process ends."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.core import fsops
from mlwb.core.clock import ManualClock
from mlwb.core.errors import StorageError
from mlwb.serve import AuditLog, KeyAudit, KeyFile, ServeSettings, create_app, is_audited
from mlwb.serve._key_watch import KeyWatch

CLOCK = ManualClock()


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """These tests do not wait for the disk."""


def _keys(root: Path) -> tuple[KeyFile, AuditLog]:
    log = AuditLog(root / "audit.log", CLOCK, limit=1 << 20)
    return KeyFile(root / "keys.json", KeyAudit(log, root / "audit.log", who="local:ada")), log


def _change(keys: KeyFile, what: str) -> Any:
    if what == "add":
        return keys.add("new", ["read"], now=CLOCK.now(), days=1)
    if what == "rotate":
        return keys.rotate("bot", now=CLOCK.now(), days=1, grace=timedelta(hours=1))
    return keys.revoke("bot", now=CLOCK.now())


class _KilledError(BaseException):
    """The process is gone."""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["add", "rotate", "revoke"])
def test_killed_anywhere_leaves_no_change_without_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """At every call that changes the disk; the next change closes what was left open."""
    original, at, n_crashes = fsops._do, 0, 0
    while True:
        root = tmp_path / f"{at}"
        keys, log = _keys(root)
        keys.add("bot", ["predict"], now=CLOCK.now(), days=9)
        before, calls = keys.path.read_bytes(), 0

        def killed(call: Any, *arguments: Any, at: int = at, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > at:
                raise _KilledError
            return original(call, *arguments, **named)

        with monkeypatch.context() as broken:
            broken.setattr(fsops, "_do", killed)
            try:
                _change(keys, what)
            except _KilledError:
                n_crashes += 1
            else:
                break
        assert is_audited(keys.path, root / "audit.log")
        has_changed = keys.path.read_bytes() != before
        newest = log.recent(1)[0]
        if has_changed:
            assert newest["what"] == f"{what}_key"
        is_open = newest["outcome"] == "intent"
        keys, log = _keys(root)
        keys.add("next", ["read"], now=CLOCK.now(), days=1)
        settled = [line for line in log.recent() if "a crash came" in str(line["reason"])]
        assert [line["outcome"] for line in settled] == (
            [] if not is_open else ["done"] if has_changed else ["aborted"]
        )
        assert is_audited(keys.path, root / "audit.log")
        at += 1
    assert n_crashes >= 6


def test_without_a_log_that_can_be_written_no_key_is_changed(tmp_path: Path) -> None:
    """A damaged log takes no line, so the change does not come."""
    keys, _ = _keys(tmp_path)
    keys.add("bot", ["predict"], now=CLOCK.now(), days=9)
    before = keys.path.read_bytes()
    (tmp_path / "audit.log").write_bytes(b'{"what":"forged"}\n')
    with pytest.raises(StorageError, match="no key is changed"):
        keys.revoke("bot", now=CLOCK.now())
    assert keys.path.read_bytes() == before


def test_a_key_is_shown_though_the_last_line_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made, and announced; nobody could make it again."""
    keys, log = _keys(tmp_path)
    original, lines = fsops.append_line, list[bytes]()

    def full(path: Path, line: bytes) -> None:
        lines.append(line)
        if len(lines) > 1:
            raise OSError(28, "No space left on device")
        original(path, line)

    with monkeypatch.context() as broken:
        broken.setattr(fsops, "append_line", full)
        _, text = keys.add("bot", ["predict"], now=CLOCK.now(), days=9)
    assert text.startswith("mlwb_")
    assert [line["outcome"] for line in log.recent()] == ["intent"]
    assert is_audited(keys.path, tmp_path / "audit.log")


def _by_hand(path: Path) -> None:
    content = json.loads(path.read_bytes())
    content["keys"][0]["roles"] = ["admin"]
    path.write_text(json.dumps(content))


def test_a_change_by_hand_is_found(tmp_path: Path) -> None:
    """By whoever looks, until the next change puts it on record."""
    keys, log = _keys(tmp_path)
    keys.add("bot", ["predict"], now=CLOCK.now(), days=9)
    assert KeyWatch(keys.path, tmp_path / "audit.log").problem == ""
    _by_hand(keys.path)
    assert not is_audited(keys.path, tmp_path / "audit.log")
    assert KeyWatch(keys.path, tmp_path / "audit.log").problem == "unaudited"
    keys.add("other", ["read"], now=CLOCK.now(), days=9)
    assert [line["outcome"] for line in log.recent(3)] == ["done", "intent", "unaudited"]
    assert is_audited(keys.path, tmp_path / "audit.log")


def test_a_removed_key_file_is_found_too(tmp_path: Path) -> None:
    """Without it a server on loopback would answer everybody."""
    keys, _ = _keys(tmp_path)
    keys.add("bot", ["predict"], now=CLOCK.now(), days=9)
    keys.path.unlink()
    assert not is_audited(keys.path, tmp_path / "audit.log")


def test_where_nobody_says_anything_nothing_is_doubted(tmp_path: Path) -> None:
    """No log, no line about keys: a file from before there were such lines."""
    keys = KeyFile(tmp_path / "keys.json")
    keys.add("bot", ["predict"], now=CLOCK.now(), days=9)
    assert is_audited(keys.path, None)
    assert is_audited(keys.path, tmp_path / "audit.log")


@pytest.mark.slow
def test_a_server_and_the_commands_say_so(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Health is degraded, `keys list` and `keys audit` warn; answers and keys go on."""
    root = models.parent
    keys, _ = _keys(root)
    keys.add("bot", ["predict"], now=CLOCK.now(), days=9)
    settings = ServeSettings(models, keys_file=keys.path, audit_log=root / "audit.log")
    assert "keys:unaudited" not in create_app(settings, clock=CLOCK).state.troubles
    server = create_app(settings, clock=CLOCK)
    _by_hand(keys.path)
    server.state.keys.take(server.state.keys.look())
    for each in (server, create_app(settings, clock=CLOCK)):
        assert "keys:unaudited" in each.state.troubles
        assert each.state.reasons == ()
    monkeypatch.setenv("MLWB_HOME", str(root.parent))
    for name in ("MLWB_MODELS_DIR", "MLWB_KEYS_FILE", "MLWB_AUDIT_LOG"):
        monkeypatch.delenv(name, raising=False)
    listed = CliRunner().invoke(app, ["keys", "list"])
    assert (listed.exit_code, "changed by hand" in listed.output) == (0, True)
    audited = CliRunner().invoke(app, ["keys", "audit"])
    assert (audited.exit_code, "[unaudited]" in audited.output) == (6, True)
