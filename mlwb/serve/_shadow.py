"""The candidate's side of a request: scored after the answer has left, never able to change it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import compress
from typing import Any, NamedTuple

from mlwb.core.clock import Clock
from mlwb.core.errors import ModelError
from mlwb.core.predictionlog import PredictionLine, ShadowOutcome
from mlwb.serve._gather import Gathered
from mlwb.serve._log import LineLog
from mlwb.serve._metrics import Metrics
from mlwb.serve._models import Live
from mlwb.serve._settings import ServeSettings
from mlwb.serve._shadow_thread import ShadowThread
from mlwb.serve._shadow_watch import ShadowWatch

__all__ = ["Comparison", "Shadow", "compare"]

_LOG = logging.getLogger("mlwb.serve")
_INLINE_MS = 0.25
"""A request dearer than this runs on a thread, so that it cannot hold up the loop; a thread costs
some 0.05 ms."""
_TOGETHER = 256
"""Rows after which no further request joins those that are compared in one call."""


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


def compare(
    job: Comparison, settings: ServeSettings, clock: Clock, *, n_requests: int = 1
) -> list[ShadowOutcome]:
    """Score a request, or several in one, with the candidate.

    Parameters
    ----------
    job : Comparison
        What was asked and answered.
    settings : ServeSettings
        Budget and match limit.
    clock : Clock
        Times the candidate.
    n_requests : int, default=1
        Requests whose rows stand in ``job``; each is said to have taken its share of the time.

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
    # Rows were checked against the champion's ranges when they were read.
    is_same = candidate.ranges == job.champion.ranges
    covered = [] if is_same else list(map(candidate.covers, job.rows))
    try:
        scores = candidate.score(list(compress(job.rows, covered)) if covered else job.rows)
    except Exception as error:  # noqa: BLE001 - a candidate's fault of any kind is its own
        taken_ms = (clock.monotonic_s() - start) * 1e3
        if not isinstance(error, ModelError):
            _LOG.error("the candidate failed", exc_info=error)
        return _failed(job, "model", taken_ms / n_requests)
    whole_ms = (clock.monotonic_s() - start) * 1e3
    taken_ms = whole_ms / n_requests
    if whole_ms > settings.shadow_budget_ms:
        return _failed(job, "budget", taken_ms)
    version, limit, left = candidate.version, settings.match_delta, iter(scores)
    beyond = ShadowOutcome(version, latency_ms=taken_ms, error="range")
    whole = left if not covered else (next(left) if fits else None for fits in covered)
    return [
        beyond
        if score is None
        else ShadowOutcome(
            version, score, score - answered, abs(score - answered) <= limit, taken_ms
        )
        for score, answered in zip(whole, job.scores, strict=True)
    ]


def _failed(job: Comparison, error: str, taken_ms: float | None = None) -> list[ShadowOutcome]:
    version = job.candidate.version if job.candidate is not None else ""
    return [ShadowOutcome(version, latency_ms=taken_ms, error=error) for _ in job.rows]


_OF_ALL = ("model", "budget")
"""Errors of a whole call."""


