"""``/ml/observe``: raw bars in, features, readiness and score out; a client needs no features."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mlwb.core.bars import INTERVAL_S, TS
from mlwb.core.featurelog import FeatureLine
from mlwb.serve._bars import BarsAsked, decode_bars
from mlwb.serve._endpoints import Call, Endpoint, Form, Permission, json_response
from mlwb.serve._feature_set import FeatureSet
from mlwb.serve._guard import Guard
from mlwb.serve._http import Receive, Scope, Send
from mlwb.serve._models import Live
from mlwb.serve._observer import ObserveReport
from mlwb.serve._problems import problem_error
from mlwb.serve._scoring import ScoringRoute
from mlwb.serve._shadow import Comparison
from mlwb.serve._state import State
from mlwb.serve._symbol import SymbolState, utc_minute

__all__ = ["ObserveRoute", "observe_endpoints"]

_PATH = "/ml/observe"
_REFUSALS = (
    "bad_json", "body_too_large", "media_type", "invalid_input", "repeated_key", "schema_mismatch",
    "bar_conflict", "bar_out_of_order", "too_many_symbols",
    "killed", "mode_training", "mode_maintenance", "no_model", "observe_off", "model_failed",
)  # fmt: skip
_App = Callable[[Scope, Receive, Send], Awaitable[None]]
_Reason = Literal["", "observed_before", "warming", "gap", "unknown", "out_of_range", "stale"]
_encode = msgspec.json.Encoder().encode


class Observation(msgspec.Struct, gc=False):
    """What the server makes of the last bar sent.

    ``features`` by name in the order of the model, null where a value is not known; ``score`` is
    null unless ``ready``, and ``reason`` then says why, with the ``fields`` it is about.
    """

    request_id: str
    model_version: str
    schema_crc32: str
    symbol: str
    ts: str
    ready: bool
    reason: _Reason
    fields: list[str]
    minutes_missing: int
    features: dict[str, float | None] | None
    score: Annotated[float, Meta(ge=0.0, le=1.0)] | None


class _Finding(NamedTuple):
    """Why a bar is not scored, and which features keep it from being; neither when it is."""

    reason: _Reason
    fields: list[str]


class _Asked(NamedTuple):
    """Bars that were taken in, and what became of the last.

    Parameters
    ----------
    rows : list of tuple of float
        Its features where they can be scored, else nothing.
    request_id : str
        The caller's, or empty.
    symbol : str
        Of the bars.
    ts : float
        Open of the last bar, seconds since 1970.
    found : _Finding
        Why it is not scored.
    values : dict of str to float, optional
        Its features by name; None for a bar before the newest.
    minutes_missing : int
        Until the symbol is warm.
    is_new : bool
        Whether a bar was new.
    """

    rows: list[tuple[float, ...]]
    request_id: str
    symbol: str
    ts: float
    found: _Finding
    values: dict[str, float | None] | None
    minutes_missing: int
    is_new: bool


_EXACTLY_ONE = {"oneOf": [{"required": ["bar"]}, {"required": ["bars"]}]}
_EXAMPLE = {
    "ts": "2026-01-01T00:00:00Z",
    "open": 1.1,
    "high": 1.2,
    "low": 1.0,
    "close": 1.1,
    "volume": 12.5,
    "bid": 1.0999,
    "ask": 1.1001,
}


def _form(_live: Live) -> Form:
    return Form(
        Annotated[BarsAsked, Meta(extra_json_schema=_EXACTLY_ONE)],
        {
            "one bar": {"symbol": "EURUSD", "bar": _EXAMPLE},
            "history first": {
                "symbol": "EURUSD",
                "bars": [_EXAMPLE, {**_EXAMPLE, "ts": "2026-01-01T00:01:00Z"}],
            },
        },
    )


def observe_endpoints(state: State) -> tuple[Endpoint, ...]:
    """Observing bars, and what is being observed.

    Parameters
    ----------
    state : State
        Of the server.
    """

    async def report(_call: Call) -> Response:
        live = state.champion.live
        return json_response(
            state.observer.report(None if live is None else live.predictor.sidecar)
        )

    return (
        Endpoint(
            method="POST",
            path=_PATH,
            permission=Permission.PREDICT,
            summary="The features, readiness and score of a bar, after those observed before",
            body=BarsAsked,
            form_of=_form,
            answer=Observation,
            refusals=_REFUSALS,
        ),
        Endpoint(
            method="GET",
            path=_PATH,
            permission=Permission.READ,
            summary="The symbols observed: last bar, readiness, minutes missing, age on disk",
            answer=ObserveReport,
            handler=report,
        ),
    )


class ObserveRoute(ScoringRoute[_Asked]):
    """``POST /ml/observe``; other methods go to the application behind.

    Parameters
    ----------
    state, guard, endpoint
        As :class:`ScoringRoute`.
    rest : callable
        The application behind.
    """

    __slots__ = ("_rest",)

    def __init__(self, state: State, guard: Guard, endpoint: Endpoint, rest: _App) -> None:
        super().__init__(state, guard, endpoint)
        self._rest = rest
        self._share = 1.0  # a bar comes once a minute, and its row is ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes a refusal."""
        if scope["method"] == "POST":
            await super().__call__(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    def decode(self, live: Live, scope: Scope, body: bytes) -> _Asked:  # noqa: ARG002 - not needed
        """Take the bars in; the last one's features are the row, where it can be scored."""
        query = decode_bars(body, self._state.settings.max_rows)
        if query.schema_crc32 not in ("", live.schema_crc32):
            detail = f"the model's schema_crc32 is {live.schema_crc32}; read /ml/model/info"
            raise problem_error("schema_mismatch", detail, pointer="#/schema_crc32")
        observer, ts = self._state.observer, query.bars[-1][TS]
        features = observer.features(live.predictor.sidecar)
        symbol, n_new = observer.take(query, features)
        found = _Finding("observed_before", [])
        if ts == symbol.last_ts:
            found = _judge(symbol, features, live, is_stale=self._is_stale(ts))
        row = tuple(symbol.values)
        return _Asked(
            rows=[] if found.reason else [row],
            request_id=query.request_id,
            symbol=query.symbol,
            ts=ts,
            found=found,
            values=None
            if found.reason == "observed_before"
            else dict(zip(features.names, row, strict=True)),
            minutes_missing=symbol.minutes_missing,
            is_new=n_new > 0,
        )

    async def respond(self, scope: Scope, send: Send, job: Comparison, query: _Asked) -> None:  # noqa: ARG002 - not needed
        """Features, readiness and score of the last bar."""
        live = job.champion
        answer = Observation(
            request_id=job.request_id,
            model_version=live.version,
            schema_crc32=live.schema_crc32,
            symbol=query.symbol,
            ts=utc_minute(query.ts),
            ready=not query.found.reason,
            reason=query.found.reason,
            fields=query.found.fields,
            minutes_missing=query.minutes_missing,
            features=query.values,
            score=job.scores[0] if job.scores else None,
        )
        await self.send_answer(send, job, _encode(answer))

    def _is_stale(self, ts: float) -> bool:
        oldest_s = self._state.settings.observe_max_age_s
        age_s = self._state.clock.now().timestamp() - (ts + INTERVAL_S)
        return 0.0 < oldest_s < age_s

    def is_kept(self, job: Comparison, query: _Asked) -> bool:
        """A bar sent again is no second row."""
        return bool(job.scores) and query.is_new

    def feature_line(self, job: Comparison, query: _Asked, row: tuple[float, ...]) -> FeatureLine:
        """Of the bar: its symbol and its minute."""
        live, ts = job.champion, datetime.fromtimestamp(query.ts, UTC)
        return FeatureLine(ts, self._route, query.symbol, live.version, live.schema_crc32, row)


def _judge(symbol: SymbolState, features: FeatureSet, live: Live, *, is_stale: bool) -> _Finding:
    """Whether the last bar can be scored, and why not."""
    lacking = [
        spec for spec, value in zip(features.specs, symbol.values, strict=True) if math.isnan(value)
    ]
    names = [spec.name for spec in lacking]
    if not symbol.is_warm:
        return _Finding("warming", names)
    if lacking:
        is_gap = any(spec.lookback_s and symbol.has_gap(spec.lookback_s) for spec in lacking)
        return _Finding("gap" if is_gap else "unknown", names)
    beyond = [
        spec.name
        for spec, value, (low, high) in zip(features.specs, symbol.values, live.ranges, strict=True)
        if not low <= value <= high
    ]
    if beyond:
        return _Finding("out_of_range", beyond)
    return _Finding("stale" if is_stale else "", [])
