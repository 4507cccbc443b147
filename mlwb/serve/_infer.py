"""The Open Inference Protocol, version 2: what clients of other servers already speak."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from mlwb import __version__
from mlwb.serve._endpoints import Call, Endpoint, Form, Parameter, Permission, json_response
from mlwb.serve._guard import Guard
from mlwb.serve._http import JSON, Scope, Send
from mlwb.serve._models import Live
from mlwb.serve._problems import problem_error
from mlwb.serve._scoring import ScoringRoute
from mlwb.serve._shadow import Comparison
from mlwb.serve._state import State
from mlwb.serve._tensors import InferQuery, InferRequest, OutputTensor, read_infer

__all__ = ["InferRoute", "infer_endpoints", "protocol_endpoints"]

_BINARY = b"application/octet-stream"
_LENGTH = b"inference-header-content-length"
_REFUSALS = (
    "bad_json", "body_too_large", "media_type", "invalid_input", "repeated_key", "schema_mismatch",
    "unknown_model", "killed", "mode_training", "mode_maintenance", "no_model", "model_failed",
)  # fmt: skip
_NAME = Parameter("name", str, "The model; this server has one.")
_VERSION = Parameter("version", str, "The version that answers.")
_MODEL = "/v2/models/{name}"
_MODEL_VERSION = _MODEL + "/versions/{version}"


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


class InferAnswer(msgspec.Struct, gc=False):
    """Scores, P(label = 1), one a row."""

    model_name: str
    model_version: str
    parameters: dict[str, str]
    outputs: list[OutputTensor]
    id: str | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode


def _form(live: Live) -> Form:
    sidecar, row = live.predictor.sidecar, live.example
    whole = {"name": sidecar.input_name, "shape": [1, len(row)], "datatype": "FP64", "data": row}
    each = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in zip(sidecar.names, row, strict=True)
    ]
    wanted = [{"name": sidecar.output_name}]
    return Form(
        InferRequest,
        {
            "one tensor": {"id": "1", "inputs": [whole], "outputs": wanted},
            "a tensor for each feature": {"inputs": each},
        },
    )


def infer_endpoints() -> tuple[Endpoint, ...]:
    """The hot routes of the protocol as the published interface shows them."""
    return tuple(
        Endpoint(
            method="POST",
            path=f"{path}/infer",
            permission=Permission.PREDICT,
            summary=f"The score of each row, {which}",
            body=InferRequest,
            form_of=_form,
            answer=InferAnswer,
            parameters=parameters,
            refusals=_REFUSALS,
        )
        for path, which, parameters in (
            (_MODEL, "by the version that answers", (_NAME,)),
            (_MODEL_VERSION, "by this version or not at all", (_NAME, _VERSION)),
        )
    )


class InferRoute(ScoringRoute[InferQuery]):
    """Every path that ends in ``/infer``."""

    __slots__ = ("_max_rows", "_name")

    # Clients of the protocol send binary tensors as bytes, or do not say what they send.
    kinds = frozenset((JSON, _BINARY, b""))

    def __init__(self, state: State, guard: Guard) -> None:
        super().__init__(state, guard, infer_endpoints()[0])
        self._name, self._max_rows = state.settings.model_name, state.settings.max_rows

    def decode(self, live: Live, scope: Scope, body: bytes) -> InferQuery:
        """Tensors of this model, JSON or binary."""
        # "/v2/models/NAME/infer" and "/v2/models/NAME/versions/VERSION/infer"
        words = scope["path"].split("/")
        known = ["", "v2", "models", self._name, "infer"], [*words[:3], self._name, "versions"]
        if words != known[0] and (words[:5] != known[1] or words[5:] != [live.version, "infer"]):
            raise problem_error("unknown_model", "no such model or version answers here")
        length = next((value for name, value in scope["headers"] if name == _LENGTH), None)
        return read_infer(live, body, length, max_rows=self._max_rows)

    async def respond(self, scope: Scope, send: Send, job: Comparison, query: InferQuery) -> None:  # noqa: ARG002
        """The scores as a tensor, in the form that was asked for."""
        live, scores = job.champion, job.scores
        tensor = OutputTensor(live.predictor.sidecar.output_name, "FP64", [len(scores)])
        if query.is_binary:
            tail = np.array(scores, dtype="<f8").tobytes()
            tensor.parameters = {"binary_data_size": len(tail)}
        else:
            tail, tensor.data = b"", scores
        answer = InferAnswer(
            self._name, live.version, {"schema_crc32": live.schema_crc32}, [tensor]
        )
        if query.request_id:
            answer.id = query.request_id
        text = _encode(answer)
        if query.is_binary:
            extra = ((_LENGTH, b"%d" % len(text)),)
            await self.send_answer(send, job, text + tail, kind=_BINARY, extra=extra)
        else:
            await self.send_answer(send, job, text)


def protocol_endpoints(state: State) -> tuple[Endpoint, ...]:
    """What the protocol asks beside inference.

    Parameters
    ----------
    state : State
        Of the server.
    """
    routes = _Protocol(state)
    found = [
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
    ]
    for path, parameters in ((_MODEL, (_NAME,)), (_MODEL_VERSION, (_NAME, _VERSION))):
        found += [
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
        ]
    return tuple(found)


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
