"""What both clients are: what is asked, and what an answer or none becomes."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from mlwb.client._answers import (
    Answer,
    Bar,
    Batch,
    Observation,
    Prediction,
    Row,
    decoded,
    one_row,
    refusal,
    rows_body,
)
from mlwb.client._asking import Asker
from mlwb.client._breaker import Breaker
from mlwb.client._call import Call, Fallback, Setup
from mlwb.client._exchange import Exchanger
from mlwb.client._retry import RetryPolicy
from mlwb.client._wire import Address, Reply, Steps
from mlwb.core.clock import Clock, SystemClock
from mlwb.core.errors import ServeError

__all__ = ["BaseClient"]

_PREDICT, _OBSERVE = "/ml/predict", "/ml/observe"


class BaseClient:
    """What a call is, without saying who waits: a thread or an event loop.

    Parameters
    ----------
    base_url : str
        ``"http://127.0.0.1:4010"`` or ``https``; a path in front of all routes may follow.
    api_key : str, default=""
        Sent as ``X-API-Key``; shown nowhere.
    timeout_s : float, default=0.5
        Deadline of a call: tries, waits, connecting and every byte of the answer included.
    connect_timeout_s : float, default=0.25
        Longest share of it that one connection (name, TCP, TLS) may take.
    fallback : float or callable, optional
        What is given when the model does not answer: a score, or a function of the row (of the
        bar, where one was observed). Without one, such a call raises. What the function raises,
        the caller sees.
    policy : RetryPolicy, optional
        When to ask again. Asked again are calls without a connection, 429 and 503; and once, at
        no cost to the budget, a call whose kept connection the server had closed.
    breaker : Breaker, optional
        When to stop asking.
    keep_alive : bool, default=True
        False connects anew for each request (a cold client).
    dry_run : bool, default=False
        Ask as always, but mark every prediction: ``may_trade`` is never true.
    versions : collection of str, default=()
        Model versions the caller was tested with; another one's score is refused as
        ``wrong_version``. Empty takes any.
    schema_crc32 : str, default=""
        The model's feature schema the caller was built for; the server refuses another.
    tls : ssl.SSLContext, optional
        For an own certificate authority; without one, the machine's, fully verified.
    answer_limit : int, default=1048576
        Bytes an answer may have.
    clock, sleep, rng : optional
        Time, waiting (a coroutine function for the asynchronous client) and jitter; the
        machine's when not given.

    Raises
    ------
    ParamsError
        ``base_url`` is not the address of a server, or the key cannot stand in a header.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str = "",
        timeout_s: float = 0.5,
        connect_timeout_s: float = 0.25,
        fallback: Fallback | None = None,
        policy: RetryPolicy | None = None,
        breaker: Breaker | None = None,
        keep_alive: bool = True,
        dry_run: bool = False,
        versions: Collection[str] = (),
        schema_crc32: str = "",
        tls: ssl.SSLContext | None = None,
        answer_limit: int = 1_048_576,
        clock: Clock | None = None,
        sleep: Callable[[float], Any] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._address = Address(base_url, api_key=api_key, keep_alive=keep_alive)
        self._exchanger = Exchanger(
            self._address, self._clock, connect_s=connect_timeout_s, answer_limit=answer_limit
        )
        self._breaker = breaker or Breaker(self._clock, self._rng)
        asking = policy or RetryPolicy()
        self._setup = Setup(
            asker=Asker(self._exchanger, asking, self._breaker, clock=self._clock, rng=self._rng),
            clock=self._clock,
            timeout_s=timeout_s,
            fallback=fallback,
            versions=frozenset(versions),
            beside={"schema_crc32": schema_crc32} if schema_crc32 else {},
            is_dry_run=dry_run,
        )
        self._tls = tls or (ssl.create_default_context() if self._address.is_tls else None)
        self._sleep = sleep
        self._polled: bool | None = None
        self._set_up()

    def _set_up(self) -> None:
        """What a client needs beyond this."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address.url!r})"

    @property
    def is_available(self) -> bool:
        """Whether a score can be expected: the breaker is closed and the last poll was ready.

        Without polling the breaker alone decides; with it, not before the first ready answer.
        """
        return not self._breaker.is_open and self._polled is not False

    def _predict(
        self, row: Row, request_id: str, timeout_s: float | None, path: str = _PREDICT
    ) -> Steps[Prediction]:
        call = Call(self._setup, path, request_id, timeout_s)
        found = yield from call.scored(partial(one_row, row), Answer, [row])
        return found[0]

    def _predict_many(
        self, rows: Sequence[Sequence[float]], request_id: str, timeout_s: float | None
    ) -> Steps[tuple[Prediction, ...]]:
        call = Call(self._setup, _PREDICT, request_id, timeout_s)
        return (yield from call.scored(partial(rows_body, rows), Batch, rows))

    def _observe(
        self,
        symbol: str,
        bars: Bar | Sequence[Bar],
        request_id: str,
        timeout_s: float | None,
    ) -> Steps[Observation]:
        call = Call(self._setup, _OBSERVE, request_id, timeout_s)
        return (yield from call.observed(symbol, [bars] if isinstance(bars, Mapping) else bars))

    def _deadline_s(self) -> float:
        return self._clock.monotonic_s() + self._setup.timeout_s

    def _get(self, path: str) -> Steps[Reply]:
        return self._exchanger.exchange("GET", path, deadline_s=self._deadline_s())

    def _post(self, path: str, body: bytes) -> Steps[Reply]:
        return self._exchanger.exchange(
            "POST", path, body, deadline_s=self._deadline_s(), resend=False
        )

    def _health(self) -> Steps[dict[str, Any]]:
        return decoded((yield from self._get("/ml/health")), dict[str, Any], also=503)

    def _model_info(self) -> Steps[dict[str, Any]]:
        return decoded((yield from self._get("/ml/model/info")), dict[str, Any])

    def _metrics(self) -> Steps[str]:
        reply = yield from self._get("/ml/metrics")
        if reply.status != 200:
            raise refusal(reply)
        return reply.body.decode(errors="replace")

    def _poll(self) -> Steps[bool]:
        """Ask for readiness once and remember it; whether it has changed."""
        try:
            is_ready = (yield from self._get("/ml/health/ready")).status == 200
        except ServeError:
            is_ready = False
        before, self._polled = self._polled, is_ready
        return before is not is_ready

    def _until_next_poll_s(self, interval_s: float) -> float:
        return interval_s * self._rng.uniform(0.5, 1.5)
