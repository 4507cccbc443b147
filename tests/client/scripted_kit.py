"""A server that plays a script: exact bytes, drips, silence, a closed or a slammed door."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlwb.core.clock import SystemClock

__all__ = [
    "GOOD",
    "Drip",
    "Scene",
    "Script",
    "answer",
    "certificate",
    "free_port",
    "problem",
    "scored",
    "scripted",
]

_SLAM = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Drip:
    """Bytes in pieces, with a pause after each; then silence, or the end of the connection."""

    pieces: tuple[bytes, ...]
    pause_s: float = 0.02
    ends: bool = False


Scene: TypeAlias = (
    bytes | Drip | Callable[[bytes], bytes] | Literal["hang up", "silence", "slam", "answer, close"]
)
"""What is done with one request; a function makes the answer from it."""


def answer(status: int, body: bytes, *headers: str) -> bytes:
    """Bytes of an HTTP answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def problem(status: int, code: str, *headers: str) -> bytes:
    """A refusal."""
    return answer(status, json.dumps({"code": code, "detail": "no"}).encode(), *headers)


def scored(**changes: Any) -> Callable[[bytes], bytes]:
    """A score for the request that was asked; ``changes`` are laid over it."""

    def scene(request: bytes) -> bytes:
        asked = json.loads(request.partition(b"\r\n\r\n")[2])
        score: dict[str, Any] = {"score": 0.25}
        if "rows" in asked:
            score = {"scores": [0.25 + 0.125 * place for place in range(len(asked["rows"]))]}
        said = {"request_id": asked["request_id"], "model_version": "v1", **score, **changes}
        return answer(200, json.dumps(said).encode())

    return scene


GOOD = scored()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class Script:
    """What is played, and what was asked; ``ended`` once a scene or a connection was the last."""

    def __init__(self, scenes: Sequence[Scene], port: int, scheme: str) -> None:
        self.scenes = list(scenes)
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = threading.Event()
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.lock = threading.Lock()

    def play(self, connection: socket.socket, stop: threading.Event) -> None:
        """One connection: a scene a request, until it is closed."""
        self.connections += 1
        with connection, contextlib.suppress(OSError):
            while request := _read(connection):
                with self.lock:
                    self.requests.append(request)
                    scene = self.scenes.pop(0)
                if scene == "hang up":
                    return
                if scene == "slam":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _SLAM)
                    return
                if scene == "answer, close":
                    connection.sendall(GOOD(request))
                    return
                if scene == "silence":
                    stop.wait(5)
                    return
                if isinstance(scene, Drip):
                    _drip(connection, scene, stop, self.ended)
                    return
                assert not isinstance(scene, str)
                connection.sendall(scene if isinstance(scene, bytes) else scene(request))

    @property
    def request_ids(self) -> set[str]:
        """Ids in the heads of all requests."""
        found = re.findall(rb"(?m)^X-Request-Id: (.*)\r$", b"\n".join(self.requests))
        return {value.decode() for value in found}


def _drip(
    connection: socket.socket, scene: Drip, stop: threading.Event, ended: threading.Event
) -> None:
    for piece in scene.pieces:
        connection.sendall(piece)
        if stop.wait(scene.pause_s):
            return
    if not scene.ends:
        ended.set()
        stop.wait(5)


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
def scripted(*scenes: Scene, tls: ssl.SSLContext | None = None) -> Iterator[Script]:
    """Serve the scenes in order, one a request, on a free port."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = Script(scenes, listener.getsockname()[1], "https" if tls else "http")
        threads: list[threading.Thread] = []
        opened: list[socket.socket] = []

        def welcome(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                connection.settimeout(5)
                found = tls.wrap_socket(connection, server_side=True) if tls else connection
                opened.append(found)
                script.play(found, stop)
            script.ended.set()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    thread = threading.Thread(target=welcome, args=(connection,))
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
            for connection in opened:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(5)


def certificate(folder: Path, host: str = "127.0.0.1") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server for ``host`` and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server of a test")])
    try:
        names: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        names = x509.DNSName(host)
    now = SystemClock().now()
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))
