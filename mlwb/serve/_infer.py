"""Inference by the Open Inference Protocol: the scoring of all routes behind its tensors."""

from __future__ import annotations

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from mlwb.serve._endpoints import Endpoint, Form, Permission
from mlwb.serve._guard import Guard
from mlwb.serve._http import JSON, Scope, Send
from mlwb.serve._models import Live
from mlwb.serve._problems import problem_error
from mlwb.serve._protocol import MODEL_PATHS
from mlwb.serve._scoring import ScoringRoute
from mlwb.serve._shadow import Comparison
from mlwb.serve._state import State
from mlwb.serve._tensors import InferQuery, InferRequest, OutputTensor, read_infer

__all__ = ["InferRoute", "infer_endpoints"]

_BINARY = b"application/octet-stream"
_LENGTH = b"inference-header-content-length"
_REFUSALS = (
    "bad_json", "body_too_large", "media_type", "invalid_input", "repeated_key", "schema_mismatch",
    "unknown_model", "killed", "mode_training", "mode_maintenance", "no_model", "model_failed",
)  # fmt: skip


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
        for (path, parameters), which in zip(
            MODEL_PATHS,
            ("by the version that answers", "by this version or not at all"),
            strict=True,
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

    async def respond(self, scope: Scope, send: Send, job: Comparison, query: InferQuery) -> None:  # noqa: ARG002 - not needed
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
