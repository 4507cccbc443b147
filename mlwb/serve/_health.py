"""Routes for those who watch: liveness, readiness, health, metrics."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from mlwb.serve._endpoints import Call, Endpoint, Permission, json_response
from mlwb.serve._models import Channel
from mlwb.serve._state import State

__all__ = ["health_endpoints"]

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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
            answer=dict[str, Any],
            handler=routes.health,
        ),
        Endpoint(
            method="GET",
            path="/ml/health/live",
            permission=Permission.OPEN,
            summary="200 as long as the process answers; nothing else is looked at",
            answer=dict[str, Any],
            handler=routes.live,
        ),
        Endpoint(
            method="GET",
            path="/ml/health/ready",
            permission=Permission.OPEN,
            summary="200 when predictions are answered, 503 with the reasons when not",
            answer=dict[str, Any],
            handler=routes.ready,
        ),
        Endpoint(
            method="GET",
            path="/ml/metrics",
            permission=Permission.OPEN,
            summary="Prometheus text",
            answer=None,
            handler=routes.metrics,
        ),
    )


class _Health:
    def __init__(self, state: State) -> None:
        self._state = state

    async def health(self, _call: Call) -> Response:
        state = self._state
        return json_response(
            {
                **self._readiness(),
                "model_version": _version(state.champion),
                "candidate_version": _version(state.candidate),
            },
            503 if state.reasons else 200,
        )

    async def live(self, _call: Call) -> Response:
        return json_response({"status": "ok"})

    async def ready(self, _call: Call) -> Response:
        return json_response(self._readiness(), 503 if self._state.reasons else 200)

    async def metrics(self, _call: Call) -> Response:
        state = self._state
        text = state.metrics.text(
            is_ready=not state.reasons,
            is_killed=state.is_killed,
            log_dropped=sum(log.dropped for log in state.logs),
            drift=state.drift.gauges,
        )
        return Response(text, media_type=_METRICS_TYPE)

    def _readiness(self) -> dict[str, Any]:
        state = self._state
        channels = {"latest": state.champion, "candidate": state.candidate}
        refused = [f"{name}:{channel.problem}" for name, channel in channels.items()]
        troubles = [text for text in refused if not text.endswith(":")]
        status = "unavailable" if state.reasons else "degraded" if troubles else "ok"
        return {
            "status": status,
            "ready": not state.reasons,
            "reasons": [*state.reasons, *troubles],
        }


def _version(channel: Channel) -> str | None:
    return None if channel.live is None else channel.live.version
