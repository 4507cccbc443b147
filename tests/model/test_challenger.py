"""Challenger against champion: the value, its interval, its error rates."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D
from mlwb.core.errors import DegenerateModelError
from mlwb.model import Comparison, auc, compare_models
from tests.model.null_markets import persistent

Rows = tuple[Float1D, Float1D, Float1D]


def rows_of(seed: int, *, champion: float, challenger: float, n: int = 2_000) -> Rows:
    """Labels of a slow target and two scores that know it more or less well."""
    rng = np.random.default_rng(seed)
    target, *noise = persistent(rng, (3, n), 0.8)
    y = (target > 0.0).astype(np.float64)
    return y, champion * target + noise[0], challenger * target + noise[1]


def compared(rows: Rows, **options: object) -> Comparison:
    """The comparison of such rows."""
    return compare_models(*rows, least_block=1, n_resamples=999, seed=0, **options)  # type: ignore[arg-type]


def test_values_are_scikit_learns() -> None:
    """AUC of each, and the gain as a share of the champion's."""
    y, old, new = rows_of(0, champion=0.3, challenger=0.6)
    found = compared((y, old, new))
    assert found.champion == pytest.approx(roc_auc_score(y, old), abs=1e-12)
    assert found.challenger == pytest.approx(roc_auc_score(y, new), abs=1e-12)
    assert found.improvement == pytest.approx(found.challenger / found.champion - 1.0)
    assert found.low < found.improvement < found.high


def test_interval_is_that_of_whole_resamples() -> None:
    """Like computing both AUCs again on every resample of blocks, to a tenth of the width."""
    y, old, new = rows_of(1, champion=0.3, challenger=0.5, n=1_200)
    found = compared((y, old, new))
    rng = np.random.default_rng(2)
    block, n, again = found.drawn.block, len(y), []
    for _ in range(1_000):
        starts = rng.integers(0, n, -(-n // block))
        drawn = ((starts[:, None] + np.arange(block)) % n).ravel()[:n]
        again.append(auc(y[drawn], new[drawn]) / auc(y[drawn], old[drawn]) - 1.0)
    low, high = np.quantile(again, [0.025, 0.975])
    width = high - low
    assert found.low == pytest.approx(low, abs=0.1 * width)
    assert found.high == pytest.approx(high, abs=0.1 * width)


def test_folds_are_averaged_as_the_gate_does() -> None:
    """A model off by a constant from fold to fold loses nothing."""
    y, old, new = rows_of(3, champion=0.4, challenger=0.6)
    fold = np.arange(len(y)) * 4 // len(y)
    found = compared((y, old, new + 100.0 * fold), fold=fold)
    each = [roc_auc_score(y[fold == i], new[fold == i]) for i in range(4)]
    assert found.challenger == pytest.approx(np.mean(each), abs=1e-12)
    plain = compared((y, old, new), fold=fold)
    assert (found.low, found.high) == (plain.low, plain.high)


def test_twin_is_no_improvement() -> None:
    """The champion again, on another scale: a gain of exactly zero, p of 1."""
    y, old, _ = rows_of(4, champion=0.5, challenger=0.0)
    found = compared((y, old, np.tanh(old / 10.0)))
    assert found.improvement == found.low == found.high == 0.0
    assert found.p_against == 1.0
    assert not found.is_improvement(least=-0.01, level=0.10)


@pytest.mark.slow
def test_luck_passes_as_often_as_it_may() -> None:
    """Equal models, slow rows: p <= 0.10 in 5 to 15 % of 300 markets."""
    passed = [
        compare_models(
            *rows_of(seed, champion=0.5, challenger=0.5, n=1_000),
            least_block=1,
            n_resamples=199,
            seed=seed,
        ).p_against
        <= 0.10
        for seed in range(300)
    ]
    assert 0.05 <= np.mean(passed) <= 0.15


def test_improvement_needs_size_and_certainty() -> None:
    """A large certain gain is one; a certain small gain and an uncertain large one are not."""
    large = compared(rows_of(5, champion=0.2, challenger=1.0))
    assert large.is_improvement(least=0.05, level=0.10)
    small = compared(rows_of(6, champion=1.0, challenger=1.2, n=20_000))
    assert small.p_against <= 0.01
    assert not small.is_improvement(least=0.05, level=0.10)
    lucky = max(
        (compared(rows_of(seed, champion=0.3, challenger=0.4, n=120)) for seed in range(30)),
        key=lambda found: found.improvement * (found.p_against > 0.10),
    )
    assert lucky.improvement > 0.05
    assert not lucky.is_improvement(least=0.05, level=0.10)


@pytest.mark.parametrize("case", ["one class", "nan", "empty"])
def test_nothing_to_compare_is_refused(case: str) -> None:
    """A fold of one class, a score that is not finite, no rows."""
    y, old, new = rows_of(7, champion=0.3, challenger=0.3, n=100)
    if case == "one class":
        y = np.ones(100)
    if case == "nan":
        new[3] = np.nan
    if case == "empty":
        y, old, new = y[:0], old[:0], new[:0]
    with pytest.raises(DegenerateModelError):
        compared((y, old, new))
