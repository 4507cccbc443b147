"""Routes of the canary: what is open, open it, change its share, end it."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mlwb.core.clock import format_utc
from mlwb.core.errors import MlwbError
from mlwb.serve._canary_lease import Holder, LeaseTtl
from mlwb.serve._canary_plan import CanaryLock, CanaryMode, CanaryPlan, Percent, new_salt
from mlwb.serve._endpoints import Call, Endpoint, Permission, json_response
from mlwb.serve._problems import problem_error
from mlwb.serve._releases import Reason
from mlwb.serve._state import State

__all__ = ["canary_endpoints"]

_PATH = "/ml/canary"
_LEASE_PATH = "/ml/canary/lease"


class CanaryOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What the candidate is to do, for which share, and why.

    ``off`` ends a canary and takes no share. ``expect_candidate`` names the version that is meant,
    ``expect_lock`` all that the canary is to be about. With ``ttl_s`` it ends after so many seconds
    unless it is ordered again, or renewed by the ``holder``, and then only the holder may change
    it; without, it lasts until somebody ends it.
    """

    mode: CanaryMode
    reason: Reason
    percent: Percent = 0.0
    expect_candidate: Annotated[str, Meta(max_length=64)] = ""
    expect_lock: CanaryLock | None = None
    holder: Holder = ""
    ttl_s: LeaseTtl | None = None


class CanaryRenewal(msgspec.Struct, forbid_unknown_fields=True):
    """Whose lease is to begin anew, and what the canary is about as the holder knows it."""

    holder: Annotated[str, Meta(min_length=1, max_length=64)]
    lock: CanaryLock


class CanaryLease(msgspec.Struct):
    """Who holds the canary, how long a lease lasts, and how much of it is left."""

    holder: str
    ttl_s: float
    left_s: float


class CanaryState(msgspec.Struct):
    """The canary that is open, or how the last one ended; counts are of this process."""

    mode: CanaryMode
    percent: float
    active: bool
    lock: CanaryLock | None
    reason: str
    by: str
    since: str
    ended: str
    answers: dict[str, int]
    lease: CanaryLease | None = None
    policy_sha256: str = ""
    """Of the policy that a canary opened now would be held to; only where somebody looks."""


def canary_endpoints(state: State) -> tuple[Endpoint, ...]:
    """Looking at the canary and ordering one.

    Parameters
    ----------
    state : State
        Of the server.
    """
    routes = _CanaryRoutes(state)
    return (
        Endpoint(
            method="GET",
            path=_PATH,
            permission=Permission.ADMIN,
            summary="The canary that is open, under which lock, or how the last one ended",
            answer=CanaryState,
            handler=routes.show,
        ),
        Endpoint(
            method="POST",
            path=_PATH,
            permission=Permission.ADMIN,
            summary="Open a canary, change its share, or end it at once",
            body=CanaryOrder,
            answer=CanaryState,
            handler=routes.order,
            refusals=("canary_held", "canary_refused", "stale_state", "storage"),
        ),
        Endpoint(
            method="POST",
            path=_LEASE_PATH,
            permission=Permission.ADMIN,
            summary="Renew the lease of an open canary, which ends without",
            body=CanaryRenewal,
            answer=CanaryState,
            handler=routes.renew,
            refusals=("lease_lost",),
            is_counted=True,
        ),
    )


