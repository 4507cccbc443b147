"""The counts of one version: in memory by hour, on disk in a file of this worker."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from mlwb.core.arrays import Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import (
    HOUR_S,
    CheckNote,
    FeatureReference,
    HourLog,
    HourTable,
    LiveCounts,
    PsiResult,
    chance_limit,
    covered_share,
    encode_hour,
    hour_logs,
    merge_hours,
    psi_of_counts,
    read_hour_log,
    window_counts,
)
from mlwb.serve._count_file import CountFile
from mlwb.serve._rows import as_table

__all__ = ["VersionDrift"]

_MANY_ROWS = 128
"""Rows that wait until they are counted by one call: half the time of counting each."""
_AHEAD_HOURS = 24


class VersionDrift:
    """Counts of one version in this server.

    Parameters
    ----------
    version, digest : str
        Model version, and the digest of its reference.
    references : sequence of FeatureReference
        Features in the order of the sidecar, then the score.
    folder : Path, optional
        ``artifacts/drift``; None keeps the counts in memory only.
    """

    def __init__(
        self,
        version: str,
        digest: str,
        references: Sequence[FeatureReference],
        folder: Path | None,
    ) -> None:
        self.version, self.digest, self.references = version, digest, references
        self._counts = LiveCounts([item.bins.edges.tolist() for item in references])
        self.others: dict[int, HourTable] = {}
        self.note: CheckNote | None = None
        self.damaged = 0
        self._folder = folder
        self._file: CountFile | None = None
        self._writing = threading.Lock()
        self._hour = 0
        self._rows: list[tuple[float, ...]] = []
        self._scores: list[float] = []

    @property
    def has_no_file(self) -> bool:
        """Whether counts should be kept and are not."""
        return self._folder is not None and self._file is None

    def add(self, rows: Sequence[tuple[float, ...]], scores: Sequence[float], ts: float) -> None:
        """Count the rows of one request; called from the event loop."""
        hour = int(ts) // HOUR_S
        if hour != self._hour:
            self._settle()
            self._hour = hour
        self._rows += rows
        self._scores += scores
        if len(self._rows) >= _MANY_ROWS:
            self._settle()

    @property
    def counts(self) -> LiveCounts:
        """All rows added so far; for the event loop."""
        self._settle()
        return self._counts

    def _settle(self) -> None:
        """Count the rows that wait."""
        if not self._rows:
            return
        table = np.column_stack([as_table(self._rows), self._scores])
        self._rows, self._scores = [], []
        self._counts.add_rows(table, self._hour * HOUR_S)

    def acquire(self) -> tuple[CountFile, HourLog] | None:
        """A file to write to and what stands in it; on any thread.

        Raises
        ------
        OSError
            The disk refuses.
        """
        file = None if self._folder is None else CountFile.take(self._folder / self.version)
        if file is None:
            return None
        return file, read_hour_log(file.path, self.digest, self._counts.shape)

    def attach(self, found: tuple[CountFile, HourLog] | None, now_s: float) -> None:
        """Go on from what a worker before this one had counted; on the event loop.

        Hours of days to come, of a clock that was wrong, stay in the file: held here, they would
        push out those of now.
        """
        if found is None:
            return
        self._file, log = found
        self._file.adopt({hour: self._line(hour, table) for hour, table in log.hours.items()})
        self.damaged += log.damaged
        last = int(now_s) // HOUR_S + _AHEAD_HOURS
        self._counts.merge({hour: table for hour, table in log.hours.items() if hour <= last})

    def write(self, changed: Mapping[int, HourTable]) -> None:
        """Write changed hours, and read what other workers and the daily check have written.

        Raises
        ------
        OSError
            The disk refuses; the hours are kept for the next call.
        """
        if self._folder is None:
            return
        with self._writing:
            if self._file is not None:
                self._file.write({hour: self._line(hour, changed[hour]) for hour in changed})
            own = None if self._file is None else self._file.path
            files = [path for path in hour_logs(self._folder, self.version) if path != own]
            shape = self._counts.shape
            logs = [read_hour_log(path, self.digest, shape) for path in files]
            self.others = merge_hours(*(log.hours for log in logs))
            self.note = CheckNote.read(self._folder, self.version, self.digest)

    def close(self) -> None:
        """Let another worker have the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def window(self, now_s: float, hours: int) -> tuple[list[Int1D], list[int]]:
        """Rows of the last clock hours by column, and which of these hours have any."""
        last = int(now_s) // HOUR_S
        span = range(last - hours + 1, last + 1)
        parts = (self.counts.hours, self.others)
        seen = [hour for hour in span if any(hour in part for part in parts)]
        return window_counts(parts, span), seen

    def psi(self, counts: Sequence[Int1D]) -> dict[str, PsiResult]:
        """PSI of each column against its reference, by name; empty without rows."""
        pairs = zip(self.references, counts, strict=True) if counts else ()
        return {ref.name: psi_of_counts(ref.name, ref.bins.counts, rows) for ref, rows in pairs}

    @cached_property
    def limits(self) -> dict[str, tuple[float | None, float | None]]:
        """PSI that chance alone stays below in 19 of 20 days, and of weeks; not on the event loop.

        None where the reference is too short to say.
        """
        return {item.name: (_limit(item, days=1), _limit(item, days=7)) for item in self.references}

    def covered(self, seen: Sequence[int]) -> float:
        """Share of the reference's day in the hours with rows."""
        return covered_share(self.references[0].blocks, seen)

    def _line(self, hour: int, table: HourTable) -> bytes:
        return encode_hour(self.version, self.digest, hour, table)


def _limit(reference: FeatureReference, *, days: int) -> float | None:
    try:
        return chance_limit(reference.name, reference.blocks.daily, window_blocks=days)
    except EmptyWindowError:
        return None
