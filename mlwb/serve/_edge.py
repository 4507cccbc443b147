"""Around every request: how many at once, what every answer carries, what is written down.

Two calls a request and nothing else where nothing is asked for: no middleware of Starlette's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol, TypeAlias

from mlwb.serve._access import AccessLine
from mlwb.serve._guard import CALLER, QUOTA, ROUTE
from mlwb.serve._http import (
    Direct,
    Header,
    Receive,
    Scope,
    Send,
    Write,
    new_request_id,
    send_problem,
)
from mlwb.serve._log import LineLog
from mlwb.serve._problems import problem_error
from mlwb.serve._rate import RateLimit
from mlwb.serve._state import State

__all__ = ["Edge", "direct"]

_Answer: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class AtOnce(Protocol):
    """A route that needs no waiting."""

    def at_once(self, scope: Scope, body: bytes, write: Write) -> None:
        """Answer a whole request."""


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
        "_now",
        "_origins",
        "_sample",
        "_state",
    )

    def __init__(self, state: State, answer: _Answer, always: Iterable[str]) -> None:
        settings, self._state = state.settings, state
        self._answer, self._always, self._now = answer, frozenset(always), state.clock.monotonic_s
        self._in_flight, self._most = 0, settings.max_in_flight
        self._origins = frozenset(origin.encode() for origin in settings.cors_origins)
        self._access, self._sample, self._good = state.access_log, settings.access_sample, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = _Exchange(scope, send)
        if self._origins or self._access is not None:
            exchange.start_s = self._now()
            exchange.shared = self._shared(scope)
        self._in_flight += 1
        try:
            if self._in_flight > self._most and scope["path"] not in self._always:
                self._state.metrics.refused["load"] += 1
                error = problem_error("overloaded", "too many requests at once; come back")
                await send_problem(exchange.send, error, new_request_id(), path=scope["path"])
            elif len(exchange.shared) > 1 and _is_preflight(scope):
                await exchange.send(
                    {"type": "http.response.start", "status": 204, "headers": [*_PREFLIGHT]}
                )
                await exchange.send({"type": "http.response.body"})
            else:
                await self._answer(scope, receive, exchange.send)
        finally:
            self._in_flight -= 1
            if self._access is not None:
                self._write(self._access, exchange)

    def _shared(self, scope: Scope) -> tuple[Header, ...]:
        """What an answer says about pages of other origins."""
        if not self._origins:
            return ()
        origin = dict(scope["headers"]).get(b"origin", b"")
        named = b"*" if b"*" in self._origins else origin
        if not origin or named not in self._origins:
            return (_VARY,)
        return (b"access-control-allow-origin", named), _EXPOSED, _VARY

    def _write(self, log: LineLog, exchange: _Exchange) -> None:
        if exchange.status < 400:
            self._good += 1
            if int(self._good * self._sample) == int((self._good - 1) * self._sample):
                return
        scope = exchange.scope
        log.add(
            AccessLine(
                ts=self._state.clock.now(),
                request_id=dict(exchange.headers).get(b"x-request-id", b"").decode(),
                key=scope.get(CALLER, ""),
                method=scope["method"],
                route=scope.get(ROUTE, "-"),
                status=exchange.status,
                ms=round((self._now() - exchange.start_s) * 1e3, 3),
            )
        )


def direct(route: AtOnce) -> Direct:
    """A route that answers at once, with what every answer carries.

    Of what the edge does this leaves out the number of requests at once: there is only one.

    Parameters
    ----------
    route : AtOnce
        Writes status, headers and body of its answer.
    """

    def answer(scope: Scope, body: bytes, write: Write) -> None:
        def complete(status: int, headers: list[Header], content: bytes) -> None:
            _add_headers(scope, headers)
            write(status, headers, content)

        route.at_once(scope, body, complete)

    return answer


class _Exchange:
    """One request on its way out."""

    __slots__ = ("_send", "headers", "scope", "shared", "start_s", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope, self._send = scope, send
        self.status, self.start_s = 0, 0.0
        self.shared: tuple[Header, ...] = ()
        self.headers: list[Header] = []

    def send(self, message: MutableMapping[str, Any]) -> Awaitable[None]:
        """Hand a message on; the first one gets the headers of every answer."""
        if "status" in message:
            self.status = message["status"]
            headers = self.headers = message["headers"]
            _add_headers(self.scope, headers)
            headers.extend(self.shared)
        return self._send(message)


def _add_headers(scope: Scope, headers: list[Header]) -> None:
    """What every answer carries, whoever asked."""
    if scope["method"] != "POST":
        _keep_private(headers)
    else:  # a POST is answered by us alone, and kept by no cache
        headers.append(_NOSNIFF)
    if QUOTA in scope:
        _tell_quota(headers, *scope[QUOTA])


def _keep_private(headers: list[Header]) -> None:
    if _NOSNIFF not in headers:
        headers.append(_NOSNIFF)
    if all(name != b"cache-control" for name, _ in headers):
        headers.append(_NO_STORE)


def _tell_quota(headers: list[Header], limit: RateLimit, taken_s: float) -> None:
    quota = limit.standing(taken_s)
    headers.append((b"ratelimit-policy", limit.policy))
    headers.append((b"ratelimit", limit.named % quota))
    if taken_s < 0:
        headers.append((b"retry-after", b"%d" % quota.reset_s))


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in scope["headers"]
    )
