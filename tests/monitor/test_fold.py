"""Lines into numbers: order, files and replays make no difference, memory does not grow."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.stats import spearmanr

from mlwb.core.predictionlog import PredictionLine
from mlwb.monitor import Fold, PairSample
from tests.monitor.log_kit import DAY, answer, comparison


def _fold(version: str = "") -> Fold:
    return Fold(DAY, DAY + 86_400, match_delta=0.05, version=version)


def _rows(n: int = 600) -> list[PredictionLine]:
    rng = np.random.default_rng(4)
    scores = rng.uniform(0.1, 0.9, n)
    others = np.clip(scores + rng.normal(0.0, 0.03, n), 0.0, 1.0)
    return [
        comparison(DAY + 60.0 * i, score=float(a), other=None if i % 50 == 7 else float(b))
        for i, (a, b) in enumerate(zip(scores, others, strict=True))
    ]


def test_counts_and_agreement_are_those_of_the_rows() -> None:
    """Oracle: numpy and scipy over the rows themselves."""
    fold, lines = _fold(), _rows()
    for line in lines:
        fold.comparison(line)
    name = fold.candidate
    found = fold.of(name)
    both = [(line.score, line.shadow.score) for line in lines
            if line.shadow and line.shadow.score is not None]  # fmt: skip
    first, second = np.array(both, dtype=np.float64).T
    delta = np.abs(second - first)
    assert (name, found.asked, found.compared, dict(found.errors)) == (
        "v2.0.0", 600, 588, {"model": 12},
    )  # fmt: skip
    assert found.matched == int((delta <= 0.05).sum())
    assert found.abs_delta.mean == pytest.approx(delta.mean(), abs=1e-12)
    assert found.rank_corr() == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)


def test_order_does_not_matter() -> None:
    """Two servers' rows between each other, a clock that steps back: the same counts."""
    straight, mixed = _fold(), _fold()
    lines = _rows()
    for line in lines:
        straight.comparison(line)
    for i in np.random.default_rng(2).permutation(len(lines)):
        line = lines[i]
        mixed.comparison(line)
    assert straight.of("v2.0.0").score.counts == mixed.of("v2.0.0").score.counts
    assert straight.of("v2.0.0").abs_delta.counts == mixed.of("v2.0.0").abs_delta.counts
    assert straight.shadow_beats.seconds().tolist() == mixed.shadow_beats.seconds().tolist()
    assert straight.of("v2.0.0").rank_corr() == pytest.approx(mixed.of("v2.0.0").rank_corr())


def test_a_day_is_its_seconds_in_utc() -> None:
    """Midnight belongs to the day it begins; a zone in the stamp does not move a row."""
    fold = _fold()
    for ts in (DAY - 0.001, DAY, DAY + 86_399.999, DAY + 86_400):
        fold.answer(answer(ts))
    assert fold.answers.n == 2
    assert fold.beats.seconds().tolist() == [DAY, DAY + 86_399]


def test_replayed_rows_and_other_versions_are_left_out() -> None:
    """What was replayed into a server is counted apart; a version's fold holds its rows alone."""
    fold = _fold("v2.0.0")
    fold.answer(answer(DAY + 1))
    fold.answer(answer(DAY + 2, model_version="v2.0.0"))
    fold.comparison(comparison(DAY + 3))
    fold.comparison(comparison(DAY + 4, request_id="replay.a.1"))
    fold.comparison(answer(DAY + 5))
    assert dict(fold.answers.versions) == {"v2.0.0": 1}
    assert (fold.of("v2.0.0").asked, fold.replayed) == (1, 1)


def test_memory_does_not_grow_with_rows() -> None:
    """Four thousand rows and four times as many need the same: counts, marks, a bounded sample."""

    def most(n: int) -> int:
        fold = Fold(DAY, DAY + 86_400, match_delta=0.05)
        small = PairSample(200)
        tracemalloc.start()
        for i in range(n):
            line = comparison(DAY + i % 86_400, request_id=f"r{i}", other=(i % 997) / 1_000)
            fold.answer(line)
            small.add(line.request_id, 0, 0.5, i / n)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(100)
    assert most(16_000) < most(4_000) + 60_000


def test_a_full_sample_is_that_of_any_order() -> None:
    """Which pairs are kept depends on their names alone, not on when they came."""
    names = [f"id-{i}" for i in range(5_000)]
    first, second = PairSample(100), PairSample(100)
    for i, name in enumerate(names):
        first.add(name, 0, i / 5_000, 0.0)
    for i, name in reversed(list(enumerate(names))):
        second.add(name, 0, i / 5_000, 0.0)
    kept = first.sides()[0]
    assert len(kept) == 100
    assert sorted(kept) == sorted(second.sides()[0])
    assert 0.35 < kept.mean() < 0.65
