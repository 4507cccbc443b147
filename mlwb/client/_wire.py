"""HTTP/1.1 as far as the client needs it, without a socket: bytes to send, bytes received.

Everything here is a generator of :class:`Step`: what is to be done next. Who drives it, a thread
or an event loop, does it and sends the outcome in; so both clients read answers with this code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar
from urllib.parse import urlsplit

from mlwb.core.errors import ParamsError, ServeError

__all__ = ["Address", "ClosedError", "Private", "Reply", "Step", "Steps", "read_reply"]

_T = TypeVar("_T")
_HEAD_LIMIT = 16_384
_LINE_LIMIT = 1_024
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+\Z")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~%+-]+)*\Z")
_KEY = re.compile(r"[!-~]{1,512}\Z")
_START = b"HTTP/1."
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*\Z")
_LENGTH = re.compile(rb"[0-9]{1,12}\Z")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?\Z", re.DOTALL)
_ONCE = (b"content-length", b"transfer-encoding")


class Step(NamedTuple):
    """What is to be done next, and how long it may take.

    Parameters
    ----------
    do : {"open", "send", "receive", "keep", "sleep"}
        ``open`` takes a kept connection or makes one, and gives whether it was kept; ``receive``
        gives the next bytes, ``b""`` at the end; ``keep`` puts the connection back; a connection
        that is not kept is closed.
    limit_s : float, default=0.0
        Seconds after which it fails with TimeoutError; for ``sleep``, how long to.
    data : bytes, default=b""
        What to send.
    is_fresh : bool, default=False
        Open a new connection, whatever is kept.
    """

    do: Literal["open", "send", "receive", "keep", "sleep"]
    limit_s: float = 0.0
    data: bytes = b""
    is_fresh: bool = False


Steps: TypeAlias = Generator[Step, Any, _T]


class Private(bytes):
    """Bytes that hold a key: nothing that prints variables prints these."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<private>"

    __str__ = __repr__


class Reply(NamedTuple):
    """An answer, whatever its status.

    Parameters
    ----------
    status : int
        HTTP status.
    body : bytes
        All of it.
    retry_after : str
        The header of that name; empty where there is none.
    is_reusable : bool
        Whether the connection may carry another request.
    """

    status: int
    body: bytes
    retry_after: str = ""
    is_reusable: bool = False


class ClosedError(ConnectionError):
    """The connection ended before the first byte of an answer."""


