"""The client: one call, one deadline, one answer or the fallback."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypeVar

import msgspec

from mlwb.client._breaker import Breaker
from mlwb.client._retry import RetryBudget, RetryPolicy
from mlwb.client._transport import Reply, Transport
from mlwb.core.clock import Clock, SystemClock
from mlwb.core.errors import ServeError
from mlwb.core.predictionlog import REQUEST_ID, ShadowOutcome

__all__ = ["PredictClient", "Prediction", "Row"]

Row: TypeAlias = Mapping[str, float] | Sequence[float]
_T = TypeVar("_T")
_ASK_AGAIN = (429, 503)
"""Statuses that say the request was not worked on."""


class _Answer(msgspec.Struct):
    request_id: str
    model_version: str
    score: float
    shadow: ShadowOutcome | None = None


class _Refusal(msgspec.Struct):
    code: str = "unknown"
    detail: str = "the server refused"


@dataclass(frozen=True)
class Prediction:
    """A score to act on.

    Parameters
    ----------
    score : float
        P(label = 1) in [0, 1], or what the fallback gives.
    source : {"model", "fallback"}
        Where it comes from.
    reason : str
        Empty, or the stable code of what kept the model from answering.
    model_version : str
        Version that answered; empty for a fallback.
    request_id : str
        Sent with every try.
    latency_ms : float
        Time of the call, tries and waits included.
    shadow : ShadowOutcome, optional
        The candidate's side, when it was waited for.
    """

    score: float
    source: Literal["model", "fallback"]
    reason: str
    model_version: str
    request_id: str
    latency_ms: float
    shadow: ShadowOutcome | None = None


class PredictClient:
    """Asks a predict server. One per thread; close it, or use it in a ``with`` block.

    Parameters
    ----------
    base_url : str
        ``"http://127.0.0.1:4010"``.
    timeout_s : float, default=0.5
        Deadline of a call, tries and waits included. Checked between the steps of an exchange:
        only a server that sends its answer in drips can stretch it.
    fallback : float or callable, optional
        What :meth:`predict` gives when the model does not answer: a score, or a function of the
        row. Without one, such a call raises.
    policy : RetryPolicy, optional
        When to ask again. Asked again are calls without a connection, 429 and 503; and once, at
        no cost to the budget, a call whose kept connection the server had closed.
    breaker : Breaker, optional
        When to stop asking.
    keep_alive : bool, default=True
        False connects anew for each request (a cold client).
    clock, sleep, rng : optional
        Time, waiting and jitter; the machine's when not given.

    Raises
    ------
    ParamsError
        ``base_url`` is not the address of a server.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 0.5,
        fallback: float | Callable[[Row], float] | None = None,
        policy: RetryPolicy | None = None,
        breaker: Breaker | None = None,
        keep_alive: bool = True,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._timeout_s, self._fallback, self._sleep = timeout_s, fallback, sleep
        self._policy = policy or RetryPolicy()
        self._budget = RetryBudget(self._policy.budget)
        self._breaker = breaker or Breaker(self._clock, self._rng)
        self._transport = Transport(base_url, keep_alive=keep_alive, clock=self._clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        self._transport.close()

    def predict(self, row: Row, *, request_id: str = "") -> Prediction:
        """P(label = 1) of one feature row.

        Parameters
        ----------
        row : mapping or sequence of float
            Raw features by name, or in the order of the model.
        request_id : str, default=""
            At most 64 letters, digits and ``. _ -``; anything else is replaced by a random one.

        Returns
        -------
        Prediction

        Raises
        ------
        ServeError
            The model did not answer and there is no fallback; ``problem`` says why.
        """
        return self._predict("/ml/predict", row, request_id)

    def predict_with_shadow(
        self, row: Row, *, request_id: str = "", wait: bool = False
    ) -> Prediction:
        """Like :meth:`predict`, and the candidate scores the row too.

        Parameters
        ----------
        row, request_id
            As in :meth:`predict`.
        wait : bool, default=False
            Wait for the candidate and return its side as ``shadow``.

        Raises
        ------
        ServeError
            As in :meth:`predict`.
        """
        path = "/ml/predict-with-shadow" + ("?wait=1" if wait else "")
        return self._predict(path, row, request_id)

    def health(self) -> dict[str, Any]:
        """``/ml/health``, ready or not.

        Raises
        ------
        ServeError
            No answer.
        """
        return _decoded(self._get("/ml/health"), dict[str, Any], also=503)

    def model_info(self) -> dict[str, Any]:
        """``/ml/model/info``.

        Raises
        ------
        ServeError
            No answer, or no model.
        """
        return _decoded(self._get("/ml/model/info"), dict[str, Any])

    def metrics(self) -> str:
        """``/ml/metrics``, Prometheus text.

        Raises
        ------
        ServeError
            No answer.
        """
        return _checked(self._get("/ml/metrics")).body.decode()

    def post_raw(self, path: str, body: bytes) -> tuple[int, bytes, float]:
        """One try, no retry, no breaker, no fallback: for load tools and replays.

        Returns
        -------
        int, bytes, float
            Status, body, and milliseconds as the client saw them.

        Raises
        ------
        ServeError
            No answer.
        """
        start = self._clock.monotonic_s()
        reply = self._transport.exchange(
            "POST", path, body, deadline_s=start + self._timeout_s, resend=False
        )
        return reply.status, reply.body, (self._clock.monotonic_s() - start) * 1e3

    def _predict(self, path: str, row: Row, request_id: str) -> Prediction:
        start = self._clock.monotonic_s()
        if REQUEST_ID.match(request_id) is None:
            request_id = os.urandom(8).hex()
        try:
            reply = self._call(path, _body(row), request_id, deadline_s=start + self._timeout_s)
            answer = _decoded(reply, _Answer)
            if not 0.0 <= answer.score <= 1.0:
                raise _bad_answer()
        except ServeError as error:
            if self._fallback is None:
                raise
            score = self._fallback(row) if callable(self._fallback) else self._fallback
            taken_ms = (self._clock.monotonic_s() - start) * 1e3
            return Prediction(score, "fallback", error.problem, "", request_id, taken_ms)
        taken_ms = (self._clock.monotonic_s() - start) * 1e3
        version = answer.model_version
        return Prediction(answer.score, "model", "", version, request_id, taken_ms, answer.shadow)

    def _call(self, path: str, body: bytes, request_id: str, *, deadline_s: float) -> Reply:
        if not self._breaker.allows():
            raise ServeError("the breaker is open", status=503, problem="circuit_open")
        self._budget.earn()
        tries = 1
        while True:
            outcome = self._try(path, body, request_id, deadline_s=deadline_s)
            wait_s = self._wait_s(outcome, tries)
            if wait_s is None or self._clock.monotonic_s() + wait_s >= deadline_s:
                break
            if not self._budget.spend():
                break
            self._sleep(wait_s)
            tries += 1
        status = outcome.status
        self._breaker.record(succeeded=status < 500)
        if isinstance(outcome, ServeError):
            raise outcome
        return outcome

    def _try(
        self, path: str, body: bytes, request_id: str, *, deadline_s: float
    ) -> Reply | ServeError:
        try:
            return self._transport.exchange(
                "POST", path, body, deadline_s=deadline_s, request_id=request_id
            )
        except ServeError as error:
            return error

    def _wait_s(self, outcome: Reply | ServeError, tries: int) -> float | None:
        if tries > self._policy.retries:
            return None
        if isinstance(outcome, ServeError):
            if outcome.problem != "unreachable":
                return None
            return self._policy.wait_s(tries, at_least_s=0.0, rng=self._rng)
        if outcome.status not in _ASK_AGAIN:
            return None
        return self._policy.wait_s(tries, at_least_s=outcome.retry_after_s, rng=self._rng)

    def _get(self, path: str) -> Reply:
        deadline_s = self._clock.monotonic_s() + self._timeout_s
        return self._transport.exchange("GET", path, deadline_s=deadline_s)


def _decoded(reply: Reply, kind: type[_T], *, also: int = 200) -> _T:
    body = _checked(reply, also=also).body
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _bad_answer() from error


def _body(row: Row) -> bytes:
    if isinstance(row, Mapping):
        return msgspec.json.encode({"features": {name: float(row[name]) for name in row}})
    return msgspec.json.encode({"features": [float(value) for value in row]})


def _checked(reply: Reply, *, also: int = 200) -> Reply:
    if reply.status in (200, also):
        return reply
    try:
        refusal = msgspec.json.decode(reply.body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        refusal = _Refusal()
    raise ServeError(refusal.detail, status=reply.status, problem=refusal.code)


def _bad_answer() -> ServeError:
    return ServeError("the answer is not one of a predict server", status=502, problem="bad_answer")
