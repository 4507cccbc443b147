"""The hot routes: one raw ASGI callable, scoring on the event loop."""

from __future__ import annotations

import logging
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mlwb.core.errors import ModelError, ServeError
from mlwb.core.predictionlog import PredictionLine, ShadowOutcome
from mlwb.serve._decode import Query
from mlwb.serve._endpoints import Endpoint, Form, Parameter, Permission
from mlwb.serve._guard import Guard
from mlwb.serve._http import (
    ClientGoneError,
    Receive,
    Scope,
    Send,
    new_request_id,
    read_body,
    read_head,
    send_body,
    send_problem,
)
from mlwb.serve._models import Live
from mlwb.serve._problems import problem_error
from mlwb.serve._shadow import Comparison, Shadow
from mlwb.serve._state import State

__all__ = ["PREDICT_ENDPOINTS", "PredictRoutes"]

_PREDICT = "/ml/predict"
_PREDICT_WITH_SHADOW = "/ml/predict-with-shadow"

_LOG = logging.getLogger("mlwb.serve")
_WAIT = b"wait=1"
_WAIT_PARAMETER = Parameter("wait", Literal[1], "Answer after the comparison, and with it.")
_REFUSALS = (
    "bad_json", "body_too_large", "media_type", "invalid_input", "repeated_key", "schema_mismatch",
    "killed", "no_model", "model_failed",
)  # fmt: skip


Score: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]


class Prediction(msgspec.Struct, gc=False):
    """P(label = 1) of one row."""

    request_id: str
    model_version: str
    score: Score


class Predictions(msgspec.Struct, gc=False):
    """P(label = 1) of each row, in their order."""

    request_id: str
    model_version: str
    scores: list[Score]


class ShadowedPrediction(Prediction):
    """The same, with the candidate's side where it was waited for."""

    shadow: ShadowOutcome | UnsetType = UNSET


