"""Tables about the market."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlwb.report._html import Html
from mlwb.report._numbers import count, duration, minute, number, several
from mlwb.report._table import Cell, Table, heads

if TYPE_CHECKING:
    from mlwb.data import Count, Finding, QualityReport

__all__ = ["findings", "findings_table", "quality"]


def quality(report: QualityReport) -> Table:
    """Every check of a market: how many, of how many.

    Parameters
    ----------
    report : QualityReport
        As measured; limits are the gate's matter.

    Returns
    -------
    Table
    """
    counted = [
        ("minutes with a bar", report.coverage),
        ("usable minutes", report.completeness),
        ("bars in frozen runs", report.stale),
        ("rows without volume", report.zero_volume),
        ("repeated rows", report.duplicates_identical),
        ("rows in conflict", report.duplicates_conflicting),
        ("rows out of order", report.out_of_order),
        ("stamps off the minute", report.off_grid),
        ("crossed quotes", report.crossed),
        ("locked quotes", report.locked),
        ("values that are no number", report.non_finite),
        ("prices at or below zero", report.non_positive),
        ("impossible bars", report.ohlc_violations),
        ("spikes", report.spikes),
        ("files unlike their checksum", report.checksum_mismatches),
    ]
    rows = [(name, *_counted(found)) for name, found in counted]
    gap = f"longest gap ({several(report.n_gaps, 'gap')} inside the calendar)"
    skew = number(report.clock_skew_p99_ms, "ms")
    rows += [
        (gap, duration(report.longest_gap_s), "", ""),
        ("clock skew, p99", skew, "", ""),
    ]
    caption = (
        f"{report.symbol}, {report.calendar} calendar: {count(report.bars)} bars over "
        f"{number(report.span_days, 'd')}, {minute(report.first_utc)} to "
        f"{minute(report.last_utc)} UTC"
    )
    columns = heads("check", ">found", ">of", ">share")
    return Table(caption, columns, tuple(rows), note=f"The series is {report.shape}.")


def findings(report: QualityReport) -> Table:
    """What a person should know about a market, worst first."""
    return findings_table(report.findings)


def findings_table(items: Sequence[Finding]) -> Table:
    """Findings, serious ones first."""
    ordered = sorted(items, key=lambda found: not found.is_serious)
    serious = sum(found.is_serious for found in ordered)
    caption = f"{several(len(ordered), 'finding')}, {count(serious)} of them serious"
    if not ordered:
        caption = "✓ Nothing found that speaks against the data"
    columns = heads("finding", "weight", ">count", "where")
    return Table(caption, columns, tuple(_finding(found) for found in ordered))


def _counted(found: Count) -> tuple[Cell, Cell, Cell]:
    if not found.n:
        return "not recorded", "", ""
    return count(found.k), count(found.n), number(found.share, "%", decimals=2)


def _finding(found: Finding) -> tuple[Cell, ...]:
    weight: Cell = Html('<span class="fail">✗&nbsp;serious</span>', "✗ serious")
    if not found.is_serious:
        weight = "· to know"
    return found.check.replace("_", " "), weight, count(found.count), found.detail
