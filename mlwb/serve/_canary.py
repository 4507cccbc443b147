"""The canary's side of a server: a share of requests for the candidate, under a lock of digests.

The champion is the default. Whenever the lock breaks (another champion, candidate or policy) or the
candidate fails, or a lease is not renewed, the share is 0 from that moment on. The plan stands in
a file, so that a restart and other workers go on with exactly this canary or with none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from mlwb.core import fsops
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import MlwbError
from mlwb.serve._audit import AuditLog
from mlwb.serve._canary_lease import LEASE_EXPIRED, LeaseEnd, read_lease, write_lease
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
_TICK_S = 0.25
_NEVER = float("inf")
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
        self._until_s = _NEVER

    @property
    def is_open(self) -> bool:
        """Whether a canary is under way."""
        return self.plan.mode != "off"

    @property
    def readings(self) -> dict[str, float]:
        """For a scrape."""
        is_taking = self.is_held() and self.split is not None
        return {
            "ml_canary_percent": self.plan.percent if is_taking else 0.0,
            "ml_canary_lease_seconds": self.lease_left_s or 0.0,
        }

    @property
    def lease_left_s(self) -> float | None:
        """Until the lease ends, None without one."""
        if self._until_s == _NEVER:
            return None
        return max(self._until_s - self._clock.monotonic_s(), 0.0)

    def is_held(self) -> bool:
        """Whether an open canary may take its share now; one whose lease is over ends here.

        Another worker may have renewed the lease: its file is read when the end known here has
        come, and never before.
        """
        now_s = self._clock.monotonic_s()
        if now_s < self._until_s:
            return True
        until_s = self._until_of_file()
        if now_s < until_s:
            self._until_s = until_s
            return True
        self.end(LEASE_EXPIRED)
        return False

    def renew(self, holder: str, lock: CanaryLock) -> bool:
        """Begin the lease anew; whether it was still held, by this one and for this lock.

        Parameters
        ----------
        holder : str
            As in the order.
        lock : CanaryLock
            What the canary is about, as the holder knows it.
        """
        plan = self.plan
        is_theirs = self.is_held() and self.is_open and self.split is not None
        if not (is_theirs and holder and plan.holder == holder and plan.lock == lock):
            return False
        self._until_s = self._clock.monotonic_s() + plan.ttl_s
        return True

    def save_lease(self) -> None:
        """Tell the other workers until when the canary is held; not on the event loop."""
        if self._lease_file is None or self._until_s == _NEVER:
            return
        with contextlib.suppress(OSError):  # then the others end it when theirs is over
            write_lease(self._lease_file, LeaseEnd(self.plan.holder, self._until_s))

    async def run(self) -> None:
        """End a canary whose lease is over, also where nobody asks for anything."""
        while True:
            await asyncio.sleep(_TICK_S)
            self.is_held()

    def resume(self) -> None:
        """Go on after a start with exactly the canary of the file, or end it; also a leased one."""
        found = self.look()
        if found.problem:
            self.end(found.problem)
        elif found.plan is not None and found.plan.mode != "off":
            self.plan = found.plan
            if found.plan.ttl_s:
                self.end(LEASE_EXPIRED)
            elif self._lock(self._policy[1]) == found.plan.lock:
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
        self._until_s = _NEVER
        if plan.mode != "off" and plan.ttl_s:
            given_s = self._clock.monotonic_s() + plan.ttl_s
            self._until_s = self._until_of_file() if is_saved else given_s
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
        self.save_lease()  # before the plan: whoever follows that asks for this
        with self._writing:
            plan = self.plan
            try:
                fsops.write_atomic(self._file, _encode(plan) + b"\n")
            except OSError:
                with contextlib.suppress(OSError):
                    fsops.remove_file(self._file)
                    self._seen, self._is_saved = None, plan is self.plan
                raise
            # Whose plan stands there by now, a look will say: another worker may have written.
            self._seen, self._is_saved = "never", plan is self.plan

    def end(self, why: str) -> None:
        """Go back to 0 at once; the file follows behind."""
        was, now = self.plan, format_utc(self._clock.now())
        plan = CanaryPlan(reason=was.reason, by="server", since=now, ended=why)
        if why == LEASE_EXPIRED:
            plan = msgspec.structs.replace(plan, salt=was.salt, lock=was.lock)
        self.obey(plan)
        ended = self._metrics.canary_ended
        ended[why if why in ended else "other"] += 1
        self._audit.record("canary", "ended", who="server", reason=f"{why}; was {was}")
        _LOG.warning("the canary was ended: %s; was %s", why, was)
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
        if not self.is_held():
            return champion, champion.score(rows)
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

    @property
    def _lease_file(self) -> Path | None:
        return None if self._file is None else self._file.with_suffix(".lease")

    def _until_of_file(self) -> float:
        """The newest end of the lease that any worker knows, never beyond one whole lease."""
        if self._lease_file is None:
            return float("-inf")
        whole_s = self._clock.monotonic_s() + self.plan.ttl_s
        return min(read_lease(self._lease_file, self.plan.holder), whole_s)

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
