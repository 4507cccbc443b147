"""What a quality check returns."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Count", "Finding", "QualityReport", "counted"]


@dataclass(frozen=True)
class Count:
    """``k`` of ``n``.

    Examples
    --------
    >>> Count(1, 4).share
    0.25
    """

    k: int
    n: int

    @property
    def share(self) -> float:
        """The share in [0, 1]; NaN of nothing."""
        return self.k / self.n if self.n else float("nan")


@dataclass(frozen=True)
class Finding:
    """One thing a person should know about a market.

    Parameters
    ----------
    check : str
        Stable word, a row of the table in ``docs/data.md``.
    count : int
        How many rows, bars, runs or gaps.
    is_serious : bool
        Correct data does not look so. The gate judges by the policy's limits, not by this.
    detail : str
        Sentence that names the worst place, in UTC.
    """

    check: str
    count: int
    is_serious: bool
    detail: str


def counted(count: int, detail: str) -> str:
    """A finding's sentence with its count, where the sentence does not begin with a number.

    Examples
    --------
    >>> counted(3, "prices <= 0, first at noon"), counted(2, "2 gaps")
    ('3 x prices <= 0, first at noon', '2 gaps')
    """
    return detail if detail[:1].isdigit() else f"{count} x {detail}"


@dataclass(frozen=True)
class QualityReport:
    """Every check of a market, as counts.

    Parameters
    ----------
    symbol, calendar : str
    first_utc, last_utc : str
        Opens of the first and the last bar, ISO 8601 with Z.
    rows_read : int
        Rows of the source; of a pair those of its bids, of quotes the updates.
    bars : int
        Minutes with a bar.
    span_days : float
        First open to last close.
    coverage : Count
        Minutes with a bar, of the calendar's minutes in the span.
    completeness : Count
        Minutes with a bar that nothing speaks against (no stale run, conflict, impossible or
        missing value), of the calendar's minutes.
    n_gaps, longest_gap_s, longest_gap_bars : int
        Gaps inside the calendar of any length; the longest from open to open, and in bars
        missing. 0 without a gap.
    n_long_gaps : int
        Gaps longer than the calendar calls ordinary.
    page_bars, n_pages : int
        Pages with holes between; 0 where there are none.
    outside_calendar : int
        Bars where the calendar expects none.
    stale_runs, stale_longest_bars : int
        Runs of five or more bars without a trade at an unchanged price.
    stale : Count
        Bars in them.
    zero_volume : Count
        Rows without volume, of rows that say their volume.
    duplicates_identical, duplicates_conflicting : Count
        Rows that repeat a minute, of rows read.
    most_repeats : int
        Rows of the minute that stands most often; 1 is as it should be.
    out_of_order : Count
        Rows that step back in time.
    is_newest_first : bool
    off_grid : Count
        Rows whose stamp is no full minute; they are in no bar.
    unpaired : int
        Rows of a bid/ask pair without a counterpart.
    crossed, locked : Count
        Of bars with quotes.
    non_finite, non_positive, ohlc_violations, spikes : Count
        Of bars.
    checksum_mismatches : Count
        Files that are not what the ``.CHECKSUM`` beside them says, of files that have one.
    clock_skew_median_ms, clock_skew_p99_ms : float or None
        Receive minus exchange time, the 99th percentile of its size; None where one clock is
        recorded.
    shape : str
        ``dense``, ``sparse`` (a bar only where somebody traded, and nothing else amiss) or
        ``broken``.
    findings : tuple of Finding
    """

    symbol: str
    calendar: str
    first_utc: str
    last_utc: str
    rows_read: int
    bars: int
    span_days: float
    coverage: Count
    completeness: Count
    n_gaps: int
    longest_gap_s: int
    longest_gap_bars: int
    n_long_gaps: int
    page_bars: int
    n_pages: int
    outside_calendar: int
    stale_runs: int
    stale_longest_bars: int
    stale: Count
    zero_volume: Count
    duplicates_identical: Count
    duplicates_conflicting: Count
    most_repeats: int
    out_of_order: Count
    is_newest_first: bool
    off_grid: Count
    unpaired: int
    crossed: Count
    locked: Count
    non_finite: Count
    non_positive: Count
    ohlc_violations: Count
    spikes: Count
    checksum_mismatches: Count
    clock_skew_median_ms: float | None
    clock_skew_p99_ms: float | None
    shape: str
    findings: tuple[Finding, ...]

    @property
    def serious(self) -> tuple[Finding, ...]:
        """The findings that correct data does not have."""
        return tuple(item for item in self.findings if item.is_serious)
