"""What was done with the power a key gives: one chained line a call, written behind the answer.

The file is ``artifacts/audit.log`` (:mod:`mlwb.serve._audit_file`), a chain: an edited, removed or
moved line shows, and the kept head (:mod:`mlwb.serve._audit_head`) shows a cut end.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path

from filelock import Timeout

from mlwb.core.canonical import JsonValue
from mlwb.core.chain import Head, Problem
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import MlwbError
from mlwb.core.signing import Signer
from mlwb.serve._audit_file import AuditFile, AuditLine

__all__ = ["AuditLog"]

_LOG = logging.getLogger("mlwb.serve")
_CAPACITY = 1_024
_TEXT = 300
_CALLS = _CAPACITY // 2  # places that single calls may take; the rest are for what was done
_IN_MEMORY = 1_000


class AuditLog:
    """Who called what, and how it ended.

    Parameters
    ----------
    path : Path or None
        None keeps the newest lines in memory only.
    clock : Clock
        Stamps the lines.
    limit, signer, promotions
        As :class:`mlwb.serve._audit_file.AuditFile`.
    every_s : float, default=60.0
        Attempts of callers that are nobody or may not are counted, and written as one line for
        each reason, key and route in this many seconds: an attacker cannot fill the disk.

    Attributes
    ----------
    lost : int
        Lines that were not written.
    problem : str
        Why none can be written now, one stable word; empty while they can.
    """

    def __init__(
        self,
        path: Path | None,
        clock: Clock,
        *,
        limit: int,
        every_s: float = 60.0,
        signer: Signer | None = None,
        promotions: Path | None = None,
    ) -> None:
        self.lost = self._told = 0
        self.problem = ""
        self.capacity = _CAPACITY
        self._clock, self._every_s = clock, every_s
        self._file: AuditFile | None = None
        if path is not None:
            self._file = AuditFile(path, clock, limit=limit, signer=signer, promotions=promotions)
        self._waiting: queue.Queue[AuditLine | None] = queue.Queue(_CAPACITY)
        self._counted: Counter[tuple[str, ...]] = Counter()
        self._counting = threading.Lock()
        self._memory: deque[AuditLine] = deque(maxlen=_IN_MEMORY)
        self._thread: threading.Thread | None = None

    @property
    def newest(self) -> Head | None:
        """The line this process wrote last, None before the first."""
        return self._file.newest if self._file else None

    @property
    def tampered(self) -> str:
        """What was found wrong with the end of the log, one stable word; empty for nothing."""
        return self._file.tampered if self._file else ""

    def record(
        self,
        what: str,
        outcome: str,
        *,
        who: str,
        route: str = "",
        reason: str = "",
        request_id: str = "",
    ) -> None:
        """Hand over one line; returns at once, also when it is lost because too many wait.

        Calls leave room for acts: where many wait, they are counted as by :meth:`count`.

        Parameters
        ----------
        what : str
            Stable word for the act: ``"promote"``, ``"kill"``, ``"call"``, ...
        outcome : str
            Stable word: ``"done"``, ``"refused"``, ``"failed"``.
        who : str
            Name of the key (never its text), or who else acted: ``"server"``.
        route : str
            Method and path pattern of the call.
        reason : str
            Why: what the caller gave, or a problem code. Long text is cut.
        request_id : str
            Of the answer.
        """
        if what == "call" and self._waiting.qsize() >= _CALLS:
            self.count(reason, what=what, outcome=outcome, who=who, route=route)
            return
        self._add(
            {
                "ts": format_utc(self._clock.now()),
                "what": _clean(what),
                "outcome": _clean(outcome),
                "who": _clean(who),
                "route": _clean(route),
                "reason": _clean(reason),
                "request_id": _clean(request_id),
            }
        )

    def count(
        self,
        reason: str,
        *,
        what: str = "authenticate",
        outcome: str = "refused",
        who: str = "nobody",
        route: str = "",
    ) -> None:
        """Count one call instead of giving it a line; those of a caller that is nobody as default.

        Parameters
        ----------
        reason : str
            One of a few fixed words; nothing of the request.
        what, outcome, who, route : str
            As in :meth:`record`.
        """
        with self._counting:
            self._counted[what, outcome, who, route, reason] += 1

    def recent(self, limit: int = 100) -> list[Mapping[str, JsonValue]]:
        """The newest lines, newest first. Reads the file: not on the event loop.

        Parameters
        ----------
        limit : int, default=100
            Lines at most.
        """
        if self._file is None:
            return list(itertools.islice(reversed(self._memory), limit))
        return self._file.recent(limit)

    def now(self, what: str, outcome: str, *, who: str, route: str, **more: str) -> None:
        """Write one line at once, on this thread, or raise: for what must not be done unaudited.

        Parameters
        ----------
        what, outcome, who, route : str
            As in :meth:`record`.
        **more : str
            Further fields.

        Raises
        ------
        OSError, Timeout, MlwbError
            The line was not written.
        """
        line = {"ts": format_utc(self._clock.now()), "what": what, "outcome": outcome, "who": who}
        fields = {**line, "route": route, **more}
        if self._file is not None:
            self._file.append({name: _clean(text) for name, text in fields.items()})
            self._file.keep_head()

    def problems(self, *, is_quick: bool = False) -> tuple[Problem, ...]:
        """Everything wrong with the log, by all that is remembered of it. Reads all of it.

        Parameters
        ----------
        is_quick : bool, default=False
            Ask only whether the remembered lines are there.
        """
        return self._file.problems(is_quick=is_quick) if self._file else ()

    @property
    def waiting(self) -> int:
        """Lines not written yet."""
        return self._waiting.qsize()

    def start(self) -> None:
        """Start writing, after a look whether the log stands as it was left."""
        self._thread = threading.Thread(target=self._work, name="mlwb-audit", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits and stop."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def can_write(self) -> bool:
        """Whether a line could be written now; asks the disk, so not on the event loop."""
        return self._file is None or self._file.has_room()

    def settle(self, within_s: float = 5.0) -> None:
        """Wait until everything recorded so far was written. Not on the event loop.

        Parameters
        ----------
        within_s : float, default=5.0
            For no longer than this: the disk may hang.
        """
        end_s = time.monotonic() + within_s
        while self._thread is not None and self._waiting.unfinished_tasks:
            if time.monotonic() > end_s:
                return
            time.sleep(0.002)

    def _add(self, line: AuditLine) -> None:
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self.lost += 1

    def _work(self) -> None:
        is_open, due = True, self._clock.monotonic_s() + self._every_s
        self._begin()
        while is_open:
            try:
                line = self._waiting.get(timeout=min(self._every_s, 1.0))
            except queue.Empty:
                if self.problem:
                    self._write()
            else:
                is_open = line is not None
                if line is not None:
                    self._write(line)
                self._waiting.task_done()
            if not is_open or self._clock.monotonic_s() >= due:
                due = self._clock.monotonic_s() + self._every_s
                self._write_counts()
            if not is_open or self._waiting.empty():
                self._keep_head()

    def _begin(self) -> None:
        """Say it where the log does not stand as it was left."""
        try:
            lines = self._file.look() if self._file else []
        except (OSError, MlwbError) as error:
            _LOG.error("the audit log cannot be read: %s", error)
            lines = []
        for line in lines:
            self._write(line)

    def _gap(self) -> list[AuditLine]:
        """About lines that are missing: the chain says itself where it has a gap."""
        if self.lost == self._told:
            return []
        stamp, n = format_utc(self._clock.now()), self.lost - self._told
        why = self.problem or "too_many_waited"
        said = {"what": "lost", "outcome": "found", "who": "server", "reason": why}
        return [{"ts": stamp, **said, "route": "", "request_id": "", "n": n}]

    def _write_counts(self) -> None:
        with self._counting:
            counted, self._counted = self._counted, Counter()
        for (what, outcome, who, route, reason), n in sorted(counted.items()):
            self._write(
                {
                    "ts": format_utc(self._clock.now()),
                    "what": what,
                    "outcome": outcome,
                    "who": who,
                    "route": route,
                    "reason": reason,
                    "request_id": "",
                    "n": n,
                }
            )

    def _write(self, *lines: AuditLine) -> None:
        """Lines, behind one about those that no disk took; what fails now is counted."""
        if all(map(self._attempt, self._gap())):
            self._told = self.lost
        else:
            self.lost += len(lines)
            return
        self.lost += sum(not self._attempt(line) for line in lines)

    def _attempt(self, line: AuditLine) -> bool:
        if self._file is None:
            self._memory.append(line)
            return True
        try:
            self._file.append(line)
        except (OSError, Timeout, MlwbError) as error:
            # The server goes on; health and the count tell of it.
            if not self.problem:
                _LOG.error("the audit log cannot be written: %s", error)
            self.problem = getattr(error, "code", "unwritable")
            return False
        self.problem = ""
        return True

    def _keep_head(self) -> None:
        try:
            if self._file is not None:
                self._file.keep_head()
        except (OSError, Timeout, MlwbError) as error:
            if not self.problem:
                _LOG.error("the head of the audit log cannot be kept: %s", error)
            self.problem = self.problem or "head"
        else:
            self.problem = "" if self.problem == "head" else self.problem


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:_TEXT])
