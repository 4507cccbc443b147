"""Scores against scikit-learn and scipy, and the identities they obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (  # type: ignore[import-untyped]
    precision_score,
    recall_score,
)

from mlwb.core.arrays import Float1D
from mlwb.core.errors import DegenerateModelError
from mlwb.model import auc, correlation, rank_correlation, score
from mlwb.model._metrics import _top_hits

LABELS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60)


def columns(rows: list[tuple[bool, int]]) -> tuple[Float1D, Float1D]:
    """Labels and scores with many ties, both classes present."""
    y = np.array([0.0, 1.0, *(float(label) for label, _ in rows)])
    probability = np.array([0.3, 0.5, *(value / 10.0 for _, value in rows)])
    return y, probability


@given(LABELS)
def test_recall_and_precision_obey_their_identity(rows: list[tuple[bool, int]]) -> None:
    """Recall x base rate = (n_top / n) x precision, ties or not, and hits are those counted."""
    y, p = columns(rows)
    found = score(y, p)
    assert found.recall_top_20pct * found.base_rate == pytest.approx(
        found.n_top / found.n_rows * found.precision_top_20pct, rel=1e-14
    )
    cut = np.sort(p)[-found.n_top]
    sure, tied = y[p > cut], y[p == cut]
    hits = sure.sum() + tied.mean() * (found.n_top - len(sure))
    assert found.recall_top_20pct == pytest.approx(hits / y.sum())
    assert found.n_top == math.ceil(0.2 * len(y))
    assert 0.0 <= found.precision_top_20pct <= 1.0
    assert 0.0 <= found.recall_top_20pct <= 1.0 + 1e-12


@given(LABELS, st.integers(0, 99))
def test_order_of_rows_does_not_matter(rows: list[tuple[bool, int]], seed: int) -> None:
    """Shuffled rows score the same, also where the cut goes through a tie."""
    y, p = columns(rows)
    order = np.random.default_rng(seed).permutation(len(y))
    assert _top_hits(y[order], p[order], 0.2) == pytest.approx(_top_hits(y, p, 0.2))


def test_tie_at_the_cut_is_its_expected_value() -> None:
    """Shared ties equal the mean over random tie breaks (20,000 of them)."""
    y, p = np.array([1.0, 1.0, 0.0, 0.0, 0.0]), np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    rng = np.random.default_rng(0)
    broken = [y[np.lexsort((rng.random(5), p))[-3:]].mean() for _ in range(20_000)]
    hits, n_top = _top_hits(y, p, 0.6)
    assert hits / n_top == pytest.approx(np.mean(broken), abs=0.005)


def test_top_fifth_is_scikit_learns() -> None:
    """Without ties: precision and recall of the hundred highest of five hundred, and Brier."""
    rng = np.random.default_rng(1)
    p = rng.random(500)
    y = (rng.random(500) < p).astype(np.float64)
    top = (p >= np.sort(p)[-100]).astype(np.float64)
    found = score(y, p)
    assert found.precision_top_20pct == pytest.approx(precision_score(y, top))
    assert found.recall_top_20pct == pytest.approx(recall_score(y, top))
    assert found.brier == pytest.approx(np.mean((p - y) ** 2))
    assert (found.base_rate, found.n_rows, found.n_top) == (y.mean(), 500, 100)


def test_weights_change_the_weighted_auc_and_nothing_else() -> None:
    """Labels that overlap count for less in one number; the effective number of rows is told."""
    rng = np.random.default_rng(3)
    p, y = rng.random(400), (rng.random(400) < 0.5).astype(np.float64)
    weight = rng.random(400)
    plain, weighted = score(y, p), score(y, p, weight)
    assert weighted.auc_weighted == auc(y, p, weight) != plain.auc
    assert weighted.n_eff == pytest.approx(weight.sum())
    assert math.isnan(plain.auc_weighted)
    assert math.isnan(plain.n_eff)
    for name in ("auc", "precision_top_20pct", "recall_top_20pct", "brier", "n_rows"):
        assert getattr(plain, name) == getattr(weighted, name)


def test_constant_score_is_a_coin() -> None:
    """All tied: AUC one half, precision the base rate."""
    y = np.array([1.0, 0.0, 0.0, 1.0, 0.0])
    found = score(y, np.full(5, 0.7))
    assert found.auc == 0.5
    assert found.precision_top_20pct == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("y", "p"),
    [
        ([1.0, 1.0], [0.1, 0.2]),
        ([0.0], [0.5]),
        ([], []),
        ([0.0, 1.0], [0.5, math.nan]),
        ([0.0, 1.0], [0.5, math.inf]),
    ],
    ids=["one class", "one row", "none", "nan", "inf"],
)
def test_degenerate_predictions_have_no_score(y: list[float], p: list[float]) -> None:
    """One class or a score that is no number raises; nothing is read as 0.5."""
    with pytest.raises(DegenerateModelError, match="both classes and finite"):
        score(np.array(y), np.array(p))


def test_correlations_are_scipys() -> None:
    """Pearson and Spearman with ties, and the Gaussian relation between IC and AUC."""
    rng = np.random.default_rng(2)
    x, y = np.round(rng.normal(size=200), 1), np.round(rng.normal(size=200), 1)
    assert correlation(x, y) == pytest.approx(pearsonr(x, y).statistic)
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)
    signal = rng.normal(size=200_000)
    moves = 0.27 * signal + math.sqrt(1 - 0.27**2) * rng.normal(size=200_000)
    assert auc((moves > 0).astype(np.float64), signal) == pytest.approx(0.622, abs=0.005)


@pytest.mark.parametrize("x", [[1.0, 1.0, 1.0], [1.0], []])
def test_constant_side_has_no_correlation(x: list[float]) -> None:
    """NaN, which no gate passes; never 0."""
    values, other = np.array(x), np.arange(float(len(x)))
    assert math.isnan(correlation(values, other))
    assert math.isnan(rank_correlation(other, values))
