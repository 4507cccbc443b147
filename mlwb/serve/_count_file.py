"""The file a worker writes its counts to: taken from the dead, never shared with the living."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from mlwb.core import fsops

__all__ = ["CountFile"]

_MAX_WORKERS = 64
_KEPT_HOURS = 24 * 31
"""The daily check may come a month late."""
_MAX_APPENDED = 240
"""Lines after which the file is written anew, one an hour."""


class CountFile:
    """Lines by hour in a file that no other living process writes to.

    Made by :meth:`take`.

    Parameters
    ----------
    path : Path
        ``<folder>/<number>.jsonl``.
    lock : FileLock
        Held; the system gives it back when the process ends, however it ends.
    """

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self._lock = lock
        self._lines: dict[int, bytes] = {}
        self._unwritten: set[int] = set()
        self._appended = 0

    @classmethod
    def take(cls, folder: Path) -> CountFile | None:
        """The first file without a living writer; None when there are too many writers.

        Raises
        ------
        OSError
            The folder or the file cannot be used.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(_MAX_WORKERS):
            lock = FileLock(folder / f"{number}.lock", timeout=0, thread_local=False)
            try:
                lock.acquire()
            except Timeout:
                continue
            return cls(folder / f"{number}.jsonl", lock)
        return None

    def adopt(self, lines: Mapping[int, bytes]) -> None:
        """Go on from what already stands in the file; the next write tidies it."""
        self._lines, self._appended = _newest(lines), _MAX_APPENDED

    def write(self, lines: Mapping[int, bytes]) -> None:
        """Write the lines of changed hours, and those an earlier call could not write.

        Raises
        ------
        OSError
            The disk refuses; the lines are kept for the next call.
        """
        self._lines = _newest({**self._lines, **lines})
        self._unwritten |= set(lines)
        if not self._unwritten:
            return
        if self._appended >= _MAX_APPENDED:
            whole = b"".join(line + b"\n" for line in self._lines.values())
            fsops.write_atomic(self.path, whole)
            self._appended = 0
        else:
            fsops.drop_torn_tail(self.path)  # an append that failed half way
            for hour in sorted(self._unwritten & set(self._lines)):
                fsops.append_line(self.path, self._lines[hour])
                self._appended += 1
        self._unwritten = set()

    def close(self) -> None:
        """Leave the file to the next worker."""
        self._lock.release()


def _newest(lines: Mapping[int, bytes]) -> dict[int, bytes]:
    return dict(sorted(lines.items())[-_KEPT_HOURS:])
