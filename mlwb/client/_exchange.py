"""One request and its answer, by a deadline, over a connection that may have been kept."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial

from mlwb.client._wire import Address, ClosedError, Private, Reply, Step, Steps, read_reply
from mlwb.core.clock import Clock
from mlwb.core.errors import ServeError

__all__ = ["Exchanger"]


class Exchanger:
    """Requests to one server.

    Parameters
    ----------
    address : Address
        Of the server.
    clock : Clock
        Measures what is left of a deadline.
    connect_s : float
        Longest time for one connection.
    answer_limit : int
        Bytes the body of an answer may have.
    """

    def __init__(
        self, address: Address, clock: Clock, *, connect_s: float, answer_limit: int
    ) -> None:
        self._address, self._clock = address, clock
        self._connect_s, self._answer_limit = connect_s, answer_limit

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        deadline_s: float,
        request_id: str = "",
        resend: bool = True,
    ) -> Steps[Reply]:
        """Send one request and read the whole answer.

        Parameters
        ----------
        method, path : str
            Of the request.
        body : bytes, optional
            JSON.
        deadline_s : float
            Monotonic time of the clock by which the whole answer must be there.
        request_id : str, default=""
            Sent along when given.
        resend : bool, default=True
            Send once more on a new connection when a kept one turns out to be closed. A
            prediction asked twice or a bar told of twice is harmless; a measurement is not.

        Raises
        ------
        ServeError
            ``unreachable`` or ``tls`` (503) no connection, nothing was sent; ``lost`` (503) the
            connection broke after the request was sent; ``timeout`` (504); ``bad_answer`` (502).
        """
        request = self._address.request(method, path, body, request_id)
        left_s = partial(self._left_s, deadline_s)
        try:
            reply = yield from self._talk(request, left_s, resend=resend)
        except TimeoutError as error:
            raise ServeError("no answer in time", status=504, problem="timeout") from error
        except OSError as error:
            raise ServeError("the connection broke", status=503, problem="lost") from error
        if reply.is_reusable and self._address.keep_alive:
            yield Step("keep")
        return reply

    def _talk(self, request: Private, left_s: Callable[[], float], *, resend: bool) -> Steps[Reply]:
        was_kept = yield from self._open(left_s, is_fresh=False)
        try:
            return (yield from self._one_try(request, left_s))
        except ClosedError:
            # A kept connection the server closed meanwhile says nothing about this request.
            if not (was_kept and resend):
                raise
        yield from self._open(left_s, is_fresh=True)
        return (yield from self._one_try(request, left_s))

    def _one_try(self, request: Private, left_s: Callable[[], float]) -> Steps[Reply]:
        try:
            yield Step("send", left_s(), request)
        except TimeoutError:
            raise
        except OSError:
            pass  # a server may refuse and hang up before it has read all: see what it said
        return (yield from read_reply(left_s, self._answer_limit))

    def _open(self, left_s: Callable[[], float], *, is_fresh: bool) -> Steps[bool]:
        limit_s = min(self._connect_s, left_s())
        try:
            was_kept: bool = yield Step("open", limit_s, is_fresh=is_fresh)
        except ssl.SSLError as error:
            detail = "the server is not the one its certificate should name"
            raise ServeError(detail, status=503, problem="tls") from error
        except OSError as error:
            left_s()
            detail = f"the server cannot be reached at {self._address.host}:{self._address.port}"
            raise ServeError(detail, status=503, problem="unreachable") from error
        return was_kept

    def _left_s(self, deadline_s: float) -> float:
        left = deadline_s - self._clock.monotonic_s()
        if left <= 0.0:
            raise TimeoutError
        return left