class Address:
    """Where the server is, and the part of a request that is always the same.

    Parameters
    ----------
    base_url : str
        ``"http://host:port"`` or ``https``, optionally with a path in front of all routes.
    api_key : str
        Sent as ``X-API-Key``; empty for none.
    keep_alive : bool
        False asks the server to close after each answer.

    Raises
    ------
    ParamsError
        It is no such URL (one with a user or a query is none), or the key holds what a header
        cannot. Neither the key nor a password stands in the message.
    """

    def __init__(self, base_url: str, *, api_key: str = "", keep_alive: bool = True) -> None:
        try:
            parts = urlsplit(base_url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise _not_a_url("") from error
        if "@" in base_url:
            raise _not_a_url("a URL with a user")
        fits = (
            parts.scheme in ("http", "https")
            and _HOST.match(parts.netloc)
            and _PREFIX.match(parts.path.rstrip("/"))
            and not (parts.query or parts.fragment)
        )
        if not host or not fits:
            raise _not_a_url(repr(base_url[:80]))
        if api_key and _KEY.match(api_key) is None:
            raise ParamsError("not a key", expected="printable ASCII without spaces")
        self.keep_alive = keep_alive
        self.host, self.is_tls = host, parts.scheme == "https"
        self.port = port or (443 if self.is_tls else 80)
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._prefix = parts.path.rstrip("/")
        key = f"X-API-Key: {api_key}\r\n" if api_key else ""
        close = "" if keep_alive else "Connection: close\r\n"
        head = f" HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n{close}{key}"
        self._head = Private(head.encode())

    def request(self, method: str, path: str, body: bytes | None, request_id: str) -> Private:
        """Bytes of a request."""
        lines = f"X-Request-Id: {request_id}\r\n" if request_id else ""
        if body is not None:
            lines += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return Private(
            b"%b %b%b%b%b\r\n%b"
            % (
                method.encode(),
                self._prefix.encode(),
                path.encode(),
                bytes(self._head),
                lines.encode(),
                body or b"",
            )
        )


class _Source:
    """What has arrived and was not read yet."""

    def __init__(self, left_s: Callable[[], float]) -> None:
        self._left_s = left_s
        self._has_begun = False
        self.data = b""

    def receive(self) -> Steps[bytes]:
        """The next bytes; ``b""`` at the end."""
        try:
            piece: bytes = yield Step("receive", self._left_s())
        except TimeoutError:
            raise
        except OSError as error:
            raise (_cut() if self._has_begun else ClosedError()) from error
        if not (piece or self._has_begun):
            raise ClosedError
        self._has_begun = True
        return piece

    def fill(self) -> Steps[bool]:
        """Wait for more; False at the end."""
        piece = yield from self.receive()
        self.data += piece
        return bool(piece)

    def until(self, mark: bytes, limit: int) -> Steps[bytes]:
        """What stands before the mark; both are taken. Asks for the time left each time."""
        self._left_s()
        while (place := self.data.find(mark, 0, limit + len(mark))) < 0:
            if len(self.data) >= limit + len(mark):
                raise not_http("a line or a head is too long")
            if not (yield from self.fill()):
                raise _cut()
        found, self.data = self.data[:place], self.data[place + len(mark) :]
        return found

    def exactly(self, size: int) -> Steps[bytes]:
        """The next ``size`` bytes."""
        pieces, missing = [self.data], size - len(self.data)
        while missing > 0:
            piece = yield from self.receive()
            if not piece:
                raise _cut()
            pieces.append(piece)
            missing -= len(piece)
        found = b"".join(pieces)
        self.data = found[size:]
        return found[:size]

    def rest(self, limit: int) -> Steps[bytes]:
        """Everything up to the end."""
        body = bytearray(self.data)
        self.data = b""
        while piece := (yield from self.receive()):
            body += piece
            if len(body) > limit:
                raise _too_large()
        return bytes(body)


def read_reply(left_s: Callable[[], float], limit: int) -> Steps[Reply]:
    """Read one answer.

    Parameters
    ----------
    left_s : callable
        Seconds left of the deadline; raises TimeoutError when there are none, so that a server
        that sends in drips gains nothing.
    limit : int
        Bytes a body may have.

    Returns
    -------
    Reply

    Raises
    ------
    ClosedError
        Not one byte came.
    ServeError
        ``lost`` (503) it ended early; ``bad_answer`` (502) it is not HTTP/1.1, or too large.
    """
    source = _Source(left_s)
    yield from source.fill()
    while True:
        head = yield from _head(source)
        if head.status >= 200:
            break
    body, is_framed = yield from _body(source, head, limit)
    # Bytes beyond the answer belong to no request of ours: that connection is not used again.
    is_reusable = is_framed and not head.closes and not source.data
    retry_after = head.fields.get(b"retry-after", b"").decode("latin-1")
    return Reply(head.status, body, retry_after, is_reusable)


class _Head(NamedTuple):
    """Status and headers of an answer; whether the connection ends with it."""

    status: int
    fields: dict[bytes, bytes]
    closes: bool


def _head(source: _Source) -> Steps[_Head]:
    while len(source.data) < len(_START) and _START.startswith(source.data):
        if not (yield from source.fill()):
            raise _cut()
    if not source.data.startswith(_START):
        raise not_http("not HTTP/1.1")
    head = yield from source.until(b"\r\n\r\n", _HEAD_LIMIT)
    first, *lines = head.split(b"\r\n")
    status = _STATUS.match(first)
    if status is None:
        raise not_http("no status line")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.match(line)
        if field is None:
            raise not_http("no header")
        name = field[1].lower()
        if name in _ONCE and fields.get(name, field[2]) != field[2]:
            raise not_http("a length stands twice")
        fields[name] = field[2]
    tokens = [token.strip() for token in fields.get(b"connection", b"").lower().split(b",")]
    return _Head(int(status[1]), fields, b"close" in tokens or first.startswith(b"HTTP/1.0"))


def _body(source: _Source, head: _Head, limit: int) -> Steps[tuple[bytes, bool]]:
    """The body, and whether its end was told rather than that of the connection."""
    coding, length = head.fields.get(b"transfer-encoding"), head.fields.get(b"content-length")
    if head.status in (204, 304):
        return b"", True
    if coding is not None:
        if coding.lower() != b"chunked" or length is not None:
            raise not_http("not a coding that is taken")
        return (yield from _chunks(source, limit)), True
    if length is None:
        return (yield from source.rest(limit)), False
    if _LENGTH.match(length) is None:
        raise not_http("no length")
    if int(length) > limit:
        raise _too_large()
    return (yield from source.exactly(int(length))), True


def _chunks(source: _Source, limit: int) -> Steps[bytes]:
    body = bytearray()
    while True:
        size = _CHUNK.match((yield from source.until(b"\r\n", _LINE_LIMIT)))
        if size is None:
            raise not_http("no chunk")
        if int(size[1], 16) == 0:
            break
        if len(body) + int(size[1], 16) > limit:
            raise _too_large()
        body += yield from source.exactly(int(size[1], 16))
        if (yield from source.exactly(2)) != b"\r\n":
            raise not_http("a chunk is longer than it says")
    for _ in range(_HEAD_LIMIT // 256):
        if not (yield from source.until(b"\r\n", _LINE_LIMIT)):
            return bytes(body)
    raise not_http("too many trailers")


def not_http(what: str) -> ServeError:
    """A reply that is none."""
    return ServeError(f"the answer is not HTTP: {what}", status=502, problem="bad_answer")


def _too_large() -> ServeError:
    return ServeError("the answer is too large", status=502, problem="bad_answer")


def _cut() -> ServeError:
    return ServeError("the answer was cut short", status=503, problem="lost")


def _not_a_url(got: str) -> ParamsError:
    return ParamsError("not the address of a server", expected="http://host:port", got=got)
