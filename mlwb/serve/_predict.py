"""The hot routes: rows of features in, the champion's scores out, a candidate in their shadow."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mlwb.core.predictionlog import ShadowOutcome
from mlwb.serve._decode import Query
from mlwb.serve._endpoints import Endpoint, Form, Parameter, Permission
from mlwb.serve._guard import Guard
from mlwb.serve._heads import HEAD
from mlwb.serve._http import (
    Scope,
    Send,
    Write,
    check_size,
    new_request_id,
    problem_headers,
    read_head,
)
from mlwb.serve._models import Live
from mlwb.serve._problems import refusal
from mlwb.serve._scoring import REQUEST, ScoringRoute
from mlwb.serve._shadow import Comparison, Shadow
from mlwb.serve._split import sticky_key
from mlwb.serve._state import State

__all__ = ["PREDICT_ENDPOINTS", "PredictRoute", "predict_routes"]

_WAIT = b"wait=1"
_WAIT_PARAMETER = Parameter("wait", str, "`1` answers after the comparison, and with it.")
_REFUSALS = (
    "bad_json", "body_too_large", "media_type", "invalid_input", "repeated_key", "schema_mismatch",
    "killed", "mode_training", "mode_maintenance", "no_model", "model_failed",
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
        path="/ml/predict",
        permission=Permission.PREDICT,
        summary="The score of one row, or of each row of a batch",
        body=Asked,
        form_of=_form,
        answer=Prediction | Predictions,
        refusals=_REFUSALS,
    ),
    Endpoint(
        method="POST",
        path="/ml/predict-with-shadow",
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

_encode = msgspec.json.Encoder().encode


class PredictRoute(ScoringRoute[Query]):
    """``/ml/predict``.

    Parameters
    ----------
    state, guard, endpoint
        As :class:`ScoringRoute`.
    shadow : Shadow
        Takes the comparisons of a canary that only observes.
    """

    __slots__ = ("_shadow",)

    is_split = True

    def __init__(self, state: State, guard: Guard, endpoint: Endpoint, shadow: Shadow) -> None:
        super().__init__(state, guard, endpoint)
        self._shadow = shadow

    def decode(self, live: Live, scope: Scope, body: bytes) -> Query:  # noqa: ARG002 - not needed
        """By the type generated from the version's sidecar."""
        return live.decoder.decode(body)

    async def respond(self, scope: Scope, send: Send, job: Comparison, query: Query) -> None:
        """The score, or the scores of a batch."""
        await self.send_answer(send, job, _answer(job, query))
        self.compare(scope, job)

    def compare(self, scope: Scope, job: Comparison) -> None:
        """Show the candidate an answered request, where that is to be."""
        canary = self._state.canary
        if (split := canary.split) is None or split.is_live or not canary.is_held():
            return
        if split.takes(sticky_key(scope, job.request_id)):
            self._shadow.later(job)

    def at_once(self, scope: Scope, body: bytes, write: Write) -> None:
        """Answer a request that is there as a whole: what a call does, without waiting.

        Parameters
        ----------
        scope : mapping
            Of the request; with what its head says, where that was read for an earlier one.
        body : bytes
            All of it.
        write : callable
            Takes status, headers and body of the answer.
        """
        start, known = self._now(), scope.get(HEAD)
        head = known or read_head(scope["headers"], self._limit, self.kinds)
        request_id = new_request_id() if known else head.request_id
        try:
            live = self._admit(scope, head)
            check_size(body, self._limit)  # chunks tell no length before
            job, query = self._job(live, scope, request_id, body, start_s=start)
            answer = _answer(job, query)
        except Exception as error:  # noqa: BLE001 - as in a call
            problem = self._refused(error)
            request_id = scope.get(REQUEST, request_id)
            found = refusal(problem, request_id, scope["path"])
            said = problem_headers(problem, request_id)
            write(found.status, [(b"content-type", found.media_type), *said], found.body)
            return
        write(200, self.headers(job), answer)
        scope[HEAD] = head  # worth remembering: it was admitted
        self._answered.add((job, query), len(job.rows))
        self.compare(scope, job)


class ShadowedPredictRoute(PredictRoute):
    """``/ml/predict-with-shadow``: the same bytes, and the candidate scores the rows too.

    The champion answers here, whatever a canary says.
    """

    __slots__ = ()

    is_split = False

    async def respond(self, scope: Scope, send: Send, job: Comparison, query: Query) -> None:
        """The candidate's side comes after the answer, or in it where that is asked for."""
        if scope["query_string"] != _WAIT:
            await self.send_answer(send, job, _answer(job, query))
            self.compare(scope, job)
            return
        outcomes = await self._shadow.now(job)
        shown: list[ShadowOutcome] | ShadowOutcome = outcomes if query.is_batch else outcomes[0]
        answer = _answer(job, query)[:-1] + b',"shadow":' + _encode(shown) + b"}"
        await self.send_answer(send, job, answer)

    def compare(self, scope: Scope, job: Comparison) -> None:  # noqa: ARG002 - every request
        """Show it every request."""
        self._shadow.later(job)


def predict_routes(state: State, guard: Guard, shadow: Shadow) -> dict[str, PredictRoute]:
    """Both routes by path.

    Parameters
    ----------
    state : State
        Of the server.
    guard : Guard
        Asked before anything else.
    shadow : Shadow
        Takes the comparisons.
    """
    plain, shadowed = PREDICT_ENDPOINTS
    return {
        plain.path: PredictRoute(state, guard, plain, shadow),
        shadowed.path: ShadowedPredictRoute(state, guard, shadowed, shadow),
    }


def _answer(job: Comparison, query: Query) -> bytes:
    version = job.champion.version
    if query.is_batch:
        return _encode(Predictions(job.request_id, version, job.scores))
    return _encode(Prediction(job.request_id, version, job.scores[0]))
