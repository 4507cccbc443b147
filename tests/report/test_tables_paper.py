"""The table of a rule's numbers is its evidence."""

from __future__ import annotations

from mlwb.backtest import DEFINITIONS
from mlwb.core.clock import ManualClock
from mlwb.evidence import Context, Interval, Metric, new_record
from mlwb.report import tables
from mlwb.report._words import METRIC_WORDS

METRICS = (
    Metric("net_return", 0.0123, ci=Interval(0.95, -0.01, 0.03), definition="sum; edge"),
    Metric("win_rate", None, null_reason="the rule made no trade"),
    Metric("regime_net", 0.01, segment="volatile"),
)


def test_a_number_shows_its_interval_and_formula() -> None:
    """Shares in percent; one without a value says why; segments are left to the pictures."""
    details = {"rule": "sign of the score", "definition": "long or short"}
    record = new_record("pnl", METRICS, Context(clock=ManualClock()), details=details)
    table = tables.money(record)
    assert table.caption == "Sign of the score: long or short"
    assert table.rows == (
        ("net return", "1.2\u00a0%", "−1.0 to 3.0\u00a0%", "sum"),
        ("win rate", "not measured", "", "the rule made no trade"),
    )


def test_without_a_book_there_is_no_table() -> None:
    """A version that was not traded says so."""
    assert tables.money(None).caption == "Nothing was traded"


def test_every_number_of_a_book_has_words() -> None:
    """No number is shown by its name in the code."""
    apart = {"clips", "regime_net", "regime_decisions", "regime_p_negative", "cost_net"}
    assert set(DEFINITIONS) - apart - {"identity_error"} <= set(METRIC_WORDS)
