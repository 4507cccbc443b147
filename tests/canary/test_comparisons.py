"""The shadow log as traffic, and the hours it covers."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.canary import covered_s, shadow_traffic, summarise
from mlwb.core.predictionlog import PredictionLine, ShadowOutcome

STAMP = datetime(2026, 1, 1, tzinfo=UTC)


def _line(score: float, shadow: ShadowOutcome | None) -> PredictionLine:
    return PredictionLine(STAMP, "a", "/", "v1", "00000000", score, 0.25, shadow=shadow)


def test_every_row_without_a_score_is_an_error() -> None:
    """Whatever the reason: failed, dropped, left alone; a line without a candidate is no row."""
    words = ["model", "budget", "range", "schema", "dropped", "breaker"]
    lines = [_line(0.5, ShadowOutcome("v2", error=word)) for word in words]
    lines += [_line(0.5, ShadowOutcome("v2", 0.54, 0.04, True, 0.1)), _line(0.5, None)]
    found = summarise(shadow_traffic(lines), match_delta=0.05)
    assert (found.n_requests, found.n_shadowed, found.n_shadow_errors) == (7, 7, 6)
    assert (found.n_compared, found.n_matched, found.n_errors) == (1, 1, 0)
    assert found.max_abs_delta == pytest.approx(0.04)
    assert (found.p50_ms, found.shadow_p50_ms) == (0.25, 0.1)


def test_an_empty_log() -> None:
    """Nothing was compared, and nothing is covered."""
    assert summarise(shadow_traffic([]), match_delta=0.05).n_shadowed == 0
    assert covered_s(np.empty(0), max_gap_s=300.0) == 0.0


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        ([0.0], 0.0),
        ([0.0, 300.0], 300.0),
        ([0.0, 300.1], 0.0),
        ([0.0, 60.0, 86_400.0, 86_460.0], 60.0),
        ([120.0, 0.0, 60.0], 120.0),
    ],
)
def test_a_gap_starts_the_hours_anew(beats: list[float], expected: float) -> None:
    """Five minutes of silence are covered, a moment more is a gap; the order does not matter."""
    assert covered_s(np.array(beats), max_gap_s=300.0) == expected


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=40))
def test_covered_by_walking_back(seconds: list[int]) -> None:
    """Equals walking back from the newest beat until the silence is too long."""
    ordered = sorted(seconds, reverse=True)
    start = ordered[0]
    for beat in ordered:
        if start - beat > 300:
            break
        start = beat
    found = covered_s(np.array(seconds, dtype=np.float64), max_gap_s=300.0)
    assert found == ordered[0] - start
