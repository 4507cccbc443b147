"""Whether a file is another than it was, without reading it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

__all__ = ["FileStamp", "file_stamp"]

FileStamp: TypeAlias = tuple[int, int, int, int]


def file_stamp(path: Path) -> FileStamp | None:
    """What differs once a file was written or replaced; None where there is none.

    The time of the last change is part of it: unlike that of the last writing it cannot be set
    back, whatever is done to a file.

    Raises
    ------
    OSError
        It cannot be looked at.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - every look; half the price of Path.stat
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
