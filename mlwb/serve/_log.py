"""Log lines through a bounded buffer, written by a thread of their own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlwb.core.clock import Clock, SystemClock
from mlwb.core.featurelog import FeatureLine
from mlwb.core.predictionlog import PredictionLine, encode_line
from mlwb.serve._access import AccessLine
from mlwb.serve._log_file import LogFile

__all__ = ["LineLog"]

_CAPACITY = 16_384
_FLUSH_S = 0.2


class LineLog:
    """Appends lines to a file without making a request wait.

    Parameters
    ----------
    path : Path
        Created with its directory when the first line comes.
    limit : int
        Bytes; a file beyond it is set aside, see :class:`LogFile`.
    capacity : int
        Lines that may wait; more are dropped and counted.
    encode : callable
        Bytes of a line, with its newline; those of a prediction line when not given.
    hours : float
        A file of an earlier span of so many hours is set aside too.
    files : int
        Files set aside that are kept.
    clock : Clock, optional
        The machine's when not given.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        capacity: int = _CAPACITY,
        *,
        encode: Callable[[Any], bytes] = encode_line,
        hours: float = 24.0,
        files: int = 16,
        clock: Clock | None = None,
    ) -> None:
        self.dropped = 0
        self.capacity, self._encode = capacity, encode
        self._file = LogFile(
            path, limit=limit, hours=hours, files=files, clock=clock or SystemClock()
        )
        self._waiting: deque[PredictionLine | FeatureLine | AccessLine] = deque()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Lines not written yet."""
        return len(self._waiting)

    def start(self) -> None:
        """Start writing."""
        self._closing.clear()
        self._thread = threading.Thread(target=self._work, name="mlwb-log", daemon=True)
        self._thread.start()

    def add(self, line: PredictionLine | FeatureLine | AccessLine) -> None:
        """Hand over one line; it is dropped and counted when too many wait."""
        if len(self._waiting) < self.capacity:
            self._waiting.append(line)
        else:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits and stop."""
        if self._thread is not None:
            self._closing.set()
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while not self._closing.wait(_FLUSH_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not lines:
            return
        try:
            self._file.append(b"".join(map(self._encode, lines)))
        except OSError:
            # A full disk must not stop the server; the count tells of it.
            self.dropped += len(lines)
