"""From rows as read to a market: one bar a minute, mid, quality bits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.errors import DataSchemaError
from mlwb.data._flags import flag_bars, present_fields
from mlwb.data._market import VALUE_FIELDS, Market, Quality, RawBars, SourceInfo
from mlwb.data._rows import INTERVAL_NS, order_rows

__all__ = ["assemble"]

_MAX_SPAN_DAYS = 11_000
"""Thirty years; the calendar is laid out minute by minute."""
_DAY_NS = 86_400 * 10**9
_CLOSE, _BID, _ASK = (VALUE_FIELDS.index(name) for name in ("close", "bid", "ask"))


def assemble(raw: RawBars, *, symbol: str, source: SourceInfo) -> Market:
    """Build a market from rows in any order.

    Parameters
    ----------
    raw : RawBars
        At least one row.
    symbol : str
    source : SourceInfo

    Returns
    -------
    Market
        A value that cannot be (infinite, a price <= 0) is NaN in the frame and as read in
        ``raw``.

    Raises
    ------
    DataSchemaError
        The rows are not 1-minute bars.
    """
    rows = order_rows(raw)
    _check_minutes(raw, rows.n_off_grid, raw.ts_ns[rows.kept], source)
    ts_ns, values = raw.ts_ns[rows.kept], raw.cells[rows.kept]
    bits = flag_bars(ts_ns, values)
    bits[rows.conflicting] |= Quality.CONFLICTING
    bits[(rows.repeats > 1) & ~rows.conflicting] |= Quality.DUPLICATED
    present = present_fields(values)
    has_quotes = bool(present[_BID] and present[_ASK])
    return Market(
        symbol=symbol,
        frame=_frame(ts_ns, _possible(values, bits), bits, has_quotes=has_quotes),
        has_quotes=has_quotes,
        source=source,
        raw=raw,
    )


def _check_minutes(raw: RawBars, n_off_grid: int, ts_ns: Int1D, source: SourceInfo) -> None:
    files = ", ".join(item.uri for item in source.inputs) or "the rows"
    if 2 * n_off_grid > len(raw.ts_ns):
        first = pd.Timestamp(int(raw.ts_ns[0]), tz="UTC").isoformat()
        raise DataSchemaError(
            f"{files}: most stamps are no full minute", expected="1-minute bars", got=first
        )
    _check_span(raw.ts_ns, files)
    steps, counts = np.unique(np.diff(ts_ns), return_counts=True)
    if len(ts_ns) > 2 and steps[np.argmax(counts)] != INTERVAL_NS:
        usual_s = int(steps[np.argmax(counts)] // 10**9)
        raise DataSchemaError(
            f"{files}: not 1-minute bars", expected="a bar every 60 s", got=f"every {usual_s} s"
        )


def _check_span(ts_ns: Int1D, files: str) -> None:
    span_days = int(ts_ns.max() - ts_ns.min()) // _DAY_NS
    if span_days <= _MAX_SPAN_DAYS:
        return
    middle = int(np.sort(ts_ns)[len(ts_ns) // 2])
    strays = np.flatnonzero(np.abs(ts_ns - middle) > _MAX_SPAN_DAYS // 2 * _DAY_NS)
    row = int(strays[0]) if len(strays) else 0
    stamp = pd.Timestamp(int(ts_ns[row]), tz="UTC").isoformat()
    who = f"{len(strays)} of {len(ts_ns)} stamps lie far from the others"
    raise DataSchemaError(
        f"{files}: {who if len(strays) else 'the stamps lie too far apart'}",
        expected=f"at most {_MAX_SPAN_DAYS} days from first to last",
        got=f"{span_days} days, data row {row + 1} is {stamp}",
        todo="look for a stamp in another unit, or set time_unit in a YAML profile",
    )


def _possible(values: Float2D, bits: Int1D) -> Float2D:
    wrong = (bits & (Quality.NON_FINITE | Quality.NON_POSITIVE)) != 0
    if not wrong.any():
        return values
    cleaned = values.copy()
    cleaned[~np.isfinite(cleaned)] = np.nan
    is_price = np.array(["size" not in name and name != "volume" for name in VALUE_FIELDS])
    cleaned[(cleaned < 0) | ((cleaned == 0) & is_price)] = np.nan
    return cleaned


def _frame(ts_ns: Int1D, values: Float2D, bits: Int1D, *, has_quotes: bool) -> pd.DataFrame:
    mid: Float1D = values[:, _CLOSE]
    if has_quotes:
        mid = (values[:, _BID] + values[:, _ASK]) / 2.0
    stamps = pd.DatetimeIndex(ts_ns.astype("datetime64[ns]"), tz="UTC")
    columns = {name: np.ascontiguousarray(values[:, i]) for i, name in enumerate(VALUE_FIELDS)}
    return pd.DataFrame({"ts": stamps, "mid": mid, **columns, "quality": bits})
