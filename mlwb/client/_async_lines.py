"""Takes the client's steps on an event loop: the same steps, nobody waits in a thread."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from mlwb.client._wire import Address, Step, Steps

__all__ = ["AsyncLines"]

_T = TypeVar("_T")
_IDLE = 16
_UNASKED = 65_536
"""Bytes that may lie unread before the other side is told to wait."""


class AsyncLines:
    """Connections to one server, for the tasks of one event loop.

    Parameters
    ----------
    address : Address
        Of the server.
    tls : ssl.SSLContext or None
        None for a connection in the clear.
    sleep : callable
        Coroutine function that waits for seconds.
    """

    def __init__(
        self,
        address: Address,
        tls: ssl.SSLContext | None,
        sleep: Callable[[float], Awaitable[Any]],
    ) -> None:
        self._address, self._tls, self._sleep = address, tls, sleep
        self._idle: list[_Line] = []

    async def run(self, steps: Steps[_T]) -> _T:
        """Take the steps to their end; a cancelled call leaves no connection behind."""
        turn = _Turn(self, self._sleep)
        try:
            step = next(steps)
            while True:
                try:
                    outcome = await turn.take(step)
                except OSError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as done:
            found: _T = done.value
            return found
        finally:
            turn.drop()

    def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            self._idle.pop().close()

    async def open(self, step: Step) -> tuple[_Line, bool]:
        """A connection, and whether it was kept."""
        if step.is_fresh:
            self.close()
        loop = asyncio.get_running_loop()
        while self._idle:
            kept = self._idle.pop()
            if kept.is_quiet and kept.loop is loop:
                return kept, True
            kept.close()
        host = self._address.host
        async with asyncio.timeout(step.limit_s):
            _, made = await loop.create_connection(
                lambda: _Line(loop),
                host,
                self._address.port,
                ssl=self._tls,
                server_hostname=host if self._tls else None,
            )
        return made, False

    def keep(self, line: _Line) -> None:
        """Keep a connection for later; one too many is closed."""
        if len(self._idle) < _IDLE:
            self._idle.append(line)
        else:
            line.close()


class _Turn:
    """One call: at most one connection at a time, closed unless it is kept."""

    __slots__ = ("_line", "_lines", "_sleep")

    def __init__(self, lines: AsyncLines, sleep: Callable[[float], Awaitable[Any]]) -> None:
        self._lines, self._sleep = lines, sleep
        self._line: _Line | None = None

    async def take(self, step: Step) -> Any:
        """Do what the step says."""
        if step.do == "open":
            self.drop()
            self._line, was_kept = await self._lines.open(step)
            return was_kept
        if step.do == "sleep":
            return await self._sleep(step.limit_s)
        line = cast("_Line", self._line)
        if step.do == "keep":
            self._line = None
            return self._lines.keep(line)
        return await line.receive(step.limit_s) if step.do == "receive" else line.send(step.data)

    def drop(self) -> None:
        """Close the connection, if there is one."""
        if self._line is not None:
            self._line.close()
            self._line = None


class _Line(asyncio.Protocol):
    """One connection: what has arrived, and who waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._has_ended = self._is_paused = False
        self._error: OSError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether it is open and nothing unasked has arrived."""
        return not (self._has_ended or self._data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._data += data
        if len(self._data) > _UNASKED and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Called by the loop; it closes the connection then."""
        self._has_ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the loop."""
        self._has_ended = True
        self._error = error if isinstance(error, OSError) else None
        self._wake()

    def send(self, data: bytes) -> None:
        """Hand the bytes to the loop, which sends them as the server takes them."""
        if self._transport is None or self._has_ended:
            raise ConnectionResetError
        self._transport.write(data)

    async def receive(self, limit_s: float) -> bytes:
        """The next bytes, ``b""`` at the end."""
        if self.is_quiet:
            self._waiter = self.loop.create_future()
            timer = self.loop.call_later(limit_s, self._too_late)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        if self._data:
            data, self._data = self._data, b""
            if self._is_paused and self._transport is not None:
                self._is_paused = False
                self._transport.resume_reading()
            return data
        if self._error is not None:
            raise self._error
        return b""

    def close(self) -> None:
        """Close at once; what was not sent is not."""
        if self._transport is not None and not self.loop.is_closed():
            self._transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _too_late(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TimeoutError())
