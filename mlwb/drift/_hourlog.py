"""Live counts on disk: one line for every hour of every worker, read back by anyone.

``<folder>/<version>/<worker>.jsonl``. A line holds all a worker has counted in one hour so far;
a later line of that hour in the same file replaces it, files add up. Writing a line twice changes
nothing, and a writer that dies loses what it had not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes
from mlwb.drift._live import HourTable, merge_hours

__all__ = ["CheckNote", "HourLog", "encode_hour", "hour_logs", "read_hour_log", "read_live_hours"]

_NOTE = "check.json"

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
"""More rows in an hour than anybody serves; sums over months and workers stay whole numbers."""


class _HourLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One hour of one worker; ``reference`` is the digest of the file its edges come from."""

    version: str
    reference: str
    hour: _Count
    counts: list[list[_Count]]
    schema: Literal["mlwb.drift-hours/1"] = "mlwb.drift-hours/1"


class CheckNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the last daily check found, for the server to show.

    Parameters
    ----------
    version, reference : str
        Checked version and the digest of its reference.
    day : str
        Last UTC day that was looked at, ``YYYY-MM-DD``.
    e_value : float
        Highest evidence so far against "nothing has changed", the mean over features.
    schema : str
        ``"mlwb.drift-note/1"``.
    """

    version: str
    reference: str
    day: str
    e_value: float
    schema: Literal["mlwb.drift-note/1"] = "mlwb.drift-note/1"

    @classmethod
    def read(cls, folder: Path, version: str, reference: str) -> CheckNote | None:
        """The note about a version and reference; None without one that can be read."""
        try:
            note = msgspec.json.decode(fsops.read_bytes(folder / version / _NOTE), type=cls)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return note if (note.version, note.reference) == (version, reference) else None

    def write(self, folder: Path) -> None:
        """Replace the note of its version in one step."""
        value = {name: getattr(self, name) for name in self.__struct_fields__}
        fsops.write_atomic(folder / self.version / _NOTE, canonical_bytes(value) + b"\n")


@dataclass(frozen=True)
class HourLog:
    """What one or many files of counts hold.

    Parameters
    ----------
    hours : dict of int to HourTable
        Counts by clock hour.
    damaged : int
        Lines that could not be read, a torn end among them, or whose columns do not hold the same
        number of rows.
    foreign : int
        Lines counted against another reference, left out.
    """

    hours: dict[int, HourTable]
    damaged: int = 0
    foreign: int = 0


_DECODE = msgspec.json.Decoder(_HourLine).decode
_ENCODE = msgspec.json.Encoder().encode


def encode_hour(version: str, reference: str, hour: int, table: HourTable) -> bytes:
    """Line of one hour, without its newline.

    Parameters
    ----------
    version, reference : str
        Model version, and the digest of the reference its edges come from.
    hour : int
        Clock hour since 1970.
    table : HourTable
        All rows of that hour so far.
    """
    return _ENCODE(_HourLine(version, reference, hour, table))


def hour_logs(folder: Path, version: str) -> list[Path]:
    """Files of all workers that have counted for a version, in order of their numbers."""
    found = [path for path in (folder / version).glob("*.jsonl") if path.stem.isdecimal()]
    return sorted(found, key=lambda path: int(path.stem))


def read_hour_log(path: Path, reference: str, shape: Sequence[int]) -> HourLog:
    """Read the counts of one worker.

    Parameters
    ----------
    path : Path
        A missing file holds nothing.
    reference : str
        Digest of the reference the counts must belong to.
    shape : sequence of int
        Cells of each column.

    Returns
    -------
    HourLog
    """
    hours: dict[int, HourTable] = {}
    damaged = foreign = 0
    try:
        lines = fsops.read_bytes(path).split(b"\n")
    except FileNotFoundError:
        return HourLog({})
    torn = lines.pop()
    for data in lines:
        try:
            line = _DECODE(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            damaged += 1
            continue
        if line.reference != reference:
            foreign += 1
        elif [len(cells) for cells in line.counts] != list(shape) or not _is_whole(line.counts):
            damaged += 1
        else:
            hours[line.hour] = line.counts
    return HourLog(hours, damaged + bool(torn), foreign)


def _is_whole(table: HourTable) -> bool:
    """Whether there are rows, and each stands in one cell of every column."""
    rows = {sum(cells) for cells in table}
    return len(rows) == 1 and rows != {0}


def read_live_hours(folder: Path, version: str, reference: str, shape: Sequence[int]) -> HourLog:
    """Read what all workers have counted for a version.

    Parameters
    ----------
    folder : Path
        ``artifacts/drift``.
    version : str
        Model version.
    reference : str
        Digest of its ``reference_distributions.json``.
    shape : sequence of int
        Cells of each column: the features in the order of the sidecar, then the score.

    Returns
    -------
    HourLog
    """
    found = [read_hour_log(path, reference, shape) for path in hour_logs(folder, version)]
    return HourLog(
        merge_hours(*(part.hours for part in found)),
        sum(part.damaged for part in found),
        sum(part.foreign for part in found),
    )
