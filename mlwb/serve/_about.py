"""Routes that describe: the model that answers and its live drift."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from mlwb.core.clock import format_utc
from mlwb.serve._endpoints import Call, Endpoint, Permission, json_response
from mlwb.serve._problems import problem_error
from mlwb.serve._state import State

__all__ = ["about_endpoints"]


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
            answer=dict[str, Any],
            handler=routes.model_info,
            refusals=("no_model",),
        ),
        Endpoint(
            method="GET",
            path="/ml/monitoring/drift",
            permission=Permission.READ,
            summary="Live PSI of every feature and of the score, rows, the daily check's e-value",
            answer=dict[str, Any],
            handler=routes.drift,
        ),
    )


class _About:
    def __init__(self, state: State) -> None:
        self._state = state

    async def model_info(self, _call: Call) -> Response:
        live, candidate = self._state.champion.live, self._state.candidate.live
        if live is None:
            raise problem_error("no_model", "no verified version is in `latest`")
        return json_response(
            {
                "model_version": live.version,
                "sha256": live.predictor.digest,
                "loaded_at": format_utc(live.loaded_at),
                "candidate_version": None if candidate is None else candidate.version,
                "sidecar": live.predictor.sidecar,
            }
        )

    async def drift(self, _call: Call) -> Response:
        return json_response(self._state.drift.report())
