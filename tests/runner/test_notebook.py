"""A run says truthfully how it ended. Facts about processes come from the operating system."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.core.canonical import digest_file
from mlwb.core.errors import KernelDiedError, NotebookFailedError, ParamsError, RunError
from mlwb.runner import (
    NotebookEvent,
    NotebookRun,
    _client,
    _notebook,
    _recorder,
    raise_for_status,
    run_notebook,
)
from mlwb.runner._session import EventKind, Session
from tests.runner.notebook_kit import code, is_alive, prose, read, write

pytestmark = pytest.mark.notebook

_PID = "import os; print(os.getpid(), flush=True)"
PARAMETERS = code("name = ''\nseed = 1", "parameters")


def _run(path: Path, *cells: Any, timeout_s: float = 60, **options: Any) -> NotebookRun:
    return run_notebook(
        write(path / "small.ipynb", *cells),
        parameters=options.pop("parameters", {}),
        out=path / "out" / "small.ipynb",
        title="Small",
        timeout_s=timeout_s,
        **options,
    )


def _statuses(run: NotebookRun) -> list[str]:
    return [
        cell.metadata.papermill.status
        for cell in read(run.executed).cells
        if cell.cell_type == "code"
    ]


def _printed(run: NotebookRun) -> str:
    return "".join(
        output.text
        for cell in read(run.executed).cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stdout"
    )


def _assert_gone(pids: list[int]) -> None:
    give_up = time.monotonic() + 10
    while any(is_alive(pid) for pid in pids) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert [pid for pid in pids if is_alive(pid)] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name tries to be a template, and is not English."""
    return tmp_path_factory.mktemp("märkte {x}")


@pytest.fixture(scope="module")
def good(folder: Path) -> tuple[NotebookRun, list[NotebookEvent]]:
    """One run that ends well."""
    events: list[NotebookEvent] = []
    probe = (
        "import json, os, sys\n"
        "print(json.dumps({'pid': os.getpid(), 'cwd': os.getcwd(), 'prefix': sys.prefix,\n"
        "    'tz': os.environ['TZ'], 'mine': os.environ['MINE'], 'name': name,\n"
        "    'ipython': os.environ['IPYTHONDIR']}))"
    )
    run = _run(
        folder,
        prose("# Small\n\nWhat is it?"),
        PARAMETERS,
        prose("## Where does it run?"),
        code(probe),
        code("   "),
        code("for _ in range(5):\n    print('é', flush=True)"),
        code("%matplotlib inline\nimport warnings; 7"),
        parameters={"name": 'naïve "q" {x} \\ \n\'', "seed": 3},
        on_event=events.append,
        environ={"MINE": "yes"},
    )
    return run, events


def test_good_run_is_ok(good: tuple[NotebookRun, list[NotebookEvent]], folder: Path) -> None:
    """Every code cell ran, blank ones do not count, and both files are named by digest."""
    run, _ = good
    assert (run.status, run.failed_cell, run.error_name, run.error_message) == ("ok", None, "", "")
    assert (run.n_cells, run.n_executed) == (5, 5)
    assert run.source_digest == digest_file(folder / "small.ipynb")
    assert run.executed_digest == digest_file(run.executed)
    assert run.interpreter == sys.prefix
    assert 0 < run.seconds < 60
    raise_for_status(run)


def test_good_run_leaves_a_papermill_notebook(
    good: tuple[NotebookRun, list[NotebookEvent]],
) -> None:
    """What papermill writes stands where its tools look, without the machine's folders."""
    node = read(good[0].executed)
    assert node.metadata.title == "Small"
    assert node.metadata.papermill.exception is False
    assert node.metadata.papermill.input_path == "small.ipynb"
    assert node.metadata.papermill.parameters.seed == 3
    assert node.metadata.mlwb.status == "ok"
    assert _statuses(good[0]) == ["completed"] * 6


def test_kernel_is_this_interpreter_in_the_notebook_s_folder(
    good: tuple[NotebookRun, list[NotebookEvent]], folder: Path
) -> None:
    """Parameters arrive as they were; prefix, folder and clock are ours, the profile nobody's."""
    told = json.loads(_printed(good[0]).splitlines()[0])
    assert told["name"] == 'naïve "q" {x} \\ \n\''
    assert (told["prefix"], told["cwd"]) == (sys.prefix, str(folder.resolve()))
    assert (told["tz"], told["mine"]) == ("UTC", "yes")
    assert not Path(told["ipython"]).exists()
    _assert_gone([told["pid"]])


def test_printed_lines_are_one_output(good: tuple[NotebookRun, list[NotebookEvent]]) -> None:
    """Five flushes are one output, so that reports and differences are not ragged."""
    cells = [cell for cell in read(good[0].executed).cells if "range(5)" in cell.source]
    assert [output.text for output in cells[0].outputs] == ["é\n" * 5]


