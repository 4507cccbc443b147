"""Messages of what a rule earned."""

from __future__ import annotations

from typing import Any

import numpy as np
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
    """A volatility score is not traded, and the page says why."""
    figure = figures.paper(None)
    assert "nothing about the sign" in figure._repr_html_()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_equity_skips_holes(sign: float) -> None:
    """Steps without a return earn nothing."""
    net = sign * np.asarray([0.01, np.nan, 0.01])
    ts = 60 * np.arange(3, dtype=np.int64)
    title = figures.equity(ts, net, net).title
    assert title.startswith("+2.0\u00a0%" if sign > 0 else "−2.0\u00a0%")
