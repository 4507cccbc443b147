"""Routes that change what answers: load a version, promote it, go back, through the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mlwb.core.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    EvidenceError,
    LockHeldError,
    MlwbError,
    ModelError,
    ParamsError,
    PromotionRefusedError,
    ServeError,
    StaleStateError,
    StorageError,
)
from mlwb.core.ids import check_version
from mlwb.registry import Registry, is_mirror
from mlwb.registry import State as RegistryState
from mlwb.serve._endpoints import Call, Endpoint, Permission, json_response
from mlwb.serve._problems import problem_error
from mlwb.serve._state import State

__all__ = ["Reason", "release_endpoints"]

_T = TypeVar("_T")

Reason = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")]
"""Why somebody does something; never empty."""
_Name = Annotated[str, Meta(min_length=1, max_length=64)]

_PATIENCE_S = 10.0
"""As long as the registry itself waits for its lock."""
_ROUTES = {"promote": "POST /ml/models/{version}/promote", "rollback": "POST /ml/rollback"}
_REFUSALS = (
    "promotion_refused", "stale_state", "version_not_intact", "registry_busy",
    "version_not_found", "storage",
)  # fmt: skip
# The first class that fits counts; each of them is also an ArtifactError or an MlwbError.
_PROBLEMS: tuple[tuple[type[MlwbError], str], ...] = (
    (ParamsError, "invalid_input"),
    (PromotionRefusedError, "promotion_refused"),
    (EvidenceError, "promotion_refused"),
    (StaleStateError, "stale_state"),
    (LockHeldError, "registry_busy"),
    (ArtifactNotFoundError, "version_not_found"),
    (StorageError, "storage"),
    (ArtifactError, "version_not_intact"),
    (ModelError, "version_not_intact"),
)


class VersionLoaded(msgspec.Struct):
    """A version is verified, warm and kept; what answers did not change."""

    version: str
    sha256: str
    was_kept: bool
    verify_ms: float
    load_ms: float
    row_ms: float
    kept: list[str]
    serves: str | None


class Promote(msgspec.Struct, forbid_unknown_fields=True):
    """Why, over which version, and optionally which confirmation is meant."""

    reason: Reason
    expect_current: _Name | None
    confirmation: Annotated[str, Meta(max_length=200)] = ""


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    """Why; where to, else the version before; and from where, unless that does not matter."""

    reason: Reason
    target: _Name | None = None
    expect_current: _Name | None = None


class Released(msgspec.Struct):
    """Where `latest` points now, and what this process answers with."""

    latest: str | None
    previous: str | None
    seq: int
    serves: str | None
    registry_ms: float
    swap_ms: float
    taken_ms: float


def release_endpoints(state: State) -> tuple[Endpoint, ...]:
    """Loading, promotion, rollback.

    Parameters
    ----------
    state : State
        Of the server.
    """
    routes = _Releases(state)
    return (
        Endpoint(
            method="POST",
            path="/ml/models/{version}/load",
            permission=Permission.ADMIN,
            summary="Verify a version, load it beside the one that answers, and keep it ready",
            answer=VersionLoaded,
            handler=routes.load,
            refusals=("invalid_input", "version_not_intact", "version_not_found"),
        ),
        Endpoint(
            method="POST",
            path="/ml/models/{version}/promote",
            permission=Permission.ADMIN,
            summary="Make a version `latest` on the newest decision about it",
            body=Promote,
            answer=Released,
            handler=routes.promote,
            refusals=(*_REFUSALS, "canary_open"),
        ),
        Endpoint(
            method="POST",
            path="/ml/rollback",
            permission=Permission.ADMIN,
            summary="Make an earlier version `latest` again, at once",
            body=Rollback,
            answer=Released,
            handler=routes.rollback,
            refusals=_REFUSALS,
        ),
    )


class _Releases:
    def __init__(self, state: State) -> None:
        self._state, self._now = state, state.clock.monotonic_s
        # One at a time: whoever waits holds no thread that a kill switch or a look needs.
        self._loading, self._moving = asyncio.Lock(), asyncio.Lock()

    async def load(self, call: Call) -> Response:
        async with self._loading:
            found = await _named(self._load, call.request.path_params["version"])
        return json_response(found)

    async def promote(self, call: Call) -> Response:
        version, asked = call.request.path_params["version"], call.body
        if self._state.canary.is_open:
            self._say(call, "promote", "refused", f"{asked.reason} [canary_open]")
            raise problem_error("canary_open", "end the canary first: POST /ml/canary, mode off")
        return await self._released(call, "promote", lambda: self._promote(call, version, asked))

    async def rollback(self, call: Call) -> Response:
        asked: Rollback = call.body
        return await self._released(
            call,
            "rollback",
            lambda: self._changeable(call).rollback(
                asked.target,
                reason=asked.reason,
                expect_current=asked.expect_current,
                load_check=self._load_check,
            ),
        )

    async def _released(self, call: Call, what: str, move: Callable[[], RegistryState]) -> Response:
        """Move `latest` on another thread, then take up at once what it points at."""
        state, start = self._state, self._now()
        try:
            found = await self._move(move)
        except ServeError as error:
            self._say(call, what, "refused", f"{call.body.reason} [{error.problem}]")
            raise
        moved = self._now()
        await state.versions.look_at_champion()
        self._say(call, what, "done", f"latest -> {found.latest}: {call.body.reason}")
        return json_response(
            Released(
                latest=found.latest,
                previous=found.previous,
                seq=found.seq,
                serves=self._serves,
                registry_ms=(moved - start) * 1e3,
                swap_ms=state.versions.swap_ms,
                taken_ms=(self._now() - start) * 1e3,
            )
        )

    async def _move(self, move: Callable[[], RegistryState]) -> RegistryState:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._moving.acquire()
        except TimeoutError as error:
            raise problem_error("registry_busy", "another change is under way here") from error
        try:
            return await _named(move)
        finally:
            self._moving.release()

    @property
    def _serves(self) -> str | None:
        live = self._state.champion.live
        return None if live is None else live.version

    def _load(self, version: str) -> VersionLoaded:
        versions, start = self._state.versions, self._now()
        check_version(version)
        if versions.announced.has_log:
            problems = self._state.registry().verify(version)
            if problems:
                raise ArtifactError(f"the version is not what was registered: {problems[0].kind}")
        verified = self._now()
        found = versions.shelf.load(version)
        return VersionLoaded(
            version=version,
            sha256=found.live.sha256,
            was_kept=found.was_kept,
            verify_ms=(verified - start) * 1e3,
            load_ms=found.load_ms,
            row_ms=found.live.cost_ms,
            kept=list(versions.shelf.versions),
            serves=self._serves,
        )

    def _promote(self, call: Call, version: str, asked: Promote) -> RegistryState:
        # Only who promotes pays for evidence and policy.
        from mlwb.evidence import EvidenceStore
        from mlwb.params import load_policy
        from mlwb.registry.promotion import promote_on_evidence

        settings, registry = self._state.settings, self._changeable(call)
        if settings.evidence_dir is None or settings.policy is None:
            raise PromotionRefusedError(
                "this server knows no evidence or no policy",
                todo="set MLWB_EVIDENCE_DIR and MLWB_POLICY",
            )
        registry.resolve(check_version(version))
        return promote_on_evidence(
            registry,
            EvidenceStore(settings.evidence_dir, settings.signer),
            version,
            policy=load_policy(settings.policy),
            clock=self._state.clock,
            expect_current=asked.expect_current,
            reason=asked.reason,
            load_check=self._load_check,
            confirmation=asked.confirmation,
        )

    def _changeable(self, call: Call) -> Registry:
        if is_mirror(self._state.settings.models_dir):
            raise PromotionRefusedError(
                "this server follows a registry elsewhere",
                todo="make the change there: mlwb registry --at URL",
            )
        return self._state.registry(call.caller.name)

    def _load_check(self, folder: Path) -> None:
        self._state.versions.shelf.load(folder.name)

    def _say(self, call: Call, what: str, outcome: str, reason: str) -> None:
        self._state.audit.record(
            what,
            outcome,
            who=call.caller.name,
            route=_ROUTES[what],
            reason=reason,
            request_id=call.request_id,
        )


async def _named(job: Callable[..., _T], *arguments: str) -> _T:
    """Do something on another thread; what it refuses becomes a problem."""
    try:
        return await asyncio.to_thread(job, *arguments)
    except MlwbError as error:
        raise _problem(error) from error


def _problem(error: MlwbError) -> ServeError:
    problem = next((code for kind, code in _PROBLEMS if isinstance(error, kind)), "internal")
    said = [error.what]
    if isinstance(error, StaleStateError):
        said += [f"expected {error.expected}, got {error.got}"]
    return problem_error(problem, "; ".join(part for part in (*said, error.todo) if part))
