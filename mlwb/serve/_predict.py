"""The hot routes: one raw ASGI callable, scoring on the event loop."""

from __future__ import annotations

import logging

import msgspec

from mlwb.core.errors import ModelError, ServeError
from mlwb.core.predictionlog import PredictionLine, ShadowOutcome
from mlwb.serve._decode import Query
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

__all__ = ["PREDICT", "PREDICT_WITH_SHADOW", "PredictRoutes"]

PREDICT = "/ml/predict"
PREDICT_WITH_SHADOW = "/ml/predict-with-shadow"

_LOG = logging.getLogger("mlwb.serve")
_WAIT = b"wait=1"


class _Answer(msgspec.Struct, gc=False):
    request_id: str
    model_version: str
    score: float


class _BatchAnswer(msgspec.Struct, gc=False):
    request_id: str
    model_version: str
    scores: list[float]


_encode = msgspec.json.Encoder().encode


class PredictRoutes:
    """``/ml/predict`` and ``/ml/predict-with-shadow``.

    Parameters
    ----------
    state : State
        Of the server.
    shadow : Shadow
        Takes the comparisons.
    """

    __slots__ = ("_limit", "_now", "_shadow", "_state")

    def __init__(self, state: State, shadow: Shadow) -> None:
        self._state, self._shadow = state, shadow
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
        request_id, refusal = read_head(scope["headers"], self._limit)
        try:
            champion = self._ready(live, refusal)
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
            if scope["path"] == PREDICT:
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
        return _encode(_BatchAnswer(job.request_id, version, job.scores))
    return _encode(_Answer(job.request_id, version, job.scores[0]))


def _problem(error: Exception) -> ServeError:
    if isinstance(error, ServeError):
        return error
    if isinstance(error, ModelError):
        _LOG.error("%s", error)
        return problem_error("model_failed", "the model gave no probability for this input")
    _LOG.error("a request failed", exc_info=error)
    return problem_error("internal", "the request was refused; nothing was scored")
