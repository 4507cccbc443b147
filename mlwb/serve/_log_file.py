"""A log file that several processes append to: set aside when it is large or of another day."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlwb.core import fsops
from mlwb.core.clock import Clock
from mlwb.core.linelog import set_aside_files

__all__ = ["LogFile"]

_SOME_BYTES = 4_096
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_LAST = datetime.max.replace(tzinfo=UTC)


class LogFile:
    """Whole lines only, whoever else writes and whenever the disk gives up.

    Writers hold a lock on the file itself while they append or set aside, so no two of them set
    the same file aside and none writes to a file that is no longer the named one.

    Parameters
    ----------
    path : Path
        Created with its directory by the first append.
    limit : int
        Bytes; a file beyond it is set aside as ``<name>.<UTC time>``.
    hours : float
        A file last written in an earlier span of so many hours (24: on an earlier UTC day) is
        set aside too.
    files : int
        Files set aside that are kept; the oldest beyond it are removed.
    clock : Clock
        Whose day it is.
    """

    def __init__(self, path: Path, *, limit: int, hours: float, files: int, clock: Clock) -> None:
        self._path, self._limit, self._files, self._clock = path, limit, files, clock
        self._span_s = hours * 3600.0

    def append(self, data: bytes) -> None:
        """Append whole lines; all of them, or none.

        Raises
        ------
        OSError
            The disk refuses; nothing of ``data`` stays behind.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = self._open()
        try:
            size = self._mend(descriptor)
            try:
                _write_all(descriptor, data)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)

    def has_room(self) -> bool:
        """Whether some lines could be appended now; nothing is."""
        try:
            descriptor = self._open()
        except OSError:
            return False
        try:
            return fsops.can_append(self._path, _SOME_BYTES)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        """The named file, locked; closing it gives the lock back."""
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                found = os.fstat(descriptor)
                if self._is_named(found):
                    if not self._is_due(found):
                        return descriptor
                    self._set_aside()
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # set aside, by us or by another while we waited

    def _is_named(self, found: os.stat_result) -> bool:
        try:
            return os.path.samestat(found, self._path.stat())
        except FileNotFoundError:
            return False

    def _is_due(self, found: os.stat_result) -> bool:
        now_s = self._clock.now().timestamp()
        of_another_span = found.st_mtime // self._span_s != now_s // self._span_s
        return found.st_size > self._limit or (found.st_size > 0 and of_another_span)

    def _set_aside(self) -> None:
        stamps = (_stamp_of(item, self._path) for item in set_aside_files(self._path))
        last = max(filter(None, stamps), default=None)
        now = self._clock.now()
        # A clock may have been ahead: order is by name, as far as there are names.
        if last is not None and now <= last < _LAST:
            now = last + timedelta(microseconds=1)
        self._path.rename(self._path.with_name(f"{self._path.name}.{now.strftime(_STAMP)}"))
        for old in set_aside_files(self._path)[: -self._files]:
            old.unlink(missing_ok=True)

    def _mend(self, descriptor: int) -> int:
        """Cut half a line that a killed writer left; the size that remains."""
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            size -= fsops.drop_torn_tail(self._path)
        return size


def _stamp_of(path: Path, log: Path) -> datetime | None:
    """When a file of a log was set aside, by its name; None for a file that is none."""
    text = path.name.removeprefix(f"{log.name}.")
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
