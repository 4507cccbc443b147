"""One call: what is asked, and what an answer or none becomes."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mlwb.client._answers import (
    Answer,
    Bar,
    Batch,
    Observation,
    Observed,
    Prediction,
    Row,
    bars_body,
    check_observed,
    check_scores,
    decoded,
)
from mlwb.client._asking import Asker
from mlwb.client._wire import Reply, Steps
from mlwb.core.clock import Clock
from mlwb.core.errors import ServeError
from mlwb.core.predictionlog import REQUEST_ID

__all__ = ["Call", "Fallback", "Setup"]

Fallback: TypeAlias = float | Callable[[Any], float]


@dataclass(frozen=True)
class Setup:
    """What all calls of a client share.

    Parameters
    ----------
    asker : Asker
        Asks, again where that is safe.
    clock : Clock
        Time.
    timeout_s : float
        Deadline of a call that names none.
    fallback : float, callable or None
        What is given when the model does not answer.
    versions : frozenset of str
        Versions whose scores are taken; empty takes any.
    beside : mapping of str to str
        Further keys of every body.
    is_dry_run : bool
        Mark every prediction as one not to trade on.
    """

    asker: Asker
    clock: Clock
    timeout_s: float
    fallback: Fallback | None
    versions: frozenset[str]
    beside: Mapping[str, str]
    is_dry_run: bool


class Call:
    """One call: its id, its deadline, and what it ends with."""

    def __init__(self, setup: Setup, path: str, request_id: str, timeout_s: float | None) -> None:
        self._setup, self._path = setup, path
        is_proper = REQUEST_ID.match(request_id) is not None
        self._id = request_id if is_proper else os.urandom(8).hex()
        self._start = setup.clock.monotonic_s()
        limit_s = setup.timeout_s if timeout_s is None else timeout_s
        self._deadline_s = self._start + limit_s

    def scored(
        self, body: Callable[..., bytes], kind: type[Answer | Batch], rows: Sequence[Row]
    ) -> Steps[tuple[Prediction, ...]]:
        """A prediction a row: all by the model, or all by the fallback."""

        def read(reply: Reply) -> Answer | Batch:
            answer = decoded(reply, kind)
            check_scores(answer, n=len(rows), request_id=self._id, versions=self._setup.versions)
            return answer

        try:
            asked = body(request_id=self._id, **self._setup.beside)
            answer = yield from self._ask(asked, read)
        except ServeError as error:
            if self._setup.fallback is None:
                raise
            scores = [self._given(row) for row in rows]
            return tuple(Prediction(score, **self._ended(error.problem)) for score in scores)
        ended = self._ended("", answer.model_version)
        return tuple(Prediction(score, shadow=answer.shadow, **ended) for score in answer.scores())

    def observed(self, symbol: str, bars: Sequence[Bar]) -> Steps[Observation]:
        """What the server makes of the last bar, or the fallback does."""
        ts = ""

        def read(reply: Reply) -> Observed:
            answer = decoded(reply, Observed)
            check_observed(answer, symbol=symbol, ts=ts)
            n = int(answer.ready)
            check_scores(answer, n=n, request_id=self._id, versions=self._setup.versions)
            return answer

        try:
            asked, ts = bars_body(symbol, bars, request_id=self._id, **self._setup.beside)
            answer = yield from self._ask(asked, read)
        except ServeError as error:
            if self._setup.fallback is None:
                raise
            score = self._given(bars[-1] if bars else {})
            return Observation(score=score, symbol=symbol, ts=ts, **self._ended(error.problem))
        score = answer.score
        if score is None:  # it answered, so there is nothing to raise
            score = self._given(bars[-1] if bars else {})
        return Observation(
            score=score,
            symbol=symbol,
            ts=ts,
            features=answer.features or {},
            minutes_missing=answer.minutes_missing,
            **self._ended("" if answer.ready else answer.reason, answer.model_version),
        )

    def _ask(self, body: bytes, read: Callable[[Reply], Any]) -> Steps[Any]:
        return self._setup.asker.ask(
            self._path, body, read, deadline_s=self._deadline_s, request_id=self._id
        )

    def _given(self, row: Any) -> float:
        """What the fallback gives."""
        fallback = self._setup.fallback
        if fallback is None:
            return math.nan
        return fallback(row) if callable(fallback) else fallback

    def _ended(self, reason: str, version: str = "") -> dict[str, Any]:
        """What every prediction of this call says."""
        return {
            "source": "fallback" if reason else "model",
            "reason": reason,
            "model_version": version,
            "request_id": self._id,
            "latency_ms": (self._setup.clock.monotonic_s() - self._start) * 1e3,
            "is_dry_run": self._setup.is_dry_run,
        }
