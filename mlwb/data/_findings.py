"""Sentences about what a quality report found, each with its worst place."""

from __future__ import annotations

import numpy as np

from mlwb.core.arrays import Int1D
from mlwb.data._coverage import Coverage
from mlwb.data._flags import SPIKE_SCALES, runs_of
from mlwb.data._market import Market, Quality
from mlwb.data._report import Finding, QualityReport
from mlwb.data._rows import OrderedRows

__all__ = ["find", "utc_text"]

CROSSED_SHARE = 0.05
"""Indicative FX quotes cross in 1 to 2.4 % of the minutes; more is a broken side."""
NO_TRADE_SHARE = 0.25
"""Of the rows: an exchange that writes every minute of a pair nobody trades."""
SKEW_MS = 100.0


def utc_text(ts_ns: int) -> str:
    """ISO 8601 with Z, to the minute.

    Examples
    --------
    >>> utc_text(1_679_658_000_000_000_000)
    '2023-03-24T11:40Z'
    """
    return f"{np.datetime64(int(ts_ns), 'ns').astype('datetime64[m]')}Z"


def find(
    report: QualityReport, market: Market, rows: OrderedRows, coverage: Coverage
) -> tuple[Finding, ...]:
    """All findings of a report, in the order of the table in ``docs/data.md``.

    Parameters
    ----------
    report : QualityReport
        Without its findings.
    market : Market
    rows : OrderedRows
    coverage : Coverage

    Returns
    -------
    tuple of Finding
        Empty when there is nothing to say.
    """
    ts_ns = market.raw.ts_ns[rows.kept]
    bits = market.frame["quality"].to_numpy(dtype=np.int64)
    found = [
        *_about_files(report, market),
        *_about_rows(report, market, ts_ns, rows),
        *_about_gaps(report, coverage),
        *_about_stale(report, ts_ns, bits),
        *_about_quotes(report, market, ts_ns, bits),
        *_about_values(report, ts_ns, bits),
        *_about_clocks(report),
    ]
    return tuple(item for item in found if item.count)


def _about_files(report: QualityReport, market: Market) -> list[Finding]:
    wrong = [
        f"{item.uri} is {item.sha256}, published as {item.published_sha256}"
        for item in market.source.inputs
        if item.published_sha256 not in {"", item.sha256}
    ]
    detail = "the file is not the published one: " + "; ".join(wrong)
    return [_serious("checksum", report.checksum_mismatches.k, detail)]


def _about_rows(
    report: QualityReport, market: Market, ts_ns: Int1D, rows: OrderedRows
) -> list[Finding]:
    n_rows = report.rows_read
    most = utc_text(ts_ns[int(np.argmax(rows.repeats))])
    worst = f"{most} stands {report.most_repeats} times"
    same, other = report.duplicates_identical.k, report.duplicates_conflicting.k
    clash = utc_text(ts_ns[int(np.argmax(rows.conflicting))])
    back = _first_step_back(market.raw.ts_ns, newest_first=report.is_newest_first)
    quiet = report.zero_volume
    return [
        _serious(
            "duplicates_identical",
            same,
            f"{same} of {n_rows} rows repeat a minute, {report.bars} minutes are distinct; {worst}",
        ),
        _serious(
            "duplicates_conflicting",
            other,
            f"{other} of {n_rows} rows repeat a minute with other values, first at {clash}; "
            "the last one read is kept",
        ),
        _note("newest_first", int(report.is_newest_first), "the file runs backwards in time"),
        _serious("out_of_order", report.out_of_order.k, f"rows step back in time, first to {back}"),
        _serious("off_grid", report.off_grid.k, "stamps that are no full minute are left out"),
        _note("unpaired", report.unpaired, "rows of one side have no counterpart on the other"),
        _serious(
            "no_trades",
            quiet.k if quiet.k > NO_TRADE_SHARE * quiet.n else 0,
            f"{quiet.k} of {quiet.n} rows are minutes without a trade",
        ),
    ]


