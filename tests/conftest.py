"""Fixtures every room may use."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from mlwb.core import fsops
from mlwb.core.clock import ManualClock
from mlwb.core.imports import without_iri_grammar

with without_iri_grammar():
    importlib.import_module("jsonschema")  # by a test first, it would cost every worker a second

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)  # a red build can be repeated
settings.load_profile("ci" if os.environ.get("CI") else "default")

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded market data beside the checkout; the test skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip("recorded market data is not beside this checkout (../shared/data)")
    return REAL_DATA


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], Any]:
    """Import a peer library that only tests use; skips where `make test` has not installed it."""
    folder = Path(sys.prefix) / "oracles"
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))

    def found(name: str) -> Any:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            pytest.skip(f"{name} is not installed; `make test` puts it beside the environment")

    return found


@pytest.fixture(scope="session")
def peers_python() -> str:
    """The interpreter that has the peer servers and clients; skips where it is not set up."""
    found = Path(sys.prefix) / "peers" / "bin" / "python"
    if not found.exists():
        pytest.skip("peer servers and clients are not installed; `make test` sets them up")
    return str(found)


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Path of a program such as promtool or wrk; skips where the machine has none."""
    beside = Path(sys.prefix) / "tools" / "usr" / "bin"

    def found(name: str) -> str:
        path = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
        if path is None:
            pytest.skip(f"{name} is not installed; .ci/tools unpacks it beside the environment")
        return path

    return found


@pytest.fixture
def clock() -> ManualClock:
    """A clock that starts on 2026-01-01T00:00:00Z and moves when told to."""
    return ManualClock()


def _unsynced(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    return None if call is os.fsync else call(*arguments, **named)


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """File operations without waiting for the disk; what is durable has tests of its own."""
    monkeypatch.setattr(fsops, "_do", _unsynced)
    return _unsynced


@pytest.fixture
def die_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], bool]:
    """Run an action in a child that is killed before its n-th file operation.

    A write that is the n-th leaves half of its bytes behind. True when the child was killed.
    """

    def run(step: int, action: Callable[[], object]) -> bool:
        child = os.fork()
        if child == 0:
            _arm(monkeypatch, step)
            action()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the action itself failed"
        return os.WIFSIGNALED(status)

    return run


def _arm(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    done = [0]

    def counted(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        done[0] += 1
        if done[0] == step:
            if call is os.write:
                call(arguments[0], arguments[1][: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return None if call is os.fsync else call(*arguments, **named)  # a kill loses no writes

    monkeypatch.setattr(fsops, "_do", counted)