class ShadowedPredictions(Predictions):
    """The same, with the candidate's side of each row where it was waited for."""

    shadow: list[ShadowOutcome] | UnsetType = UNSET


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The general form; what a model version accepts is generated from its sidecar."""

    features: dict[str, float] | list[float] | UnsetType = UNSET
    rows: list[list[float]] | UnsetType = UNSET
    schema_crc32: str | UnsetType = UNSET
    request_id: str | UnsetType = UNSET


_EXACTLY_ONE = {"oneOf": [{"required": ["features"]}, {"required": ["rows"]}]}


def _form(live: Live) -> Form:
    request = live.decoder.request_type
    kind = Annotated[request, Meta(extra_json_schema=_EXACTLY_ONE)]  # type: ignore[valid-type]
    row = live.example
    return Form(
        kind,
        {
            "by name": {"features": dict(zip(live.predictor.sidecar.names, row, strict=True))},
            "in order": {"features": row},
            "a batch": {"rows": [row, row], "schema_crc32": live.schema_crc32},
        },
    )


PREDICT_ENDPOINTS = (
    Endpoint(
        method="POST",
        path=_PREDICT,
        permission=Permission.PREDICT,
        summary="The score of one row, or of each row of a batch",
        body=Asked,
        form_of=_form,
        answer=Prediction | Predictions,
        refusals=_REFUSALS,
    ),
    Endpoint(
        method="POST",
        path=_PREDICT_WITH_SHADOW,
        permission=Permission.SERVICE,
        summary="The same answer; the candidate scores the rows too, after it has left",
        body=Asked,
        form_of=_form,
        answer=ShadowedPrediction | ShadowedPredictions,
        parameters=(_WAIT_PARAMETER,),
        refusals=_REFUSALS,
    ),
)
"""The hot routes as the published interface shows them."""

_PERMISSIONS = {endpoint.path: endpoint.permission for endpoint in PREDICT_ENDPOINTS}
_encode = msgspec.json.Encoder().encode


class PredictRoutes:
    """``/ml/predict`` and ``/ml/predict-with-shadow``.

    Parameters
    ----------
    state : State
        Of the server.
    shadow : Shadow
        Takes the comparisons.
    guard : Guard
        Asked before anything else.
    """

    __slots__ = ("_guard", "_limit", "_now", "_shadow", "_state")

    def __init__(self, state: State, shadow: Shadow, guard: Guard) -> None:
        self._state, self._shadow, self._guard = state, shadow, guard
        self._limit = state.settings.body_limit
        self._now = state.clock.monotonic_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes a problem."""
        start = self._now()
        if scope["method"] != "POST":
            error = problem_error("method_not_allowed", "expected POST")
            await send_problem(send, error, new_request_id(), allow=b"POST")
            return
        live = self._state.champion.live
        head = read_head(scope["headers"], self._limit)
        request_id = head.request_id
        try:
            self._guard.admit(head, _PERMISSIONS[scope["path"]])
            champion = self._ready(live, head.refusal)
            query = champion.decoder.decode(await read_body(receive, self._limit))
            request_id = query.request_id or request_id
            scores = champion.score(query.rows)
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001 - the one place where a fault becomes an answer
            problem = _problem(error)
            outcome = "client_error" if problem.status < 500 else "server_error"
            self._state.metrics.count(live.version if live else "none", outcome)
            await send_problem(send, problem, request_id)
            return
        job = Comparison(
            self._state.candidate.live,
            champion,
            query.rows,
            scores,
            request_id,
            (self._now() - start) * 1e3,
            self._state.clock.now(),
        )
        self._count(job, scope["path"])
        try:
            if scope["path"] == _PREDICT:
                await self._send(send, job, _answer(job, query))
            else:
                await self._with_shadow(scope, send, job, query)
        finally:
            self._state.drift.count(champion.version, job.rows, scores, job.ts)

    def _ready(self, live: Live | None, refusal: ServeError | None) -> Live:
        if refusal is not None:
            raise refusal
        if self._state.is_killed:
            raise problem_error("killed", "the kill switch is on")
        if live is None:
            raise problem_error("no_model", "no verified version is in `latest`")
        return live

    def _count(self, job: Comparison, route: str) -> None:
        metrics, log, live = self._state.metrics, self._state.log, job.champion
        metrics.count(live.version, "success")
        metrics.latency_ms.observe(job.latency_ms)
        for row, score in enumerate(job.scores):
            metrics.score.observe(score)
            if log is not None:
                log.add(
                    PredictionLine(
                        ts=job.ts,
                        request_id=job.request_id,
                        route=route,
                        model_version=live.version,
                        schema_crc32=live.schema_crc32,
                        score=score,
                        latency_ms=job.latency_ms,
                        row=row,
                    )
                )

    async def _with_shadow(self, scope: Scope, send: Send, job: Comparison, query: Query) -> None:
        answer = _answer(job, query)
        if scope["query_string"] == _WAIT:
            outcomes = await self._shadow.now(job)
            shown: list[ShadowOutcome] | ShadowOutcome = outcomes
            if not query.is_batch:
                shown = outcomes[0]
            answer = answer[:-1] + b',"shadow":' + _encode(shown) + b"}"
            await self._send(send, job, answer)
        else:
            await self._send(send, job, answer)
            self._shadow.later(job)

    async def _send(self, send: Send, job: Comparison, answer: bytes) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"x-request-id", job.request_id.encode()),
        ]
        if self._state.is_draining:
            headers.append((b"connection", b"close"))
        await send_body(send, 200, headers, answer)


def _answer(job: Comparison, query: Query) -> bytes:
    version = job.champion.version
    if query.is_batch:
        return _encode(Predictions(job.request_id, version, job.scores))
    return _encode(Prediction(job.request_id, version, job.scores[0]))


def _problem(error: Exception) -> ServeError:
    if isinstance(error, ServeError):
        return error
    if isinstance(error, ModelError):
        _LOG.error("%s", error)
        return problem_error("model_failed", "the model gave no probability for this input")
    _LOG.error("a request failed", exc_info=error)
    return problem_error("internal", "the request was refused; nothing was scored")
