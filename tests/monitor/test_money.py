"""Trades of days, as the triggers read them: win rate of three, Sharpe ratio of a month."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.clock import ManualClock
from mlwb.evidence import Context, Metric, Record, new_record, rate
from mlwb.monitor import (
    Alert,
    Measurement,
    Trigger,
    judge_readings,
    money_alerts,
    record_alerts,
    rollback_alerts,
    trading_days,
    trading_readings,
)
from tests.monitor.monitor_kit import NOW, POLICY, RULES

TODAY = NOW.date()


def _day(
    ago: int,
    wins: int = 15,
    n: int = 30,
    *,
    net: float = 0.0,
    source: str = "paper",
    kind: str = "direction",
    version: str = "v2.0.0",
    origin: str = "live",
) -> Record:
    """A day told the night after it."""
    day = TODAY - timedelta(days=ago)
    told = NOW.replace(hour=0, minute=20) - timedelta(days=ago - 1)
    context = Context(clock=ManualClock(told), model_version=version, origin=origin)
    won = Metric("win_rate", None) if kind == "volatility" else rate("win_rate", wins, n)
    metrics = [won, Metric("net_return", net), Metric("cost_return", 0.0)]
    details = {
        "date": str(day), "source": source, "simulated": source == "paper", "symbol": "X",
        "label": {"kind": kind}, "definition": "a test",
    }  # fmt: skip
    return new_record("live_pnl", metrics, context, phase=f"pnl-{day}", details=details)


def _readings(*records: Record, now: datetime = NOW) -> tuple[Measurement, Measurement]:
    return trading_readings(records, "v2.0.0", RULES, now=now)


def _win_rate(*records: Record, now: datetime = NOW) -> float | None:
    return _readings(*records, now=now)[0].value


def _month(net: list[float]) -> list[Record]:
    return [_day(len(net) - place, net=value) for place, value in enumerate(net)]


def test_the_win_rate_is_that_of_the_best_of_three_days() -> None:
    """It is below the limit when each day is: by hand 9, 15 and 12 of 30."""
    found, _ = _readings(_day(4, 29), _day(3, 9), _day(2, 15), _day(1, 12))
    assert (found.value, found.n) == (0.5, 30)
    assert "together 36 of 90" in found.source
    assert _win_rate(_day(3, 9), _day(2, 18), _day(1, 12)) == 0.6


@pytest.mark.parametrize(
    "third",
    [_day(3, 12, 29), _day(3, 12, origin="simulated"), _day(3, 12, version="v1"), _day(1, 3)],
    ids=["few trades", "a made market", "another version", "the same day"],
)
def test_two_days_are_not_three(third: Record) -> None:
    """Too few trades, a made market, another version, or the same day again: not measured."""
    found, _ = _readings(third, _day(2), _day(1))
    assert found.value is None
    assert "2 of 3 UTC days with 30 live trades" in found.source


@pytest.mark.parametrize(("wins", "fires"), [(25, True), (26, False)])
def test_at_the_limit_the_trigger_is_silent(wins: int, fires: bool) -> None:
    """26 of 50 are 52 % to the digit and hold; one fewer on each of three days fires at once."""
    found = _readings(*(_day(ago, wins, 50) for ago in (3, 2, 1)))
    row = next(row for row in judge_readings({}, found, RULES) if row.name == "win_rate")
    assert (row.state, row.acts) == (("fired", True) if fires else ("ok", False))


def test_fills_of_the_desk_come_before_paper() -> None:
    """Whichever was written later; of the same source the newer counts."""
    fills = _day(1, 30, source="broker")
    for records in ([fills, _day(1, 0)], [_day(1, 0), fills]):
        (found,) = trading_days(records, "v2.0.0", ["direction"])
        assert (found.source, found.wins) == ("broker", 30)
    (found,) = trading_days([_day(1, 3), _day(1, 4)], "v2.0.0", [])
    assert found.wins == 4


def test_timed_exposure_is_told_and_not_judged() -> None:
    """A volatility label bets on nothing: no trigger. Fills of a desk that follows it count."""
    paper = [_day(ago, kind="volatility", net=-0.01 * ago) for ago in range(29, 0, -1)]
    assert [item.value for item in _readings(*paper)] == [None, None]
    assert "held against nothing" in _readings(*paper)[1].source
    fills = [_day(ago, 10, source="broker") for ago in (3, 2, 1)]
    assert _win_rate(*paper, *fills) == pytest.approx(1 / 3)


def test_old_trades_say_nothing() -> None:
    """Beyond the age the policy allows, counted from the end of the day they are of."""
    days = [_day(ago, 3, net=-0.01 * (ago % 7)) for ago in range(25, 0, -1)]
    age = timedelta(hours=RULES.limits["win_rate"].max_age_h)
    ends = NOW.replace(hour=0, minute=0)
    assert all(item.value is not None for item in _readings(*days, now=ends + age))
    late = _readings(*days, now=ends + age + timedelta(seconds=1))
    assert [item.value for item in late] == [None, None]


def test_sharpe_is_that_of_empyrical(oracle: Callable[[str], Any]) -> None:
    """UTC days times the root of 365; a day between two told ones without a record is 0."""
    empyrical = oracle("empyrical")
    net = np.random.default_rng(4).normal(-4e-3, 1e-2, 28)
    net[7] = 0.0
    records = [item for place, item in enumerate(_month(net.tolist())) if place != 7]
    found = _readings(*records)[1]
    assert found.value == pytest.approx(empyrical.sharpe_ratio(net, annualization=365))
    assert found.n == 28


def test_only_the_days_of_the_window_count() -> None:
    """The newest thirty; by hand: -1 % and -2 % in turn are -1.5 % over 0.509 %, times root 365."""
    before = [_day(ago, net=0.5) for ago in (40, 35, 31)]
    found = _readings(*before, *_month([-0.01, -0.02] * 15))[1]
    by_hand = -0.015 / (0.005 * math.sqrt(30 / 29)) * math.sqrt(365)
    assert found.value == pytest.approx(by_hand)
    assert found.n == 30


def test_a_ratio_below_the_limit_by_chance_is_not_measured() -> None:
    """Twenty days that say 0.4 with an error of 4 prove nothing, and the look says so."""
    net = np.random.default_rng(1).normal(0.0, 1e-2, 20)
    found = _readings(*_month((net - net.mean() + 2e-4).tolist()))[1]
    assert found.value is None
    assert "is not shown to be below 1" in found.source


def test_too_few_days_and_days_that_are_all_alike() -> None:
    """A Sharpe ratio does not exist, or not yet."""
    assert "19 UTC days, 20 are needed" in _readings(*_month([-0.01, 0.01] * 9 + [0.0]))[1].source
    assert "the same return" in _readings(*_month([-0.01] * 20))[1].source
    assert "mlwb report pnl" in _readings()[1].source


def test_sharpe_fires_after_three_days_and_clears_above() -> None:
    """Looks at the same record count once; a month later the ratio is good by a margin."""
    triggers: dict[str, Trigger] = {}

    def look(month: list[Record], n: int) -> str:
        found = _readings(*month[:n], now=NOW - timedelta(days=len(month) - n))
        rows = {row.name: row for row in judge_readings(triggers, found, RULES)}
        triggers.update({name: row.trigger for name, row in rows.items()})
        return rows["sharpe"].state

    bad, good = _month([-0.01, -0.02] * 13), _month([0.01, 0.02] * 15)
    assert [look(bad, n) for n in (20, 20, 21, 22)] == ["rising", "rising", "rising", "fired"]
    assert [look(good, n) for n in (28, 29, 30)] == ["clearing", "clearing", "ok"]


def _states(found: tuple[Alert, ...]) -> dict[str, tuple[str, bool]]:
    return {item.id: (item.state, item.is_needed) for item in found if "." in item.id}


def test_a_day_is_asked_over_days_and_never_alone() -> None:
    """One bad day raises nothing; three do; where nothing trades nothing is lacking."""
    assert record_alerts([_day(1, 0)], POLICY) == ()
    bad = [_day(ago, 3) for ago in (3, 2, 1)]
    money = money_alerts(bad, "v2.0.0", POLICY, now=NOW)
    asked = _states(rollback_alerts({}, POLICY, money=money))
    assert asked["rollback.win_rate"][0] == "raised"
    assert asked["rollback.sharpe"] == ("not measured", False)


_DAYS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.floats(-0.05, 0.05)),
    min_size=1, max_size=34,
)  # fmt: skip


@given(_DAYS)
def test_the_trigger_is_the_rule_written_out(days: list[tuple[int, int, float]]) -> None:
    """It is below the limit exactly where the newest three days with 30 trades each are."""
    told = [(min(k, n), n, net) for k, n, net in days]
    records = [
        _day(len(told) - place, wins, n, net=net) for place, (wins, n, net) in enumerate(told)
    ]
    newest = [k / n for k, n, _ in told if n >= 30][-3:]
    last = max((p for p, (_, n, _) in enumerate(told) if n >= 30), default=0)
    fresh = len(told) - 1 - last <= 3
    expected = max(newest) if len(newest) == 3 and fresh else None
    assert _win_rate(*records) == expected


@given(_DAYS, st.floats(0.1, 10.0))
def test_sharpe_does_not_know_the_size_of_the_book(
    days: list[tuple[int, int, float]], size: float
) -> None:
    """Money in another currency gives the same ratio, and the same word about it."""
    net = [round(item[2], 6) for item in days]
    one, other = (_readings(*_month([x * f for x in net]))[1] for f in (1.0, size))
    assert (one.value is None) == (other.value is None)
    if one.value is not None:
        assert one.value == pytest.approx(other.value, rel=1e-6)


def test_a_policy_may_ask_for_the_bare_ratio() -> None:
    """Without the opposite bound the point decides, as the requirement has it."""
    limit = replace(RULES.limits["sharpe"], refuted_by="")
    rules = replace(RULES, limits={**RULES.limits, "sharpe": limit})
    net = np.random.default_rng(1).normal(0.0, 1e-2, 20)
    records = _month((net - net.mean() + 2e-4).tolist())
    found = trading_readings(records, "v2.0.0", rules, now=NOW)[1]
    assert found.value is not None
    assert 0.0 < found.value < 1.0
    assert date.fromisoformat(records[-1].details["date"]) < TODAY
