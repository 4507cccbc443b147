"""Bytes on a socket, as nobody's HTTP library would send them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from typing import NamedTuple, Self

__all__ = ["Answer", "Wire", "ask", "head"]


class Answer(NamedTuple):
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection.

    Parameters
    ----------
    port : int
        Of a server on this machine.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._got = b""
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send; a server that has hung up is no error here."""
        try:
            self._socket.sendall(data)
        except OSError:
            self._is_over = True

    def half_close(self) -> None:
        """Say that nothing more will come."""
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self) -> Answer | None:
        """The next whole answer; None when the server hung up instead."""
        while b"\r\n\r\n" not in self._got:
            if not self._read():
                return None
        head, _, rest = self._got.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in
                   (line.partition(":") for line in lines)}  # fmt: skip
        status = int(first.split(" ")[1])
        length = 0 if status < 200 or status == 204 else int(headers.get("content-length", "0"))
        while len(rest) < length:
            if not self._read():
                return None
            rest = self._got.partition(b"\r\n\r\n")[2]
        self._got = rest[length:]
        return Answer(status, headers, rest[:length])

    def is_closed(self) -> bool:
        """Whether the server hangs up, now or within the timeout."""
        while self._read():
            pass
        return self._is_over

    def _read(self) -> bool:
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        self._is_over = not data
        self._got += data
        return bool(data)


def head(line: str, headers: Iterable[str] = (), *, key: str = "") -> bytes:
    """The head of a request to this machine."""
    shown = [f"X-API-Key: {key}"] if key else []
    return "\r\n".join([line, "Host: 127.0.0.1", *headers, *shown, "", ""]).encode("latin-1")


def ask(port: int, data: bytes, *, pause_s: float = 0.0, pieces: int = 1) -> Answer | None:
    """Send some bytes, in pieces where told to; the first answer."""
    with Wire(port) as wire:
        size = max(1, -(-len(data) // pieces))
        for start in range(0, len(data), size):
            wire.send(data[start : start + size])
            time.sleep(pause_s)
        return wire.answer()
