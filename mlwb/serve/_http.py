"""The few pieces of HTTP the hot routes need, over raw ASGI messages."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping
from typing import Any, NamedTuple, TypeAlias

from mlwb.core.errors import ServeError
from mlwb.core.predictionlog import REQUEST_ID
from mlwb.serve._problems import problem_error, refusal

__all__ = [
    "JSON",
    "JSON_ONLY",
    "ClientGoneError",
    "Direct",
    "Head",
    "Header",
    "Receive",
    "Scope",
    "Send",
    "Write",
    "check_size",
    "key_digest",
    "new_request_id",
    "problem_headers",
    "read_body",
    "read_head",
    "send_body",
    "send_problem",
]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]
Write: TypeAlias = Callable[[int, list[Header], bytes], None]
"""Takes status, headers and body of a whole answer."""
Direct: TypeAlias = Callable[[Scope, bytes, Write], None]
"""Answers a whole request at once."""

_RETRY_AFTER_S = b"1"
_CHALLENGE = b'Bearer realm="mlwb"'
JSON = b"application/json"
JSON_ONLY = frozenset((JSON,))
"""Media types of a body that is a JSON object."""


class ClientGoneError(Exception):
    """The client hung up before its request was whole; there is nobody to answer."""


class Head(NamedTuple):
    """What the headers of a request say.

    Parameters
    ----------
    request_id : str
        The caller's where it is a proper one, else a new one.
    refusal : ServeError or None
        413 or 415 when a body cannot be taken; a route without a body does not ask.
    digest : bytes
        :func:`key_digest` of ``X-API-Key``, else of ``Authorization: Bearer``; empty without
        either.
    host, origin : bytes
        Of the headers of these names; empty without.
    """

    request_id: str
    refusal: ServeError | None
    digest: bytes
    host: bytes
    origin: bytes


def new_request_id() -> str:
    """Sixteen random hex digits."""
    return os.urandom(8).hex()


def key_digest(key: bytes) -> bytes:
    """SHA-256 of a key as it is sent; nothing else of a key is kept or compared."""
    return hashlib.sha256(key).digest()


def read_head(headers: Iterable[Header], limit: int, kinds: Collection[bytes] = JSON_ONLY) -> Head:
    """What the headers say, before a byte of the body is read.

    Parameters
    ----------
    headers : iterable of pairs
        Names in lower case.
    limit : int
        Bytes a body may have.
    kinds : collection of bytes
        Media types a body may have, in lower case; empty bytes for none named.

    Returns
    -------
    Head
    """
    found = dict(headers)
    brought = found.get(b"x-request-id")
    request_id = new_request_id() if brought is None else _checked_id(brought)
    key = found.get(b"x-api-key") or _bearer(found.get(b"authorization", b""))
    digest = key_digest(key) if key else b""
    host, origin = found.get(b"host", b""), found.get(b"origin", b"")
    return Head(request_id, _refusal(found, limit, kinds), digest, host, origin)


def _checked_id(brought: bytes) -> str:
    text = brought.decode("latin-1")
    return text if REQUEST_ID.match(text) else new_request_id()


def _bearer(authorization: bytes) -> bytes:
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _refusal(
    found: Mapping[bytes, bytes], limit: int, kinds: Collection[bytes]
) -> ServeError | None:
    kind, length = found.get(b"content-type", b""), found.get(b"content-length", b"")
    if kind != JSON and kind.partition(b";")[0].strip().lower() not in kinds:
        return problem_error("media_type", "expected Content-Type: application/json")
    if found.get(b"content-encoding", b"identity") != b"identity":
        return problem_error("media_type", "expected a body without Content-Encoding")
    # Counted by digits first: int() of a very long text is slow, and refused by Python.
    if length.isdigit() and (len(length) > 15 or int(length) > limit):
        return _too_large(limit)
    return None


def check_size(body: bytes, limit: int) -> None:
    """A body, or as much of it as is there, is within the limit.

    Raises
    ------
    ServeError
        413.
    """
    if len(body) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> ServeError:
    return problem_error("body_too_large", f"expected at most {limit} bytes")


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body, never holding much more than ``limit`` bytes.

    Raises
    ------
    ServeError
        413 as soon as the limit is passed.
    ClientGoneError
        The client hung up.
    """
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        body += message.get("body", b"")
        check_size(body, limit)
        more = message.get("more_body", False)
    return body


async def send_body(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    """Send a whole answer; the length is added."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def problem_headers(error: ServeError, request_id: str) -> list[Header]:
    """Headers of a refusal beside its media type.

    503 says when to come back, 401 how to show a key.
    """
    headers = [(b"x-request-id", request_id.encode())]
    if error.status == 503 or error.problem == "registry_busy":
        headers.append((b"retry-after", _RETRY_AFTER_S))
    elif error.status == 401:
        headers.append((b"www-authenticate", _CHALLENGE))
    return headers


async def send_problem(
    send: Send, error: ServeError, request_id: str, *, path: str, allow: bytes = b""
) -> None:
    """Send a refusal, in the form that the path's clients expect."""
    found = refusal(error, request_id, path)
    headers = [(b"content-type", found.media_type), *problem_headers(error, request_id)]
    if allow:
        headers.append((b"allow", allow))
    await send_body(send, found.status, headers, found.body)
