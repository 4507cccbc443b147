"""What a connection may cost: head and body in time and of a proper size, and only so many of them.

uvicorn's protocol parses; here is what it leaves to a proxy. A server that a bot talks to directly
has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from mlwb.serve._heads import Heads
from mlwb.serve._http import Direct, Header, new_request_id, problem_headers
from mlwb.serve._metrics import Metrics
from mlwb.serve._problems import problem_body, problem_error
from mlwb.serve._settings import ServeSettings

__all__ = ["GuardedProtocol", "sweep"]

_DETAILS = {
    "bad_request": "expected one HTTP/1.1 request with one Host",
    "headers_too_large": "expected fewer or shorter headers",
    "overloaded": "too many connections; come back",
    "slow_request": "the request did not arrive in time",
}
_line = b": ".join
_REASONS = {"overloaded": "load"}
# Of a body that was refused already and is read only so that its sender sees the refusal.
_DISCARDED_BODIES = 256


class GuardedProtocol(HttpToolsProtocol):
    """One connection within the limits of the settings.

    Parameters
    ----------
    *args, **named
        Of uvicorn.
    settings : ServeSettings
        The limits.
    metrics : Metrics
        Counts what is refused.
    direct : mapping of bytes to callable, optional
        By target, routes that answer a whole request at once: ``(scope, body, write)``. A request
        to one of them that arrives in one piece, as a row of features does, needs no task, no
        queue and no event; any other goes through ASGI, to the same route.
    heads : Heads, optional
        Heads of such requests that were read before, on any connection: they are not read again.
    """

    def __init__(
        self,
        *args: Any,
        settings: ServeSettings,
        metrics: Metrics,
        direct: Mapping[bytes, Direct] = MappingProxyType({}),
        heads: Heads | None = None,
        **named: Any,
    ) -> None:
        super().__init__(*args, **named)
        self._heads = Heads() if heads is None else heads
        self._routes, self._body, self._data = direct, b"", b""
        self._route: Direct | None = None
        self._has_answered = False
        self._settings, self._metrics = settings, metrics
        self._max_headers, self._header_limit = settings.max_headers, settings.header_limit
        self._most_bytes = settings.header_limit + _DISCARDED_BODIES * settings.body_limit
        self._problem = ""
        self._is_head = self._is_reading = self._has_begun = False
        self._is_suspect = False  # more arrived at once than the headers may have
        self._since_s, self._later_bytes, self._closing_s = 0.0, 0, 0.0
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse one connection too many."""
        super().connection_made(transport)
        self._since_s = self.loop.time()
        if len(self.connections) > self._settings.max_connections:
            self._refuse("overloaded")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered; uvicorn tells the one that was read last."""
        if (running := self._running) is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and hold what is not whole yet against the limits."""
        if self._is_free() and self._answered_again(data):
            return
        was_head = self._is_head
        self._data = b"" if self._is_reading else data
        self._is_suspect, self._has_begun = len(data) > self._header_limit, False
        super().data_received(data)
        if self._route is not None:
            self._go_on()
        # What came together with the beginning of the message is bounded by one read.
        if self._is_reading and not self._has_begun and not self.transport.is_closing():
            self._later_bytes += len(data)
            most = self._header_limit if was_head and self._is_head else self._most_bytes
            if self._later_bytes > most or len(self.headers) > self._max_headers:
                self._refuse("headers_too_large")

    def on_message_begin(self) -> None:
        """Begin to wait for the rest."""
        super().on_message_begin()
        self._is_head = self._is_reading = self._has_begun = True
        self._since_s, self._later_bytes = self.loop.time(), 0

    def on_headers_complete(self) -> None:
        """Check the head before anything is done about it."""
        self._is_head, self._later_bytes = False, 0
        hosts = 0
        for name, _ in self.headers:
            if name == b"host":
                hosts += 1
        if hosts != 1 or self._is_suspect or len(self.headers) > self._max_headers:
            self._problem = self._head_problem(hosts)
            if self._problem:
                raise ValueError(self._problem)  # ends the parser, which calls send_400_response()
        if (route := self._routes.get(self.url)) is not None and self._is_usual():
            self._route, self._body = route, b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep what may be answered at once."""
        if self._route is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Wait no longer."""
        if (route := self._route) is None:
            super().on_message_complete()
        else:
            self._route, self._has_answered = None, True
            self.server_state.total_requests += 1
            scope = cast("dict[str, Any]", self.scope)
            scope["method"], scope["path"], scope["query_string"] = "POST", self.url.decode(), b""
            route(scope, self._body, self._write)
            if self._data:
                self._heads.keep(self._data, self.url, self._body, scope)
        self._is_reading = False

    def _is_free(self) -> bool:
        """Whether nothing is open on this connection, and its client takes what is written."""
        cycle: RequestResponseCycle | None = self.cycle
        return (
            not self._is_reading
            and not self.flow.write_paused
            and (cycle is None or cycle.response_complete)
        )

    def _answered_again(self, data: bytes) -> bool:
        """Answer a whole request whose head was read before; the parser need not see it."""
        found = self._heads.find(data)
        route = None if found is None else self._routes.get(found[0].url)
        if found is None or route is None or self.transport.is_closing():
            return False
        known, body = found
        self._since_s, self._has_answered = self.loop.time(), True
        self.server_state.total_requests += 1
        route({**known.scope, "client": self.client}, body, self._write)
        return True

    def _is_usual(self) -> bool:
        """Whether nothing else is open on this connection, and nothing special is asked for."""
        parser = self.parser
        cycle: RequestResponseCycle | None = self.cycle
        return (
            parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not (self.expect_100_continue | parser.should_upgrade() | self.flow.write_paused)
            and (cycle is None or cycle.response_complete)
        )

    def _go_on(self) -> None:
        """Hand over a request of which more is to come."""
        self._route = None
        super().on_headers_complete()
        if self._body:
            super().on_body(self._body)

    def _write(self, status: int, headers: list[Header], body: bytes) -> None:
        """Write a whole answer in one piece: names and values are ours, and hold no line ends."""
        lines = b"\r\n".join(map(_line, (*self.server_state.default_headers, *headers)))
        self.transport.write(
            b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (STATUS_LINE[status], lines, len(body), body)
        )

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on with the next request. Silence is noticed by :meth:`look`: no timer a request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - of uvicorn
        """Refuse what is no HTTP in our words."""
        self._refuse(self._problem or "bad_request")

    def look(self, now_s: float) -> None:
        """End the connection if it has waited for its client for too long.

        Parameters
        ----------
        now_s : float
            Of the loop.
        """
        if self.transport.is_closing():
            # It stays open until the client has taken what was written, which may be never.
            self._closing_s = self._closing_s or now_s
            if now_s - self._closing_s > self._settings.read_s:
                self.transport.abort()
            return
        waited_s = now_s - self._since_s
        cycle: RequestResponseCycle | None = self.cycle
        has_asked = self._has_answered or cycle is not None
        if self._is_reading:
            if waited_s > self._settings.read_s:
                self._refuse("slow_request")
            return
        # Who never asked is given the time of a request only: silence must not hold a place.
        if waited_s > (self._settings.idle_s if has_asked else self._settings.read_s):
            if cycle is None or cycle.response_complete:
                self.transport.close()
            elif self.flow.write_paused:  # a client that does not take its answer
                self.transport.abort()

    def _head_problem(self, hosts: int) -> str:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._header_limit or len(self.headers) > self._max_headers:
            return "headers_too_large"
        if hosts > 1 or (not hosts and self.parser.get_http_version() != "1.0"):
            return "bad_request"
        return ""

    def _refuse(self, problem: str) -> None:
        """Say why, where an answer can still be understood as one to this request, and close."""
        self._metrics.refused[_REASONS.get(problem, "http")] += 1
        is_untouched, self._route = self._route is not None, None
        if is_untouched or self._may_answer():
            error = problem_error(problem, _DETAILS[problem])
            request_id = new_request_id()
            body = problem_body(error, request_id)
            headers = [
                *self.server_state.default_headers,
                *problem_headers(error, request_id),
                (b"content-length", b"%d" % len(body)),
                (b"connection", b"close"),
            ]
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[error.status] + lines + b"\r\n" + body)
        self.transport.close()

    def _may_answer(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None:
            return True
        if cycle.response_complete:
            # Of a message whose body is still coming the answer has left already.
            return self._is_head or not self._is_reading or bool(self._problem)
        if self._is_head or self._problem or cycle.response_started or self.pipeline:
            return False
        cycle.disconnected = True  # the application has nobody to answer any more
        return True


def sweep(connections: Iterable[object], now_s: float) -> None:
    """Look at every connection.

    Parameters
    ----------
    connections : iterable
        Of a server; those of other protocols are left alone.
    now_s : float
        Of the loop.
    """
    for connection in list(connections):
        if isinstance(connection, GuardedProtocol):
            connection.look(now_s)
