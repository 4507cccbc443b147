"""From request bytes to bars of one symbol: bounded, ordered, nothing implausible."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mlwb.core.bars import INTERVAL_S, TS
from mlwb.core.predictionlog import REQUEST_ID
from mlwb.serve._decode import UNREADABLE, unreadable
from mlwb.serve._problems import problem_error

__all__ = ["Bar", "BarQuery", "BarsAsked", "decode_bars"]

_Price = Annotated[float, Meta(gt=0.0, le=1e15)]
_Amount = Annotated[float, Meta(ge=0.0, le=1e18)]
_Ts = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:00Z\Z")]


class Bar(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One closed minute; ``ts`` is its open. A field the source does not record is left out."""

    ts: _Ts
    open: _Price
    high: _Price
    low: _Price
    close: _Price
    volume: _Amount | UnsetType = UNSET
    bid: _Price | UnsetType = UNSET
    ask: _Price | UnsetType = UNSET
    bid_size: _Amount | UnsetType = UNSET
    ask_size: _Amount | UnsetType = UNSET


class BarsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Either one bar, or several in their order; the answer is about the last."""

    symbol: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")]
    bar: Bar | UnsetType = UNSET
    bars: Annotated[list[Bar], Meta(min_length=1)] | UnsetType = UNSET
    schema_crc32: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}\Z")] | UnsetType = UNSET
    request_id: Annotated[str, Meta(pattern=REQUEST_ID.pattern)] | UnsetType = UNSET


class BarQuery(NamedTuple):
    """Bars that a caller sent.

    Parameters
    ----------
    symbol : str
        What they are of; fit for a file name.
    bars : list of tuple of float
        As in ``mlwb.core.bars.BAR_FIELDS``, in increasing ``ts``; NaN where a field is not there.
        ``mid`` is always NaN: what it is depends on the model.
    schema_crc32 : str
        The model's, as the caller knows it; empty where it does not say.
    request_id : str
        The caller's, or empty.
    """

    symbol: str
    bars: list[tuple[float, ...]]
    schema_crc32: str
    request_id: str


_decode = msgspec.json.Decoder(BarsAsked).decode


def decode_bars(body: bytes, max_bars: int) -> BarQuery:
    """Decode and check one body.

    Parameters
    ----------
    body : bytes
        ``{"symbol": name, "bar": {...}}`` or ``{"symbol": name, "bars": [{...}, ...]}``; with
        ``schema_crc32`` and ``request_id`` optional beside it.
    max_bars : int
        Most bars of a request.

    Returns
    -------
    BarQuery

    Raises
    ------
    ServeError
        400 not JSON, 422 anything that does not fit; a pointer names the field.
    """
    try:
        asked = _decode(body)
    except UNREADABLE as error:
        raise unreadable(error, known="see /docs for the names") from error
    if (asked.bar is UNSET) is (asked.bars is UNSET):
        raise problem_error("invalid_input", "expected either bar or bars")
    bars = asked.bars if asked.bars is not UNSET else []
    if asked.bar is not UNSET:
        bars = [asked.bar]
    if len(bars) > max_bars:
        raise problem_error("invalid_input", f"expected at most {max_bars} bars", pointer="#/bars")
    _check_keys(asked, bars, body)
    rows: list[tuple[float, ...]] = []
    for number, bar in enumerate(bars):
        pointer = "#/bar" if asked.bars is UNSET else f"#/bars/{number}"
        row = _row(bar, pointer)
        if rows and not row[TS] > rows[-1][TS]:
            raise problem_error("invalid_input", "expected a later bar", pointer=f"{pointer}/ts")
        rows.append(row)
    return BarQuery(
        asked.symbol,
        rows,
        "" if asked.schema_crc32 is UNSET else asked.schema_crc32,
        "" if asked.request_id is UNSET else asked.request_id,
    )


def _row(bar: Bar, pointer: str) -> tuple[float, ...]:
    high, low = bar.high, bar.low
    for name, price in (("low", low), ("open", bar.open), ("close", bar.close)):
        if not low <= price <= high:
            detail = "expected low <= open, close <= high"
            raise problem_error("invalid_input", detail, pointer=f"{pointer}/{name}")
    nan = math.nan
    return (
        _seconds(bar.ts, pointer),
        nan,
        bar.open,
        high,
        low,
        bar.close,
        nan if bar.volume is UNSET else bar.volume,
        nan if bar.bid is UNSET else bar.bid,
        nan if bar.ask is UNSET else bar.ask,
        nan if bar.bid_size is UNSET else bar.bid_size,
        nan if bar.ask_size is UNSET else bar.ask_size,
    )


def _seconds(ts: str, pointer: str) -> float:
    try:
        seconds = datetime.fromisoformat(ts).timestamp()
    except ValueError:
        seconds = -1.0
    if seconds < 0.0 or seconds % INTERVAL_S:
        raise problem_error(
            "invalid_input", "expected a minute of UTC since 1970", pointer=f"{pointer}/ts"
        )
    return seconds


def _check_keys(asked: BarsAsked, bars: list[Bar], body: bytes) -> None:
    # A key and a string value hold two quotes each, and the patterns leave no room for an escaped
    # one; more quotes than that means a key was sent twice and one was not read.
    quotes = 6 + 4 * ((asked.schema_crc32 is not UNSET) + (asked.request_id is not UNSET))
    for bar in bars:
        quotes += 22 - 2 * (
            (bar.volume is UNSET)
            + (bar.bid is UNSET)
            + (bar.ask is UNSET)
            + (bar.bid_size is UNSET)
            + (bar.ask_size is UNSET)
        )
    if body.count(b'"') != quotes:
        raise problem_error("repeated_key", "expected every key once")
