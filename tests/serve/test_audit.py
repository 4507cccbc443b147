"""The audit log: chained, bounded, never in the way."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock
from mlwb.serve._audit import AuditLog
from mlwb.serve._audit_check import audit_problems


@contextlib.contextmanager
def writing(path: Path | None, limit: int = 1 << 20) -> Iterator[AuditLog]:
    """A log whose thread runs, closed at the end."""
    log = AuditLog(path, ManualClock(), limit=limit)
    log.start()
    try:
        yield log
    finally:
        log.close()


def test_a_line_says_who_did_what(tmp_path: Path) -> None:
    """All fields, newest first, and the chain holds."""
    path = tmp_path / "artifacts" / "audit.log"
    with writing(path) as log:
        log.record("kill", "done", who="oncall", reason="spread feed broken")
        log.record("promote", "refused", who="ci", route="POST /ml/promote", request_id="r1")
        log.settle()
        newest, before = log.recent()
    assert newest.items() >= {"what": "promote", "who": "ci", "request_id": "r1"}.items()
    assert before.items() >= {"outcome": "done", "reason": "spread feed broken"}.items()
    assert newest["prev"] == before["sha256"]
    assert before["ts"] == "2026-01-01T00:00:00Z"
    assert audit_problems(path) == ()


def test_only_the_newest_are_shown(tmp_path: Path) -> None:
    """A limit is a limit, from file and from memory; no file is no line."""
    with writing(tmp_path / "audit.log") as log, writing(None) as memory:
        assert log.recent() == memory.recent() == []
        for index in range(30):
            for each in (log, memory):
                each.record("call", "done", who=f"key-{index}")
        log.settle()
        memory.settle()
        for each in (log, memory):
            assert [line["who"] for line in each.recent(2)] == ["key-29", "key-28"]


@pytest.mark.parametrize("damage", ["edited", "removed"])
def test_damage_shows(tmp_path: Path, damage: str) -> None:
    """An edited or a removed line is named; the other lines are still shown."""
    path = tmp_path / "audit.log"
    with writing(path) as log:
        for who in ("one", "two", "three"):
            log.record("call", "done", who=who)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"two", b"tow") if damage == "edited" else b""
    path.write_bytes(b"".join(lines))
    assert audit_problems(path)
    assert log.recent()[0]["who"] == "three"


def test_nothing_is_chained_behind_a_damaged_end(tmp_path: Path) -> None:
    """The damage stays visible, the lines are counted as lost, the reason is there for health."""
    path = tmp_path / "audit.log"
    path.write_bytes(b'{"what":"forged"}\n')
    with writing(path) as log:
        log.record("call", "done", who="one")
        log.settle()
        assert log.problem == "evidence.broken_chain"
        assert log.lost == 2  # the line, and the one about the log itself
    assert path.read_bytes() == b'{"what":"forged"}\n'


def test_a_long_log_goes_on_in_a_new_file(tmp_path: Path) -> None:
    """Set aside, never overwritten; the files name each other and a lost one shows."""
    path = tmp_path / "audit.log"
    with writing(path, limit=1_000) as log:
        for index in range(20):
            log.record("call", "done", who=f"key-{index}")
    parts = sorted(tmp_path.glob("audit.log.[0-9]*"))
    assert len(parts) >= 2
    assert audit_problems(path) == ()
    (tmp_path / "audit.log.1").write_bytes((tmp_path / "audit.log.2").read_bytes())
    assert [problem.kind for problem in audit_problems(path)] == ["missing"] * 2


def test_attempts_of_nobody_are_counted_not_listed(tmp_path: Path) -> None:
    """A hundred thousand guesses are one line."""
    path = tmp_path / "audit.log"
    with writing(path) as log:
        for _ in range(100_000):
            log.count("no_key")
        log.count("unknown_key")
    assert [(line["reason"], line["n"]) for line in log.recent()] == [
        ("unknown_key", 1),
        ("no_key", 100_000),
    ]


def test_too_many_waiting_are_lost_and_counted(tmp_path: Path) -> None:
    """A disk that does not keep up costs lines, not memory and not answers."""
    log = AuditLog(tmp_path / "audit.log", ManualClock(), limit=1 << 20)
    for _ in range(1_500):
        log.record("kill", "done", who="one")
    assert log.lost == 476


def test_calls_leave_room_for_what_was_done(tmp_path: Path) -> None:
    """However many calls somebody makes, none of them pushes a line about an act out."""
    path = tmp_path / "audit.log"
    log = AuditLog(path, ManualClock(), limit=1 << 20)
    for _ in range(5_000):
        log.record("call", "done", who="ops", route="GET /ml/health/detailed")
    log.record("promote", "done", who="ada")
    log.start()
    log.close()
    found = log.recent(1_000)
    assert log.lost == 0
    assert [line["who"] for line in found if line["what"] == "promote"] == ["ada"]
    assert sum(int(str(line.get("n", 1))) for line in found if line["what"] == "call") == 5_000


@pytest.mark.parametrize("step", ["link", "replace"])
def test_a_crash_while_a_file_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Nothing is lost, nothing stands twice, and nobody is accused of having removed a line."""
    path = tmp_path / "audit.log"
    with writing(path, limit=1_000) as log:
        while path.stat().st_size <= 1_000 if path.exists() else True:
            log.record("call", "done", who="before")
            log.settle()
    n_before = path.read_bytes().count(b"before")
    if step == "link":
        path.with_name("audit.log.1").hardlink_to(path)
    else:
        with monkeypatch.context() as broken, writing(path, limit=1_000) as log:
            broken.setattr(Path, "replace", _crash)
            log.record("call", "done", who="lost")
    assert audit_problems(path) == ()
    with writing(path, limit=1_000) as log:
        log.record("call", "done", who="after")
    assert audit_problems(path) == ()
    parts = sorted(tmp_path.glob("audit.log.[0-9]"))
    whole = b"".join(part.read_bytes() for part in (*parts, path))
    assert (whole.count(b"before"), whole.count(b'after"')) == (n_before, 2)  # "after" and its key


