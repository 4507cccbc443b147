"""What a rollout counts: the same requests for going on and for the evidence."""

from __future__ import annotations

import re
from itertools import cycle
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.predictionlog import ShadowOutcome
from mlwb.rollout import RolloutFiles
from tests.rollout.rollout_kit import Place, ScriptedServer, leading

pytestmark = pytest.mark.slow

_PHASES = [25.0, 50.0, 100.0]
_GIVEN: dict[str, Any] = {"rollout.phases": _PHASES}


def test_a_phase_ends_with_what_its_evidence_needs(at: Place) -> None:
    """Late lines of a busy phase do not fill the quiet one after it."""
    clock = ManualClock()

    def quieten(server: ScriptedServer) -> None:
        server.every = 20 if server.shown.percent == 50.0 else 1

    end = leading(at, ScriptedServer(at, clock), clock, hook=quieten, **_GIVEN)
    assert end.aborted == ""
    observed = [end.record.value("observed", f"{percent:g}%") for percent in _PHASES]
    assert min(value or 0 for value in observed) >= 60, observed


def test_a_stop_says_why_rows_were_not_scored(at: Place) -> None:
    """Reason, state and evidence have a count for each word of the shadow log, none left over."""
    clock, words = ManualClock(), cycle(["model", "", "budget", "model", "dropped"])

    def answer(score: float) -> ShadowOutcome:
        word = next(words)
        return ShadowOutcome("v2.0.0", None if word else score, 0.0, True, 0.1, word)

    end = leading(at, ScriptedServer(at, clock, answer=answer), clock)
    found = re.fullmatch(
        r"50%: candidate error in (\d+) of .*; not scored: (\d+) by model, (\d+) by budget",
        end.aborted,
    )
    assert found, end.aborted
    n_errors, n_model, n_budget = map(int, found.groups())
    assert n_errors == n_model + n_budget
    state = RolloutFiles(at.home).read()
    assert state is not None
    assert end.record.details["unscored"] == state.unscored
    assert list(state.unscored) == ["model", "budget"]
    assert sum(state.unscored.values()) >= n_errors
    shown = end.record.metric("shadow_error_rate", "50%")
    assert round((shown.value or 0.0) * (shown.n or 0)) == sum(state.unscored.values())
