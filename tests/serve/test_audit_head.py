"""The end of the audit log: who cuts it off while nobody looks is found out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.chain import Head
from mlwb.core.clock import ManualClock
from mlwb.core.signing import Signer, write_key_pair
from mlwb.registry import audit_heads
from mlwb.serve._audit import AuditLog
from mlwb.serve._audit_check import last_line_with
from mlwb.serve._audit_head import AuditHead, whole_audit_problems
from tests.serve.registry_kit import begin, publish


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """These tests do not wait for the disk."""


@contextlib.contextmanager
def writing(path: Path, limit: int = 1 << 20, signer: Signer | None = None) -> Iterator[AuditLog]:
    """A log whose thread runs, closed at the end."""
    log = AuditLog(path, ManualClock(), limit=limit, signer=signer)
    log.start()
    try:
        yield log
    finally:
        log.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three acts, and the head of them."""
    with writing(tmp_path / "audit.log") as log:
        for who in ("one", "two", "three"):
            log.record("kill", "done", who=who)
    return tmp_path / "audit.log"


def _cut(path: Path, n: int = 1) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-n]))


def _kinds(path: Path, **more: Any) -> list[str]:
    quick = [problem.kind for problem in whole_audit_problems(path, is_quick=True, **more)]
    assert [problem.kind for problem in whole_audit_problems(path, **more)] == quick
    return quick


def test_a_log_as_it_was_left_is_whole(path: Path) -> None:
    """Also one that never was, and one that went on in new files."""
    assert _kinds(path) == _kinds(path.with_name("none.log")) == []
    with writing(path, limit=500) as log:
        for number in range(20):
            log.record("kill", "done", who=f"key-{number}")
    assert path.with_name("audit.log.3").exists()
    assert _kinds(path) == []


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_cut_end_shows(path: Path, n: int) -> None:
    """Though every line that is left is whole, by the check of all and by the quick one."""
    _cut(path, n)
    assert _kinds(path) == ["truncated"]


def test_a_removed_log_shows(path: Path) -> None:
    """Nothing is left to be wrong but the head."""
    path.unlink()
    assert _kinds(path) == ["truncated"]


def test_a_removed_head_shows(path: Path) -> None:
    """Whoever cuts the log and takes the head along leaves a log without one."""
    path.with_name("audit.head").unlink()
    _cut(path)
    assert _kinds(path) == ["missing"]


@pytest.mark.parametrize("what", ["removed", "emptied"])
def test_a_file_set_aside_that_is_gone_shows(path: Path, what: str) -> None:
    """Any of them, also the first, which hides the others when it is no more."""
    with writing(path, limit=500) as log:
        for number in range(12):
            log.record("kill", "done", who=f"key-{number}")
    parts = sorted(path.parent.glob("audit.log.[0-9]"))
    assert len(parts) > 3
    for part in parts:
        data = part.read_bytes()
        part.unlink() if what == "removed" else part.write_bytes(b"")
        assert "missing" in [problem.kind for problem in whole_audit_problems(path)]
        part.write_bytes(data)
    assert whole_audit_problems(path) == ()


@pytest.mark.parametrize("where", ["while nobody wrote", "under a running server"])
def test_what_is_written_behind_a_cut_does_not_hide_it(path: Path, where: str) -> None:
    """The next line is behind one that names the cut; health says so until the next start."""
    if where == "while nobody wrote":
        _cut(path)
        with writing(path) as log:
            log.record("kill", "done", who="after")
    else:
        with writing(path) as log:
            log.record("kill", "done", who="four")
            log.settle()
            _cut(path, 2)
            log.record("kill", "done", who="after")
    assert log.tampered == "truncated"
    after, found = log.recent(2)
    assert (after["who"], found["what"], found["outcome"]) == ("after", "audit", "found")
    assert "audit.head remembers is gone" in str(found["reason"])
    with writing(path) as again:
        again.record("kill", "done", who="later")
    assert (again.tampered, again.recent(2)[1]["who"]) == ("", "after")


@pytest.mark.parametrize("left", ["an older pair", "nothing", "the head"])
def test_a_running_server_remembers_its_own_lines(path: Path, left: str) -> None:
    """Who puts back a log with the head that belongs to it does not know that; nor who takes both.

    The first line of a new log does not write over the head of the one that is gone.
    """
    head = path.with_name("audit.head")
    older = path.read_bytes(), head.read_bytes()
    with writing(path) as log:
        log.now("kill", "done", who="four", route="")
        path.unlink()
        if left == "an older pair":
            path.write_bytes(older[0])
            head.write_bytes(older[1])
        elif left == "nothing":
            head.unlink()
        log.now("kill", "done", who="after", route="")
        after, found = log.recent(2)
    assert log.tampered == "truncated"
    assert (after["who"], found["what"], found["outcome"]) == ("after", "audit", "found")


def test_a_log_that_is_gone_shows_to_the_first_who_writes(path: Path) -> None:
    """Also to a command that remembers nothing itself."""
    path.unlink()
    AuditLog(path, ManualClock(), limit=1 << 20).now("add_key", "done", who="x", route="")
    assert b"audit.head remembers is gone" in path.read_bytes()


