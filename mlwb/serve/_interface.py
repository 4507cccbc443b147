"""Routes for whoever builds a client: the interface as a document and as a page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from mlwb.serve._docs_page import DOCS_PAGE, DOCS_POLICY
from mlwb.serve._endpoints import Call, Endpoint, Permission
from mlwb.serve._models import Live
from mlwb.serve._openapi import openapi_document
from mlwb.serve._state import State

__all__ = ["interface_endpoints"]


def interface_endpoints(state: State, others: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """The published interface.

    Parameters
    ----------
    state : State
        Of the server.
    others : sequence of Endpoint
        All other routes.
    """
    routes = _Interface(state)
    own = (
        Endpoint(
            method="GET",
            path="/openapi.json",
            permission=Permission.OPEN,
            summary="This interface as an OpenAPI 3.1 document, for the version that answers",
            answer=None,
            handler=routes.document,
        ),
        Endpoint(
            method="GET",
            path="/docs",
            permission=Permission.OPEN,
            summary="This interface as a page to read and to try",
            answer=None,
            media_type="text/html",
            handler=routes.page,
        ),
    )
    routes.endpoints = (*others, *own)
    return own


class _Interface:
    def __init__(self, state: State) -> None:
        self.endpoints: tuple[Endpoint, ...] = ()
        self._state = state
        self._made: tuple[Live | None, bytes] | None = None
        self._making = asyncio.Lock()

    async def document(self, _call: Call) -> Response:
        live = self._state.champion.live
        async with self._making:
            if self._made is None or self._made[0] is not live:
                self._made = live, await asyncio.to_thread(self._make, live)
            made = self._made[1]
        headers = {"cache-control": "no-store"}
        return Response(made, media_type="application/json", headers=headers)

    def _make(self, live: Live | None) -> bytes:
        """Takes tens of milliseconds, once for each version: not on the event loop."""
        return msgspec.json.encode(openapi_document(self.endpoints, live))

    async def page(self, _call: Call) -> Response:
        headers = {
            "content-security-policy": DOCS_POLICY,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        return Response(DOCS_PAGE, media_type="text/html", headers=headers)
