"""Every route that is not hot: health, metrics, the model's description."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlwb.core.clock import format_utc
from mlwb.core.errors import ServeError
from mlwb.serve._http import new_request_id, problem_headers
from mlwb.serve._models import Channel, Live
from mlwb.serve._problems import problem_body, problem_error
from mlwb.serve._state import State

__all__ = ["rest_app"]

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Rest:
    """The handlers, over the state of one server."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def health(self, _request: Request) -> Response:
        """What is served and what is wrong; 503 while predictions are refused."""
        state = self._state
        return _json(
            {
                **self._readiness(),
                "model_version": _version(state.champion),
                "candidate_version": _version(state.candidate),
            },
            503 if state.reasons else 200,
        )

    async def live(self, _request: Request) -> Response:
        """The event loop answers; nothing else is looked at."""
        return _json({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """Whether predictions are answered."""
        return _json(self._readiness(), 503 if self._state.reasons else 200)

    async def metrics(self, _request: Request) -> Response:
        """Prometheus text."""
        state = self._state
        text = state.metrics.text(
            is_ready=not state.reasons,
            is_killed=state.is_killed,
            log_dropped=sum(log.dropped for log in state.logs),
            drift=state.drift.gauges,
        )
        return Response(text, media_type=_METRICS_TYPE)

    async def model_info(self, _request: Request) -> Response:
        """The sidecar of the version that answers."""
        live = self._state.champion.live
        if live is None:
            raise problem_error("no_model", "no verified version is in `latest`")
        return _json(
            {
                **_about(live),
                "candidate_version": _version(self._state.candidate),
                "sidecar": live.predictor.sidecar,
            }
        )

    async def drift(self, _request: Request) -> Response:
        """Live drift of the version that answers, or why it is not measured."""
        return _json(self._state.drift.report())

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


def rest_app(state: State) -> Starlette:
    """The Starlette application behind the hot routes.

    Parameters
    ----------
    state : State
        Of the server.
    """
    rest = _Rest(state)
    handlers = {
        "/ml/health": rest.health,
        "/ml/health/live": rest.live,
        "/ml/health/ready": rest.ready,
        "/ml/metrics": rest.metrics,
        "/ml/model/info": rest.model_info,
        "/ml/monitoring/drift": rest.drift,
    }
    app = Starlette(
        routes=[Route(path, handler, methods=["GET"]) for path, handler in handlers.items()],
        exception_handlers={HTTPException: _refuse, ServeError: _refuse, Exception: _fail},
    )
    app.router.redirect_slashes = False
    return app


def _version(channel: Channel) -> str | None:
    return None if channel.live is None else channel.live.version


def _about(live: Live) -> dict[str, Any]:
    return {
        "model_version": live.version,
        "sha256": live.predictor.digest,
        "loaded_at": format_utc(live.loaded_at),
    }


def _json(value: object, status: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


async def _refuse(_request: Request, error: Exception) -> Response:
    extra: dict[str, str] = {}
    if isinstance(error, ServeError):
        problem = error
    elif isinstance(error, HTTPException) and error.status_code == 405:
        problem = problem_error("method_not_allowed", "expected another method")
        extra = dict(error.headers or {})
    else:
        problem = problem_error("not_found", "no such route; see the documentation")
    return _problem_response(problem, extra)


async def _fail(_request: Request, _error: Exception) -> Response:
    return _problem_response(problem_error("internal", "the server failed; see its log"), {})


def _problem_response(problem: ServeError, extra: dict[str, str]) -> Response:
    request_id = new_request_id()
    headers = {
        name.decode(): value.decode() for name, value in problem_headers(problem, request_id)
    }
    return Response(
        problem_body(problem, request_id),
        status_code=problem.status,
        headers={**headers, **extra},
    )
