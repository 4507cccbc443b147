"""What every route that scores does, whatever form its request and its answer have.

Raw ASGI on the event loop: admit, read, decode, score, count, answer. A route of its own form is a
:class:`ScoringRoute` with its own ``decode`` and ``respond``; so none can score without the guard,
the switches, the log and the counts.
"""

from __future__ import annotations

import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from mlwb.core.errors import ModelError, ServeError
from mlwb.core.featurelog import FeatureLine
from mlwb.core.predictionlog import PredictionLine
from mlwb.drift import HOUR_S
from mlwb.serve._endpoints import Endpoint
from mlwb.serve._gather import Gathered
from mlwb.serve._guard import ROUTE, Guard
from mlwb.serve._http import (
    JSON,
    JSON_ONLY,
    ClientGoneError,
    Head,
    Header,
    Receive,
    Scope,
    Send,
    new_request_id,
    read_body,
    read_head,
    send_body,
    send_problem,
)
from mlwb.serve._log import LineLog
from mlwb.serve._metrics import NOBODY
from mlwb.serve._models import Live
from mlwb.serve._problems import SWITCHED_OFF, problem_error
from mlwb.serve._shadow import Comparison
from mlwb.serve._split import sticky_key
from mlwb.serve._state import State

__all__ = ["REQUEST", "ScoringRoute"]

REQUEST = "mlwb.request"
"""Where a scope keeps the id that a body brought, for a refusal of what it asked."""

_LOG = logging.getLogger("mlwb.serve")


class Rows(Protocol):
    """What was asked about, whatever else of it the route keeps for its answer."""

    @property
    def rows(self) -> list[tuple[float, ...]]:
        """In the order of the sidecar."""

    @property
    def request_id(self) -> str:
        """The caller's, or empty."""


Q = TypeVar("Q", bound=Rows)


