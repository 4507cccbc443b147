"""Routes that describe: the model that answers and its live drift."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from mlwb.core.clock import format_utc
from mlwb.inference import Sidecar
from mlwb.serve._drift import DriftOff, DriftOn
from mlwb.serve._endpoints import Call, Endpoint, Permission, json_response
from mlwb.serve._problems import problem_error
from mlwb.serve._shadow_watch import ShadowReport
from mlwb.serve._state import State

__all__ = ["about_endpoints"]


class ModelInfo(msgspec.Struct):
    """The version that answers, and all a client needs to build a request."""

    model_version: str
    sha256: str
    loaded_at: str
    candidate_version: str | None
    sidecar: Sidecar


def about_endpoints(state: State) -> tuple[Endpoint, ...]:
    """The model and what is seen of its input.

    Parameters
    ----------
    state : State
        Of the server.
    """
    routes = _About(state)
    return (
        Endpoint(
            method="GET",
            path="/ml/model/info",
            permission=Permission.READ,
            summary="The version that answers, its features with units and ranges",
            answer=ModelInfo,
            handler=routes.model_info,
            refusals=("no_model",),
        ),
        Endpoint(
            method="GET",
            path="/ml/monitoring/drift",
            permission=Permission.READ,
            summary="Live PSI of every feature and of the score, rows, the daily check's e-value",
            answer=DriftOn | DriftOff,
            handler=routes.drift,
        ),
        Endpoint(
            method="GET",
            path="/ml/monitoring/shadow",
            permission=Permission.READ,
            summary="Agreement of candidate and champion over the newest rows; the breaker",
            answer=ShadowReport,
            handler=routes.shadow,
        ),
    )


class _About:
    def __init__(self, state: State) -> None:
        self._state = state

    async def model_info(self, _call: Call) -> Response:
        live, candidate = self._state.champion.live, self._state.candidate.live
        if live is None:
            raise problem_error("no_model", "no verified version is in `latest`")
        info = ModelInfo(
            model_version=live.version,
            sha256=live.predictor.digest,
            loaded_at=format_utc(live.loaded_at),
            candidate_version=None if candidate is None else candidate.version,
            sidecar=live.predictor.sidecar,
        )
        return json_response(info)

    async def drift(self, _call: Call) -> Response:
        await self._state.drift.prepare()
        return json_response(self._state.drift.report())

    async def shadow(self, _call: Call) -> Response:
        metrics = self._state.metrics
        return json_response(
            self._state.shadow.report(dropped=metrics.dropped, skipped=metrics.skipped)
        )
