"""Routes that switch: mode, kill switch; and the audit log that says who did."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mlwb.core.canonical import JsonValue, digest
from mlwb.serve._endpoints import Call, Endpoint, Parameter, Permission, json_response
from mlwb.serve._problems import problem_error
from mlwb.serve._releases import Reason
from mlwb.serve._state import State
from mlwb.serve._switches import Kill, Mode, ModeName

__all__ = ["control_endpoints"]

_MODES: tuple[ModeName, ...] = ("inference", "training", "maintenance")
_MOST_LINES = 1_000
_WAIT_S = 1.0
_Lines = Annotated[int, Meta(ge=1, le=_MOST_LINES)]


class SetMode(msgspec.Struct, forbid_unknown_fields=True):
    """Which mode, and why."""

    mode: ModeName
    reason: Reason


class Why(msgspec.Struct, forbid_unknown_fields=True):
    """Why."""

    reason: Reason


class SetKill(msgspec.Struct, forbid_unknown_fields=True):
    """Whether predictions are refused, and why."""

    on: bool
    reason: Reason


class AuditLines(msgspec.Struct):
    """The newest lines first, and whether they stand as they were written.

    ``status`` is ``intact`` when each line has its digest and names that of the line before, or
    ``broken``, or ``memory`` where no file is kept. With ``verify=1`` every file was read from its
    beginning, and ``problems`` says what is wrong with them; else it is null.
    """

    status: Literal["intact", "broken", "memory"]
    problems: list[str] | None
    lost: int
    lines: list[dict[str, Any]]


def control_endpoints(state: State) -> tuple[Endpoint, ...]:
    """Mode, kill switch, audit.

    Parameters
    ----------
    state : State
        Of the server.
    """
    routes = _Control(state)
    return (*_mode_endpoints(routes), *_kill_endpoints(routes), _audit_endpoint(routes))


def _mode_endpoints(routes: _Control) -> tuple[Endpoint, ...]:
    refusals = ("canary_open", "storage")
    return (
        Endpoint(
            method="GET",
            path="/ml/mode",
            permission=Permission.ADMIN,
            summary="What the server is for at present, since when and why",
            answer=Mode,
            handler=routes.mode,
        ),
        Endpoint(
            method="POST",
            path="/ml/mode",
            permission=Permission.ADMIN,
            summary="Change the mode; predictions are answered in `inference` only",
            body=SetMode,
            answer=Mode,
            handler=routes.set_mode,
            refusals=refusals,
        ),
        *(
            Endpoint(
                method="POST",
                path=f"/ml/mode/{mode}",
                permission=Permission.ADMIN,
                summary=f"Change the mode to `{mode}`",
                body=Why,
                answer=Mode,
                handler=partial(routes.enter, mode),
                refusals=refusals,
            )
            for mode in _MODES
        ),
    )


def _kill_endpoints(routes: _Control) -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            method="GET",
            path="/ml/kill",
            permission=Permission.ADMIN,
            summary="Whether predictions are refused, and what says so",
            answer=Kill,
            handler=routes.kill,
        ),
        Endpoint(
            method="POST",
            path="/ml/kill",
            permission=Permission.ADMIN,
            summary="Refuse every prediction from the next request on, or answer again",
            body=SetKill,
            answer=Kill,
            handler=routes.set_kill,
            refusals=("kill_held", "storage"),
        ),
    )


def _audit_endpoint(routes: _Control) -> Endpoint:
    return Endpoint(
        method="GET",
        path="/ml/audit",
        permission=Permission.ADMIN,
        summary="What operators, administrators and the server did, newest first",
        answer=AuditLines,
        handler=routes.audit,
        refusals=("invalid_input",),
        parameters=(
            Parameter("limit", _Lines, "Lines at most; else 100."),
            Parameter("verify", str, "`1` reads every file from its beginning; takes a while."),
        ),
    )


class _Control:
    def __init__(self, state: State) -> None:
        self._state = state

    async def mode(self, _call: Call) -> Response:
        return json_response(self._state.switches.mode)

    async def set_mode(self, call: Call) -> Response:
        return await self.enter(call.body.mode, call)

    async def enter(self, mode: ModeName, call: Call) -> Response:
        state, asked = self._state, call.body
        if state.canary.is_open:
            self._say(call, "mode", "refused", f"{mode}: {asked.reason} [canary_open]")
            raise problem_error("canary_open", "end the canary first: POST /ml/canary, mode off")
        if mode == "inference":
            await state.need_audit()
        try:
            found = await asyncio.to_thread(
                state.switches.set_mode, mode, reason=asked.reason, by=call.caller.name
            )
        except OSError as error:
            self._say(call, "mode", "failed", f"{mode}: {asked.reason} [storage]")
            detail = "the disk refuses to keep the mode; it is as before"
            raise problem_error("storage", detail) from error
        self._say(call, "mode", "done", f"{mode}: {asked.reason}")
        return json_response(found)

    async def kill(self, _call: Call) -> Response:
        return json_response(await asyncio.to_thread(self._state.switches.state))

    async def set_kill(self, call: Call) -> Response:
        asked: SetKill = call.body
        switches, said = self._state.switches, f"{'on' if asked.on else 'off'}: {asked.reason}"
        if not asked.on and switches.is_held:
            self._say(call, "kill", "refused", f"{said} [kill_held]")
            detail = "SERVE_KILL is set; restart the server without it"
            raise problem_error("kill_held", detail)
        if not asked.on:
            await self._state.need_audit()
        try:
            if asked.on:
                found = await asyncio.to_thread(
                    switches.kill, reason=asked.reason, by=call.caller.name
                )
            else:
                found = await asyncio.to_thread(switches.lift)
        except OSError as error:
            self._say(call, "kill", "failed", f"{said} [storage]")
            raise problem_error("storage", "the disk refuses to remove the kill file") from error
        self._say(call, "kill", "done", said)
        return json_response(found)

    async def audit(self, call: Call) -> Response:
        query = call.request.query_params
        text = query.get("limit", "100")
        limit = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
        if not 1 <= limit <= _MOST_LINES:
            raise problem_error("invalid_input", f"expected a limit of 1 to {_MOST_LINES}")
        return json_response(await asyncio.to_thread(self._lines, limit, query.get("verify")))

    def _lines(self, limit: int, verify: str | None) -> AuditLines:
        path, audit = self._state.settings.audit_log, self._state.audit
        audit.settle(_WAIT_S)
        lines, problems = audit.recent(limit), None
        if path is not None and verify == "1":
            problems = [str(problem) for problem in audit.problems()]
        status: Literal["intact", "broken", "memory"] = "memory"
        if path is not None:
            status = "intact" if _is_chained(lines) and not problems else "broken"
        return AuditLines(status, problems, audit.lost, [dict(line) for line in lines])

    def _say(self, call: Call, what: str, outcome: str, reason: str) -> None:
        self._state.audit.record(
            what,
            outcome,
            who=call.caller.name,
            route=f"POST /ml/{what}",
            reason=reason,
            request_id=call.request_id,
        )


def _is_chained(lines: list[Mapping[str, JsonValue]]) -> bool:
    """Whether each line, newest first, has its digest and names that of the line before."""
    own = [digest({k: v for k, v in line.items() if k != "sha256"}) for line in lines]
    named = [line.get("sha256") for line in lines]
    return own == named and all(
        newer.get("prev") == older for newer, older in zip(lines, named[1:], strict=False)
    )
