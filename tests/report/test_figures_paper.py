"""Messages of what a rule earned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlwb.report import figures

pytestmark = pytest.mark.usefixtures("coarse")


def test_paper_reports_net_gross_and_risk(paper: Any) -> None:
    """The title gives the sums of the ledger and the risk numbers, not numbers of its own."""
    title = figures.paper(paper).title
    net, gross = 100 * paper.ledger.net.sum(), 100 * paper.ledger.gross.sum()
    assert f"{abs(net):.1f}\u00a0% after costs over 10.0\u00a0d" in title
    assert f"{abs(gross):.1f}\u00a0% before" in title
    assert f"largest drawdown {100 * paper.risk.max_drawdown:.1f}\u00a0%" in title
    assert title.startswith("+" if net > 0 else "−")


def test_paper_without_a_rule() -> None:
    """Where nothing was traded, the page says so."""
    assert "No rule was traded" in figures.paper(None)._repr_html_()


def test_timed_exposure_is_told_by_its_risk(timed: Any) -> None:
    """What the rule is for comes first, with its bounds; the money is against constant exposure."""
    title = figures.paper(timed).title
    assert title.startswith("Timing exposure changes variance by −28\u00a0% (−34 to −21\u00a0%)")
    assert "against constant exposure" in title
    assert f"{abs(100 * timed.ledger.net.sum()):.1f}\u00a0% after costs" in title


def test_timing_that_changed_nothing_says_so(timed: Any) -> None:
    """Without a variance to compare there is no percentage."""
    still = replace(timed, effect=replace(timed.effect, variance_ratio=float("nan")))
    assert figures.paper(still).title.startswith("Timing changed no exposure")
