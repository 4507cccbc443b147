"""A trigger fires on what lasts, clears on what is better by a margin, and sleeps on nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from mlwb.core.errors import EvidenceSchemaError
from mlwb.monitor import Row, Trigger, judge_readings
from tests.monitor.monitor_kit import NOW, POLICY, RULES, measured


def _walk(name: str, values: Sequence[float | None], n: int = 1000) -> list[Row]:
    """One look a minute, the state carried through JSON as over a restart."""
    found: list[Row] = []
    triggers: dict[str, Trigger] = {}
    for turn, value in enumerate(values):
        at = NOW + timedelta(minutes=turn)
        rows = judge_readings(triggers, [measured(name, value, at, n)], RULES)
        stored = json.loads(json.dumps({row.name: vars(row.trigger) for row in rows}))
        triggers = {key: Trigger.from_json(value) for key, value in stored.items()}
        found.append(next(row for row in rows if row.name == name))
    return found


def test_it_fires_on_the_third_bad_look_in_a_row() -> None:
    """Two bad looks, one good, and two more are not three in a row."""
    rows = _walk("error_rate", [0.06, 0.06, 0.05, 0.06, 0.06, 0.06, 0.06])
    assert [row.state for row in rows] == [
        "rising", "rising", "ok", "rising", "rising", "fired", "fired",
    ]  # fmt: skip
    assert [row.event for row in rows] == ["", "", "", "", "", "fired", ""]
    assert rows[-1].trigger.since == "2026-03-02T12:05:00Z"


def test_it_clears_only_beyond_the_margin() -> None:
    """Good but near the limit keeps it fired; a tenth better on three looks clears it."""
    rows = _walk("error_rate", [1, 1, 1, 0.05, 0.046, 0.045, 0.045, 0.046, 0.045, 0.045, 0.045])
    assert [row.state for row in rows[3:]] == [
        "fired", "fired", "clearing", "clearing", "fired", "clearing", "clearing", "ok",
    ]  # fmt: skip
    assert rows[-1].event == "cleared"


@pytest.mark.parametrize(
    ("name", "bad", "near", "clear"),
    [("rank_corr", 0.949, 0.954, 0.955), ("sharpe", 0.99, 1.09, 1.1), ("p95_ms", 500, 200, 120)],
)
def test_the_margin_is_on_the_good_side(name: str, bad: float, near: float, clear: float) -> None:
    """Of a limit from below inside (0, 1) it is a share of what is left to 1."""
    fired = [bad] * 3
    assert _walk(name, [*fired, near, near, near])[-1].trigger.is_fired
    assert not _walk(name, [*fired, clear, clear, clear])[-1].trigger.is_fired


@pytest.mark.parametrize("value", [None, math.nan])
def test_what_is_not_measured_never_fires_and_never_clears(value: float | None) -> None:
    """And it says so; a fired trigger stays what it is, a row of bad looks is neither longer."""
    rows = _walk("error_rate", [value] * 10)
    assert {row.state for row in rows} == {"not measured"}
    rows = _walk("error_rate", [1, 1, 1, *[value] * 10])
    assert rows[-1].state == "fired"
    rows = _walk("error_rate", [1, value, 1, value, value])
    assert rows[-1].trigger.streak == 2


def test_too_few_observations_are_no_measurement() -> None:
    """One below the least number of requests decides nothing, that number does."""
    assert _walk("error_rate", [1, 1, 1], n=99)[-1].state == "not measured"
    assert _walk("error_rate", [1, 1, 1], n=100)[-1].state == "fired"


def test_a_trigger_nobody_measures_is_named() -> None:
    """Every limit of the policy has a row, in its order."""
    rows = judge_readings({}, [], RULES)
    assert [row.name for row in rows] == list(RULES.limits)
    assert {row.state for row in rows} == {"not measured"}


def test_one_measurement_is_one_look() -> None:
    """Looking three times at the same number does not make it three bad looks."""
    triggers: dict[str, Trigger] = {}
    for _ in range(5):
        rows = judge_readings(triggers, [measured("sharpe", 0.0)], RULES)
        triggers = {row.name: row.trigger for row in rows}
    assert triggers["sharpe"].streak == 1


def test_a_clock_that_steps_back_puts_no_trigger_to_sleep() -> None:
    """Looks after it count as looks."""
    triggers: dict[str, Trigger] = {}
    for hours in (0, -5, -4):
        bad = measured("error_rate", 1.0, NOW + timedelta(hours=hours))
        rows = judge_readings(triggers, [bad], RULES)
        triggers = {row.name: row.trigger for row in rows}
    assert triggers["error_rate"].is_fired


def test_some_fire_at_once() -> None:
    """Their number is about many looks, or is a fact."""
    assert set(RULES.at_once) == {"win_rate", "restarts", "unaudited", "error_alarm", "manual"}
    assert _walk("restarts", [3])[-1].acts
    assert not _walk("restarts", [2])[-1].acts


def test_a_soft_limit_calls_for_nothing() -> None:
    """A server that is down fires, and rolls nothing back."""
    row = _walk("down_s", [500, 600, 700])[-1]
    assert (row.trigger.is_fired, row.acts) == (True, False)


@pytest.mark.parametrize(
    "value",
    [{}, {"is_fired": 1, "streak": 0, "since": "", "judged_at": ""},
     {"is_fired": True, "streak": 0, "since": "noon", "judged_at": ""}],
)  # fmt: skip
def test_no_state_is_made_up(value: dict[str, object]) -> None:
    """What is not the state of a trigger is refused."""
    with pytest.raises(EvidenceSchemaError):
        Trigger.from_json(value)


def test_the_rules_are_the_policys() -> None:
    """Every number comes from the file."""
    said = POLICY.watch_settings["rollback"]
    assert (RULES.looks, RULES.cooldown_h) == (int(said["looks"]), float(said["cooldown_h"]))  # type: ignore[arg-type]
    assert replace(RULES, at_once=frozenset()).needed("manual") == RULES.looks