def test_events_tell_every_step(good: tuple[NotebookRun, list[NotebookEvent]]) -> None:
    """A progress bar can be drawn: every cell starts and ends, named by its heading."""
    _, events = good
    assert [event.kind for event in events] == [
        "start",
        *(["cell_start", "cell_end"] * 5),
        "end",
    ]
    assert events[5].label == "Where does it run?"
    assert [event.cell for event in events[1:-1:2]] == [1, 2, 3, 4, 5]
    assert {event.n_cells for event in events} == {5}
    assert [event.seconds for event in events] == sorted(event.seconds for event in events)
    assert (events[0].status, events[-1].status) == ("running", "ok")


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("open('/no/such/dir/bars.csv')", "FileNotFoundError", "'…/bars.csv'"),
        ("import sys; sys.exit(0)", "SystemExit", "0"),
        ("raise SystemExit(3)", "SystemExit", "3"),
    ],
)
def test_exception_ends_the_run(tmp_path: Path, source: str, name: str, message: str) -> None:
    """A raised error fails the run, leaving early with 0 included; later cells are not_run."""
    run = _run(tmp_path, prose("# S\n## Step"), code("1"), code(source), code("2"))
    assert (run.status, run.failed_cell, run.n_executed) == ("failed", 2, 1)
    assert run.error_name == name
    assert message in run.error_message
    assert "/no/such" not in run.error_message
    assert _statuses(run) == ["completed", "failed", "not_run"]
    node = read(run.executed)
    assert node.metadata.papermill.exception is True
    assert node.metadata.mlwb.failed_step == "Step"
    banner = node.cells[0]
    assert "papermill-error-cell-tag" in banner.metadata.tags
    assert "failed in cell 2" in banner.source
    with pytest.raises(NotebookFailedError, match=rf"small\.ipynb failed in cell 2 of 3: {name}"):
        raise_for_status(run)


def test_allowed_exception_still_ends_the_run(tmp_path: Path) -> None:
    """Tags that let a cell raise or skip it do not make a run that is not whole look whole."""
    run = _run(tmp_path, code("1", "skip-execution"), code("1 / 0", "raises-exception"), code("2"))
    assert (run.status, run.failed_cell, run.n_executed) == ("failed", 2, 1)
    assert _statuses(run) == ["completed", "failed", "not_run"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("os._exit(0)", "exited with code 0"),
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
    ],
)
def test_dead_kernel_is_told(tmp_path: Path, source: str, words: str) -> None:
    """A kernel that dies is `killed`, with how it ended; what it had started is ended too."""
    start = (
        "import os, subprocess\n"
        "print(os.getpid(), subprocess.Popen(['sleep', '600']).pid, flush=True)\n"
        "os.write(2, b'out of luck\\n')"
    )
    run = _run(tmp_path, prose("# S"), code(start), code(source), code("2"))
    assert (run.status, run.failed_cell, run.error_name) == ("killed", 2, "KernelDied")
    assert words in run.error_message
    assert _statuses(run) == ["completed", "failed", "not_run"]
    assert read(run.executed).metadata.papermill.exception is True
    _assert_gone([int(pid) for pid in _printed(run).split()])
    with pytest.raises(KernelDiedError, match="lost its kernel in cell 2 of 3"):
        raise_for_status(run)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline one second after the last cell began, however slow the kernel was to start."""

    class Hasty(Session):
        def emit(self, kind: EventKind, *, cell: int = 0, label: str = "") -> None:
            if kind == "cell_start":
                self.timeout_s = self.seconds + 1
            super().emit(kind, cell=cell, label=label)

    monkeypatch.setattr(_notebook, "Session", Hasty)


@pytest.mark.usefixtures("hasty")
def test_deadline_is_for_the_whole_run(tmp_path: Path) -> None:
    """An endless cell ends at the deadline; the traceback says which line it was in."""
    run = _run(tmp_path, code(_PID), code("value = 1\nwhile True:\n    value += 1"), code("2"))
    assert (run.status, run.failed_cell, run.error_name) == ("timeout", 2, "Timeout")
    assert "the whole run may take" in run.error_message
    assert run.seconds < 30
    assert _statuses(run) == ["completed", "failed", "not_run"]
    last = read(run.executed).cells[3]
    assert "KeyboardInterrupt" in last.outputs[-1].ename
    _assert_gone([int(_printed(run))])


@pytest.mark.usefixtures("hasty")
def test_kernel_deaf_to_interrupts_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell that ignores the interrupt is stopped all the same."""
    deaf = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print(os.getpid(), flush=True)\n"
        "while True:\n    os.getpid()"
    )
    monkeypatch.setattr(_client, "_LAST_WORD_S", 0.2)
    run = _run(tmp_path, code(deaf))
    assert (run.status, run.failed_cell) == ("timeout", 1)
    assert run.seconds < 30
    _assert_gone([int(_printed(run))])


