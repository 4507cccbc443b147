"""One HTTP/1.1 connection on the standard library, kept open, with deadlines."""

from __future__ import annotations

import http.client
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from mlwb.core.clock import Clock
from mlwb.core.errors import ParamsError, ServeError

__all__ = ["Reply", "Transport"]

_CONNECT_S = 0.25


class Reply(NamedTuple):
    """An answer, whatever its status.

    Parameters
    ----------
    status : int
        HTTP status.
    body : bytes
        All of it.
    retry_after_s : float
        What the server asked for; 0 when it did not.
    """

    status: int
    body: bytes
    retry_after_s: float


class Transport:
    """Requests to one server. Not for use by several threads at once.

    Parameters
    ----------
    base_url : str
        ``"http://host:port"``, optionally with a path in front of all routes.
    keep_alive : bool
        False connects anew for each request.
    clock : Clock
        Measures what is left of a deadline.

    Raises
    ------
    ParamsError
        The URL is not one.
    """

    def __init__(self, base_url: str, *, keep_alive: bool, clock: Clock) -> None:
        parts = urlsplit(base_url)
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        try:
            kind, host, port = kinds[parts.scheme], parts.hostname, parts.port
        except (KeyError, ValueError) as error:
            raise _not_a_url(base_url) from error
        if not host:
            raise _not_a_url(base_url)
        self._prefix, self._keep_alive, self._clock = parts.path.rstrip("/"), keep_alive, clock
        self._connection = kind(host, port)

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        deadline_s: float,
        request_id: str = "",
        resend: bool = True,
    ) -> Reply:
        """Send one request and read the whole answer.

        Parameters
        ----------
        method, path : str
            Of the request.
        body : bytes, optional
            JSON.
        deadline_s : float
            Monotonic time of the clock by which the answer must be there. Checked before each
            of connecting, sending, the head and the body of the answer.
        request_id : str, default=""
            Sent along when given.
        resend : bool, default=True
            Send once more on a new connection when a kept one turns out to be closed. A
            prediction asked twice is harmless; a measurement wants to see the break.

        Raises
        ------
        ServeError
            ``unreachable`` (503) no connection, nothing was sent; ``lost`` (503) the connection
            broke after the request was sent; ``timeout`` (504).
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if request_id:
            headers["X-Request-Id"] = request_id
        try:
            return self._exchange(
                method, path, body, headers=headers, deadline_s=deadline_s, resend=resend
            )
        except TimeoutError as error:
            self.close()
            raise ServeError("no answer in time", status=504, problem="timeout") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ServeError("the connection broke", status=503, problem="lost") from error

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        headers: dict[str, str],
        deadline_s: float,
        resend: bool,
    ) -> Reply:
        was_open = self._connection.sock is not None
        self._open(deadline_s)
        try:
            self._connection.request(method, self._prefix + path, body, headers)
            self._limit(deadline_s)
            response = self._connection.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):
            # A kept connection the server closed meanwhile says nothing about this request.
            self.close()
            if not was_open or not resend:
                raise
            return self._exchange(
                method, path, body, headers=headers, deadline_s=deadline_s, resend=False
            )
        self._limit(deadline_s)
        data = response.read()
        if not self._keep_alive:
            self.close()
        return Reply(response.status, data, _seconds(response.getheader("Retry-After", "")))

    def _open(self, deadline_s: float) -> None:
        if self._connection.sock is None:
            self._connection.timeout = min(_CONNECT_S, self._left(deadline_s))
            try:
                self._connection.connect()
            except OSError as error:
                self.close()
                raise ServeError(
                    "the server cannot be reached", status=503, problem="unreachable"
                ) from error
        self._limit(deadline_s)

    def _limit(self, deadline_s: float) -> None:
        found: socket.socket | None = self._connection.sock
        if found is not None:
            found.settimeout(self._left(deadline_s))

    def _left(self, deadline_s: float) -> float:
        left = deadline_s - self._clock.monotonic_s()
        if left <= 0.0:
            raise TimeoutError
        return left


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() and len(text) < 7 else 0.0


def _not_a_url(base_url: str) -> ParamsError:
    return ParamsError(
        "not the address of a server", expected="http://host:port", got=repr(base_url[:80])
    )
