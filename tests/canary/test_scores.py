"""Scores that each agree and are together another distribution."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.canary import (
    SCORE_PSI,
    Outcome,
    RolloutWatch,
    ScoreLimit,
    Traffic,
    judge,
    questions_of,
    score_path,
    score_psi,
)
from tests.canary.test_judge import LIMITS

LIMIT = ScoreLimit(np.linspace(0.35, 0.65, 11), 0.25)


def _traffic(n: int, push: float, *, is_split: bool = False) -> Traffic:
    rng = np.random.default_rng(11)
    score, shadowed = rng.beta(20, 20, n), rng.random(n) < 0.6
    other = np.clip(score + push * np.sign(score - 0.5), 0.0, 1.0)
    return Traffic(
        status=np.full(n, 200),
        latency_ms=np.full(n, 1.0),
        score=np.where(shadowed & is_split, np.nan, score),
        shadowed=shadowed,
        shadow_score=np.where(shadowed, other, np.nan),
        shadow_ms=np.where(shadowed, 0.1, np.nan),
        is_split=is_split,
    )


def test_a_distribution_that_moved_stops_it_though_every_score_agrees() -> None:
    """Watch and judge say so, at the same request and with the same evidence."""
    found = _traffic(900, 0.049)
    watch = RolloutWatch(LIMITS, match_delta=0.05, scores=LIMIT)
    path, reasons = [], []
    for first in range(0, 900, 30):
        part = Traffic(**{n: getattr(found, n)[first : first + 30] for n in _COLUMNS})
        reasons.append(watch.look(part))
        path.append(watch.log_evidence)
    questions = questions_of(found, LIMITS, match_delta=0.05)
    judged = judge(questions, 900, beside={SCORE_PSI: score_path(found, LIMIT)})
    assert path == pytest.approx(judged.path[29::30], abs=1e-9)
    assert (judged.outcome, judged.leading) == (Outcome.ABORT, SCORE_PSI)
    said = next(reason for reason in reasons if reason)
    assert "score PSI" in said
    assert "more than 0.25 beyond chance" in said
    value, n_rows = score_psi(found, LIMIT)
    assert value > 0.5
    assert n_rows == found.shadowed.sum()


_COLUMNS = ("status", "latency_ms", "score", "shadowed", "shadow_score", "shadow_ms")


def test_equal_scores_and_a_split_say_nothing() -> None:
    """No evidence where both versions say the same, nor where no row has two scores."""
    assert score_path(_traffic(500, 0.0), LIMIT).max() <= 0.0
    split = _traffic(500, 0.2, is_split=True)
    assert score_path(split, LIMIT).tolist() == [0.0] * 500
    value, n_rows = score_psi(split, LIMIT)
    assert np.isnan(value)
    assert n_rows == 0
