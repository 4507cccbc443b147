"""The command line as its tests start it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlwb.cli import main

Main = Callable[..., tuple[int, str, str]]
"""Arguments in; exit code, standard output and standard error out."""


@pytest.fixture
def main_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Main]:
    """The command line in this process, in a home of its own: exit code, output, errors."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mlwb", *arguments])
        code = main()
        return code, *capsys.readouterr()

    before = signal.getsignal(signal.SIGTERM)  # which a run takes for itself
    yield run
    signal.signal(signal.SIGTERM, before)
