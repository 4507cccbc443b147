"""One rollback a cooldown, none back and forth: over 30 days of looks, and step by step."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from mlwb.core.clock import format_utc, parse_utc
from mlwb.monitor import Plan, Row, Trigger, judge_readings, plan_rollback
from mlwb.registry import State
from tests.monitor.monitor_kit import NOW, RULES, measured

HISTORY = ("v1", "v2", "v3")


def _rows(*names: str) -> tuple[Row, ...]:
    triggers = {name: Trigger(is_fired=True, since=format_utc(NOW)) for name in names}
    found = [measured(name, 7.0, NOW) for name in names]
    return judge_readings(triggers, found, RULES)


def _plan(state: State, *names: str, now: datetime = NOW) -> Plan:
    return plan_rollback(_rows(*names), state, RULES, now=now)


def test_nothing_fired_nothing_planned() -> None:
    """And a soft trigger is nothing."""
    assert _plan(State(history=HISTORY)) == _plan(State(history=HISTORY), "down_s") == Plan()


def test_it_goes_to_the_version_before_and_says_why() -> None:
    """The reason names trigger, number and limit."""
    found = _plan(State(history=HISTORY), "error_rate")
    assert (found.target, found.held_by) == ("v2", "")
    assert found.reason == "monitor: error_rate 7, <= 0.05 must hold"


def test_the_cooldown_holds_to_the_second() -> None:
    """Counted from any rollback of the log, also a person's."""
    left = {"v9": format_utc(NOW)}
    state = State(history=HISTORY, rolled_back_at=left)
    until = NOW + timedelta(hours=RULES.cooldown_h)
    held = _plan(state, "error_rate", now=until - timedelta(seconds=1))
    assert (held.target, held.held_by) == ("", f"cooldown until {format_utc(until)}")
    assert _plan(state, "error_rate", now=until).target == "v2"


@pytest.mark.parametrize("ahead_h", [24, 24 * 365])
def test_a_clock_that_was_ahead_holds_nothing(ahead_h: float) -> None:
    """A rollback stamped by it is no cooldown for days; its version still does not come back."""
    left = {"v2": format_utc(NOW + timedelta(hours=ahead_h))}
    assert _plan(State(history=HISTORY, rolled_back_at=left), "error_rate").target == "v1"


def test_a_person_does_not_wait_for_the_cooldown() -> None:
    """Called for by hand it goes at once, still not to a version that failed."""
    state = State(history=HISTORY, rolled_back_at={"v2": format_utc(NOW)})
    assert _plan(state, "manual").target == "v1"


def test_it_never_goes_back_to_what_was_rolled_back_from() -> None:
    """Not within the stated time; without another version it stays and says so."""
    long_ago = NOW - timedelta(hours=RULES.never_back_h)
    recent = format_utc(long_ago + timedelta(seconds=1))
    state = State(history=HISTORY, rolled_back_at={"v2": recent})
    assert _plan(state, "error_rate").target == "v1"
    assert (
        _plan(replace(state, rolled_back_at={"v2": format_utc(long_ago)}), "sharpe").target == "v2"
    )
    stuck = _plan(replace(state, rolled_back_at={"v2": recent, "v1": recent}), "error_rate")
    assert stuck.target == ""
    assert stuck.held_by.startswith("no earlier version")
    assert _plan(State(history=("v1",)), "error_rate").target == ""


def test_a_latest_moved_by_hand_is_put_right() -> None:
    """Cooldown or not, and to what the log says, not to what another trigger would want."""
    state = State(history=HISTORY, rolled_back_at={"v9": format_utc(NOW)})
    assert _plan(state, "unaudited", "error_rate").target == "v3"
    assert _plan(State(), "unaudited").held_by == "the log names no latest"


def _thirty_days(
    rates: list[float], *, n: int = 200, every_min: int = 10
) -> tuple[list[datetime], list[str]]:
    """Looks at a series of error rates; a rollback changes the version."""
    state, triggers = State(history=tuple(f"v{i}" for i in range(40))), dict[str, Trigger]()
    acted, targets = [], []
    for turn, rate in enumerate(rates):
        now = NOW + timedelta(minutes=every_min * turn)
        rows = judge_readings(triggers, [measured("error_rate", rate, now, n)], RULES)
        triggers = {row.name: row.trigger for row in rows}
        plan = plan_rollback(rows, state, RULES, now=now)
        if plan.target:
            left, kept = str(state.latest), state.history[: state.history.index(plan.target) + 1]
            gone = {**state.rolled_back_at, left: format_utc(now)}
            state, triggers = replace(state, history=kept, rolled_back_at=gone), {}
            acted.append(now)
            targets.append(plan.target)
    return acted, targets


LOOKS = 30 * 24 * 6


@pytest.mark.slow
@pytest.mark.parametrize("period", [1, 2, 3, 4, 6, 20, 50])
def test_a_flapping_error_rate_rolls_back_once_a_cooldown_at_most(period: int) -> None:
    """30 days of looks that turn bad and good; never twice within the cooldown, never back."""
    rates = [0.2 if turn // period % 2 else 0.0 for turn in range(LOOKS)]
    acted, targets = _thirty_days(rates)
    apart = [after - before for before, after in itertools.pairwise(acted)]
    assert all(gap >= timedelta(hours=RULES.cooldown_h) for gap in apart)
    assert len(set(targets)) == len(targets)
    assert bool(acted) == (period >= RULES.looks)


def test_a_healthy_series_with_noise_rolls_back_never() -> None:
    """2 % errors, in each look of 200 requests a binomial number: 30 days of quiet, three times."""
    rng = np.random.default_rng(11)
    for _ in range(3):
        assert _thirty_days((rng.binomial(200, 0.02, LOOKS) / 200).tolist()) == ([], [])


def test_a_series_that_stays_bad_is_left_at_once() -> None:
    """The third look rolls back; the simulation can find what it looks for."""
    acted, targets = _thirty_days([0.0] * 10 + [0.2] * 5)
    assert (acted, targets) == ([NOW + timedelta(minutes=120)], ["v38"])
    assert parse_utc(format_utc(acted[0])) == acted[0]
