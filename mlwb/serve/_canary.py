"""The canary's side of a server: a share of requests for the candidate, under a lock of digests.

The champion is the default. Whenever the lock breaks (another champion, candidate or policy) or the
candidate fails, the share is 0 from that moment on. The plan stands in a file, so that a restart
and other workers go on with exactly this canary or with none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from mlwb.core import fsops
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import MlwbError
from mlwb.serve._audit import AuditLog
from mlwb.serve._canary_plan import CanaryLock, CanaryPlan
from mlwb.serve._file_stamp import file_stamp
from mlwb.serve._metrics import Metrics
from mlwb.serve._models import Live
from mlwb.serve._settings import ServeSettings
from mlwb.serve._split import Split
from mlwb.serve._versions import Versions

__all__ = ["Canary"]

_LOG = logging.getLogger("mlwb.serve")


class _Found(NamedTuple):
    """What a look brought: the plan of the file when it changed, or why there is none.

    ``before`` is the plan that held when the file was read, None while that one was on its way to
    the file: what stood there then is no order of anybody else.
    """

    before: CanaryPlan | None
    plan: CanaryPlan | None
    problem: str = ""


_OFF = CanaryPlan()
_encode = msgspec.json.Encoder().encode


class Canary:
    """The open canary of this server, or none. Changed on the event loop only.

    Parameters
    ----------
    settings : ServeSettings
        Names file and policy.
    clock : Clock
        Stamps.
    versions : Versions
        Champion and candidate.
    metrics : Metrics
        Counted into.
    audit : AuditLog
        Told whenever a canary ends by itself, or goes on after a restart.
    """

    def __init__(
        self,
        settings: ServeSettings,
        clock: Clock,
        *,
        versions: Versions,
        metrics: Metrics,
        audit: AuditLog,
    ) -> None:
        self._file, self._policy_file, self._clock = settings.canary_file, settings.policy, clock
        self._versions, self._metrics, self._audit = versions, metrics, audit
        self.plan = _OFF
        self.split: Split | None = None
        self._policy: tuple[object, str] = ("never", "")
        self._seen: object = "never"
        self._doubted: CanaryPlan | None = None
        self._writing, self._is_saved = threading.Lock(), True

    @property
    def is_open(self) -> bool:
        """Whether a canary is under way."""
        return self.plan.mode != "off"

    @property
    def readings(self) -> dict[str, float]:
        """For a scrape."""
        return {"ml_canary_percent": self.plan.percent if self.split is not None else 0.0}

    def resume(self) -> None:
        """Go on after a start with exactly the canary of the file, or end it."""
        found = self.look()
        if found.problem:
            self.end(found.problem)
        elif found.plan is not None and found.plan.mode != "off":
            self.plan = found.plan
            if self._lock(self._policy[1]) == found.plan.lock:
                self._open_split()
                self._audit.record("canary", "resumed", who="server", reason=str(found.plan))
            else:
                self.end("the server started with other versions or another policy")
        elif found.plan is not None:
            self.obey(found.plan, is_saved=True)

    def check(self) -> None:
        """End the canary when its lock no longer holds; called with every change of a version."""
        if self.is_open and self.split is not None:
            if self._lock(self._policy[1]) == self.plan.lock:
                self._open_split()  # the same digests, perhaps loaded anew
            else:
                self.end("the champion, the candidate or the policy is another")

    def look(self) -> _Found:
        """Look at file and policy; not on the event loop."""
        plan, problem = None, ""
        with self._writing:
            before = self.plan if self._is_saved else None
            try:
                stamp = None if self._file is None else file_stamp(self._file)
                if self._file is not None and stamp != self._seen:
                    self._seen = stamp
                    plan = _OFF if stamp is None else _decode(self._file.read_bytes())
            except (OSError, msgspec.DecodeError, UnicodeDecodeError):
                problem = "the file of the canary cannot be read"
        if self.is_open or (plan is not None and plan.mode != "off"):
            self._read_policy()
        return _Found(before, plan, problem)

    def take(self, found: _Found) -> None:
        """Take up what a look brought: the order of another worker, a changed policy."""
        if (found.plan is not None or found.problem) and found.before is not self.plan:
            self._seen = "never"  # this worker was ordered something meanwhile; look again
            return
        plan = self._doubted if found.plan is None else found.plan
        if found.problem:
            if self.is_open:
                self.end(found.problem)
        elif plan is None or plan == self.plan or (plan is _OFF and not self.is_open):
            self.check()
        else:
            self._follow(plan)

    def lock(self) -> CanaryLock | None:
        """What a canary opened now would be about, None without champion or candidate.

        Reads the policy, so not on the event loop.
        """
        self._read_policy()
        return self._lock(self._policy[1])

    def obey(self, plan: CanaryPlan, *, is_saved: bool = False) -> None:
        """Make a plan hold from the next request on.

        Parameters
        ----------
        plan : CanaryPlan
            What to do.
        is_saved : bool, default=False
            It comes from the file; any other is to be saved.
        """
        self.plan, self._doubted, self._is_saved = plan, None, is_saved
        self._open_split()

    def save(self) -> None:
        """Write the plan that holds, for other workers and the next start; not on the event loop.

        Raises
        ------
        OSError
            The file cannot be written. One that said that a canary is open is gone then, unless
            not even that could be done.
        """
        if self._file is None:
            return
        with self._writing:
            plan = self.plan
            try:
                fsops.write_atomic(self._file, _encode(plan) + b"\n")
            except OSError:
                with contextlib.suppress(OSError):
                    fsops.remove_file(self._file)
                    self._seen, self._is_saved = None, plan is self.plan
                raise
            self._seen, self._is_saved = file_stamp(self._file), plan is self.plan

    def end(self, why: str) -> None:
        """Go back to 0 at once; the file follows behind."""
        said, now = str(self.plan), format_utc(self._clock.now())
        self.obey(CanaryPlan(reason=self.plan.reason, by="server", since=now, ended=why))
        self._metrics.canary_ended += 1
        self._audit.record("canary", "ended", who="server", reason=f"{why}; was {said}")
        _LOG.warning("the canary was ended: %s; was %s", why, said)
        _behind(self._save_if_possible)

    def score(
        self, split: Split, champion: Live, rows: list[tuple[float, ...]], *, key: bytes
    ) -> tuple[Live, list[float]]:
        """The version that answers a request, and its scores; the champion unless drawn.

        A candidate that fails ends the canary, and the champion answers this request too.

        Parameters
        ----------
        split : Split
            Live.
        champion : Live
            Of the request.
        rows : list of tuple of float
            Within the champion's ranges.
        key : bytes
            What the request is drawn by.

        Raises
        ------
        ModelError
            The champion cannot score.
        """
        answers = self._metrics.canary_answers
        if not split.takes(key):
            answers["champion"] += 1
            return champion, champion.score(rows)
        candidate = split.candidate
        if all(map(candidate.covers, rows)):
            try:
                scores = candidate.score(rows)
            except Exception as error:  # noqa: BLE001 - a candidate's fault of any kind is its own
                _LOG.error("the candidate failed: %s", error)
                self.end("the candidate failed")
            else:
                answers["candidate"] += 1
                return candidate, scores
        answers["fallback"] += 1
        return champion, champion.score(rows)

    def _save_if_possible(self) -> None:
        with contextlib.suppress(OSError):
            self.save()

    def _follow(self, plan: CanaryPlan) -> None:
        if plan.mode == "off" or self._lock(self._policy[1]) == plan.lock:
            self.obey(plan, is_saved=True)
        elif self._doubted == plan:
            self.plan = plan
            self.end("this worker serves other versions or another policy")
        else:
            # Another worker may have seen a new candidate first: one more look before it ends.
            self._doubted, self.split = plan, None

    def _open_split(self) -> None:
        plan, candidate = self.plan, self._versions.candidate.live
        self.split = None
        if plan.mode != "off" and candidate is not None:
            share, is_live = round(plan.percent * 100), plan.mode == "live"
            self.split = Split(share, plan.salt.encode(), is_live, candidate)
            if is_live:
                for who in ("candidate", "champion", "fallback"):
                    self._metrics.canary_answers.setdefault(who, 0)

    def _lock(self, policy_sha256: str) -> CanaryLock | None:
        champion, candidate = self._versions.champion.live, self._versions.candidate.live
        if champion is None or candidate is None:
            return None
        return CanaryLock(
            champion.version, champion.sha256, candidate.version, candidate.sha256, policy_sha256
        )

    def _read_policy(self) -> None:
        if self._policy_file is None:
            return
        try:
            stamp = file_stamp(self._policy_file)
            if self._policy[0] != stamp:
                from mlwb.params import load_policy  # only a server with a canary pays for it

                self._policy = stamp, load_policy(self._policy_file).digest
        except (OSError, MlwbError):
            self._policy = None, "unreadable"


def _behind(work: Callable[[], object]) -> None:
    """Do it on another thread when an event loop runs here, else now."""
    try:
        asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:
        work()


def _decode(data: bytes) -> CanaryPlan:
    return msgspec.json.decode(data, type=CanaryPlan)
