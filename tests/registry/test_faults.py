"""The disk refuses, the process is killed, others race: a clear error, nothing lost, on it goes."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.core.clock import ManualClock
from mlwb.core.errors import LockHeldError, MlwbError, StaleStateError, StorageError
from mlwb.registry import REQUIRED_FILES, Registry, VersionInfo

Decide = Callable[..., dict[str, Any]]
DieAt = Callable[[int, Callable[[], object]], bool]
Publish = Callable[..., VersionInfo]
Act = Callable[[Registry], object]


@pytest.fixture
def acts(yes: Decide, serving: Registry) -> dict[str, Act]:
    """What a user does, by name; each moves `latest` or adds v4."""
    decision = yes("v3")
    serving.backup()

    def register(registry: Registry) -> None:
        staging = registry.stage("v4")
        for name in REQUIRED_FILES:
            (staging / name).write_text("four\n")
        registry.register("v4", staging)

    return {
        "promote": lambda registry: registry.promote(
            "v3", decision=decision, expect_current="v2", reason="better"
        ),
        "rollback": lambda registry: registry.rollback(reason="drift"),
        "register": register,
    }


def _copies(serving: Registry, clock: ManualClock) -> Iterator[Registry]:
    """Registries that are equal to the first, as many as wanted."""
    home = serving.models_dir.parent
    for number in itertools.count():
        copy = home.with_name(f"copy-{number}")
        shutil.copytree(home, copy, symlinks=True)
        yield Registry(copy / "models", clock=clock)


class Refusing:
    """Takes the place of ``fsops._do``: one call, the ``step``-th, fails with an error number."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number, self.done = step, number, 0

    def __call__(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Refuse the one call, do any other."""
        self.done += 1
        if self.done == self.step:
            if call is os.write and self.number == errno.ENOSPC:
                call(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise OSError(self.number, os.strerror(self.number))
        return None if call is os.fsync else call(*arguments, **named)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize(
    "name",
    ["rollback", *(pytest.param(name, marks=pytest.mark.slow) for name in ("promote", "register"))],
)
def test_any_call_may_be_refused(
    name: str, number: int, acts: dict[str, Act], *,
    serving: Registry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Whichever call fails: one error by name, a whole latest throughout, and then it works."""
    for step, registry in enumerate(_copies(serving, clock), start=1):
        refusing = Refusing(step, number)
        with monkeypatch.context() as patch:
            patch.setattr(fsops, "_do", refusing)
            said = _refusal(acts[name], registry)
        if refusing.done < step:
            assert step > 8
            return
        assert not said or os.strerror(number) in said
        assert registry.verify("latest") == ()
        assert registry.recover() == ()
        _do_again(acts[name], registry)
        assert registry.recover() == ()
        shutil.rmtree(registry.models_dir.parent)


def _refusal(act: Act, registry: Registry) -> str:
    try:
        act(registry)
    except StorageError as error:
        return str(error)
    return ""


def _do_again(act: Act, registry: Registry) -> None:
    """Repeat what may have happened; either it works or it is done already."""
    before = registry.state()
    if before.latest == "v2" and "v4" not in before.registered:
        act(registry)
        after = registry.state()
        assert after.latest != "v2" or "v4" in after.registered


@pytest.mark.parametrize("name", ["promote", "rollback", "register"])
def test_a_disk_that_takes_a_byte_at_a_time(
    name: str, acts: dict[str, Act], serving: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short writes are continued; nothing notices."""

    def short(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if call is os.write:
            return call(arguments[0], arguments[1][:1])
        return None if call is os.fsync else call(*arguments, **named)

    monkeypatch.setattr(fsops, "_do", short)
    monkeypatch.setattr("mlwb.registry._journal._RESERVE_BYTES", 64)
    acts[name](serving)
    assert serving.recover() == ()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
@pytest.mark.parametrize("name", ["promote", "rollback", "register"])
def test_signals_interrupt_nothing(name: str, acts: dict[str, Act], serving: Registry) -> None:
    """A signal every 200 microseconds, in the middle of system calls, changes nothing."""
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 2e-4, 2e-4)
    try:
        acts[name](serving)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(seen) > 2
    assert serving.recover() == ()


class FullDisk:
    """Takes the place of ``fsops._do``: no room but what is given back by removing files."""

    def __init__(self) -> None:
        self.room = 0

    def __call__(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Do a call when there is room for it."""
        if call is Path.unlink and arguments[0].is_file() and not arguments[0].is_symlink():
            self.room += arguments[0].stat().st_size
        if call is os.write:
            if len(arguments[1]) > self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= len(arguments[1])
        return None if call is os.fsync else call(*arguments, **named)


def test_a_rollback_works_on_a_full_disk(
    acts: dict[str, Act], serving: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the room kept for it; publishing may not and says so, and later keeps room again."""
    reserve = serving.models_dir.parent / ".reserve"
    assert reserve.stat().st_size > 100_000
    with monkeypatch.context() as patch:
        patch.setattr(fsops, "_do", FullDisk())
        with pytest.raises(StorageError, match="space"):
            acts["register"](serving)
        assert serving.latest() == "v2"
        assert acts["rollback"](serving)
        assert serving.latest() == "v1"
        assert not reserve.exists()
    assert serving.recover() == ()
    acts["register"](serving)
    assert reserve.exists()


@pytest.mark.slow
def test_a_kill_loses_nothing_acknowledged(
    acts: dict[str, Act], serving: Registry, *,
    clock: ManualClock, die_at: DieAt, tmp_path: Path,
) -> None:  # fmt: skip
    """Killed at each step of publishing, promoting and rolling back: what was told is kept."""
    told = tmp_path / "told"
    expected = {
        b"": ("v1", "v2"),
        b"r": ("v1", "v2"),
        b"rp": ("v1", "v2", "v3"),
        b"rpb": ("v1", "v2"),
    }

    def work(registry: Registry) -> None:
        for name, letter in (("register", b"r"), ("promote", b"p"), ("rollback", b"b")):
            acts[name](registry)
            with told.open("ab") as handle:
                handle.write(letter)

    for step, registry in enumerate(_copies(serving, clock), start=1):
        told.write_bytes(b"")
        was_killed = die_at(step, partial(work, registry))
        history, known = expected[told.read_bytes()], told.read_bytes()
        assert registry.verify("latest") == ()
        assert registry.recover() == ()
        state = registry.state()
        further = {b"": history, b"r": ("v1", "v2", "v3"), b"rp": ("v1", "v2")}.get(known, history)
        assert state.history in (history, further)
        assert "v4" in state.registered or known == b""
        assert registry.recover() == ()
        assert registry.state() == state
        if not was_killed:
            assert step > 60
            return
        shutil.rmtree(registry.models_dir.parent)


def _race(models_dir: Path, version: str, decision: dict[str, Any], results: Any) -> None:
    registry = Registry(models_dir, clock=ManualClock(), actor=version)
    try:
        registry.promote(version, decision=decision, expect_current="v2", reason="race")
    except (StaleStateError, LockHeldError) as error:
        results.put((error.code, version))
    except BaseException as error:
        results.put((repr(error), version))
        raise
    else:
        results.put(("won", version))


@pytest.mark.slow
def test_of_32_promoters_one_wins(serving: Registry, publish: Publish, yes: Decide) -> None:
    """32 processes promote 32 candidates over v2: one does, 31 are told why not."""
    versions = [f"v{number}" for number in range(4, 36)]
    for version in versions:
        publish(version)
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    workers = [
        fork.Process(
            target=_race, args=(serving.models_dir, version, yes(version, verdicts=[]), results)
        )
        for version in versions
    ]
    for worker in workers:
        worker.start()
    outcomes = [results.get() for _ in versions]
    for worker in workers:
        worker.join()
    winners = [version for outcome, version in outcomes if outcome == "won"]
    assert len(winners) == 1
    assert {outcome for outcome, _ in outcomes} == {"won", "artifact.stale_state"}
    assert serving.state().history == ("v1", "v2", winners[0])
    assert serving.doctor() == ()


def _read(models_dir: Path, n_reads: int, results: Any) -> None:
    """Resolve latest once a read and take two files of it; count those of two versions."""
    registry, mixed, seen = Registry(models_dir, clock=ManualClock()), 0, set()
    for _ in range(n_reads):
        folder = registry.resolve("latest")
        contents = {
            (folder / name).read_bytes().split()[1] for name in ("model.onnx", "sidecar.json")
        }
        mixed += contents != {folder.name.encode()}
        seen.add(folder.name)
    results.put((mixed, sorted(seen)))


def _read_while_flipping(serving: Registry, n_reads: int) -> tuple[int, int]:
    """Mixed reads of two processes, and the flips there were meanwhile."""
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    readers = [
        fork.Process(target=_read, args=(serving.models_dir, n_reads // 2, results))
        for _ in range(2)
    ]
    for reader in readers:
        reader.start()
    flips = 0
    while any(reader.is_alive() for reader in readers):
        serving.rollback("v1" if flips % 2 == 0 else "v2", reason="flip")
        flips += 1
    found = [results.get() for _ in readers]
    assert all(seen == ["v1", "v2"] for _, seen in found), "each reader saw both versions"
    return sum(mixed for mixed, _ in found), flips


@pytest.mark.slow
def test_readers_never_see_a_mixture(serving: Registry) -> None:
    """100,000 reads by two processes while latest goes to and fro: each is of one version."""
    mixed, flips = _read_while_flipping(serving, 100_000)
    assert mixed == 0
    assert flips > 100


def test_a_reader_beside_a_flip_sees_one_version(serving: Registry) -> None:
    """The same in small, in threads of one process."""
    stop = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not stop.is_set():
            folder = serving.resolve("latest")
            content = (folder / "model.onnx").read_bytes().split()[1].decode()
            if content != folder.name:
                wrong.append(content)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for flip in range(10):
            serving.rollback("v1" if flip % 2 == 0 else "v2", reason="flip")
    except MlwbError as error:
        wrong.append(str(error))
    finally:
        stop.set()
        reader.join()
    assert wrong == []
