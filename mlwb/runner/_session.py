"""The state of one notebook run: what happened, told once, by the parent process."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from mlwb.core.clock import Clock, SystemClock

__all__ = ["EventKind", "Failure", "NotebookEvent", "RunStatus", "Session", "plain_text"]

RunStatus: TypeAlias = Literal["ok", "failed", "timeout", "killed", "interrupted"]
EventKind: TypeAlias = Literal["start", "cell_start", "cell_end", "end"]

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PATH = re.compile(r"(?:(?<=[\s'\"(=\[<,])|^)(?:[A-Za-z]:\\|/|~/)(?:[^\s'\"<>:,;()\[\]]+[\\/])+")


@dataclass(frozen=True)
class NotebookEvent:
    """Progress of a run, for a bar or a log line.

    Parameters
    ----------
    kind : {"start", "cell_start", "cell_end", "end"}
    cell : int
        Code cell, counted from 1; 0 for ``start`` and ``end``.
    n_cells : int
        Code cells in the notebook.
    label : str
        The heading the cell stands under.
    seconds : float
        Since the run began.
    status : str
        State of the run so far: ``running``, or a final status.
    """

    kind: EventKind
    cell: int
    n_cells: int
    label: str
    seconds: float
    status: str


@dataclass(frozen=True)
class Failure:
    """Why a run did not end well.

    Parameters
    ----------
    status : RunStatus
    index : int
        Position in ``nb.cells``; -1 when no cell was running.
    name, message : str
        Error name and its trimmed message.
    """

    status: RunStatus
    index: int
    name: str
    message: str


@dataclass
class Session:
    """Shared by the caller's thread, which may interrupt, and the thread that runs the cells.

    Parameters
    ----------
    title : str
    out : Path
        Where the executed notebook is written.
    cwd : Path
        Working directory of the kernel.
    environ : dict
        Environment of the kernel, complete.
    folder : Path
        Private scratch folder.
    timeout_s : float
        For the whole run.
    on_event : callable, optional
    clock : Clock
    """

    title: str
    source: str
    out: Path
    cwd: Path
    environ: dict[str, str]
    folder: Path
    timeout_s: float
    on_event: Callable[[NotebookEvent], None] | None = None
    clock: Clock = field(default_factory=SystemClock)
    failure: Failure | None = None
    interpreter: str = ""
    n_cells: int = 0
    n_executed: int = 0
    failed_cell: int | None = None
    executed_digest: str = ""

    def __post_init__(self) -> None:
        self._began_s = self.clock.monotonic_s()
        self._interrupted = threading.Event()
        self._kill: Callable[[], None] | None = None

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self.clock.monotonic_s() - self._began_s

    @property
    def left_s(self) -> float:
        """Until the deadline; never quite 0, which Jupyter reads as "for ever"."""
        return max(self.timeout_s - self.seconds, 0.001)

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.seconds >= self.timeout_s

    @property
    def is_interrupted(self) -> bool:
        """Whether the caller asked to stop."""
        return self._interrupted.is_set()

    def interrupt(self) -> None:
        """Stop the run: the kernel is ended now, or as soon as it exists."""
        self._interrupted.set()
        if self._kill is not None:
            self._kill()

    def watch(self, kill: Callable[[], None]) -> None:
        """Tell how to end the kernel; ends it at once if the interrupt came first."""
        self._kill = kill
        if self.is_interrupted:
            kill()

    def emit(self, kind: EventKind, *, cell: int = 0, label: str = "") -> None:
        """Tell the caller what just happened."""
        if self.on_event is None:
            return
        status = self.failure.status if self.failure else ("ok" if kind == "end" else "running")
        self.on_event(NotebookEvent(kind, cell, self.n_cells, label, self.seconds, status))


def plain_text(text: str, limit: int = 300) -> str:
    r"""One line for people: no terminal colours, no absolute paths, at most ``limit`` characters.

    Examples
    --------
    >>> plain_text("no such file: '/srv/data/bars.csv'\n")
    "no such file: '…/bars.csv'"
    """
    line = " ".join(short_paths(_ANSI.sub("", text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def short_paths(text: str) -> str:
    """The same text with the folders of absolute paths left out."""
    return _PATH.sub("…/", text)
