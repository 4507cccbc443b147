"""Features a server computed, held against the same features computed from the market."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from mlwb.core.arrays import Float2D
from mlwb.core.bars import BAR_FIELDS, CLOSE, HIGH, LOW, MID, OPEN, TS
from mlwb.core.clock import format_utc
from mlwb.core.featurelog import FeatureLine
from mlwb.evidence import Context, Metric, Record, new_record, rate
from mlwb.inference import Sidecar
from mlwb.stages._served_result import Difference, Served
from mlwb.stages.market import Prepared

__all__ = ["OBSERVE", "bar_bodies", "compare", "served_record"]

OBSERVE = "/ml/observe"
_SHOWN = 5
_BARS_A_REQUEST = 200
"""Fewer than a body of the default size holds."""


def bar_bodies(symbol: str, bars: Float2D, n_single: int) -> Iterator[bytes]:
    """Requests that send a market's bars: history in large pieces, then bar by bar.

    Parameters
    ----------
    symbol : str
        Name to send.
    bars : ndarray of shape (n_bars, n_fields), float64
        As of :func:`mlwb.data.to_bars`. One that no server takes (a price missing, or beyond high
        and low) is left out.
    n_single : int
        Bars at the end that are sent one by one.
    """
    prices = bars[:, [OPEN, CLOSE]]
    fits = (bars[:, [LOW]] <= prices).all(axis=1) & (prices <= bars[:, [HIGH]]).all(axis=1)
    rows = [_plain(row) for row in bars[fits & (bars[:, LOW] > 0.0)].tolist()]
    first = max(0, len(rows) - n_single)
    for begin in range(0, first, _BARS_A_REQUEST):
        piece = rows[begin : min(begin + _BARS_A_REQUEST, first)]
        yield msgspec.json.encode({"symbol": symbol, "bars": piece})
    for row in rows[first:]:
        yield msgspec.json.encode({"symbol": symbol, "bar": row})


def compare(
    lines: Iterable[FeatureLine], prepared: Prepared, *, symbol: str, sidecar: Sidecar
) -> Served:
    """Hold logged rows of one symbol and version against the features of the market.

    Parameters
    ----------
    lines : iterable of FeatureLine
        The log; rows of other symbols, versions or routes are passed over.
    prepared : Prepared
        The market and its features, which are those of ``sidecar``.
    symbol : str
        As it stands in the log.
    sidecar : Sidecar
        Of the version.
    """
    places = {ts: row for row, ts in enumerate(prepared.ts.tolist())}
    warm_from = prepared.ts[0] + max(spec.lookback_s for spec in prepared.specs)
    wanted = (OBSERVE, symbol, sidecar.model_version)
    n_rows = n_outside = n_wrong = 0
    shown: list[Difference] = []
    for line in lines:
        if (line.route, line.symbol, line.model_version) != wanted:
            continue
        ts = int(line.ts.timestamp())
        if not warm_from <= ts <= prepared.ts[-1]:
            n_outside += 1
            continue
        n_rows += 1
        found = _differences(line, prepared, places.get(ts), sidecar)
        n_wrong += len(found)
        shown += found[: _SHOWN - len(shown)]
    n_values = n_rows * len(prepared.specs)
    return Served(
        symbol=symbol,
        schema_crc32=sidecar.schema_crc32,
        feature_spec_digest=sidecar.feature_spec_digest,
        rows=n_rows,
        values=n_values,
        mismatches=n_wrong,
        rows_outside=n_outside,
        differences=tuple(shown),
    )


def served_record(found: Served, shared: Context) -> Record:
    """The evidence of a comparison that compared something."""
    meaning = "values served that differ in any bit from those computed from the market"
    return new_record(
        "served_features",
        [
            Metric("served_mismatches", found.mismatches, n=found.values, definition=meaning),
            rate("mismatch_share", found.mismatches, found.values, definition=meaning),
            Metric("rows", found.rows, unit="rows"),
            Metric("rows_outside", found.rows_outside, unit="rows"),
        ],
        shared,
        details={
            "symbol": found.symbol,
            "schema_crc32": found.schema_crc32,
            "feature_spec_digest": found.feature_spec_digest,
            "differences": list(found.differences),
        },
    )


def _plain(row: Sequence[float]) -> dict[str, Any]:
    named = {
        name: value
        for place, (name, value) in enumerate(zip(BAR_FIELDS, row, strict=True))
        if place not in {TS, MID} and not math.isnan(value)
    }
    return {"ts": _utc(row[TS]), **named}


def _differences(
    line: FeatureLine, prepared: Prepared, place: int | None, sidecar: Sidecar
) -> list[Difference]:
    ts = format_utc(line.ts)
    values = [*line.values, *[math.nan] * len(prepared.names)][: len(prepared.names)]
    if place is None:
        pairs = zip(prepared.names, values, strict=True)
        return [Difference(ts, name, repr(value), "no bar") for name, value in pairs]
    offline = prepared.X[place]
    is_other = line.schema_crc32 != sidecar.schema_crc32 or len(line.values) != len(values)
    differs = np.array(values).view(np.int64) != np.ascontiguousarray(offline).view(np.int64)
    return [
        Difference(ts, name, repr(values[column]), repr(float(offline[column])))
        for column, name in enumerate(prepared.names)
        if is_other or differs[column]
    ]


def _utc(seconds: float) -> str:
    return format_utc(datetime.fromtimestamp(seconds, UTC))