class _CanaryRoutes:
    def __init__(self, state: State) -> None:
        self._state, self._canary = state, state.canary

    async def show(self, _call: Call) -> Response:
        lock = await asyncio.to_thread(self._canary.lock)
        return self._shown("" if lock is None else lock.policy_sha256)

    async def order(self, call: Call) -> Response:
        asked: CanaryOrder = call.body
        if (asked.mode == "off") is not (asked.percent == 0):
            detail = "expected a percent above 0, or mode off without one"
            raise problem_error("invalid_input", detail, pointer="#/percent")
        if asked.holder and asked.ttl_s is None:
            detail = "expected the seconds that the holder's lease lasts"
            raise problem_error("invalid_input", detail, pointer="#/ttl_s")
        stamp = format_utc(self._state.clock.now())
        plan = CanaryPlan(reason=asked.reason, by=call.caller.name, since=stamp)
        if asked.mode != "off":
            self._check_free(asked)
            await self._state.need_audit()
            lock = await asyncio.to_thread(self._canary.lock)
            lock = self._checked(lock, asked)
            await asyncio.to_thread(self._check_registered, lock.candidate)
            self._check_free(asked)  # another may have been first meanwhile
            salt = self._canary.plan.salt if self._canary.plan.lock == lock else new_salt()
            plan = msgspec.structs.replace(
                plan,
                mode=asked.mode,
                percent=asked.percent,
                salt=salt,
                lock=lock,
                holder=asked.holder,
                ttl_s=asked.ttl_s or 0.0,
            )
        self._canary.obey(plan)
        self._canary.check()  # a version may have changed since the lock was read
        try:
            await asyncio.to_thread(self._canary.save)
        except OSError as error:
            if self._canary.is_open:
                self._canary.end("the disk refused to keep it")
            self._say(call, "failed", plan)
            detail = "the disk refuses to keep the order; here the canary is off"
            raise problem_error("storage", detail) from error
        self._say(call, "done", plan)
        return self._shown()

    async def renew(self, call: Call) -> Response:
        asked: CanaryRenewal = call.body
        if not self._canary.renew(asked.holder, asked.lock):
            raise problem_error("lease_lost", "this canary is not open, or not held like this")
        await asyncio.to_thread(self._canary.save_lease)
        return self._shown()

    def _check_free(self, asked: CanaryOrder) -> None:
        """A canary that somebody holds is changed by nobody else, only ended."""
        canary = self._canary
        if canary.is_held() and canary.is_open and canary.plan.holder not in ("", asked.holder):
            raise problem_error("canary_held", f"held for {canary.lease_left_s:.1f} s at least")

    def _checked(self, lock: CanaryLock | None, asked: CanaryOrder) -> CanaryLock:
        """What must hold for a canary to begin or go on, with what it is about."""
        champion, candidate = self._state.champion.live, self._state.candidate.live
        if lock is None or champion is None or candidate is None:
            raise problem_error("canary_refused", "there is no champion or no candidate")
        if asked.expect_candidate not in ("", candidate.version):
            detail = f"expected {asked.expect_candidate}, the candidate is {candidate.version}"
            raise problem_error("stale_state", detail)
        if asked.expect_lock not in (None, lock):
            theirs, ours = msgspec.structs.asdict(asked.expect_lock), msgspec.structs.asdict(lock)
            others = [name for name, value in ours.items() if theirs[name] != value]
            raise problem_error("stale_state", f"this server has another {', '.join(others)}")
        budget_ms = self._state.settings.shadow_budget_ms
        refused = {
            "the candidate is the champion": lock.champion_sha256 == lock.candidate_sha256,
            "the candidate takes other features": (champion.schema_crc32 != candidate.schema_crc32),
            "predictions are refused": bool(self._state.reasons),
            "the policy cannot be read": lock.policy_sha256 == "unreadable",
            "`latest` is not where the log says": self._state.versions.announced.is_unaudited,
            "the candidate is slower than its budget": candidate.cost_ms > budget_ms,
        }
        for why, holds in refused.items():
            if holds:
                raise problem_error("canary_refused", why)
        return lock

    def _check_registered(self, version: str) -> None:
        """Where there is a log, the candidate is what was registered; takes a while."""
        state = self._state
        if not state.versions.announced.has_log:
            return
        try:
            problems = state.registry().verify(version)
        except MlwbError as error:
            raise problem_error("canary_refused", "the candidate cannot be verified") from error
        if problems:
            raise problem_error("canary_refused", "the candidate is not what was registered")

    def _shown(self, policy_sha256: str = "") -> Response:
        self._canary.is_held()
        plan, left_s = self._canary.plan, self._canary.lease_left_s
        lease = None if left_s is None else CanaryLease(plan.holder, plan.ttl_s, left_s)
        return json_response(
            CanaryState(
                plan.mode,
                plan.percent,
                self._canary.split is not None,
                plan.lock,
                plan.reason,
                plan.by,
                plan.since,
                plan.ended,
                dict(self._state.metrics.canary_answers),
                lease,
                policy_sha256,
            )
        )

    def _say(self, call: Call, outcome: str, plan: CanaryPlan) -> None:
        self._state.audit.record(
            "canary",
            outcome,
            who=call.caller.name,
            route=f"POST {_PATH}",
            reason=f"{plan.mode} {plan.percent:g} %{_lasting(plan)}: {plan.reason}",
            request_id=call.request_id,
        )


def _lasting(plan: CanaryPlan) -> str:
    if plan.mode == "off":
        return ""
    return f" for {plan.ttl_s:g} s unless renewed" if plan.ttl_s else " until told"
