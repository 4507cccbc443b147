"""Tables about the market."""

from __future__ import annotations

from collections.abc import Callable

from mlwb.data import Count, Finding, QualityReport
from mlwb.report import tables


def _row(table: tables.Table, name: str) -> tuple[object, ...]:
    return next(row for row in table.rows if str(row[0]).startswith(name))


def test_quality_counts_k_of_n(make_report: Callable[..., QualityReport]) -> None:
    """Each check says how many of how many; what the source does not record says so."""
    report = make_report(crossed=Count(242, 20_160), longest_gap_s=540, n_gaps=2)
    table = tables.quality(report)
    assert _row(table, "crossed quotes") == ("crossed quotes", "242", "20,160", "1.20\u00a0%")
    assert _row(table, "rows without volume")[1] == "not recorded"
    assert _row(table, "longest gap")[:2] == ("longest gap (2 gaps inside the calendar)", "9 min")
    assert _row(table, "clock skew")[1] == "not measured"
    assert "20,160 bars over 14.0\u00a0d" in table.caption


def test_almost_covered_is_not_covered(make_report: Callable[..., QualityReport]) -> None:
    """One missing minute in a hundred thousand is not rounded away."""
    table = tables.quality(make_report(coverage=Count(99_999, 100_000)))
    assert _row(table, "minutes with a bar")[3] == "> 99.99\u00a0%"


def test_findings_are_worst_first_and_escaped(
    make_report: Callable[..., QualityReport], finding: Finding
) -> None:
    """Serious ones lead, and a file cannot smuggle markup into the report."""
    mild = Finding("long_gaps", 3, False, "longest from 2025-01-03T10:00Z")
    table = tables.findings(make_report(findings=(mild, finding)))
    assert table.caption == "2 findings, 1 of them serious"
    assert [row[0] for row in table.rows] == ["duplicates identical", "long gaps"]
    html = table._repr_html_()
    assert "<img" not in html
    assert "✗&nbsp;serious" in html


def test_no_findings(make_report: Callable[..., QualityReport]) -> None:
    """Clean data is said to be clean."""
    assert "Nothing found" in repr(tables.findings(make_report()))
