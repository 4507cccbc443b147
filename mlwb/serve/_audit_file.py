"""The file of the audit log: chained lines, files set aside, a head that remembers the end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock, Timeout

from mlwb.core import fsops
from mlwb.core.canonical import JsonValue, parse_json
from mlwb.core.chain import Chain, Head, Problem, next_link
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import MlwbError
from mlwb.core.signing import Signer
from mlwb.serve._audit_check import last_line_with, parts_of, segment, segments
from mlwb.serve._audit_head import EMPTY, AuditHead, whole_audit_problems

__all__ = ["AuditFile", "AuditLine"]

AuditLine: TypeAlias = dict[str, JsonValue]

_LOG = logging.getLogger("mlwb.serve")
_LOCK_S = 5.0
# A line is shorter than this, whatever its fields hold: recent() reads that much a line.
_LINE_BYTES = 8_192
_CARRIED = ("outcome", "keys_before", "keys_after")
_NAMED = 20  # problems that get a line of their own


class AuditFile:
    """A :class:`mlwb.core.chain.Chain` that several processes append to, each under its lock.

    Beyond its limit the file is set aside as ``audit.log.1``, ``.2``, ... and the first line of
    the new one names the digest of the last line of the old one.

    Parameters
    ----------
    path : Path
        ``audit.log``; need not exist.
    clock : Clock
        Stamps the lines it adds itself.
    limit : int
        Bytes before it is set aside.
    signer : Signer, optional
        Signs the kept head, where it can.
    promotions : Path, optional
        ``promotions.log``, which remembers how far this log had come.

    Attributes
    ----------
    newest : Head or None
        The line appended last, None before the first: who cuts the file or chains it anew does not
        know that it is remembered here.
    tampered : str
        What is wrong with the end of the log, one stable word; empty for nothing.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        limit: int,
        signer: Signer | None = None,
        promotions: Path | None = None,
    ) -> None:
        self.newest: Head | None = None
        self.tampered = ""
        self._path, self._clock, self._limit = path, clock, limit
        self._signer, self._promotions = signer, promotions
        self._has_unkept = False

    def append(self, line: AuditLine) -> None:
        """Add a line, behind those about an end that somebody cut off: it would hide the cut.

        Raises
        ------
        OSError, Timeout, MlwbError
            It was not added.
        """
        fsops.make_dirs(self._path.parent)
        with self._locked():
            kept = AuditHead(self._path, self._signer)
            if not (parts_of(self._path)[0].exists() or kept.path.exists()):
                kept.keep(EMPTY)
            for body in (*self._cut(), line):
                self._turn()
                link = Chain(self._path).append(body)
        self._has_unkept = True
        self.newest = Head(link.seq, link.sha256, kept_by="this server")

    def keep_head(self) -> None:
        """Write down how far the log has come, once for many lines; never less than was said.

        Raises
        ------
        OSError, Timeout, MlwbError
            It was not written.
        """
        if not self._has_unkept:
            return
        with self._locked():
            head = Chain(self._path).head()
            if head is not None:
                AuditHead(self._path, self._signer).keep(head.as_head)
        self._has_unkept = False

    def has_room(self) -> bool:
        """Whether a line could be added now; none is."""
        try:
            fsops.make_dirs(self._path.parent)
            with self._locked():
                Chain(self._path).head()
                return fsops.can_append(self._path, _LINE_BYTES)
        except (OSError, Timeout, MlwbError):
            return False

    def look(self) -> list[AuditLine]:
        """Lines to be added where the log does not stand as it was left.

        Raises
        ------
        OSError, MlwbError
            It cannot be read.
        """
        return self._told(self.problems(is_quick=True)[:_NAMED])

    def problems(self, *, is_quick: bool = False) -> tuple[Problem, ...]:
        """Everything wrong with the log, by all that is remembered of it. Reads all of it.

        Parameters
        ----------
        is_quick : bool, default=False
            Ask only whether the remembered lines are there.
        """
        return self._problems(self._promotions, is_quick=is_quick)

    def recent(self, limit: int) -> list[Mapping[str, JsonValue]]:
        """The newest lines, newest first.

        Parameters
        ----------
        limit : int
            Lines at most.
        """
        found: list[Mapping[str, JsonValue]] = []
        for line in reversed(_tail(self._path, limit)):
            try:
                value = parse_json(line)
            except MlwbError:
                continue  # damaged; the chain check names it
            if isinstance(value, dict):
                found.append(value)
        return found[:limit]

    def _problems(self, promotions: Path | None, *, is_quick: bool) -> tuple[Problem, ...]:
        newest = [] if self.newest is None else [self.newest]
        return whole_audit_problems(
            self._path,
            signer=self._signer,
            promotions=promotions,
            newest=newest,
            is_quick=is_quick,
        )

    def _locked(self) -> FileLock:
        return FileLock(f"{self._path}.lock", timeout=_LOCK_S)

    def _cut(self) -> list[AuditLine]:
        last = Chain(self._path).head()
        if self.tampered or (last and self.newest and last.sha256 == self.newest.sha256):
            return []
        # Not by the promotions: all of them would be read, for each line of another process.
        return self._told(self._problems(None, is_quick=True))

    def _told(self, problems: tuple[Problem, ...]) -> list[AuditLine]:
        self.tampered = problems[0].kind if problems else ""
        for problem in problems:
            _LOG.error("the audit log: %s", problem)
        stamp = format_utc(self._clock.now())
        said = {"ts": stamp, "what": "audit", "outcome": "found", "who": "server", "route": ""}
        return [{**said, "reason": str(problem), "request_id": ""} for problem in problems]

    def _turn(self) -> None:
        """Set a file beyond its limit aside; killed half way, the next line does the rest."""
        path = self._path
        if not path.exists() or path.stat().st_size <= self._limit:
            return
        head, parts = Chain(path).head(), segments(path)
        if not parts or Chain(parts[-1]).head() != head:
            fsops.link_new(path, segment(path, len(parts) + 1))
        first: AuditLine = {
            "ts": format_utc(self._clock.now()),
            "what": "continue",
            "after": "" if head is None else head.sha256,
            **_carried(path),
        }
        fsops.write_atomic(path, next_link(first, None).line + b"\n")


def _carried(path: Path) -> AuditLine:
    """What the newest line about the key file says of it: no file set aside is asked for it."""
    line = last_line_with(path, _CARRIED[-1]) or {}
    return {name: line[name] for name in _CARRIED if name in line}


def _tail(path: Path, limit: int) -> list[bytes]:
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
            start = max(0, size - limit * _LINE_BYTES)
            handle.seek(start)
            lines = handle.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    return lines[1 if start else 0 :]