def _about_gaps(report: QualityReport, coverage: Coverage) -> list[Finding]:
    missing = coverage.n_expected - coverage.n_present
    has_gap = len(coverage.gap_minutes) > 0
    worst = int(np.argmax(coverage.gap_minutes)) if has_gap else 0
    place = utc_text(int(coverage.gap_before[worst]) * 60 * 10**9) if has_gap else ""
    longest = f"{report.longest_gap_bars} bars from {place}"
    share = f"{100 * report.coverage.share:.1f} % of the calendar's minutes"
    return [
        _serious(
            "coverage",
            missing if report.shape == "broken" else 0,
            f"{missing} minutes have no bar, {share} do",
        ),
        _serious(
            "paging",
            report.n_pages,
            f"{report.n_pages} runs of exactly {report.page_bars} bars with holes between: "
            "a client kept less of each page than it asked for",
        ),
        _serious(
            "gaps",
            report.n_long_gaps,
            f"{report.n_long_gaps} gaps inside the calendar are longer than is ordinary, the "
            f"longest misses {longest}",
        ),
        _note(
            "short_gaps",
            report.n_gaps - report.n_long_gaps,
            f"{report.n_gaps - report.n_long_gaps} short gaps, {share} have a bar",
        ),
        _note("outside_calendar", report.outside_calendar, "bars while the calendar is closed"),
    ]


def _about_stale(report: QualityReport, ts_ns: Int1D, bits: Int1D) -> list[Finding]:
    starts, lengths = runs_of((bits & Quality.STALE) != 0)
    worst = int(np.argmax(lengths)) if len(lengths) else 0
    place = utc_text(ts_ns[starts[worst]]) if len(lengths) else ""
    detail = (
        f"{report.stale.k} bars in {report.stale_runs} runs are frozen without a trade, the "
        f"longest {report.stale_longest_bars} bars from {place}"
    )
    return [_serious("stale", report.stale_runs, detail)]


def _about_quotes(
    report: QualityReport, market: Market, ts_ns: Int1D, bits: Int1D
) -> list[Finding]:
    crossed, locked = report.crossed, report.locked
    spread = (market.frame["ask"] - market.frame["bid"]).to_numpy(dtype=np.float64)
    is_quoted = np.isfinite(spread)
    worst = utc_text(ts_ns[int(np.nanargmin(spread))]) if is_quoted.any() else ""
    return [
        Finding(
            "crossed",
            crossed.k,
            crossed.k > CROSSED_SHARE * crossed.n,
            f"ask below bid in {crossed.k} of {crossed.n} quotes, widest at {worst}",
        ),
        _note(
            "locked",
            locked.k,
            f"ask equals bid in {locked.k} of {locked.n} quotes, {_first(ts_ns, bits, 'LOCKED')}",
        ),
    ]


def _about_values(report: QualityReport, ts_ns: Int1D, bits: Int1D) -> list[Finding]:
    return [
        _serious(
            "non_finite",
            report.non_finite.k,
            f"missing or infinite values, {_first(ts_ns, bits, 'NON_FINITE')}",
        ),
        _serious(
            "non_positive",
            report.non_positive.k,
            f"prices <= 0 or negative volumes, {_first(ts_ns, bits, 'NON_POSITIVE')}",
        ),
        _serious(
            "ohlc_violations",
            report.ohlc_violations.k,
            f"high or low contradict the bar, {_first(ts_ns, bits, 'OHLC')}",
        ),
        _serious(
            "spikes",
            report.spikes.k,
            f"jumps beyond {SPIKE_SCALES:.0f} robust sd that the next bar takes back, "
            f"{_first(ts_ns, bits, 'SPIKE')}",
        ),
    ]


def _about_clocks(report: QualityReport) -> list[Finding]:
    median, p99 = report.clock_skew_median_ms, report.clock_skew_p99_ms
    if median is None or p99 is None:
        return []
    side = "behind" if median < 0 else "after"
    detail = f"received {abs(median):.0f} ms {side} the exchange's clock (median), p99 {p99:.0f} ms"
    return [_serious("clock_skew", int(median < 0 or p99 >= SKEW_MS), detail)]


def _first(ts_ns: Int1D, bits: Int1D, flag: str) -> str:
    has = (bits & Quality[flag]) != 0
    return f"first at {utc_text(ts_ns[int(np.argmax(has))])}" if has.any() else ""


def _first_step_back(ts_ns: Int1D, *, newest_first: bool) -> str:
    steps = np.diff(ts_ns)
    wrong = steps > 0 if newest_first else steps < 0
    return utc_text(ts_ns[1:][int(np.argmax(wrong))]) if wrong.any() else ""


def _serious(check: str, count: int, detail: str) -> Finding:
    return Finding(check, count, is_serious=True, detail=detail)


def _note(check: str, count: int, detail: str) -> Finding:
    return Finding(check, count, is_serious=False, detail=detail)
