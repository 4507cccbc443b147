"""Log lines through a bounded buffer, written by a thread of their own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from mlwb.core.clock import Clock, SystemClock
from mlwb.core.featurelog import FeatureLine
from mlwb.core.predictionlog import PredictionLine
from mlwb.serve._access import AccessLine
from mlwb.serve._log_file import LogFile

__all__ = ["LineLog"]

_LOG = logging.getLogger("mlwb.serve")
_CAPACITY = 65_536
_FLUSH_S = 0.2
_encode_lines = msgspec.json.Encoder().encode_lines

Line: TypeAlias = PredictionLine | FeatureLine | AccessLine


class LineLog:
    """Appends lines to a file without making a request wait.

    Lines become bytes where they are handed over, a few at a time. The thread does nothing but
    write them: encoding those of a fifth of a second at once, it would hold the interpreter, and
    every request with it, for milliseconds.

    Parameters
    ----------
    path : Path
        Created with its directory when the first line comes.
    limit : int
        Bytes; a file beyond it is set aside, see :class:`LogFile`.
    capacity : int
        Lines that may wait; more are dropped and counted.
    hours : float
        A file of an earlier span of so many hours is set aside too.
    files : int
        Files set aside that are kept.
    clock : Clock, optional
        The machine's when not given.

    Attributes
    ----------
    problem : str
        A stable word while the disk refuses lines, else empty.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        capacity: int = _CAPACITY,
        *,
        hours: float = 24.0,
        files: int = 16,
        clock: Clock | None = None,
    ) -> None:
        self.capacity, self.problem = capacity, ""
        self._file = LogFile(
            path, limit=limit, hours=hours, files=files, clock=clock or SystemClock()
        )
        self._waiting: deque[tuple[bytes, int]] = deque()
        # Each number is changed by one thread: the loop's or the writer's.
        self._n_added = self._n_taken = self._n_refused = self._n_failed = 0
        self._wake, self._is_closing = threading.Event(), False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Lines not written yet."""
        return self._n_added - self._n_taken

    @property
    def dropped(self) -> int:
        """Lines lost: too many waited, or the disk refused."""
        return self._n_refused + self._n_failed

    def start(self) -> None:
        """Start writing."""
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="mlwb-log", daemon=True)
        self._thread.start()

    def add(self, line: Line) -> None:
        """Hand over one line."""
        self.extend((line,))

    def extend(self, lines: Sequence[Line]) -> None:
        """Hand over lines; those that come when too many wait are dropped and counted."""
        free = self.capacity - self.waiting
        if len(lines) > free:
            self._n_refused += len(lines) - free
            lines = lines[:free]
        if lines:
            self._waiting.append((_encode_lines(lines), len(lines)))
            self._n_added += len(lines)
            if len(lines) > free - self.capacity // 2:  # more than half of what may wait
                self._wake.set()

    def close(self) -> None:
        """Write what waits and stop."""
        if self._thread is not None:
            self._is_closing = True
            self._wake.set()
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while not self._is_closing:
            self._wake.wait(_FLUSH_S)
            self._wake.clear()
            self.write()
        self.write()

    def write(self) -> None:
        """Write what waits, on this thread; one at a time."""
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not taken:
            if self.problem and self._file.has_room():
                self.problem = ""
            return
        n_lines = sum(n for _, n in taken)
        self._n_taken += n_lines
        try:
            self._file.append(b"".join(data for data, _ in taken))
            self.problem = ""
        except Exception as error:  # noqa: BLE001 - it would end the thread, and no line be missed
            # A full disk must not stop the server; the count and health tell of it.
            if not isinstance(error, OSError):
                _LOG.exception("log lines cannot be written")
            self._n_failed += n_lines
            self.problem = "unwritable"
