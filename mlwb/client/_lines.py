"""Takes the client's steps in a thread that waits: sockets, and which of them are kept open."""

from __future__ import annotations

import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from mlwb.client._wire import Address, Step, Steps

__all__ = ["Lines"]

_T = TypeVar("_T")
_IDLE = 16
_PIECE = 65_536


class Lines:
    """Connections to one server; any number of threads may use them.

    Parameters
    ----------
    address : Address
        Of the server.
    tls : ssl.SSLContext or None
        None for a connection in the clear.
    sleep : callable
        Waits for seconds.
    """

    def __init__(
        self, address: Address, tls: ssl.SSLContext | None, sleep: Callable[[float], Any]
    ) -> None:
        self._address, self._tls, self._sleep = address, tls, sleep
        self._idle: list[socket.socket] = []
        self._pid = os.getpid()

    def run(self, steps: Steps[_T]) -> _T:
        """Take the steps to their end."""
        turn = _Turn(self, self._sleep)
        try:
            step = next(steps)
            while True:
                try:
                    outcome = turn.take(step)
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
        while (line := self._kept()) is not None:
            line.close()

    def open(self, step: Step) -> tuple[socket.socket, bool]:
        """A connection, and whether it was kept."""
        if step.is_fresh or self._pid != os.getpid():
            self.close()  # what one process keeps, a forked one must not talk through as well
            self._pid = os.getpid()
        while (line := self._kept()) is not None:
            if _is_quiet(line):
                return line, True
            line.close()
        return self._connect(step.limit_s), False

    def keep(self, line: socket.socket) -> None:
        """Keep a connection for later; one too many is closed."""
        if len(self._idle) < _IDLE:
            self._idle.append(line)
        else:
            line.close()

    def _kept(self) -> socket.socket | None:
        try:
            return self._idle.pop()
        except IndexError:  # none, or another thread was faster
            return None

    def _connect(self, limit_s: float) -> socket.socket:
        until_s = time.monotonic() + limit_s
        error: OSError = TimeoutError("no address")
        for family, kind, protocol, _, place in _addresses(self._address, limit_s):
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                break
            line = socket.socket(family, kind, protocol)
            try:
                line.settimeout(left_s)
                line.connect(place)
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is None:
                    return line
                return self._tls.wrap_socket(line, server_hostname=self._address.host)
            except OSError as caught:
                line.close()
                error = caught
            except BaseException:
                line.close()
                raise
        raise error


class _Turn:
    """One call: at most one connection at a time, closed unless it is kept."""

    __slots__ = ("_line", "_lines", "_sleep")

    def __init__(self, lines: Lines, sleep: Callable[[float], Any]) -> None:
        self._lines, self._sleep = lines, sleep
        self._line: socket.socket | None = None

    def take(self, step: Step) -> Any:
        """Do what the step says."""
        if step.do == "open":
            self.drop()
            self._line, was_kept = self._lines.open(step)
            return was_kept
        if step.do == "sleep":
            return self._sleep(step.limit_s)
        line = cast("socket.socket", self._line)
        if step.do == "keep":
            self._line = None
            return self._lines.keep(line)
        line.settimeout(step.limit_s)
        return line.recv(_PIECE) if step.do == "receive" else line.sendall(step.data)

    def drop(self) -> None:
        """Close the connection, if there is one."""
        if self._line is not None:
            self._line.close()
            self._line = None


def _is_quiet(line: socket.socket) -> bool:
    """Whether a kept connection is open and nothing unasked has arrived on it."""
    try:
        line.settimeout(0.0)
        socket.socket.recv(line, 1, socket.MSG_PEEK)  # below TLS, if there is any
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _addresses(address: Address, limit_s: float) -> list[Any]:
    """Where a name leads; asked in a thread, because a look-up cannot be given a deadline."""
    ask = (address.host, address.port, 0, socket.SOCK_STREAM)
    try:
        return socket.getaddrinfo(*ask, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # a name
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(*ask))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        found = answers.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError("the name was not found in time") from None
    if isinstance(found, OSError):
        raise found
    addresses: list[Any] = found
    return addresses
