"""The shadow log as traffic."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlwb.canary import shadow_traffic, summarise
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
    """Nothing was compared."""
    assert summarise(shadow_traffic([]), match_delta=0.05).n_shadowed == 0