def test_two_writers_are_no_tampering(tmp_path: Path) -> None:
    """Workers of one server, and `mlwb keys` beside them."""
    path = tmp_path / "audit.log"
    with writing(path) as one, writing(path) as two:
        for _ in range(3):
            for log in (one, two):
                log.record("kill", "done", who="x")
                log.settle()
    assert (one.tampered, two.tampered, _kinds(path)) == ("", "", [])
    assert {line["what"] for line in one.recent()} == {"kill"}


def test_a_log_that_begins_while_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first line of another process, at any moment of the look, is no loss of the head."""
    path = tmp_path / "audit.log"
    read = AuditHead.read

    def slowly(head: AuditHead) -> Head | None:
        found = read(head)
        monkeypatch.setattr(AuditHead, "read", read)
        AuditLog(path, ManualClock(), limit=1 << 20).now("kill", "done", who="one", route="")
        return found

    monkeypatch.setattr(AuditHead, "read", slowly)
    assert whole_audit_problems(path) == ()


@pytest.mark.parametrize("step", ["line", "head"])
def test_killed_between_line_and_head(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The head is behind the log at most, never ahead of it: nobody is accused."""
    log = AuditLog(path, ManualClock(), limit=1 << 20)
    name = "append_line" if step == "line" else "write_atomic"

    def killed(*_: object, **__: object) -> None:
        raise OSError(5, "killed here")

    monkeypatch.setattr(fsops, name, killed)
    with pytest.raises(OSError, match="killed"):
        log.now("kill", "done", who="four", route="")
    assert _kinds(path) == []


def test_the_first_line_is_no_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head is kept before it, so that a crash behind it leaves no log without one."""
    path = tmp_path / "audit.log"
    log = AuditLog(path, ManualClock(), limit=1 << 20)
    monkeypatch.setattr(log, "_keep_head", lambda: None)
    log.now("kill", "done", who="one", route="")
    assert path.exists()
    assert _kinds(path) == []


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Signer, Signer]:
    """Ours, and somebody else's."""
    made = []
    for name in ("ours", "theirs"):
        folder = tmp_path_factory.mktemp(name)
        made.append(Signer(folder / "key", write_key_pair(folder / "key")))
    return made[0], made[1]


def test_a_pinned_key_signs_the_head(tmp_path: Path, keys: tuple[Signer, Signer]) -> None:
    """Another head is written by nobody without the private key: unsigned, edited, of another."""
    path, head = tmp_path / "audit.log", tmp_path / "audit.head"
    with writing(path, signer=keys[0]) as log:
        for who in ("one", "two"):
            log.record("kill", "done", who=who)
    assert _kinds(path, signer=keys[0]) == []
    _cut(path)
    lines = path.read_bytes().splitlines()
    last = parse_json(lines[-1])
    good = parse_json(head.read_bytes())
    said = {"seq": 1, "sha256": last["sha256"]}
    for forged in ({"head": said}, {**good, "head": said}):
        head.write_bytes(canonical_bytes(forged))
        assert _kinds(path, signer=keys[0]) == ["forged"]
        assert _kinds(path) == []
    with writing(path, signer=keys[1]) as log:
        log.record("kill", "done", who="them")
    assert "forged" in _kinds(path, signer=keys[0])


def test_the_promotion_log_remembers(tmp_path: Path) -> None:
    """Who cuts the log and writes a head that fits must rewrite every promotion since."""
    registry = begin(tmp_path / "artifacts" / "models")
    promotions, path = (
        tmp_path / "artifacts" / "promotions.log",
        tmp_path / "artifacts" / "audit.log",
    )
    with writing(path) as log:
        for who in ("one", "two"):
            log.record("kill", "done", who=who)
    assert audit_heads(promotions) == ()
    publish(registry, "v2.0.0")
    assert log.newest is not None
    assert [head.sha256 for head in audit_heads(promotions)] == [log.newest.sha256]
    assert _kinds(path, promotions=promotions) == []
    path.unlink()
    path.with_name("audit.head").unlink()
    assert _kinds(path, promotions=promotions) == ["truncated"]
    with writing(path) as log:
        log.record("kill", "done", who="one")
    assert _kinds(path) == []
    assert _kinds(path, promotions=promotions) == ["truncated"]


def test_the_newest_line_with_a_field(path: Path) -> None:
    """However many files ago: each carries it on. Text that looks like the field is none."""
    assert last_line_with(path, "keys_after") is None
    log = AuditLog(path, ManualClock(), limit=300)
    log.now("add_key", "done", who="x", route="", keys_after="first")
    log.now("add_key", "done", who="x", route="", keys_after="second")
    for _ in range(6):
        log.now("kill", "done", who="x", route="", reason='"keys_after":"third"')
    assert path.with_name("audit.log.6").exists()
    assert (last_line_with(path, "keys_after") or {})["keys_after"] == "second"
