"""Routes for those who watch: liveness, readiness, health, metrics."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.responses import Response

from mlwb.serve._channel import Channel
from mlwb.serve._endpoints import Call, Endpoint, Permission, json_response
from mlwb.serve._state import State

__all__ = ["health_endpoints"]

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Alive(msgspec.Struct):
    """The process answers."""

    status: Literal["ok"]


class Readiness(msgspec.Struct):
    """Whether predictions are answered, and stable words for what is wrong."""

    status: Literal["ok", "degraded", "unavailable"]
    ready: bool
    reasons: list[str]


class Health(Readiness):
    """Readiness, and which versions answer."""

    model_version: str | None
    candidate_version: str | None


def health_endpoints(state: State) -> tuple[Endpoint, ...]:
    """Health and metrics.

    Parameters
    ----------
    state : State
        Of the server.
    """
    routes = _Health(state)
    return (
        Endpoint(
            method="GET",
            path="/ml/health",
            permission=Permission.OPEN,
            summary="What is served and what is wrong; 503 while predictions are refused",
            answer=Health,
            statuses=(200, 503),
            handler=routes.health,
        ),
        Endpoint(
            method="GET",
            path="/ml/health/live",
            permission=Permission.OPEN,
            summary="200 as long as the process answers; nothing else is looked at",
            answer=Alive,
            handler=routes.live,
        ),
        Endpoint(
            method="GET",
            path="/ml/health/ready",
            permission=Permission.OPEN,
            summary="200 when predictions are answered, 503 with the reasons when not",
            answer=Readiness,
            statuses=(200, 503),
            handler=routes.ready,
        ),
        Endpoint(
            method="GET",
            path="/ml/metrics",
            permission=Permission.OPEN,
            summary="Prometheus text",
            answer=None,
            media_type="text/plain",
            handler=routes.metrics,
        ),
    )


class _Health:
    def __init__(self, state: State) -> None:
        self._state = state

    async def health(self, _call: Call) -> Response:
        state, found = self._state, self._readiness()
        health = Health(
            found.status,
            found.ready,
            found.reasons,
            model_version=_version(state.champion),
            candidate_version=_version(state.candidate),
        )
        return json_response(health, 200 if found.ready else 503)

    async def live(self, _call: Call) -> Response:
        return json_response(Alive("ok"))

    async def ready(self, _call: Call) -> Response:
        found = self._readiness()
        return json_response(found, 200 if found.ready else 503)

    async def metrics(self, _call: Call) -> Response:
        return Response(self._state.metrics_text(), media_type=_METRICS_TYPE)

    def _readiness(self) -> Readiness:
        state = self._state
        troubles, is_ready = state.troubles, not state.reasons
        status: Literal["ok", "degraded", "unavailable"] = "ok"
        if troubles or not is_ready:
            status = "degraded" if is_ready else "unavailable"
        return Readiness(status, is_ready, [*state.reasons, *troubles])


def _version(channel: Channel) -> str | None:
    return None if channel.live is None else channel.live.version
