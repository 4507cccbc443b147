"""Around every request: how many at once, what every answer carries, what is written down.

Two calls a request and nothing else where nothing is asked for: no middleware of Starlette's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from mlwb.serve._access import AccessLine
from mlwb.serve._guard import CALLER, QUOTA, ROUTE
from mlwb.serve._http import Header, Receive, Scope, Send, new_request_id, send_problem
from mlwb.serve._problems import problem_error
from mlwb.serve._state import State

__all__ = ["Edge"]

_Answer: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")
_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, x-api-key, x-request-id"),
    (b"access-control-max-age", b"600"),
)
_EXPOSED = (
    b"access-control-expose-headers",
    b"ratelimit, ratelimit-policy, retry-after, x-request-id",
)
_VARY = (b"vary", b"origin")


class Edge:
    """The outermost callable of the application.

    Parameters
    ----------
    state : State
        Of the server.
    answer : ASGI callable
        What is inside.
    always : iterable of str
        Paths that are answered however many requests there are: whoever watches must see.
    """

    __slots__ = (
        "_access",
        "_always",
        "_answer",
        "_good",
        "_in_flight",
        "_most",
        "_origins",
        "_sample",
        "_state",
    )

    def __init__(self, state: State, answer: _Answer, always: Iterable[str]) -> None:
        settings, self._state = state.settings, state
        self._answer, self._always = answer, frozenset(always)
        self._in_flight, self._most = 0, settings.max_in_flight
        self._origins = frozenset(origin.encode() for origin in settings.cors_origins)
        self._access, self._sample, self._good = state.access_log, settings.access_sample, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        origin = self._origin(scope) if self._origins else None
        exchange = _Exchange(scope, send, origin, is_shared=bool(self._origins))
        start_s = self._state.clock.monotonic_s() if self._access is not None else 0.0
        self._in_flight += 1
        try:
            if self._in_flight > self._most and scope["path"] not in self._always:
                self._state.metrics.refused["load"] += 1
                error = problem_error("overloaded", "too many requests at once; come back")
                await send_problem(exchange.send, error, new_request_id(), path=scope["path"])
            elif origin is not None and _is_preflight(scope):
                await _send_preflight(exchange.send)
            else:
                await self._answer(scope, receive, exchange.send)
        finally:
            self._in_flight -= 1
            if self._access is not None:
                self._write(exchange, start_s)

    def _origin(self, scope: Scope) -> bytes | None:
        """The origin to name in the answer; None where it is not on the list."""
        found = dict(scope["headers"]).get(b"origin")
        if found is None:
            return None
        return b"*" if b"*" in self._origins else found if found in self._origins else None

    def _write(self, exchange: _Exchange, start_s: float) -> None:
        log, scope = self._access, exchange.scope
        if log is None:
            return
        if exchange.status < 400:
            self._good += 1
            if int(self._good * self._sample) == int((self._good - 1) * self._sample):
                return
        clock = self._state.clock
        log.add(
            AccessLine(
                ts=clock.now(),
                request_id=dict(exchange.headers).get(b"x-request-id", b"").decode(),
                key=scope.get(CALLER, ""),
                method=scope["method"],
                route=scope.get(ROUTE, "-"),
                status=exchange.status,
                ms=round((clock.monotonic_s() - start_s) * 1e3, 3),
            )
        )


class _Exchange:
    """One request on its way out."""

    __slots__ = ("_is_shared", "_origin", "_send", "headers", "scope", "status")

    def __init__(self, scope: Scope, send: Send, origin: bytes | None, *, is_shared: bool) -> None:
        self.scope, self._send, self._origin, self._is_shared = scope, send, origin, is_shared
        self.status = 0
        self.headers: list[Header] = []

    def send(self, message: MutableMapping[str, Any]) -> Awaitable[None]:
        """Hand a message on; the first one gets the headers of every answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = message["headers"]
            self._dress(self.headers)
        return self._send(message)

    def _dress(self, headers: list[Header]) -> None:
        scope = self.scope
        if _NOSNIFF not in headers:
            headers.append(_NOSNIFF)
        if scope["method"] != "POST":  # what POST answers is not kept by any cache
            names = [name for name, _ in headers]
            if b"cache-control" not in names:
                headers.append(_NO_STORE)
        taken = scope.get(QUOTA)
        if taken is not None:
            limit, taken_s = taken
            quota = limit.standing(taken_s)
            headers.append((b"ratelimit-policy", limit.policy))
            headers.append((b"ratelimit", limit.named % quota))
            if taken_s < 0:
                headers.append((b"retry-after", b"%d" % quota.reset_s))
        if self._is_shared:
            headers.extend(_allowed(self._origin) if self._origin is not None else (_VARY,))


def _allowed(origin: bytes) -> tuple[Header, ...]:
    return (b"access-control-allow-origin", origin), _EXPOSED, _VARY


async def _send_preflight(send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": [*_PREFLIGHT]})
    await send({"type": "http.response.body"})


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in scope["headers"]
    )
