"""What is asked and what comes back, as JSON: built and checked here, for both clients."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from mlwb.client._wire import Reply
from mlwb.core.clock import format_utc
from mlwb.core.errors import ServeError
from mlwb.core.predictionlog import ShadowOutcome

__all__ = [
    "Answer",
    "Bar",
    "Batch",
    "Observation",
    "Observed",
    "Prediction",
    "Row",
    "Source",
    "bars_body",
    "check_observed",
    "check_scores",
    "decoded",
    "one_row",
    "refusal",
    "rows_body",
]

Row: TypeAlias = Mapping[str, float] | Sequence[float]
"""Raw features by name, or in the order of the model."""
Source: TypeAlias = Literal["model", "fallback"]
Bar: TypeAlias = Mapping[str, float | str | datetime]
"""``ts`` (the open of the minute: an aware datetime, or text as ``2026-01-01T00:00:00Z``),
``open high low close``; ``volume bid ask bid_size ask_size`` where the source records them."""
_T = TypeVar("_T")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")
_DETAIL = 200
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Prediction:
    """A score, and whether to act on it.

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
        Sent with every try; the server's logs have it.
    latency_ms : float
        Time of the call, tries and waits included.
    shadow : ShadowOutcome, optional
        The candidate's side, when it was waited for.
    is_dry_run : bool, default=False
        The client was told that nothing is to be traded.
    """

    score: float
    source: Source
    reason: str
    model_version: str
    request_id: str
    latency_ms: float
    shadow: ShadowOutcome | None = None
    is_dry_run: bool = False

    @property
    def may_trade(self) -> bool:
        """Whether the model gave the score just now and the client is not a dry run's.

        Examples
        --------
        >>> Prediction(0.7, "fallback", "timeout", "", "id", 500.0).may_trade
        False
        """
        return self.source == "model" and not self.is_dry_run


@dataclass(frozen=True, kw_only=True)
class Observation(Prediction):
    """What the server makes of the last bar it was told, and whether to act on it.

    While a symbol is not ready, ``source`` is ``"fallback"``, ``reason`` says why (``warming``,
    ``gap``, ``stale``, ...) and ``score`` is the fallback's, NaN without one.

    Parameters
    ----------
    score, source, reason, model_version, request_id, latency_ms, shadow, is_dry_run
        As in :class:`Prediction`.
    symbol, ts : str
        Of the last bar; ``ts`` is its open, UTC.
    features : mapping of str to float or None
        Its features by name, None where not known; empty when the server did not answer.
    minutes_missing : int, default=0
        Until the symbol is warm, as far as the server said.
    """

    symbol: str
    ts: str
    features: Mapping[str, float | None] = field(default_factory=dict)
    minutes_missing: int = 0


class Observed(msgspec.Struct, gc=False):
    """The answer to bars."""

    request_id: str
    model_version: str
    symbol: str
    ts: str
    ready: bool
    reason: str
    minutes_missing: int
    features: dict[str, float | None] | None
    score: float | None

    def scores(self) -> tuple[float, ...]:
        """The score of the last bar, where there is one."""
        return () if self.score is None else (self.score,)


class Answer(msgspec.Struct, gc=False):
    """The answer to one row."""

    request_id: str
    model_version: str
    score: float
    shadow: ShadowOutcome | None = None

    def scores(self) -> tuple[float, ...]:
        """The one score."""
        return (self.score,)


class Batch(msgspec.Struct, gc=False):
    """The answer to several rows."""

    request_id: str
    model_version: str
    scores_: list[float] = msgspec.field(name="scores")
    shadow: None = None

    def scores(self) -> tuple[float, ...]:
        """One score a row."""
        return tuple(self.scores_)


class _Refusal(msgspec.Struct):
    code: str = "unknown"
    detail: str = ""


def one_row(row: Row, **beside: str) -> bytes:
    """The body that asks for one score; ``beside`` are further keys.

    Raises
    ------
    ServeError
        A value is not a number.
    """
    values: Any
    try:
        if isinstance(row, Mapping):
            values = {str(name): _number(value) for name, value in row.items()}
        else:
            values = [_number(value) for value in row]
    except (TypeError, ValueError, OverflowError) as error:
        raise _not_numbers() from error
    return _encode({"features": values, **beside})


def rows_body(rows: Sequence[Sequence[float]], **beside: str) -> bytes:
    """The body that asks for a score a row; ``beside`` are further keys.

    Raises
    ------
    ServeError
        A value is not a number.
    """
    try:
        values = [[_number(value) for value in row] for row in rows]
    except (TypeError, ValueError, OverflowError) as error:
        raise _not_numbers() from error
    return _encode({"rows": values, **beside})


def bars_body(symbol: str, bars: Sequence[Bar], **beside: str) -> tuple[bytes, str]:
    """The body that tells of bars, and the last one's time; ``beside`` are further keys.

    Raises
    ------
    ServeError
        There is no bar, a value is not a number, or a time is none.
    """
    try:
        told = [
            {name: _utc(value) if name == "ts" else _number(value) for name, value in bar.items()}
            for bar in bars
        ]
        ts = str(told[-1]["ts"])
    except (TypeError, ValueError, OverflowError, AttributeError, LookupError) as error:
        detail = "expected bars of numbers, each with a time"
        raise ServeError(detail, status=422, problem="invalid_input") from error
    return _encode({"symbol": symbol, "bars": told, **beside}), ts


def _number(value: Any) -> float:
    """A number that can stand in JSON; text and truth values are none, whatever float() thinks."""
    if isinstance(value, (str, bytes, bool)):
        raise TypeError("not a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _utc(moment: object) -> str:
    """A time as the server writes it; text is taken as it is."""
    if isinstance(moment, str):
        return moment
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return format_utc(moment)


def decoded(reply: Reply, kind: type[_T], *, also: int = 200) -> _T:
    """The body of an answer, as what it should be.

    Raises
    ------
    ServeError
        The server refused (its own code), or the body is something else (``bad_answer``).
    """
    if reply.status not in (200, also):
        raise refusal(reply)
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_answer() from error


def check_observed(answer: Observed, *, symbol: str, ts: str) -> None:
    """Raise unless the answer is about this bar, with a score or a reason.

    Raises
    ------
    ServeError
        ``bad_answer``.
    """
    is_about = (answer.symbol, answer.ts) == (symbol, ts)
    if not (is_about and (answer.ready or _CODE.match(answer.reason))):
        raise bad_answer()


def check_scores(
    answer: Answer | Batch | Observed, *, n: int, request_id: str, versions: frozenset[str]
) -> None:
    """Raise unless the answer is one to this request, with scores that can be some.

    Raises
    ------
    ServeError
        ``bad_answer``, or ``wrong_version`` for one the caller does not want.
    """
    scores = answer.scores()
    fits = (
        answer.request_id == request_id
        and _VERSION.match(answer.model_version) is not None
        and len(scores) == n
        and all(0.0 <= score <= 1.0 for score in scores)  # and so not NaN
    )
    if not fits:
        raise bad_answer()
    if versions and answer.model_version not in versions:
        raise ServeError("another version answers", status=409, problem="wrong_version")


def refusal(reply: Reply) -> ServeError:
    """What a reply that is not 200 says; nothing of it is believed but a plain code."""
    try:
        said = msgspec.json.decode(reply.body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = _Refusal()
    code = said.code if _CODE.match(said.code) else "unknown"
    detail = "".join(c for c in said.detail[:_DETAIL] if c.isprintable())
    return ServeError(detail or "the server refused", status=reply.status, problem=code)


def bad_answer() -> ServeError:
    """An answer that is none of a predict server."""
    return ServeError("the answer is not one of a predict server", status=502, problem="bad_answer")


def _not_numbers() -> ServeError:
    return ServeError("a feature is not a finite number", status=422, problem="invalid_input")
