"""Keys at rest: made, replaced, taken back; nothing in the file opens a door."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.core.canonical import canonical_bytes
from mlwb.core.errors import ArtifactNotFoundError, MlwbError, ParamsError
from mlwb.serve import ROLES, KeyFile
from mlwb.serve._endpoints import Permission
from mlwb.serve._key_watch import KeyRing, KeyWatch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    """A key file that is not there yet."""
    return KeyFile(tmp_path / "artifacts" / "keys.json")


def test_the_key_is_nowhere_in_the_file(keys: KeyFile) -> None:
    """256 random bits, shown once; the file has its SHA-256, is canonical and its owner's."""
    record, key = keys.add("bot", ["predict"], now=NOW, days=30)
    assert len(key.removeprefix("mlwb_")) == 43
    assert record.sha256 == hashlib.sha256(key.encode()).hexdigest()
    written = keys.path.read_bytes()
    assert key.encode() not in written
    assert written == canonical_bytes(json.loads(written)) + b"\n"
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert keys.records() == (record,)


def test_no_two_keys_are_the_same(keys: KeyFile) -> None:
    """Each is drawn anew."""
    made = {keys.add(f"bot{index}", ["predict"], now=NOW, days=1)[1] for index in range(20)}
    assert len(made) == 20


def test_what_the_roles_permit() -> None:
    """The table of the documentation."""
    word = {role: {str(permission) for permission in found} for role, found in ROLES.items()}
    assert word == {
        "predict": {"predict"},
        "read": {"read"},
        "service": {"predict", "service"},
        "ops": {"read", "ops"},
        "admin": {str(permission) for permission in Permission},
    }


def test_a_rotated_key_goes_on_for_its_grace(keys: KeyFile) -> None:
    """Both are valid within it, only the new one after it."""
    _, old = keys.add("bot", ["predict", "read"], now=NOW, days=30)
    record, new = keys.rotate("bot", now=NOW + DAY, days=30, grace=timedelta(hours=2))
    assert record.roles == ("predict", "read")
    ring = KeyRing(keys.records())
    within, after = NOW + DAY + timedelta(hours=1), NOW + DAY + timedelta(hours=2)
    assert ring.holder(old.encode(), within) is not None
    assert ring.holder(old.encode(), after) is None
    found = ring.holder(new.encode(), after)
    assert found is not None
    assert found.name == record.id


def test_grace_never_makes_a_key_live_longer(keys: KeyFile) -> None:
    """A key that would have ended sooner does."""
    record, _ = keys.add("bot", ["predict"], now=NOW, days=1)
    keys.rotate("bot", now=NOW, days=30, grace=10 * DAY)
    assert keys.records()[0].expires == record.expires


def test_a_revoked_key_is_gone_at_once(keys: KeyFile) -> None:
    """By name all keys of it, also one in its grace; by id that one."""
    first, old = keys.add("bot", ["predict"], now=NOW, days=30)
    _, new = keys.rotate("bot", now=NOW, days=30, grace=DAY)
    assert [record.id for record in keys.revoke(first.id, now=NOW)] == [first.id]
    ring = KeyRing(keys.records())
    assert ring.holder(old.encode(), NOW) is None
    assert ring.holder(new.encode(), NOW) is not None
    keys.revoke("bot", now=NOW)
    assert not KeyRing(keys.records()).has_valid(NOW)
    with pytest.raises(ArtifactNotFoundError, match="no valid key bot"):
        keys.revoke("bot", now=NOW)
    with pytest.raises(ArtifactNotFoundError, match="no valid key bot"):
        keys.rotate("bot", now=NOW, days=1, grace=DAY)


