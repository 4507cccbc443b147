"""Trades of three days, and drift that stays: from evidence, of this version, live."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from mlwb.core.clock import ManualClock
from mlwb.evidence import Context, Metric, Record, new_record
from mlwb.monitor import suggest_retraining, trading_readings
from tests.monitor.monitor_kit import NOW, POLICY, RULES


def _record(
    kind: str,
    days_ago: int,
    metrics: list[Metric],
    *,
    version: str = "v2.0.0",
    origin: str = "live",
) -> Record:
    clock = ManualClock(NOW - timedelta(days=days_ago))
    return new_record(kind, metrics, Context(clock=clock, model_version=version, origin=origin))


def _day(days_ago: int, win_rate: float, n: int = 30, **more: str) -> Record:
    trades = [Metric("win_rate", win_rate, n=n), Metric("sharpe", 0.5, n=n)]
    return _record("pnl", days_ago, trades, **more)


def _win_rate(*records: Record, now: datetime = NOW) -> float | None:
    return trading_readings(records, "v2.0.0", RULES, now=now)[0].value


def test_the_win_rate_is_that_of_the_best_of_three_days() -> None:
    """It is below the limit when each day is; the newest record of a day counts."""
    assert _win_rate(_day(0, 0.3), _day(1, 0.5), _day(2, 0.4), _day(3, 0.9)) == 0.5
    assert _win_rate(_day(0, 0.3), _day(1, 0.6), _day(2, 0.4)) == 0.6


@pytest.mark.parametrize(
    "third",
    [_day(2, 0.4, n=29), _day(2, 0.4, origin="replay"), _day(2, 0.4, version="v1"), _day(1, 1)],
)
def test_two_days_are_not_three(third: Record) -> None:
    """Too few trades, a replay, another version, or the same day again: not measured."""
    assert _win_rate(_day(0, 0.3), _day(1, 0.5), third) is None


def test_old_trades_say_nothing() -> None:
    """Beyond the age the policy allows."""
    later = NOW + timedelta(hours=RULES.limits["win_rate"].max_age_h, seconds=1)
    days = [_day(0, 0.3), _day(1, 0.5), _day(2, 0.4)]
    assert _win_rate(*days, now=later) is None
    assert trading_readings(days, "v2.0.0", RULES, now=later)[1].value is None


def test_sharpe_is_of_the_newest_live_record() -> None:
    """Judged at the time of its record, so that a look at it again is not another."""
    found = trading_readings([_day(1, 0.5)], "v2.0.0", RULES, now=NOW)[1]
    assert (found.value, found.at) == (0.5, NOW - timedelta(days=1))


def _check(days_ago: int, psi: float = 0.5, **more: str) -> Record:
    bounds = [
        Metric("golden_max_abs_diff", 0.0),
        Metric("gateable", 1, segment="rsi14_z"),
        Metric("psi_upper", psi + 0.1, segment="rsi14_z", n=9000),
        Metric("psi_lower", psi, segment="rsi14_z", n=9000),
    ]
    return _record("drift_check", days_ago, bounds, **more)


def test_drift_on_three_days_in_a_row_suggests_training() -> None:
    """The sentence names version, days and features."""
    found = suggest_retraining([_check(0), _check(1), _check(2)], "v2.0.0", POLICY, now=NOW)
    assert found is not None
    assert found.days == ("2026-02-28", "2026-03-01", "2026-03-02")
    assert "rsi14_z" in found.about
    assert "v2.0.0 has drifted on 3 days in a row" in str(found)


@pytest.mark.parametrize(
    "records",
    [[], [_check(0), _check(1)], [_check(0), _check(2), _check(3)],
     [_check(0, 0.0), *map(_check, (1, 2, 3))],
     [_check(n, version="v1") for n in range(4)], [_check(n) for n in range(3, 8)]],
    ids=["none", "two", "a gap", "it ended", "another version", "long ago"],
)  # fmt: skip
def test_what_does_not_persist_suggests_nothing(records: list[Record]) -> None:
    """Two days, a day not measured, a good day, another version, an old story."""
    assert suggest_retraining(records, "v2.0.0", POLICY, now=NOW) is None
