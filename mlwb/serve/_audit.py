"""What was done with the power a key gives: one chained line a call, written behind the answer.

The file is ``artifacts/audit.log``, a :class:`mlwb.core.chain.Chain`: an edited, removed or moved
line shows, and the kept head (:mod:`mlwb.serve._audit_head`) shows a cut end. Beyond its limit it
is set aside as ``audit.log.1``, ``.2``, ... and the first line of the new file names the digest of
the last line of the old one.
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

from filelock import FileLock, Timeout

from mlwb.core import fsops
from mlwb.core.canonical import JsonValue, parse_json
from mlwb.core.chain import Chain, Head, Problem, next_link
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import MlwbError
from mlwb.core.signing import Signer
from mlwb.serve._audit_check import last_line_with, parts_of, segment, segments
from mlwb.serve._audit_head import EMPTY, AuditHead, whole_audit_problems

__all__ = ["AuditLog"]

_LOG = logging.getLogger("mlwb.serve")
_CAPACITY = 1_024
_LOCK_S = 5.0
_TEXT = 300
_CALLS = _CAPACITY // 2  # places that single calls may take; the rest are for what was done
# A line of these fields is shorter than this, whatever they hold: recent() reads that much a line.
_LINE_BYTES = 8_192
_IN_MEMORY = 1_000
_CARRIED = ("outcome", "keys_before", "keys_after")
_NAMED = 20  # problems that get a line of their own

_Line = dict[str, JsonValue]


class AuditLog:
    """Who called what, and how it ended.

    Parameters
    ----------
    path : Path or None
        None keeps the newest lines in memory only.
    clock : Clock
        Stamps the lines.
    limit : int
        Bytes of a file before it is set aside.
    every_s : float, default=60.0
        Attempts of callers that are nobody or may not are counted, and written as one line for
        each reason, key and route in this many seconds: an attacker cannot fill the disk.
    signer : Signer, optional
        Signs the kept head, where it can.
    promotions : Path, optional
        ``promotions.log``, which remembers how far this log had come.

    Attributes
    ----------
    newest : Head or None
        The line written last, None before the first: who cuts the file or chains it anew does not
        know that it is remembered here.
    tampered : str
        What was wrong with the log when the server started, one stable word; empty for nothing.
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
        self.problem = self.tampered = ""
        self.newest: Head | None = None
        self._signer, self._promotions = signer, promotions
        self._has_unkept = False
        self.capacity = _CAPACITY
        self._path, self._clock, self._limit, self._every_s = path, clock, limit, every_s
        self._waiting: queue.Queue[_Line | None] = queue.Queue(_CAPACITY)
        self._counted: Counter[tuple[str, ...]] = Counter()
        self._counting = threading.Lock()
        self._memory: deque[_Line] = deque(maxlen=_IN_MEMORY)
        self._thread: threading.Thread | None = None

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
        if self._path is None:
            return list(itertools.islice(reversed(self._memory), limit))
        found: list[Mapping[str, JsonValue]] = []
        for line in reversed(_tail(self._path, limit)):
            try:
                value = parse_json(line)
            except MlwbError:
                continue  # damaged; the chain check names it
            if isinstance(value, dict):
                found.append(value)
        return found[:limit]

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
        self._append({name: _clean(text) for name, text in fields.items()})
        self._keep_head()

    def problems(self, *, is_quick: bool = False) -> tuple[Problem, ...]:
        """Everything wrong with the log, by all that is remembered of it. Reads all of it.

        Parameters
        ----------
        is_quick : bool, default=False
            Ask only whether the remembered lines are there.
        """
        if self._path is None:
            return ()
        newest = [] if self.newest is None else [self.newest]
        return whole_audit_problems(
            self._path,
            signer=self._signer,
            promotions=self._promotions,
            newest=newest,
            is_quick=is_quick,
        )

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
        if self._path is None:
            return True
        try:
            fsops.make_dirs(self._path.parent)
            with FileLock(f"{self._path}.lock", timeout=_LOCK_S):
                Chain(self._path).head()
                return fsops.can_append(self._path, _LINE_BYTES)
        except (OSError, Timeout, MlwbError):
            return False

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

    def _add(self, line: _Line) -> None:
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
                self._keep_head_if_possible()

    def _begin(self) -> None:
        """Say it where the log does not stand as it was left."""
        if self._path is None:
            return
        try:
            found = self.problems(is_quick=True)
        except (OSError, MlwbError) as error:
            _LOG.error("the audit log cannot be read: %s", error)
            found = ()
        self.tampered = found[0].kind if found else ""
        for problem in found[:_NAMED]:
            self._write(self._found(problem))

    def _gap(self) -> list[_Line]:
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

    def _write(self, *lines: _Line) -> None:
        """Lines, behind one about those that no disk took; what fails now is counted."""
        if all(map(self._attempt, self._gap())):
            self._told = self.lost
        else:
            self.lost += len(lines)
            return
        self.lost += sum(not self._attempt(line) for line in lines)

    def _attempt(self, line: _Line) -> bool:
        if self._path is None:
            self._memory.append(line)
            return True
        try:
            self._append(line)
        except (OSError, Timeout, MlwbError) as error:
            # The server goes on; health and the count tell of it.
            if not self.problem:
                _LOG.error("the audit log cannot be written: %s", error)
            self.problem = getattr(error, "code", "unwritable")
            return False
        self.problem = ""
        return True

    def _append(self, line: _Line) -> None:
        if self._path is None:
            return
        fsops.make_dirs(self._path.parent)
        with FileLock(f"{self._path}.lock", timeout=_LOCK_S):
            if not parts_of(self._path)[0].exists():
                AuditHead(self._path, self._signer).keep(EMPTY)
            for body in (*self._findings(self._path), line):
                self._turn(self._path)
                link = Chain(self._path).append(body)
        self._has_unkept = True
        self.newest = Head(link.seq, link.sha256, kept_by="this server")

    def _findings(self, path: Path) -> list[_Line]:
        """A line about the end of the log that somebody cut off; before the next line hides it."""
        last = Chain(path).head()
        if self.tampered or (last and self.newest and last.sha256 == self.newest.sha256):
            return []
        found = whole_audit_problems(path, signer=self._signer, is_quick=True)
        self.tampered = found[0].kind if found else ""
        return [self._found(problem) for problem in found]

    def _found(self, problem: Problem) -> _Line:
        _LOG.error("the audit log: %s", problem)
        stamp = format_utc(self._clock.now())
        said = {"what": "audit", "outcome": "found", "who": "server", "reason": str(problem)}
        return {"ts": stamp, **said, "route": "", "request_id": ""}

    def _keep_head(self) -> None:
        """Write down how far the log has come, once for many lines; never less than was said."""
        if self._path is None or not self._has_unkept:
            return
        with FileLock(f"{self._path}.lock", timeout=_LOCK_S):
            head = Chain(self._path).head()
            if head is not None:
                AuditHead(self._path, self._signer).keep(head.as_head)
        self._has_unkept = False

    def _keep_head_if_possible(self) -> None:
        try:
            self._keep_head()
        except (OSError, Timeout, MlwbError) as error:
            if not self.problem:
                _LOG.error("the head of the audit log cannot be kept: %s", error)
            self.problem = self.problem or "head"
        else:
            self.problem = "" if self.problem == "head" else self.problem

    def _turn(self, path: Path) -> None:
        """Set a file beyond its limit aside; killed half way, the next line does the rest."""
        if not path.exists() or path.stat().st_size <= self._limit:
            return
        head, parts = Chain(path).head(), segments(path)
        if not parts or Chain(parts[-1]).head() != head:
            fsops.link_new(path, segment(path, len(parts) + 1))
        first: _Line = {
            "ts": format_utc(self._clock.now()),
            "what": "continue",
            "after": "" if head is None else head.sha256,
            **_carried(path),
        }
        fsops.write_atomic(path, next_link(first, None).line + b"\n")


def _carried(path: Path) -> _Line:
    """What the newest line about the key file says of it: no file set aside is asked for it."""
    line = last_line_with(path, _CARRIED[-1]) or {}
    return {name: line[name] for name in _CARRIED if name in line}


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:_TEXT])


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