def test_endless_printing_is_cut(tmp_path: Path) -> None:
    """A cell that prints megabytes does not make a notebook nobody can open; it says so."""
    flood = "for number in range(700):\n    print('line', number, 'x' * 4000)"
    run = _run(tmp_path, code(flood), code("print('next')"))
    assert run.status == "ok"
    first, second = (cell.outputs[0].text for cell in read(run.executed).cells)
    assert 2_000_000 <= len(first) < 2_000_200
    assert "cut here" in first[-100:]
    assert second == "next\n"


@contextmanager
def _run_elsewhere(tmp_path: Path, out: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that runs a notebook, and its kernel's pid, while the third cell sleeps."""
    marker = tmp_path / "pid"
    source = write(
        tmp_path / "long.ipynb",
        code("1"),
        code("import os, pathlib, time"),
        code(f"pathlib.Path({str(marker)!r}).write_text(str(os.getpid())); time.sleep(600)"),
        code("2"),
    )
    script = (
        "import pathlib, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's job may ignore it
        "from mlwb.runner import run_notebook\n"
        "run = run_notebook(pathlib.Path(sys.argv[1]), parameters={}, title='T', timeout_s=300,\n"
        "    out=pathlib.Path(sys.argv[2]))\n"
        "sys.stdout.write(f'{run.status} {run.failed_cell} {run.n_executed}')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, source, out],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        try:
            yield process, int(_when_written(marker))
        finally:
            process.kill()


@pytest.mark.slow
def test_ctrl_c_is_a_status(tmp_path: Path) -> None:
    """SIGINT to the waiting process ends the kernel; the notebook on disk says interrupted."""
    out = tmp_path / "executed.ipynb"
    with _run_elsewhere(tmp_path, out) as (process, pid):
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert said == "interrupted 3 2"
    assert process.returncode == 0
    _assert_gone([pid])
    node = read(out)
    assert node.metadata.mlwb.status == "interrupted"
    assert [c.metadata.papermill.status for c in node.cells if c.cell_type == "code"] == [
        "completed",
        "completed",
        "failed",
        "not_run",
    ]


@pytest.mark.slow
def test_kernel_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    """SIGKILL cannot be handled; the kernel notices by itself, the notebook is not called ok."""
    out = tmp_path / "executed.ipynb"
    with _run_elsewhere(tmp_path, out) as (process, pid):
        process.kill()
    _assert_gone([pid])
    assert "mlwb" not in read(out).metadata


def _when_written(path: Path) -> str:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        if path.exists() and path.read_text(encoding="utf-8"):
            return path.read_text(encoding="utf-8")
        time.sleep(0.02)
    raise AssertionError(f"{path} was never written")


def test_long_cell_is_saved_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a long cell has printed can be read before it ends; saves are few all the same."""
    saves: list[str] = []
    write_atomic = fsops.write_atomic

    def count(path: Path, data: bytes) -> None:
        saves.append(data.decode())
        write_atomic(path, data)

    monkeypatch.setattr(_recorder, "write_atomic", count)
    monkeypatch.setattr(_recorder, "_SAVE_EVERY_S", 0.2)
    source = (
        "import time\nfor number in range(40):\n    print(number, flush=True)\n    time.sleep(.02)"
    )
    run = _run(tmp_path, code(source))
    assert run.status == "ok"
    assert any('"status": "running"' in text and "5\\n" in text for text in saves)
    assert 3 <= len(saves) <= 12


def test_full_disk_is_told_and_leaves_no_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the executed notebook cannot be written the run ends, in words."""
    write_atomic = fsops.write_atomic
    marker = tmp_path / "pid"

    def full(path: Path, data: bytes) -> None:
        if b'"execution_count": 1' in data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_atomic(path, data)

    monkeypatch.setattr(_recorder, "write_atomic", full)
    with pytest.raises(NotebookFailedError, match="cannot be written; got No space left"):
        _run(tmp_path, code(f"{_PID}; open({str(marker)!r}, 'w').write(str(os.getpid()))"))
    _assert_gone([int(marker.read_text(encoding="utf-8"))])


def test_output_that_cannot_be_written_is_refused_before_the_kernel(tmp_path: Path) -> None:
    """No hour is spent on a run whose result has nowhere to go."""
    marker = tmp_path / "ran"
    source = write(tmp_path / "small.ipynb", code(f"open({str(marker)!r}, 'w').close()"))
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(NotebookFailedError, match="cannot be written"):
        run_notebook(
            source, parameters={}, out=tmp_path / "file" / "out.ipynb", title="T", timeout_s=30
        )
    assert not marker.exists()


def test_listener_that_raises_leaves_no_kernel(tmp_path: Path) -> None:
    """An error in the caller's own progress code reaches the caller, and the kernel is ended."""
    pids: list[int] = []

    def listen(event: NotebookEvent) -> None:
        if event.kind == "cell_start" and event.cell == 2:
            pids.extend(int(line) for line in marker.read_text(encoding="utf-8").split())
            raise ZeroDivisionError

    marker = tmp_path / "pid"
    first = code(f"import os; open({str(marker)!r}, 'w').write(str(os.getpid()))")
    with pytest.raises(ZeroDivisionError):
        _run(tmp_path, first, code("2"), on_event=listen)
    assert pids
    _assert_gone(pids)


@pytest.fixture
def user_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own kernels folder, searched before any other."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    return tmp_path / "jupyter" / "kernels"


def _install(folder: Path, name: str, argv: list[str]) -> None:
    (folder / name).mkdir(parents=True)
    spec = {"argv": argv, "display_name": name, "language": "python"}
    (folder / name / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")


def test_kernel_a_user_installed_is_not_trusted(user_kernels: Path, tmp_path: Path) -> None:
    """A stale user-level python3 is ignored."""
    _install(user_kernels, "python3", [sys.executable, "-c", "raise SystemExit(1)"])
    assert _run(tmp_path, code("1")).status == "ok"


def test_kernel_of_another_environment_is_refused(user_kernels: Path, tmp_path: Path) -> None:
    """A kernel with another prefix never runs a cell."""
    elsewhere = (
        "import sys; from ipykernel import kernelapp; sys.prefix = '/elsewhere';"
        "kernelapp.launch_new_instance()"
    )
    _install(user_kernels, "foreign", [sys.executable, "-c", elsewhere, "-f", "{connection_file}"])
    marker = tmp_path / "ran"
    with pytest.raises(RunError, match=r"not this environment.* got /elsewhere"):
        _run(tmp_path, code(f"open({str(marker)!r}, 'w').close()"), kernel="foreign")
    assert not marker.exists()


def test_kernel_that_does_not_start_is_told(user_kernels: Path, tmp_path: Path) -> None:
    """The last line of a kernel that never came up is in the message."""
    _install(user_kernels, "broken", [sys.executable, "-c", "raise ImportError('no ipykernel')"])
    run = _run(tmp_path, code("1"), kernel="broken")
    assert (run.status, run.failed_cell, run.n_executed) == ("killed", None, 0)
    assert "no ipykernel" in run.error_message
    assert _statuses(run) == ["not_run"]


def test_tcp_where_the_socket_path_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long scratch folder does not end in a socket error."""
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    assert _run(tmp_path, code("1")).status == "ok"


def test_two_runs_give_the_same_notebook(tmp_path: Path) -> None:
    """Apart from times, an executed notebook depends on the source and the parameters only."""

    def bare(run: NotebookRun) -> str:
        node = read(run.executed)
        node.metadata.pop("papermill")
        for cell in node.cells:
            cell.metadata.pop("papermill")
        return json.dumps(node, sort_keys=True)

    source = write(tmp_path / "small.ipynb", PARAMETERS, code("hash('a'), seed"))
    runs = [
        run_notebook(
            source,
            parameters={"seed": 5},
            out=tmp_path / f"{number}.ipynb",
            title="T",
            timeout_s=60,
        )
        for number in range(2)
    ]
    assert bare(runs[0]) == bare(runs[1])


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan"), float("inf")])
def test_time_limit_is_required(tmp_path: Path, timeout_s: float) -> None:
    """A run that could last for ever is refused."""
    with pytest.raises(ParamsError, match="time limit"):
        _run(tmp_path, code("1"), timeout_s=timeout_s)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"nbformat": 4, "cells": 3}']
)
def test_file_that_is_no_notebook_is_refused(tmp_path: Path, content: bytes) -> None:
    """Torn, empty and foreign files end in one sentence that names the file."""
    bad = tmp_path / "bad.ipynb"
    bad.write_bytes(content)
    with pytest.raises(NotebookFailedError, match=r"the notebook bad\.ipynb cannot be read"):
        run_notebook(bad, parameters={}, out=tmp_path / "o.ipynb", title="T", timeout_s=5)


def test_missing_notebook_is_told(tmp_path: Path) -> None:
    """A path that does not exist is named."""
    with pytest.raises(NotebookFailedError, match=r"gone\.ipynb cannot be read"):
        run_notebook(
            tmp_path / "gone.ipynb", parameters={}, out=tmp_path / "o", title="T", timeout_s=5
        )


def test_unknown_kernel_is_told(tmp_path: Path) -> None:
    """A kernel nobody has installed is a usage error."""
    with pytest.raises(ParamsError, match="no such kernel"):
        _run(tmp_path, code("1"), kernel="no-such-kernel")
