"""Measure a market's quality."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.errors import DataSchemaError
from mlwb.data._calendars import Calendar, calendar_for, open_minutes
from mlwb.data._coverage import Coverage, cover
from mlwb.data._findings import find, utc_text
from mlwb.data._flags import runs_of
from mlwb.data._market import VALUE_FIELDS, Market, Quality
from mlwb.data._report import Count, QualityReport
from mlwb.data._rows import INTERVAL_NS, OrderedRows, order_rows

__all__ = ["quality"]

_DENSE_SHARE = 0.95
"""Below, a source that writes every minute has lost some; quiet FX minutes cost it 2 %."""
_VOLUME = VALUE_FIELDS.index("volume")


def quality(market: Market, *, clock_skew_ms: Float1D | None = None) -> QualityReport:
    """Every quality check, as counts with what they are counts of.

    Parameters
    ----------
    market : Market
    clock_skew_ms : ndarray of shape (n_messages,), optional
        Receive minus exchange time; by default what the source itself recorded.

    Returns
    -------
    QualityReport

    Raises
    ------
    DataSchemaError
        ``clock_skew_ms`` is empty or not finite.

    Examples
    --------
    >>> from mlwb.data import simulate_market
    >>> report = quality(simulate_market(days=2))
    >>> report.shape, report.coverage, report.findings
    ('dense', Count(k=2880, n=2880), ())
    """
    rows = order_rows(market.raw)
    calendar = calendar_for(market.source.calendar, market.source.session)
    ts_ns = market.raw.ts_ns[rows.kept]
    bits = market.frame["quality"].to_numpy(dtype=np.int64)
    coverage = cover(ts_ns, calendar)
    report = QualityReport(
        symbol=market.symbol,
        calendar=calendar.name,
        first_utc=utc_text(ts_ns[0]),
        last_utc=utc_text(ts_ns[-1]),
        bars=len(ts_ns),
        span_days=float(ts_ns[-1] - ts_ns[0] + INTERVAL_NS) / 86_400e9,
        shape=_shape(coverage, calendar),
        findings=(),
        **_row_checks(market, rows),
        **_bar_checks(market, bits),
        **_stale_checks(ts_ns, bits),
        **_calendar_checks(coverage, calendar, ts_ns, bits),
        **_skew_checks(market.raw.skew_ms if clock_skew_ms is None else clock_skew_ms),
    )
    return dataclasses.replace(report, findings=find(report, market, rows, coverage))


def _row_checks(market: Market, rows: OrderedRows) -> dict[str, Any]:
    raw = market.raw
    n_rows = raw.n_updates or len(raw.ts_ns)
    n_back = raw.n_updates_back if raw.n_updates else rows.n_out_of_order
    volume = market.raw.cells[:, _VOLUME]
    files = [item for item in market.source.inputs if item.published_sha256]
    n_wrong = sum(item.published_sha256 != item.sha256 for item in files)
    return {
        "rows_read": n_rows,
        "zero_volume": Count(int(np.sum(volume == 0)), int(np.sum(~np.isnan(volume)))),
        "duplicates_identical": Count(rows.n_identical, n_rows),
        "duplicates_conflicting": Count(rows.n_conflicting, n_rows),
        "most_repeats": int(rows.repeats.max()),
        "out_of_order": Count(n_back, n_rows),
        "is_newest_first": rows.is_newest_first,
        "off_grid": Count(rows.n_off_grid, n_rows),
        "unpaired": market.raw.n_unpaired,
        "checksum_mismatches": Count(n_wrong, len(files)),
    }


def _bar_checks(market: Market, bits: Int1D) -> dict[str, Any]:
    quoted = market.frame[["bid", "ask"]].notna().all(axis=1)
    n_quoted, n_bars = int(quoted.sum()), len(bits)
    return {
        "crossed": Count(_n_with(bits, Quality.CROSSED), n_quoted),
        "locked": Count(_n_with(bits, Quality.LOCKED), n_quoted),
        "non_finite": Count(_n_with(bits, Quality.NON_FINITE), n_bars),
        "non_positive": Count(_n_with(bits, Quality.NON_POSITIVE), n_bars),
        "ohlc_violations": Count(_n_with(bits, Quality.OHLC), n_bars),
        "spikes": Count(_n_with(bits, Quality.SPIKE), n_bars),
    }


def _n_with(bits: Int1D, flag: Quality) -> int:
    return int(np.count_nonzero(bits & flag))


def _stale_checks(ts_ns: Int1D, bits: Int1D) -> dict[str, Any]:
    is_stale = (bits & Quality.STALE) != 0
    _, lengths = runs_of(is_stale)
    return {
        "stale_runs": len(lengths),
        "stale_longest_bars": int(lengths.max(initial=0)),
        "stale": Count(int(is_stale.sum()), len(ts_ns)),
    }


def _calendar_checks(
    coverage: Coverage, calendar: Calendar, ts_ns: Int1D, bits: Int1D
) -> dict[str, Any]:
    is_usable = (bits & Quality.unusable()) == 0
    is_expected = open_minutes(calendar, ts_ns // INTERVAL_NS)
    return {
        "coverage": Count(coverage.n_present, coverage.n_expected),
        "completeness": Count(int(np.sum(is_usable & is_expected)), coverage.n_expected),
        "n_gaps": len(coverage.gap_s),
        "longest_gap_s": int(coverage.gap_s.max(initial=0)),
        "longest_gap_bars": int(coverage.gap_minutes.max(initial=0)),
        "n_long_gaps": int(np.count_nonzero(coverage.gap_s > calendar.quiet_s)),
        "page_bars": coverage.page_bars,
        "n_pages": coverage.n_pages,
        "outside_calendar": coverage.n_outside,
    }


def _skew_checks(clock_skew_ms: Float1D | None) -> dict[str, Any]:
    if clock_skew_ms is None:
        return {"clock_skew_median_ms": None, "clock_skew_p99_ms": None}
    if not len(clock_skew_ms) or not np.isfinite(clock_skew_ms).all():
        raise DataSchemaError(
            "clock skews are no numbers", expected="finite ms", got=f"{len(clock_skew_ms)} values"
        )
    return {
        "clock_skew_median_ms": float(np.median(clock_skew_ms)),
        "clock_skew_p99_ms": float(np.quantile(np.abs(clock_skew_ms), 0.99)),
    }


def _shape(coverage: Coverage, calendar: Calendar) -> str:
    if coverage.n_expected and coverage.n_present >= _DENSE_SHARE * coverage.n_expected:
        return "dense"
    has_long_gap = bool(np.any(coverage.gap_minutes * INTERVAL_S > calendar.quiet_s))
    if calendar.is_every_minute or coverage.n_pages or has_long_gap:
        return "broken"
    return "sparse"
