"""What was appended to a log since one last looked, over the files that were set aside."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from mlwb.core.linelog import set_aside_files

__all__ = ["LogTail"]

_Line = TypeVar("_Line")


class LogTail(Generic[_Line]):
    """Reads each whole line of a log once.

    Parameters
    ----------
    path : Path
        The named file; it need not exist yet. Files set aside beside it are read too.
    parse : callable
        Reads one line.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], _Line]) -> None:
        self._path, self._parse = path, parse
        self._read: dict[tuple[int, int], int] = {}

    def skip(self) -> None:
        """Pass over all that stands there now."""
        for path in (*set_aside_files(self._path), self._path):
            self._new_of(path)

    def new(self) -> list[_Line]:
        """Lines since the last call, oldest file first.

        Raises
        ------
        EvidenceSchemaError
            A line cannot be read.
        """
        lines: list[_Line] = []
        for path in (*set_aside_files(self._path), self._path):
            lines += map(self._parse, self._new_of(path))
        return lines

    def _new_of(self, path: Path) -> list[bytes]:
        """Whole lines of one file that were not read; known by its inode, whatever its name."""
        try:
            with path.open("rb") as handle:
                found = os.fstat(handle.fileno())
                key = found.st_dev, found.st_ino
                start = self._read.get(key, 0)
                handle.seek(start)
                data = handle.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self._read[key] = start + end
        return data[:end].splitlines()
