"""From endpoints to a Starlette application: admission, body, handler, refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlwb.core.errors import ServeError
from mlwb.serve._endpoints import Call, Endpoint
from mlwb.serve._guard import Guard
from mlwb.serve._http import new_request_id, problem_headers, read_body, read_head
from mlwb.serve._problems import problem_body, problem_error

__all__ = ["rest_app"]


def rest_app(endpoints: Sequence[Endpoint], guard: Guard, *, body_limit: int) -> Starlette:
    """The application behind the hot routes.

    Parameters
    ----------
    endpoints : sequence of Endpoint
        Those with a handler are answered here.
    guard : Guard
        Asked before anything else.
    body_limit : int
        Bytes of a request body.
    """
    routes = [
        Route(endpoint.path, _handle(endpoint, guard, body_limit), methods=[endpoint.method])
        for endpoint in endpoints
        if endpoint.handler is not None
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refuse, Exception: _fail})
    app.router.redirect_slashes = False
    return app


def _handle(
    endpoint: Endpoint, guard: Guard, limit: int
) -> Callable[[Request], Awaitable[Response]]:
    handler = endpoint.handler
    assert handler is not None  # noqa: S101 - for the type checker; chosen by the caller
    decoder = None if endpoint.body is None else msgspec.json.Decoder(endpoint.body)

    async def handle(request: Request) -> Response:
        head = read_head(request.scope["headers"], limit)
        try:
            caller = guard.admit(head, endpoint.permission)
            body = None
            if decoder is not None:
                if head.refusal is not None:
                    raise head.refusal
                body = _decode(decoder, await read_body(request.receive, limit))
            response = await handler(Call(request, caller, head.request_id, body))
        except ServeError as error:
            return _problem_response(error, head.request_id)
        response.headers["x-request-id"] = head.request_id
        return response

    return handle


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise problem_error("invalid_input", "the body does not fit this route") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem_error("bad_json", "expected one JSON object in UTF-8") from error


async def _refuse(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        problem = problem_error("method_not_allowed", "expected another method")
        return _problem_response(problem, new_request_id(), dict(error.headers or {}))
    problem = problem_error("not_found", "no such route; see the documentation")
    return _problem_response(problem, new_request_id())


async def _fail(_request: Request, _error: Exception) -> Response:
    problem = problem_error("internal", "the server failed; see its log")
    return _problem_response(problem, new_request_id())


def _problem_response(
    problem: ServeError, request_id: str, extra: dict[str, str] | None = None
) -> Response:
    pairs = problem_headers(problem, request_id)
    headers = {name.decode(): value.decode() for name, value in pairs}
    return Response(
        problem_body(problem, request_id),
        status_code=problem.status,
        headers={**headers, **(extra or {})},
    )