class ScoringRoute(ABC, Generic[Q]):
    """One hot route.

    Parameters
    ----------
    state : State
        Of the server.
    guard : Guard
        Asked before anything else.
    endpoint : Endpoint
        Its permission; its path stands in the log.
    """

    __slots__ = (
        "_answered",
        "_guard",
        "_limit",
        "_now",
        "_permission",
        "_route",
        "_share",
        "_state",
    )

    kinds: Collection[bytes] = JSON_ONLY
    """Media types of a body, in lower case; empty for none named."""

    is_split: bool = False
    """Whether a live canary takes its share of this route."""

    def __init__(self, state: State, guard: Guard, endpoint: Endpoint) -> None:
        self._state, self._guard = state, guard
        self._route, self._permission = endpoint.path, endpoint.permission
        self._limit = state.settings.body_limit
        self._now = state.clock.monotonic_s
        self._share = state.settings.feature_log_share
        self._answered: Gathered[tuple[Comparison, Q]] = state.gather(self._settle)

    @abstractmethod
    def decode(self, live: Live, scope: Scope, body: bytes) -> Q:
        """The rows that are asked about.

        Raises
        ------
        ServeError
            Anything but plausible numbers of this version's features.
        """

    @abstractmethod
    async def respond(self, scope: Scope, send: Send, job: Comparison, query: Q) -> None:
        """Send the scores."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes a refusal."""
        start = self._now()
        scope[ROUTE] = self._route
        if scope["method"] != "POST":
            error = problem_error("method_not_allowed", "expected POST")
            await send_problem(send, error, new_request_id(), path=scope["path"], allow=b"POST")
            return
        head = read_head(scope["headers"], self._limit, self.kinds)
        try:
            champion = self._admit(scope, head)
            body = await read_body(receive, self._limit)
            job, query = self._job(champion, scope, head.request_id, body, start_s=start)
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001 - the one place where a fault becomes an answer
            request_id = scope.get(REQUEST, head.request_id)
            await send_problem(send, self._refused(error), request_id, path=scope["path"])
            return
        try:
            await self.respond(scope, send, job, query)
        finally:
            self._answered.add((job, query), len(job.rows))

    def _admit(self, scope: Scope, head: Head) -> Live:
        """The version that answers, if this request is to be answered."""
        self._guard.admit(head, self._permission, scope)
        if head.refusal is not None:
            raise head.refusal
        return self._state.answering()

    def _job(
        self, live: Live, scope: Scope, request_id: str, body: bytes, *, start_s: float
    ) -> tuple[Comparison, Q]:
        """Decode and score."""
        query = self.decode(live, scope, body)
        if query.request_id:
            request_id = scope[REQUEST] = query.request_id
        champion, scores = self._score(live, query, scope, request_id)
        taken_ms = (self._now() - start_s) * 1e3
        candidate, now = self._state.candidate.live, self._state.clock.now()
        return Comparison(candidate, champion, query.rows, scores, request_id, taken_ms, now), query

    def _refused(self, error: Exception) -> ServeError:
        """Count a fault, and give it the form of a refusal."""
        problem, live = _problem(error), self._state.champion.live
        outcome = "client_error" if problem.status < 500 else "server_error"
        # Who switched answering off has not found a version wanting: nobody rolls back for that.
        version = NOBODY if live is None or problem.problem in SWITCHED_OFF else live.version
        self._state.metrics.count(version, outcome)
        return problem

    async def send_answer(
        self,
        send: Send,
        job: Comparison,
        answer: bytes,
        *,
        kind: bytes = JSON,
        extra: Sequence[Header] = (),
    ) -> None:
        """Send an answer, JSON unless ``kind`` says otherwise."""
        await send_body(send, 200, [*self.headers(job, kind), *extra], answer)

    def headers(self, job: Comparison, kind: bytes = JSON) -> list[Header]:
        """What an answer says of itself."""
        headers = [(b"content-type", kind), (b"x-request-id", job.request_id.encode())]
        if self._state.is_draining:
            headers.append((b"connection", b"close"))
        return headers

    def _score(
        self, champion: Live, query: Q, scope: Scope, request_id: str
    ) -> tuple[Live, list[float]]:
        canary = self._state.canary
        if (split := canary.split) is None or not (split.is_live and self.is_split):
            return champion, champion.score(query.rows)
        return canary.score(split, champion, query.rows, key=sticky_key(scope, request_id))

    def is_kept(self, job: Comparison, query: Q) -> bool:  # noqa: ARG002 - for routes that know more
        """Whether the rows count for live drift and may be sampled."""
        return True

    def feature_line(self, job: Comparison, query: Q, row: tuple[float, ...]) -> FeatureLine:  # noqa: ARG002 - for routes that know more
        """The line of a row in the log of features."""
        live = job.champion
        return FeatureLine(job.ts, self._route, "", live.version, live.schema_crc32, row)

    def _settle(self, answered: list[tuple[Comparison, Q]]) -> None:
        for live, jobs in groupby((job for job, _ in answered), _champion):
            self._count(live, list(jobs))
        kept = [(job, query) for job, query in answered if self.is_kept(job, query)]
        for live, jobs in groupby((job for job, _ in kept), _champion):
            self._watch(live.version, list(jobs))
        if self._state.feature_log is not None and self._share:
            self._sample(self._state.feature_log, kept)

    def _count(self, live: Live, jobs: list[Comparison]) -> None:
        """Count and log what one version answered; latency is that of scored requests."""
        metrics, log, version = self._state.metrics, self._state.log, live.version
        metrics.count(version, "success", len(jobs))
        if version in metrics.versions:  # no candidate's time among the champion's
            taken_ms = [job.latency_ms for job in jobs if job.scores]
            metrics.latency(version).observe_all(taken_ms)
        metrics.score.observe_all([score for job in jobs for score in job.scores])
        if log is not None:
            crc, route = live.schema_crc32, self._route
            log.extend(
                [
                    PredictionLine(ts, request_id, route, version, crc, score, taken, row)
                    for _, _, _, scores, request_id, taken, ts in jobs
                    for row, score in enumerate(scores)
                ]
            )

    def _watch(self, version: str, jobs: list[Comparison]) -> None:
        """Count the rows for live drift, in the hour they belong to, and among the newest rows."""
        drift = self._state.drift
        rows = [row for job in jobs for row in job.rows]
        scores = [score for job in jobs for score in job.scores]
        stamps = list[float]()
        for job in jobs:
            stamps += [job.ts.timestamp()] * len(job.rows)
        taken_ms = [job.latency_ms for job in jobs]
        window = self._state.window
        window.extend(version, rows, scores, latencies_ms=taken_ms, stamps=stamps)
        if min(stamps) // HOUR_S == max(stamps) // HOUR_S:
            drift.count(version, rows, scores, stamps[0])
        else:
            for row, score, ts in zip(rows, scores, stamps, strict=True):
                drift.count(version, [row], [score], ts)

    def _sample(self, log: LineLog, kept: list[tuple[Comparison, Q]]) -> None:
        """Log the features of some rows; of all where the share is 1."""
        share = self._share
        for job, query in kept:
            for row in job.rows:
                if random.random() < share:  # noqa: S311 - a sample, not a secret
                    log.add(self.feature_line(job, query, row))


_champion = attrgetter("champion")


def _problem(error: Exception) -> ServeError:
    if isinstance(error, ServeError):
        return error
    if isinstance(error, ModelError):
        _LOG.error("%s", error)
        return problem_error("model_failed", "the model gave no probability for this input")
    _LOG.error("a request failed", exc_info=error)
    return problem_error("internal", "the request was refused; nothing was scored")