class Shadow:
    """Runs comparisons and counts them.

    Parameters
    ----------
    settings : ServeSettings
        Budget, match limit and how many comparisons may wait.
    metrics : Metrics
        Counted into.
    clock : Clock
        Times the candidate.
    watch : ShadowWatch
        Follows the newest rows, and says whether the candidate may be asked.
    log : LineLog, optional
        Where comparisons are written.
    """

    def __init__(
        self,
        settings: ServeSettings,
        metrics: Metrics,
        clock: Clock,
        *,
        watch: ShadowWatch,
        log: LineLog | None,
    ) -> None:
        self._settings, self._metrics, self._clock = settings, metrics, clock
        self._watch, self._log = watch, log
        self._thread = ShadowThread(settings.shadow_queue)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.waiting = Gathered(self._compare_waiting)

    def later(self, job: Comparison) -> None:
        """Compare once the answer is on its way; called from the event loop."""
        if job.candidate is not None:
            self.waiting.add(job, len(job.rows))

    async def now(self, job: Comparison) -> list[ShadowOutcome]:
        """Compare within the budget and return the outcomes, one a row."""
        if job.candidate is None:
            return _failed(job, "no_candidate")
        if self._is_quick(job, job.candidate, len(job.rows)):
            return self._compare(job)
        if not self._watch.breaker.allows():
            return self._record(job, _failed(job, "breaker"))
        deadline_s = self._clock.monotonic_s() + self._settings.shadow_budget_ms / 1e3
        return self._record(job, self._learn(await self._behind(job, deadline_s)))

    def close(self) -> None:
        """Give up what waits."""
        self._thread.close()

    def _is_quick(self, job: Comparison, candidate: Live, n_rows: int) -> bool:
        """Whether the candidate is cheap enough to run between two requests."""
        if self._watch.follow(job.champion.version, candidate.version, candidate.cost_ms):
            self._thread.close()  # one that never returns keeps its thread, not the next one's
            self._thread = ShadowThread(self._settings.shadow_queue)
        return self._watch.cost_ms * n_rows <= _INLINE_MS

    def _compare(self, job: Comparison) -> list[ShadowOutcome]:
        if not self._watch.breaker.allows():
            return self._record(job, _failed(job, "breaker"))
        return self._record(job, self._learn(compare(job, self._settings, self._clock)))

    def _compare_waiting(self, waiting: list[Comparison]) -> None:
        """Compare in as few calls as may be."""
        for jobs in _alike(waiting):
            candidate = jobs[0].candidate
            if candidate is not None and len(jobs) > 1 and self._may_join(candidate, jobs):
                self._compare_together(jobs)
            else:
                self._compare_each(jobs)

    def _compare_each(self, jobs: list[Comparison]) -> None:
        """Compare one by one; from the first slow one on, off the loop."""
        for job in jobs:
            candidate = job.candidate
            if candidate is not None and self._is_quick(job, candidate, len(job.rows)):
                self._compare(job)
            else:
                self._start(job)

    def _may_join(self, candidate: Live, jobs: list[Comparison]) -> bool:
        """Whether requests may share a call: each is quick, and has the score it had alone."""
        is_quick = self._is_quick(jobs[0], candidate, max(len(job.rows) for job in jobs))
        return is_quick and candidate.is_row_exact and self._watch.breaker.state == "closed"

    def _start(self, job: Comparison) -> None:
        task = asyncio.get_running_loop().create_task(self.now(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _compare_together(self, jobs: list[Comparison]) -> None:
        rows = [row for job in jobs for row in job.rows]
        scores = [score for job in jobs for score in job.scores]
        whole = jobs[0]._replace(rows=rows, scores=scores)
        outcomes = self._learn(
            compare(whole, self._settings, self._clock, n_requests=len(jobs)), n_requests=len(jobs)
        )
        if outcomes[0].error in _OF_ALL:  # whose fault it was is found out one by one
            self._compare_each(jobs)
            return
        self._record(whole, outcomes, jobs)

    def _learn(self, outcomes: list[ShadowOutcome], *, n_requests: int = 1) -> list[ShadowOutcome]:
        """Take note of what a call cost."""
        share_ms = outcomes[0].latency_ms
        if share_ms is not None:
            self._watch.took(share_ms * n_requests / len(outcomes))
        return outcomes

    async def _behind(self, job: Comparison, deadline_s: float) -> list[ShadowOutcome]:
        """Compare on the thread, and wait no longer than the budget."""

        def work() -> list[ShadowOutcome]:
            if self._clock.monotonic_s() > deadline_s:
                return _failed(job, "budget")
            return compare(job, self._settings, self._clock)

        running = self._thread.submit(work)
        if running is None:
            return _failed(job, "dropped")
        budget_ms = self._settings.shadow_budget_ms
        done, _ = await asyncio.wait((running,), timeout=budget_ms / 1e3)
        return running.result() if done else _failed(job, "budget", budget_ms)

    def _record(
        self, job: Comparison, outcomes: list[ShadowOutcome], parts: Sequence[Comparison] = ()
    ) -> list[ShadowOutcome]:
        """Count and log; rows the candidate was not asked about say nothing about it.

        ``parts`` are the requests whose rows stand in ``job``, where there are several.
        """
        jobs, first = parts or (job,), outcomes[0]
        if first.error == "dropped":
            self._metrics.dropped += len(outcomes)
            self._watch.breaker.give_back()
        elif first.error == "breaker":
            self._metrics.skipped += len(outcomes)
        else:
            self._count(jobs, outcomes)
            sizes = [len(part.rows) for part in jobs]
            self._watch.record((job.champion.version, first.version), job.scores, outcomes, sizes)
        if self._log is not None:
            self._log.extend(_lines(jobs, outcomes))
        return outcomes

    def _count(self, jobs: Sequence[Comparison], outcomes: list[ShadowOutcome]) -> None:
        metrics, taken_ms = self._metrics, outcomes[0].latency_ms
        metrics.baseline_ms.observe_all([job.latency_ms for job in jobs])
        if taken_ms is not None:
            metrics.shadow_ms.observe_all([taken_ms] * len(jobs))
        deltas = [outcome.delta for outcome in outcomes if outcome.delta is not None]
        n_matched = [outcome.match for outcome in outcomes].count(True)
        metrics.compared(deltas, n_matched=n_matched, n_failed=len(outcomes) - len(deltas))


def _alike(waiting: list[Comparison]) -> Iterator[list[Comparison]]:
    """Neighbours of the same two versions together, up to a number of rows."""
    jobs: list[Comparison] = []
    n_rows = 0
    for job in waiting:
        is_other = jobs and (
            job.candidate is not jobs[0].candidate or job.champion is not jobs[0].champion
        )
        if is_other or n_rows >= _TOGETHER:
            yield jobs
            jobs, n_rows = [], 0
        jobs.append(job)
        n_rows += len(job.rows)
    if jobs:
        yield jobs


def _lines(jobs: Sequence[Comparison], outcomes: list[ShadowOutcome]) -> list[PredictionLine]:
    champion, left, route = jobs[0].champion, iter(outcomes), "/ml/predict-with-shadow"
    version, crc = champion.version, champion.schema_crc32
    return [
        PredictionLine(ts, request_id, route, version, crc, score, taken_ms, row, next(left))
        for _, _, _, scores, request_id, taken_ms, ts in jobs
        for row, score in enumerate(scores)
    ]
