"""Log lines through a bounded buffer, written by a thread of their own."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

from mlwb.core.predictionlog import PredictionLine, encode_line

__all__ = ["LineLog"]

_CAPACITY = 16_384
_FLUSH_S = 0.2


class LineLog:
    """Appends prediction lines to a file without making a request wait.

    Parameters
    ----------
    path : Path
        Created with its directory when the first line comes.
    limit : int
        Bytes; a file beyond it becomes ``<name>.1``, replacing the one before.
    capacity : int
        Lines that may wait; more are dropped and counted.
    """

    def __init__(self, path: Path, limit: int, capacity: int = _CAPACITY) -> None:
        self.dropped = 0
        self._path, self._limit, self._capacity = path, limit, capacity
        self._waiting: deque[PredictionLine] = deque()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start writing."""
        self._closing.clear()
        self._thread = threading.Thread(target=self._work, name="mlwb-log", daemon=True)
        self._thread.start()

    def add(self, line: PredictionLine) -> None:
        """Hand over one line; it is dropped and counted when too many wait."""
        if len(self._waiting) < self._capacity:
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
            self._rotate()
            with self._path.open("ab") as handle:
                handle.write(b"".join(map(encode_line, lines)))
        except OSError:
            # A full disk must not stop the server; the count tells of it.
            self.dropped += len(lines)

    def _rotate(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size > self._limit:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
