"""The page of a day: risk first, every number with what is behind it, nothing loaded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.home import find_project
from mlwb.evidence import Context, Metric, Record, new_record, rate
from mlwb.monitor import (
    HISTORY_COLUMNS,
    DayPanels,
    Snapshot,
    TradingDay,
    day_panels,
    week_of,
)
from mlwb.params import load_policy
from mlwb.report._daily_figure import _series
from mlwb.report.daily import money, panels, render_day, render_week, trends

POLICY = load_policy(find_project() / "params" / "policy.yml")


def _row(day: int, **cells: str) -> dict[str, str]:
    numbers = {"rows": "1440", "p95_ms": "3.0", "match_rate": "0.97", "match_k": "97",
               "match_n": "100", "covered_h": "24.0"}  # fmt: skip
    known = {"date": f"2026-01-{day:02}", "risk": "OK", **numbers, **cells}
    return {name: known.get(name, "") for name in HISTORY_COLUMNS}


def _record(*, state: str = "quiet", risk: str = "OK") -> Record:
    details = {
        "date": "2026-01-05", "risk": risk, "versions": {"v<1>": 1_440}, "candidate": "",
        "gaps": [["2026-01-05T10:00:00Z", "2026-01-05T10:20:00Z", 1_200]],
        "unwatched": [["2026-01-05T11:00:00Z", "2026-01-05T17:00:00Z", 21_600]],
        "drift_check": {"run_id": "", "outcome": "not measured", "reason": "none ends with it"},
        "questions": [
            {"id": "rollback.p95_ms", "state": state, "reason": "p95_ms = 3", "needed": True},
            {"id": "rollback.sharpe", "state": "not measured", "reason": "no", "needed": False},
        ],
    }  # fmt: skip
    metrics = [Metric("rows", 1_440), rate("match_rate", 97, 100), Metric("p95_ms", None),
               Metric("psi", 0.1, n=9, segment="spread_bp")]  # fmt: skip
    context = Context(clock=ManualClock(), model_version="v1", origin="live")
    return new_record("daily_report", metrics, context, details=details)


@pytest.mark.parametrize(
    ("state", "risk", "said"),
    [("quiet", "OK", "Every number that must be measured is within limits."),
     ("not measured", "WARN", "1 number not measured."),
     ("warned", "WARN", "1 number beyond what a gate asks for."),
     ("raised", "CRITICAL", "1 limit of the policy broken.")],
)  # fmt: skip
def test_the_risk_comes_first_and_says_why(state: str, risk: str, said: str) -> None:
    """A word, a sign and a sentence before every table; money where nothing trades is silent."""
    text = render_day(_record(state=state, risk=risk), [], POLICY).decode()
    assert said in text
    assert text.index(said) < text.index("<table>")


def test_numbers_say_what_is_behind_them_and_escape() -> None:
    """K of n, no number as words, silences and hours without a look, nothing from elsewhere."""
    record, rows = _record(), [_row(4), _row(5)]
    text = render_day(record, rows, POLICY).decode()
    for told in (
        "97 of 100",
        "not measured",
        "10:00 to",
        "20 min",
        "11:00 to",
        "spread_bp",
        "v&lt;1&gt;",
    ):
        assert told in text, told
    assert "http" not in text.replace("http-equiv", "")
    assert render_day(record, rows, POLICY).decode() == text


def test_a_missing_day_is_a_hole_and_not_a_line() -> None:
    """Days without a row, and cells without a number, are NaN at their place."""
    x, y = _series([_row(1), _row(2, p95_ms=""), _row(5, p95_ms="9.0")], "p95_ms")
    assert np.diff(x).tolist() == [1.0] * 4
    assert np.isnan(y).tolist() == [False, True, True, True, False]


def test_trends_count_the_risks_and_draw_nothing_measured() -> None:
    """The title is computed; a column without a number does not break the picture."""
    found = trends([_row(1), _row(2, risk="CRITICAL"), _row(3, rows="", covered_h="")], POLICY)
    assert found.title == "3 days: 2 OK, 1 CRITICAL"
    assert found.png.startswith(b"\x89PNG")
    assert "two days" in trends([_row(1)], POLICY).subtitle


def test_a_week_pools_counts_and_is_no_better_than_its_worst_day() -> None:
    """Wilson over k of n of all days; six good days of seven are not a good week."""
    rows = [_row(day) for day in range(1, 8)]
    week = week_of(rows, date(2026, 1, 7))
    assert (week.risk, week.matched, week.compared, week.rows) == ("OK", 679, 700, 10_080)
    assert week.match_low < 0.97 < week.match_high
    assert week_of(rows[1:], date(2026, 1, 7)).risk == "WARN"
    bad = [*rows[:3], _row(4, risk="CRITICAL"), *rows[4:]]
    assert week_of(bad, date(2026, 1, 7)).risk == "CRITICAL"
    text = render_week(replace(week, first="2026-01-01"), rows, POLICY).decode()
    assert "679 of 700" in text
    assert week_of([], date(2026, 1, 7)).risk == "WARN"
    assert (
        "No day of the week was told."
        in render_week(week_of([], date(2026, 1, 7)), [], POLICY).decode()
    )


def _traded(day: int, wins: int = 20, trades: int = 40, **more: Any) -> TradingDay:
    known: dict[str, Any] = {
        "day": date(2026, 1, day), "source": "paper", "is_judged": True, "wins": wins,
        "trades": trades, "net": 0.01, "cost": 0.002, "is_bet": True,
        "at": datetime(2026, 1, day, tzinfo=UTC), **more,
    }  # fmt: skip
    return TradingDay(**known)


@pytest.mark.slow
def test_trades_are_drawn_and_listed_with_whose_they_are() -> None:
    """Compounded return in the title; paper says that it is simulated; none says how to tell it."""
    days = [_traded(1), _traded(2, source="broker", net=-0.02), _traded(3, trades=0, is_bet=False)]
    found = money(days, POLICY)
    assert found.title == "\u22120.03\u00a0% after costs in 3 days told, 1 of them lost"
    assert found.png.startswith(b"\x89PNG")
    assert len(found.png) < 60_000
    text = render_day(_record(), [], POLICY, trading=days).decode()
    for told in ("paper, simulated", "fills of the desk", "20 of 40", "the rule makes no bets"):
        assert told in text, told
    assert "mlwb report pnl" in render_day(_record(), [], POLICY).decode()
    assert money(days[:1], POLICY).png == b""
    assert money([_traded(1, trades=0), _traded(2, trades=0)], POLICY).png


def _looks(*, with_candidate: bool) -> list[Snapshot]:
    """A day of looks every twelve minutes, with all that a server shows."""
    found = []
    for place in range(121):
        n = 10.0 * place
        values = {
            'ml_predict_requests_total{model_version="v1",status="success"}': n,
            'ml_predict_latency_ms_bucket{model_version="v1",le="2.5"}': 0.6 * n,
            'ml_predict_latency_ms_bucket{model_version="v1",le="80"}': n,
            'ml_predict_latency_ms_bucket{model_version="v1",le="+Inf"}': n,
        }
        gauges = {'ml_model_info{model_version="v1"}': 1.0}
        if with_candidate:
            for family in ("ml_shadow_latency_ms", "ml_baseline_latency_ms"):
                values |= {f'{family}_bucket{{le="10"}}': n, f'{family}_bucket{{le="+Inf"}}': n}
            values |= {
                "ml_shadow_match_total": n, "ml_shadow_mismatch_total": place // 10,
                'ml_shadow_abs_delta_bucket{le="0.01"}': 0.5 * n,
                'ml_shadow_abs_delta_bucket{le="+Inf"}': n,
            }  # fmt: skip
            gauges |= {"ml_shadow_match_rate": 0.97 - 0.0004 * place}
            gauges |= {f'ml_psi_score{{feature="{c}"}}': 0.001 * place for c in "abcde"}
        moment = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=12 * place - 2)
        found.append(Snapshot(moment, "a", values, gauges))
    return found


def _panels_of(looks: list[Snapshot]) -> DayPanels:
    first = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())
    return day_panels(looks, first, first + 86_400)


@pytest.mark.slow
def test_the_dashboard_of_a_day_is_one_small_picture() -> None:
    """Every panel drawn, described, below 60 KB, the same bytes twice; the page holds it."""
    day = _panels_of(_looks(with_candidate=True))
    found = panels(day, POLICY)
    assert found.title == "1,200 requests, answered by v1; p95 at its slowest 70.31\u00a0ms"
    assert "Without numbers" not in found.alt
    assert len(found.png) < 60_000
    assert panels(day, POLICY).png == found.png
    page = render_day(_record(), [], POLICY, dashboard=day)
    assert f'alt="{found.alt}"'.encode() in page
    beside_figures = len(page) - page.count(b"data:image/png") * 4 * len(found.png) // 3
    assert beside_figures < 60_000


@pytest.mark.slow
def test_a_panel_without_numbers_says_why() -> None:
    """Words on the panel and in its description; no look at all is a sentence and no picture."""
    found = panels(_panels_of(_looks(with_candidate=False)), POLICY)
    lacking = found.alt.partition("Without numbers: ")[2]
    for title in ("Shadow match rate", "Shadow delta", "PSI trend", "Gates a scrape can see"):
        assert title in lacking
    assert "Prediction latency" not in lacking
    for day in (None, _panels_of([])):
        assert panels(day, POLICY).png == b""
        assert "mlwb report scrape" in panels(day, POLICY).subtitle
