"""What was done with the power a key gives: one chained line a call, written behind the answer.

The file is ``artifacts/audit.log``, a :class:`mlwb.core.chain.Chain`: an edited, removed or moved
line shows. Beyond its limit it is set aside as ``audit.log.1``, ``.2``, ... and the first line of
the new file names the digest of the last line of the old one.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from mlwb.core import fsops
from mlwb.core.canonical import JsonValue, parse_json
from mlwb.core.chain import Chain, Problem, next_link
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import MlwbError

__all__ = ["AuditLog", "audit_problems"]

_LOG = logging.getLogger("mlwb.serve")
_CAPACITY = 1_024
_LOCK_S = 5.0
_TEXT = 300
_CALLS = _CAPACITY // 2  # places that single calls may take; the rest are for what was done
# A line of these fields is shorter than this, whatever they hold: recent() reads that much a line.
_LINE_BYTES = 8_192
_IN_MEMORY = 1_000

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

    Attributes
    ----------
    newest : str
        Digest of the line written last, empty before the first: who cuts the file or chains it
        anew does not know that it is remembered here.
    """

    def __init__(
        self, path: Path | None, clock: Clock, *, limit: int, every_s: float = 60.0
    ) -> None:
        self.lost = 0
        self.problem = self.newest = ""
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

    @property
    def waiting(self) -> int:
        """Lines not written yet."""
        return self._waiting.qsize()

    def start(self) -> None:
        """Start writing."""
        self._thread = threading.Thread(target=self._work, name="mlwb-audit", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits and stop."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def settle(self) -> None:
        """Wait until everything recorded so far was written. Not on the event loop."""
        self._waiting.join()

    def _add(self, line: _Line) -> None:
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self.lost += 1

    def _work(self) -> None:
        is_open, due = True, self._clock.monotonic_s() + self._every_s
        while is_open:
            try:
                line = self._waiting.get(timeout=min(self._every_s, 1.0))
            except queue.Empty:
                pass
            else:
                is_open = line is not None
                if line is not None:
                    self._write(line)
                self._waiting.task_done()
            if not is_open or self._clock.monotonic_s() >= due:
                due = self._clock.monotonic_s() + self._every_s
                self._write_counts()

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

    def _write(self, line: _Line) -> None:
        if self._path is None:
            self._memory.append(line)
            return
        try:
            fsops.make_dirs(self._path.parent)
            with FileLock(f"{self._path}.lock", timeout=_LOCK_S):
                self._turn(self._path)
                self.newest = Chain(self._path).append(line).sha256
            self.problem = ""
        except (OSError, Timeout, MlwbError) as error:
            # The server goes on; health and the count tell of it.
            self.lost += 1
            if not self.problem:
                _LOG.error("the audit log cannot be written: %s", error)
            self.problem = getattr(error, "code", "unwritable")

    def _turn(self, path: Path) -> None:
        """Set a file beyond its limit aside; killed half way, the next line does the rest."""
        if not path.exists() or path.stat().st_size <= self._limit:
            return
        head, parts = Chain(path).head(), _segments(path)
        if not parts or Chain(parts[-1]).head() != head:
            fsops.link_new(path, _segment(path, len(parts) + 1))
        first: _Line = {
            "ts": format_utc(self._clock.now()),
            "what": "continue",
            "after": "" if head is None else head.sha256,
        }
        fsops.write_atomic(path, next_link(first, None).line + b"\n")


def audit_problems(path: Path, newest: str = "") -> tuple[Problem, ...]:
    """Everything wrong with an audit log and the files set aside before it.

    Parameters
    ----------
    path : Path
        ``audit.log``; need not exist.
    newest : str, default=""
        Digest of a line that must be there.
    """
    found: list[Problem] = []
    before, is_there = "", not newest
    parts = [*_segments(path), path]
    if len(parts) > 1 and path.exists() and path.samefile(parts[-2]):
        del parts[-2]  # killed while it set the file aside: one file by two names
    for part in parts:
        chain = Chain(part)
        problems = chain.problems()
        found += problems
        if problems:
            before = ""
            continue
        links = chain.links()
        if before and links and links[0].body.get("after") != before:
            found.append(Problem("missing", part.name, "a file before this one is gone"))
        before = links[-1].sha256 if links else ""
        is_there = is_there or any(link.sha256 == newest for link in links)
    if not (is_there or found):
        what = "a line that this server wrote is gone: cut, or chained anew"
        found.append(Problem("truncated", path.name, what))
    return tuple(found)


def _segment(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _segments(path: Path) -> list[Path]:
    parts = (_segment(path, number) for number in itertools.count(1))
    return list(itertools.takewhile(Path.exists, parts))


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
