"""What a killed writer left beside the file it was about to replace; found, and cleared away.

:func:`mlwb.core.fsops.temporary` gives such files one form, with the process in it. None of them is
ever read, so nothing is lost with them; they only pile up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from mlwb.core import fsops

__all__ = ["clear_leftovers", "leftovers"]

_FORM = re.compile(r"\..+\.(?:(\d{1,10})-)?[0-9a-f]{8,12}\.tmp")
_SETTLED_S = 60.0
"""A younger one is left alone: another machine may write here, whose processes are not ours."""
_FORGOTTEN_S = 3_600.0
"""No write takes so long; a process of the same number is another one."""


def leftovers(folder: Path, now: datetime, *, is_deep: bool = False) -> tuple[Path, ...]:
    """Temporary files that nobody will finish: of a dead process, or too old to be anybody's.

    Parameters
    ----------
    folder : Path
        Need not exist.
    now : datetime
        UTC.
    is_deep : bool, default=False
        Look into folders below it too.
    """
    found = folder.rglob(".*.tmp") if is_deep else folder.glob(".*.tmp")
    return tuple(sorted(path for path in found if _is_left(path, now)))


def clear_leftovers(folders: Iterable[Path], now: datetime) -> tuple[Path, ...]:
    """Remove them from the folders themselves, not from those below; what was removed.

    Never raises for what the disk refuses: they are in nobody's way.

    Parameters
    ----------
    folders : iterable of Path
        Of files that their owner writes; need not exist.
    now : datetime
        UTC.
    """
    return tuple(_cleared(dict.fromkeys(folders), now))


def _cleared(folders: Iterable[Path], now: datetime) -> Iterator[Path]:
    for folder in folders:
        with suppress(OSError):
            for path in leftovers(folder, now):
                fsops.remove_file(path)
                yield path


def _is_left(path: Path, now: datetime) -> bool:
    form = _FORM.fullmatch(path.name)
    if form is None:
        return False
    try:
        age_s = now.timestamp() - path.lstat().st_mtime
    except OSError:  # finished meanwhile
        return False
    if age_s >= _FORGOTTEN_S:
        return True
    return age_s >= _SETTLED_S and form[1] is not None and _is_gone(int(form[1]))


def _is_gone(pid: int) -> bool:
    if os.name != "posix":
        return False  # asking would end the process there
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
