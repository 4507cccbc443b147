"""The candidate's side of a request: scored after the answer has left, never able to change it."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

from mlwb.core.clock import Clock
from mlwb.core.errors import ModelError
from mlwb.core.predictionlog import PredictionLine, ShadowOutcome
from mlwb.serve._log import LineLog
from mlwb.serve._metrics import Metrics
from mlwb.serve._models import Live
from mlwb.serve._settings import ServeSettings

__all__ = ["Comparison", "Shadow", "compare"]

_LOG = logging.getLogger("mlwb.serve")
_INLINE_MS = 1.0
"""A candidate dearer than this a row runs on a thread, so that it cannot hold up the loop."""
_MAX_WAITING = 64


class Comparison(NamedTuple):
    """One answered request, to be scored by the candidate too.

    Parameters
    ----------
    candidate : Live, optional
        The version in the candidate channel when the request was answered.
    champion : Live
        The version that answered.
    rows : list of tuple of float
        What was scored.
    scores : list of float
        The champion's answer.
    request_id : str
        Of the request.
    latency_ms : float
        The champion's time.
    ts : datetime
        When the answer was ready.
    """

    candidate: Live | None
    champion: Live
    rows: list[tuple[float, ...]]
    scores: list[float]
    request_id: str
    latency_ms: float
    ts: datetime


def compare(job: Comparison, settings: ServeSettings, clock: Clock) -> list[ShadowOutcome]:
    """Score a request with the candidate.

    Parameters
    ----------
    job : Comparison
        What was asked and answered.
    settings : ServeSettings
        Budget and match limit.
    clock : Clock
        Times the candidate.

    Returns
    -------
    list of ShadowOutcome
        One a row. Whatever the candidate does wrong is an ``error`` in it; nothing is raised.
    """
    candidate = job.candidate
    if candidate is None:
        return _failed(job, "no_candidate")
    if candidate.schema_crc32 != job.champion.schema_crc32:
        return _failed(job, "schema")
    start = clock.monotonic_s()
    covered = [candidate.covers(row) for row in job.rows]
    try:
        scores = candidate.score([row for row, fits in zip(job.rows, covered, strict=True) if fits])
    except Exception as error:  # noqa: BLE001 - a candidate's fault of any kind is its own
        if not isinstance(error, ModelError):
            _LOG.error("the candidate failed", exc_info=error)
        return _failed(job, "model", (clock.monotonic_s() - start) * 1e3)
    taken_ms = (clock.monotonic_s() - start) * 1e3
    if taken_ms > settings.shadow_budget_ms:
        return _failed(job, "budget", taken_ms)
    version, limit, left = candidate.version, settings.match_delta, iter(scores)
    outcomes = []
    for fits, answered in zip(covered, job.scores, strict=True):
        if not fits:
            outcomes.append(ShadowOutcome(version, latency_ms=taken_ms, error="range"))
            continue
        score = next(left)
        delta = score - answered
        outcomes.append(ShadowOutcome(version, score, delta, abs(delta) <= limit, taken_ms))
    return outcomes


def _failed(job: Comparison, error: str, taken_ms: float | None = None) -> list[ShadowOutcome]:
    version = job.candidate.version if job.candidate is not None else ""
    return [ShadowOutcome(version, latency_ms=taken_ms, error=error) for _ in job.rows]


class Shadow:
    """Runs comparisons and counts them.

    Parameters
    ----------
    settings : ServeSettings
        Budget and match limit.
    metrics : Metrics
        Counted into.
    clock : Clock
        Times the candidate.
    log : LineLog, optional
        Where comparisons are written.
    """

    def __init__(
        self, settings: ServeSettings, metrics: Metrics, clock: Clock, log: LineLog | None
    ) -> None:
        self._settings, self._metrics, self._clock, self._log = settings, metrics, clock, log
        self._pool: ThreadPoolExecutor | None = None
        self._free = threading.Semaphore(_MAX_WAITING)
        self._tasks: set[asyncio.Task[Any]] = set()

    def later(self, job: Comparison) -> None:
        """Compare once the answer is on its way; called from the event loop."""
        loop = asyncio.get_running_loop()
        if _is_quick(job):
            # The next turn of the loop: uvloop writes the answer at the end of this one.
            loop.call_soon(self._quick, job)
            return
        task = loop.create_task(self.now(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def now(self, job: Comparison) -> list[ShadowOutcome]:
        """Compare within the budget and return the outcomes, one a row."""
        if _is_quick(job):
            return self._quick(job)
        outcomes = await self._pooled(job)
        self._record(job, outcomes)
        return outcomes

    def close(self) -> None:
        """Give up what waits."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _quick(self, job: Comparison) -> list[ShadowOutcome]:
        outcomes = compare(job, self._settings, self._clock)
        self._record(job, outcomes)
        return outcomes

    async def _pooled(self, job: Comparison) -> list[ShadowOutcome]:
        if not self._free.acquire(blocking=False):
            self._metrics.dropped += len(job.rows)
            return _failed(job, "dropped")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="mlwb-shadow")
        running = self._pool.submit(compare, job, self._settings, self._clock)
        running.add_done_callback(lambda _: self._free.release())
        try:
            # Running out of time also takes a comparison that has not begun off the queue.
            async with asyncio.timeout(self._settings.shadow_budget_ms / 1e3):
                return await asyncio.wrap_future(running)
        except TimeoutError:
            return _failed(job, "budget", self._settings.shadow_budget_ms)

    def _record(self, job: Comparison, outcomes: list[ShadowOutcome]) -> None:
        metrics = self._metrics
        if job.candidate is None:
            return
        metrics.baseline_ms.observe(job.latency_ms)
        if outcomes[0].latency_ms is not None:
            metrics.shadow_ms.observe(outcomes[0].latency_ms)
        for row, outcome in enumerate(outcomes):
            if outcome.error != "dropped":
                metrics.compared(outcome.delta, is_match=outcome.match)
            if self._log is not None:
                self._log.add(_line(job, row, outcome))


def _is_quick(job: Comparison) -> bool:
    return job.candidate is None or job.candidate.cost_ms <= _INLINE_MS


def _line(job: Comparison, row: int, outcome: ShadowOutcome) -> PredictionLine:
    return PredictionLine(
        ts=job.ts,
        request_id=job.request_id,
        route="/ml/predict-with-shadow",
        model_version=job.champion.version,
        schema_crc32=job.champion.schema_crc32,
        score=job.scores[row],
        latency_ms=job.latency_ms,
        row=row,
        shadow=outcome,
    )
