"""Talk to the application without a socket: raw ASGI in, a reply out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, MutableMapping, Sequence
from typing import Any, NamedTuple

from mlwb.serve import App

__all__ = ["JSON", "Reply", "call", "request", "running"]

JSON = (b"content-type", b"application/json")


class Reply(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, by the standard library."""
        return json.loads(self.body)


async def request(
    app: App,
    path: str,
    body: bytes | Sequence[bytes] | None = None,
    *,
    method: str = "",
    headers: Sequence[tuple[bytes, bytes]] = (JSON,),
    query: bytes = b"",
) -> Reply:
    """One request; a sequence of bodies arrives in as many pieces, None hangs up at once."""
    pieces = [body] if isinstance(body, bytes) else list(body or ())
    waiting: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": index < len(pieces) - 1}
        for index, piece in enumerate(pieces)
    ]
    waiting.append({"type": "http.disconnect"})
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = _scope(method or ("GET" if body is None else "POST"), path, query)
    scope["headers"] = list(headers)
    await app(scope, receive, send)
    if not sent:
        return Reply(0, {}, b"")
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], found, b"".join(m.get("body", b"") for m in sent[1:]))


def _scope(method: str, path: str, query: bytes) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 4010),
    }


def call(app: App, path: str, body: Any = None, **options: Any) -> Reply:
    """One request in a loop of its own, and what the server does after answering."""

    async def both() -> Reply:
        reply = await request(app, path, body, **options)
        await asyncio.sleep(0)
        app.state.settle()
        return reply

    return asyncio.run(both())


@contextlib.asynccontextmanager
async def running(app: App) -> AsyncIterator[None]:
    """The lifespan around what is inside."""
    inbox: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
        await task
