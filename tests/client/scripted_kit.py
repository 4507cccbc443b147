"""A server that plays a script: exact bytes, silence, or a closed door."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

__all__ = ["Scene", "Script", "answer", "free_port", "scripted"]

Scene: TypeAlias = bytes | Literal["hang up", "silence"]


def answer(status: int, body: bytes, *headers: str) -> bytes:
    """Bytes of an HTTP answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class Script:
    """What is played, and what was asked."""

    def __init__(self, scenes: Sequence[Scene], port: int) -> None:
        self.scenes = list(scenes)
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{port}"

    def play(self, connection: socket.socket, stop: threading.Event) -> None:
        """One connection: a scene a request, until it is closed."""
        self.connections += 1
        with connection, contextlib.suppress(OSError):
            while request := _read(connection):
                self.requests.append(request)
                scene = self.scenes.pop(0)
                if scene == "hang up":
                    return
                if scene == "silence":
                    stop.wait(5)
                    return
                assert isinstance(scene, bytes)
                connection.sendall(scene)


def _read(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.split(b":")[1]):
                body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def scripted(*scenes: Scene) -> Iterator[Script]:
    """Serve the scenes in order, one a request, on a free port."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = Script(scenes, listener.getsockname()[1])
        threads: list[threading.Thread] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    thread = threading.Thread(target=script.play, args=(connection, stop))
                    thread.start()
                    threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield script
        finally:
            stop.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            accepting.join(5)
            for thread in threads:
                thread.join(5)