@pytest.mark.parametrize(
    ("name", "roles", "days"),
    [
        ("", ["predict"], 1.0),
        ("a b", ["predict"], 1.0),
        ("a\nb", ["predict"], 1.0),
        ("bot", [], 1.0),
        ("bot", ["root"], 1.0),
        ("bot", ["open"], 1.0),
        ("bot", ["predict"], 0.0),
        ("bot", ["predict"], float("nan")),
        ("bot", ["predict"], 1e9),
        ("taken", ["predict"], 1.0),
    ],
)
def test_what_is_no_key_is_refused(keys: KeyFile, name: str, roles: list[str], days: float) -> None:
    """And the file stays as it was."""
    keys.add("taken", ["predict"], now=NOW, days=1)
    before = keys.path.read_bytes()
    with pytest.raises(ParamsError):
        keys.add(name, roles, now=NOW, days=days)
    assert keys.path.read_bytes() == before


def _damaged(content: dict[str, Any], how: str) -> bytes:
    if how == "cut":
        return canonical_bytes(content)[:-5]
    if how == "twice":
        content["keys"] *= 2
    if how == "unknown":
        content["keys"][0]["admin"] = True
    if how == "role":
        content["keys"][0]["roles"] = ["root"]
    if how == "digest":
        content["keys"][0]["sha256"] = "x"
    if how == "date":
        content["keys"][0]["expires"] = "soon"
    return canonical_bytes(content)


@pytest.mark.parametrize("how", ["cut", "twice", "unknown", "role", "digest", "date"])
def test_a_damaged_file_is_refused(keys: KeyFile, how: str) -> None:
    """In a sentence without a digest; a watching server goes on with the last good state."""
    _, key = keys.add("bot", ["predict"], now=NOW, days=30)
    watch = KeyWatch(keys.path)
    keys.path.write_bytes(_damaged(json.loads(keys.path.read_bytes()), how))
    with pytest.raises(ParamsError) as caught:
        KeyWatch(keys.path)
    assert hashlib.sha256(key.encode()).hexdigest()[:16] not in str(caught.value)
    watch.take(watch.look())
    assert watch.problem == "malformed"
    assert watch.ring is not None
    assert watch.ring.holder(key.encode(), NOW) is not None
    keys.path.unlink()
    keys.add("other", ["read"], now=NOW, days=1)
    watch.take(watch.look())
    taken = KeyWatch(keys.path).ring
    assert taken is not None
    assert [record.id for record in watch.ring.records] == [record.id for record in taken.records]
    assert watch.ring.holder(key.encode(), NOW) is None


def test_a_file_that_vanishes_opens_nothing(keys: KeyFile) -> None:
    """A server that knows keys goes on asking for them, and says so until the file is back."""
    keys.add("bot", ["predict"], now=NOW, days=30)
    watch = KeyWatch(keys.path)
    kept = keys.path.rename(keys.path.with_name("away"))
    watch.take(watch.look())
    assert (watch.problem, watch.ring is None) == ("missing", False)
    kept.rename(keys.path)
    watch.take(watch.look())
    assert watch.problem == ""
    assert watch.look() is None


