"""What a killed writer leaves beside a file, and who may clear it away."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlwb.core import fsops
from mlwb.core.leftovers import clear_leftovers, leftovers

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def gone() -> int:
    """Number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def _left(folder: Path, name: str, age_s: float) -> Path:
    path = folder / name
    path.write_bytes(b"half")
    moment = NOW.timestamp() - age_s
    os.utime(path, (moment, moment))
    return path


def test_of_a_dead_process_after_a_minute(tmp_path: Path, gone: int) -> None:
    """Not at once: on a shared disk the process may be another machine's."""
    young = _left(tmp_path, f".a.json.{gone}-0123abcd.tmp", 59.0)
    old = _left(tmp_path, f".a.json.{gone}-0123abce.tmp", 61.0)
    assert leftovers(tmp_path, NOW) == (old,)
    assert clear_leftovers([tmp_path, tmp_path / "none"], NOW) == (old,)
    assert sorted(tmp_path.iterdir()) == [young]


def test_of_a_living_process_after_an_hour(tmp_path: Path) -> None:
    """By then it is another process of the same number, as in a container that was restarted."""
    _left(tmp_path, f".a.{os.getpid()}-0123abcd.tmp", 3_599.0)
    old = _left(tmp_path, f".a.{os.getpid()}-0123abce.tmp", 3_601.0)
    nameless = _left(tmp_path, ".a.0123456789ab.tmp", 3_601.0)
    assert set(leftovers(tmp_path, NOW)) == {old, nameless}


@pytest.mark.parametrize("name", ["a.tmp", ".tmp", ".a.tmp", ".a.12-xyz.tmp", "a.1-0123abcd.tmp"])
def test_what_only_looks_like_one_is_left_alone(tmp_path: Path, name: str) -> None:
    """However old: it is somebody's."""
    _left(tmp_path, name, 1e7)
    assert leftovers(tmp_path, NOW) == ()


def test_below_a_folder_only_when_asked(tmp_path: Path, gone: int) -> None:
    """A server clears its own folders, not those of others inside them."""
    (tmp_path / "below").mkdir()
    left = _left(tmp_path / "below", f".a.{gone}-0123abcd.tmp", 1e5)
    assert leftovers(tmp_path, NOW) == clear_leftovers([tmp_path], NOW) == ()
    assert leftovers(tmp_path, NOW, is_deep=True) == (left,)


_KILLED = """
import os, signal, sys
from pathlib import Path
from mlwb.core import fsops
original = fsops._do
def killed(call, *arguments, **named):
    if call is Path.replace:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(call, *arguments, **named)
fsops._do = killed
path = Path(sys.argv[2])
getattr(fsops, sys.argv[1])(path, b"new" if sys.argv[1] == "write_atomic" else "new")
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["write_atomic", "replace_link"])
def test_a_kill_in_the_middle_leaves_one_that_is_found(tmp_path: Path, how: str) -> None:
    """Whatever is replaced, a file or a link; the file itself is as it was."""
    path = tmp_path / "serve.kill"
    if how == "write_atomic":
        fsops.write_atomic(path, b"old")
    else:
        fsops.replace_link(path, "old")
    done = subprocess.run([sys.executable, "-c", _KILLED, how, str(path)], check=False)
    assert done.returncode == -9
    (left,) = (each for each in tmp_path.iterdir() if each != path)
    moment = NOW.timestamp() - 61.0
    os.utime(left, (moment, moment), follow_symlinks=False)
    assert clear_leftovers([tmp_path], NOW) == (left,)
    assert (path.read_bytes() if how == "write_atomic" else str(path.readlink()).encode()) == b"old"
