"""The Open Inference Protocol, version 2: what clients of other servers already speak.

Everything of it but inference: the server, the model, their readiness.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.responses import Response

from mlwb import __version__
from mlwb.serve._endpoints import Call, Endpoint, Parameter, Permission, json_response
from mlwb.serve._models import Live
from mlwb.serve._problems import problem_error
from mlwb.serve._state import State

__all__ = ["MODEL_PATHS", "protocol_endpoints"]

_NAME = Parameter("name", str, "The model; this server has one.")
_VERSION = Parameter("version", str, "The version that answers.")
MODEL_PATHS = (
    ("/v2/models/{name}", (_NAME,)),
    ("/v2/models/{name}/versions/{version}", (_NAME, _VERSION)),
)
"""How the model is named, and its version."""


class ServerMetadata(msgspec.Struct):
    """Who answers."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(msgspec.Struct):
    """The process answers."""

    live: Literal[True]


class ServerReady(msgspec.Struct):
    """Whether the model answers."""

    ready: bool
    live: Literal[True]


class TensorMetadata(msgspec.Struct):
    """A tensor; -1 is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct):
    """The model and its tensors."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(msgspec.Struct):
    """Whether this model answers."""

    name: str
    ready: bool


def protocol_endpoints(state: State) -> tuple[Endpoint, ...]:
    """What the protocol asks beside inference.

    Parameters
    ----------
    state : State
        Of the server.
    """
    routes = _Protocol(state)
    models = (_model_endpoints(routes, path, parameters) for path, parameters in MODEL_PATHS)
    return (*_server_endpoints(routes), *(endpoint for group in models for endpoint in group))


def _server_endpoints(routes: _Protocol) -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            method="GET",
            path="/v2",
            permission=Permission.PREDICT,
            summary="The server, its version and the extensions it speaks",
            answer=ServerMetadata,
            handler=routes.server,
        ),
        Endpoint(
            method="GET",
            path="/v2/health/live",
            permission=Permission.OPEN,
            summary="200 as long as the process answers",
            answer=ServerLive,
            handler=routes.live,
        ),
        Endpoint(
            method="GET",
            path="/v2/health/ready",
            permission=Permission.OPEN,
            summary="200 when inference is answered, 503 when not",
            answer=ServerReady,
            statuses=(200, 503),
            handler=routes.ready,
        ),
    )


def _model_endpoints(
    routes: _Protocol, path: str, parameters: tuple[Parameter, ...]
) -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            method="GET",
            path=path,
            permission=Permission.PREDICT,
            summary="Inputs and outputs of the model",
            answer=ModelMetadata,
            parameters=parameters,
            refusals=("unknown_model", "no_model"),
            handler=routes.model,
        ),
        Endpoint(
            method="GET",
            path=f"{path}/ready",
            permission=Permission.PREDICT,
            summary="200 when this model answers, 503 when not",
            answer=ModelReady,
            parameters=parameters,
            statuses=(200, 503),
            refusals=("unknown_model", "no_model"),
            handler=routes.model_ready,
        ),
    )


class _Protocol:
    def __init__(self, state: State) -> None:
        self._state, self._name = state, state.settings.model_name

    async def server(self, _call: Call) -> Response:
        return json_response(ServerMetadata("mlwb", __version__, ["binary_tensor_data"]))

    async def live(self, _call: Call) -> Response:
        return json_response(ServerLive(live=True))

    async def ready(self, _call: Call) -> Response:
        is_ready = not self._state.reasons
        return json_response(ServerReady(is_ready, live=True), 200 if is_ready else 503)

    async def model(self, call: Call) -> Response:
        live = self._asked(call)
        sidecar = live.predictor.sidecar
        found = ModelMetadata(
            name=self._name,
            versions=[live.version],
            platform="onnxruntime_onnx",
            inputs=[TensorMetadata(sidecar.input_name, "FP64", [-1, len(sidecar.features)])],
            outputs=[TensorMetadata(sidecar.output_name, "FP64", [-1])],
        )
        return json_response(found)

    async def model_ready(self, call: Call) -> Response:
        self._asked(call)
        is_ready = not self._state.reasons
        return json_response(ModelReady(self._name, is_ready), 200 if is_ready else 503)

    def _asked(self, call: Call) -> Live:
        asked, live = call.request.path_params, self._state.champion.live
        if asked["name"] != self._name:
            raise problem_error("unknown_model", "no such model answers here")
        if live is None:
            raise problem_error("no_model", "no verified version is in `latest`")
        if asked.get("version", live.version) != live.version:
            raise problem_error("unknown_model", "no such version answers here")
        return live