def test_a_file_that_was_read_badly_once_is_read_again(
    keys: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine short of file handles for a moment does not keep a revoked key alive."""
    _, key = keys.add("bot", ["predict"], now=NOW, days=30)
    watch = KeyWatch(keys.path)
    keys.revoke("bot", now=NOW)
    with monkeypatch.context() as short:
        short.setattr("mlwb.serve._keys.fsops.read_bytes", _too_many_files)
        watch.take(watch.look())
    assert watch.problem == "unreadable"
    watch.take(watch.look())
    assert watch.ring is not None
    assert (watch.problem, watch.ring.holder(key.encode(), NOW)) == ("", None)


def _too_many_files(path: Path) -> bytes:
    raise OSError(errno.EMFILE, "Too many open files", str(path))


def test_a_first_file_closes_an_open_server(keys: KeyFile) -> None:
    """Keys may be made while it runs; one without keys admits nobody."""
    watch = KeyWatch(keys.path)
    assert KeyWatch(keys.path).ring is None
    keys.path.parent.mkdir()
    keys.path.write_text('{"keys":[],"schema":"mlwb.keys/1"}')
    watch.take(watch.look())
    assert watch.ring is not None
    assert watch.ring.holder(b"", NOW) is None


class TestCommands:
    """`mlwb keys`."""

    @pytest.fixture(autouse=True)
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A workbench without keys."""
        monkeypatch.setenv("MLWB_HOME", str(tmp_path))
        for name in ("MLWB_MODELS_DIR", "MLWB_KEYS_FILE", "MLWB_KEY_DAYS", "MLWB_KEY_GRACE_H"):
            monkeypatch.delenv(name, raising=False)
        return tmp_path

    def _run(self, *arguments: str) -> Any:
        result = CliRunner().invoke(app, ["keys", *arguments, "--json"])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    def test_a_key_lives_through_its_commands(self, home: Path) -> None:
        """Made, listed, replaced, taken back; only two commands ever show a key."""
        made = self._run("add", "bot", "--role", "predict", "--role", "read", "--days", "30")
        new = self._run("rotate", "bot", "--grace-h", "0")
        assert made["key"] != new["key"]
        listed = self._run("list")
        assert [(row["id"], row["state"]) for row in listed] == [
            (made["id"], "expired"),
            (new["id"], "valid"),
        ]
        assert new["key"] not in json.dumps(listed)
        assert self._run("revoke", "bot")[-1]["state"] == "revoked"
        assert (home / "artifacts" / "keys.json").exists()

    def test_each_change_is_audited(self, home: Path) -> None:
        """Who, which key, and never its text; a log that was tampered with ends with 6."""
        made = self._run("add", "bot", "--role", "predict")
        new = self._run("rotate", "bot")
        self._run("revoke", "bot")
        found = self._run("audit")
        assert [(line["what"], line["outcome"]) for line in found["lines"]] == [
            ("revoke_key", "done"), ("revoke_key", "intent"),
            ("rotate_key", "done"), ("rotate_key", "intent"),
            ("add_key", "done"), ("add_key", "intent"),
        ]  # fmt: skip
        for line, id_ in ((0, made["id"]), (0, new["id"]), (2, new["id"]), (4, made["id"])):
            assert id_ in found["lines"][line]["reason"]
        assert found["problems"] == []
        log = home / "artifacts" / "audit.log"
        written = log.read_text()
        assert made["key"] not in written
        assert new["key"] not in written
        log.write_text(written.replace("rotate_key", "resume_key"))
        result = CliRunner().invoke(app, ["keys", "audit"])
        assert result.exit_code == 6
        assert "was edited" in result.output

    def test_the_audit_fits_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Eighty columns hold when, what, how it ended and who, each on one line."""
        self._run("add", "bot", "--role", "predict")
        monkeypatch.setattr("mlwb.cli._common.console.width", 80)
        told = CliRunner().invoke(app, ["keys", "audit"]).output
        row = r"^ \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d +add_key +done +local:"
        assert re.search(row, told, re.MULTILINE)
        assert max(map(len, told.splitlines())) <= 80

    def test_text_shows_the_key_alone_on_its_line(self) -> None:
        """So that it can be copied, or read by a script."""
        result = CliRunner().invoke(app, ["keys", "add", "bot", "--role", "predict"])
        assert sum(line.startswith("mlwb_") for line in result.output.splitlines()) == 1
        assert "bot" in CliRunner().invoke(app, ["keys", "list"]).output

    def test_the_default_life_is_a_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`MLWB_KEY_DAYS`."""
        monkeypatch.setenv("MLWB_KEY_DAYS", "7")
        made = self._run("add", "bot", "--role", "predict")
        lived = datetime.fromisoformat(made["expires"]) - datetime.fromisoformat(made["created"])
        assert timedelta(days=7) <= lived < timedelta(days=7, seconds=1)

    @pytest.mark.parametrize(
        "arguments", [("rotate", "x"), ("revoke", "x"), ("add", "x", "--role", "root"),
                      ("add", "x", "--role", "read", "--days", "0")]
    )  # fmt: skip
    def test_what_cannot_be_done_is_said(self, arguments: tuple[str, ...]) -> None:
        """An error of ours, never a traceback."""
        with pytest.raises(MlwbError):
            self._run(*arguments)