def _crash(*_: object) -> None:
    raise OSError(5, "killed here")


@pytest.mark.parametrize("how", ["cut", "chained anew"])
def test_what_a_chain_alone_does_not_show(tmp_path: Path, how: str) -> None:
    """Who wrote a line knows when it is gone."""
    path = tmp_path / "audit.log"
    with writing(path) as log:
        for who in ("one", "two"):
            log.record("kill", "done", who=who)
    assert log.newest is not None
    assert audit_problems(path, [log.newest]) == ()
    first = path.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(first)
    if how == "chained anew":
        with writing(path) as forger:
            forger.record("kill", "done", who="somebody else")
    assert audit_problems(path) == ()
    assert [problem.kind for problem in audit_problems(path, [log.newest])] == ["truncated"]


def test_a_chain_says_itself_where_it_has_a_gap(tmp_path: Path) -> None:
    """Lines that no disk took are counted in the first one that it takes again."""
    path = tmp_path / "audit.log"
    path.mkdir()
    with writing(path) as log:
        assert not log.can_write()
        for _ in range(3):
            log.record("kill", "done", who="one")
        log.settle()
        lost = log.lost
        assert (log.problem, lost >= 3) == ("unwritable", True)
        path.rmdir()
        assert log.can_write()
        assert not path.exists()
        log.record("kill", "done", who="two")
        log.settle()
        last, gap = log.recent(2)
    assert (gap["what"], gap["n"], last["who"], log.problem) == ("lost", lost, "two", "")
    assert audit_problems(path) == ()


def test_nothing_is_promised_behind_a_damaged_line(tmp_path: Path) -> None:
    """A chain that takes no line is no chain that can be written."""
    path = tmp_path / "audit.log"
    with writing(path) as log:
        log.record("kill", "done", who="one")
        log.settle()
        path.write_bytes(path.read_bytes().replace(b'"one"', b'"two"'))
        assert not log.can_write()


def test_what_a_caller_sends_is_cut_and_cleaned(tmp_path: Path) -> None:
    """No control characters, no lone surrogates, no line of a megabyte."""
    path = tmp_path / "audit.log"
    with writing(path) as log:
        log.record("kill", "done", who="\n\ud800x", reason="\N{GRINNING FACE}" * 100_000)
        log.settle()
        line = log.recent(1)[0]
    assert line["who"] == "??x"
    assert path.stat().st_size < 2_000
    assert log.lost == 0


_WRITER = """
import sys
from pathlib import Path
from mlwb.core.clock import SystemClock
from mlwb.serve._audit import AuditLog
log = AuditLog(Path(sys.argv[1]), SystemClock(), limit=1 << 20)
log.start()
for index in range(40):
    log.record("call", "done", who=sys.argv[2])
log.close()
sys.exit(log.lost)
"""


@pytest.mark.slow
def test_several_processes_share_one_chain(tmp_path: Path) -> None:
    """Workers of one server write the same file; no line is lost and none is torn."""
    path = tmp_path / "audit.log"
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), name]) for name in ("a", "b")
    ]
    assert [writer.wait(30) for writer in writers] == [0, 0]
    assert audit_problems(path) == ()
    assert len(path.read_bytes().splitlines()) == 80
