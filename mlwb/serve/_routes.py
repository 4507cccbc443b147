"""From endpoints to a Starlette application: admission, body, handler, refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, compile_path

from mlwb.core.errors import ServeError
from mlwb.serve._audit import AuditLog
from mlwb.serve._decode import UNREADABLE, unreadable
from mlwb.serve._endpoints import Call, Endpoint, Permission
from mlwb.serve._guard import CALLER, ROUTE, Guard
from mlwb.serve._http import (
    ClientGoneError,
    Head,
    Scope,
    new_request_id,
    problem_headers,
    read_body,
    read_head,
)
from mlwb.serve._problems import problem_error, refusal

__all__ = ["rest_app"]

_AUDITED = frozenset((Permission.OPS, Permission.ADMIN))
# Costs the caller nothing and could be done without end: counted, one line for many.
_TURNED_AWAY = frozenset(("forbidden", "rate_limited"))


def rest_app(
    endpoints: Sequence[Endpoint], guard: Guard, audit: AuditLog, *, body_limit: int
) -> Starlette:
    """The application behind the hot routes.

    Parameters
    ----------
    endpoints : sequence of Endpoint
        Those with a handler are answered here.
    guard : Guard
        Asked before anything else.
    audit : AuditLog
        Told of every call of an operator's or administrator's route.
    body_limit : int
        Bytes of a request body.
    """
    routes = [
        Route(
            endpoint.path,
            _Route(endpoint, guard, audit, body_limit).answer,
            methods=[endpoint.method],
        )
        for endpoint in endpoints
        if endpoint.handler is not None
    ]
    refuse = partial(_refuse, tuple((compile_path(e.path)[0], e.method) for e in endpoints))
    app = Starlette(routes=routes, exception_handlers={HTTPException: refuse, Exception: _fail})
    app.router.redirect_slashes = False
    return app


class _Route:
    """One endpoint as a Starlette route."""

    def __init__(self, endpoint: Endpoint, guard: Guard, audit: AuditLog, limit: int) -> None:
        assert endpoint.handler is not None  # noqa: S101 - for the type checker; chosen above
        self._endpoint, self._handler = endpoint, endpoint.handler
        self._guard, self._audit, self._limit = guard, audit, limit
        self._decoder = None if endpoint.body is None else msgspec.json.Decoder(endpoint.body)

    async def answer(self, request: Request) -> Response:
        scope = request.scope
        scope[ROUTE] = self._endpoint.path
        head = read_head(scope["headers"], self._limit)
        try:
            caller = self._guard.admit(head, self._endpoint.permission, scope)
            body = await self._body(request, head)
            response = await self._handler(Call(request, caller, head.request_id, body))
        except ClientGoneError:
            return Response(status_code=400)  # to nobody
        except ServeError as error:
            self._note(head, scope, error.problem)
            return _problem_response(error, head.request_id, scope["path"])
        except Exception:
            self._note(head, scope, "internal")
            raise
        self._note(head, scope)
        response.headers["x-request-id"] = head.request_id
        return response

    async def _body(self, request: Request, head: Head) -> Any:
        if self._decoder is None:
            return None
        if head.refusal is not None:
            raise head.refusal
        return _decode(self._decoder, await read_body(request.receive, self._limit))

    def _note(self, head: Head, scope: Scope, problem: str = "") -> None:
        endpoint, who = self._endpoint, scope.get(CALLER, "anonymous")
        if endpoint.permission not in _AUDITED or problem == "unauthorized":
            return  # nobody's attempts are counted by the guard, one line for many
        route = f"{endpoint.method} {endpoint.path}"
        if problem in _TURNED_AWAY:
            self._audit.count(problem, what="call", who=who, route=route)
            return
        if endpoint.is_counted and not problem:
            self._audit.count("", what="call", outcome="done", who=who, route=route)
            return
        self._audit.record(
            "call",
            "failed" if problem == "internal" else "refused" if problem else "done",
            who=who,
            route=route,
            reason=problem,
            request_id=head.request_id,
        )


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise unreadable(error, known="see /docs for the names") from error


async def _refuse(
    methods: Sequence[tuple[re.Pattern[str], str]], request: Request, error: Exception
) -> Response:
    path = request.scope["path"]
    if isinstance(error, HTTPException) and error.status_code == 405:
        problem = problem_error("method_not_allowed", "expected another method")
        # Starlette names those of the first route; a path may have several, hot ones too.
        allowed = {method for pattern, method in methods if pattern.match(path)}
        allowed |= {"HEAD"} if "GET" in allowed else set()
        extra = {"allow": ", ".join(sorted(allowed))}
        return _problem_response(problem, new_request_id(), path, extra)
    problem = problem_error("not_found", "no such route; /docs lists them")
    return _problem_response(problem, new_request_id(), path)


async def _fail(request: Request, _error: Exception) -> Response:
    problem = problem_error("internal", "the server failed; see its log")
    return _problem_response(problem, new_request_id(), request.scope["path"])


def _problem_response(
    problem: ServeError, request_id: str, path: str, extra: dict[str, str] | None = None
) -> Response:
    found = refusal(problem, request_id, path)
    pairs = problem_headers(problem, request_id)
    headers = {name.decode(): value.decode() for name, value in pairs}
    return Response(
        found.body,
        status_code=found.status,
        media_type=found.media_type.decode(),
        headers={**headers, **(extra or {})},
    )
