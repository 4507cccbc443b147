"""The AUC against scikit-learn and by counting pairs; its interval against what it must cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D
from mlwb.core.errors import DegenerateModelError
from mlwb.model import auc, auc_interval
from mlwb.model._auc import _Sorted
from tests.strategies import ar1

Columns = tuple[Float1D, Float1D, Float1D]


@st.composite
def columns(draw: st.DrawFn) -> Columns:
    """Labels of both classes, scores with many or no ties, weights (some of them 0)."""
    n = draw(st.integers(2, 60))
    y = draw(arrays(np.float64, n, elements=st.sampled_from([0.0, 1.0])))
    y[:2] = 0.0, 1.0
    values = st.sampled_from([0.0, 0.25, 0.5]) | st.floats(-1e6, 1e6)
    score = draw(arrays(np.float64, n, elements=values))
    weight = draw(arrays(np.float64, n, elements=st.sampled_from([0.0, 0.25, 1.0, 3.0])))
    weight[:2] = 1.0
    return y, score, weight


@given(columns())
def test_auc_is_the_share_of_ordered_pairs(found: Columns) -> None:
    """Mann and Whitney by counting pairs, ties one half, each pair by the product of weights."""
    y, p, w = found
    below = (p[y == 0][:, None] < p[y == 1]) + 0.5 * (p[y == 0][:, None] == p[y == 1])
    assert auc(y, p) == pytest.approx(below.mean(), abs=1e-12)
    pairs = w[y == 0][:, None] * w[y == 1]
    assert auc(y, p, w) == pytest.approx((below * pairs).sum() / pairs.sum(), abs=1e-12)


@pytest.mark.slow
@given(columns())
def test_auc_is_scikit_learns(found: Columns) -> None:
    """To 1e-12, with ties, plain and weighted."""
    y, p, w = found
    assert auc(y, p) == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert auc(y, p, w) == pytest.approx(roc_auc_score(y, p, sample_weight=w), abs=1e-12)


def test_auc_is_scikit_learns_on_many_rows() -> None:
    """Twenty thousand rows, a third of them tied: the sums do not lose digits."""
    rng = np.random.default_rng(0)
    p = np.where(rng.random(20_000) < 0.3, 0.5, rng.random(20_000))
    y = (rng.random(20_000) < p).astype(np.float64)
    w = rng.random(20_000)
    assert auc(y, p) == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert auc(y, p, w) == pytest.approx(roc_auc_score(y, p, sample_weight=w), abs=1e-12)


@pytest.mark.parametrize("y", [[1.0, 1.0], [0.0, 0.0], []], ids=["ones", "zeros", "none"])
def test_missing_class_has_no_auc(y: list[float]) -> None:
    """NaN, which evidence stores as null and no gate passes; never one half."""
    values = np.array(y)
    assert math.isnan(auc(values, np.arange(float(len(y)))))


def test_class_without_weight_is_missing() -> None:
    """Weights of zero leave one class only."""
    y = np.array([0.0, 1.0])
    assert math.isnan(auc(y, np.array([0.1, 0.9]), weight=y))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_score_that_is_no_number_is_an_error(bad: float) -> None:
    """Not ranked somewhere, refused."""
    y, p = np.array([0.0, 1.0]), np.array([0.5, bad])
    with pytest.raises(DegenerateModelError, match="finite"):
        auc(y, p)
    with pytest.raises(DegenerateModelError, match="finite"):
        auc_interval(y, p, least_block=1, n_resamples=9, seed=0)


@given(columns())
@settings(max_examples=50)
def test_influence_is_the_derivative(found: Columns) -> None:
    """A little more weight on one row moves the AUC by its influence; together they cancel."""
    y, p, _ = found
    rows = _Sorted(y, p)
    influence = rows.influence()
    assert influence.sum() == pytest.approx(0.0, abs=1e-12)
    for row in range(0, len(y), 7):
        weight = np.ones(len(y))
        weight[row] += 1e-6
        slope = (rows.area(weight) - rows.area(np.ones(len(y)))) / 1e-6
        assert influence[row] == pytest.approx(slope, abs=1e-4)


def _related(n: int, rng: np.random.Generator) -> tuple[Float1D, Float1D]:
    """Rows without memory: a Gaussian score and the sign of a return it correlates with."""
    score = rng.normal(size=n)
    return (0.3 * score + rng.normal(size=n) > 0).astype(np.float64), score


def test_interval_of_independent_rows_is_delongs() -> None:
    """Blocks of one row: the standard error is that of DeLong, DeLong and Clarke-Pearson (1988)."""
    y, p = _related(3_000, np.random.default_rng(1))
    below = (p[y == 0][:, None] < p[y == 1]).astype(np.float64)
    v10, v01 = below.mean(axis=0), below.mean(axis=1)
    delong = math.sqrt(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01))
    found = auc_interval(y, p, least_block=1, n_resamples=800, seed=0)
    assert found.se == pytest.approx(delong, rel=0.15)
    assert found.auc == pytest.approx(auc(y, p))
    assert found.low < found.auc < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * found.se, rel=0.15)
    assert (found.n_obs, found.n_resamples, found.level) == (3_000, 800, 0.95)


@pytest.mark.slow
def test_interval_covers_where_rows_remember() -> None:
    """Persistent score and outcome: 95 % intervals hold the true AUC far more often than DeLong's.

    The truth is read off 400,000 rows; then 200 series of 1,500, which are worth some fifty
    independent rows each: nominal 95 % come out as more than four in five.
    """
    rng = np.random.default_rng(2)
    y, p = _persistent(400_000, rng)
    truth = auc(y, p)
    held = plain = 0
    for seed in range(200):
        y, p = _persistent(1_500, rng)
        found = auc_interval(y, p, least_block=1, n_resamples=200, seed=seed)
        held += found.low <= truth <= found.high
        influence = _Sorted(y, p).influence()
        narrow = 1.96 * math.sqrt((influence**2).sum())
        plain += abs(found.auc - truth) <= narrow
    assert held >= 165
    assert plain <= held - 40


def _persistent(n: int, rng: np.random.Generator) -> tuple[Float1D, Float1D]:
    score = ar1(n, 0.97, rng)
    noise = ar1(n, 0.97, rng)
    return (0.3 * score + noise > 0).astype(np.float64), score


def test_folds_are_scored_apart() -> None:
    """The mean of fold AUCs, whatever constant one fold's model is off by."""
    rng = np.random.default_rng(3)
    y, p = _related(2_000, rng)
    fold = np.repeat([0, 1], 1_000)
    apart = np.mean([auc(y[fold == k], p[fold == k]) for k in (0, 1)])
    found = auc_interval(y, p + 100.0 * fold, fold=fold, least_block=5, n_resamples=99, seed=0)
    assert found.auc == pytest.approx(apart)
    assert found.low < found.auc < found.high
    assert found.block >= 5


def test_interval_follows_the_seed() -> None:
    """Same seed, same numbers; another seed, others."""
    y, p = _related(300, np.random.default_rng(4))
    first, again, other = (
        auc_interval(y, p, least_block=2, n_resamples=50, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again != other


def test_one_class_has_no_interval() -> None:
    """All numbers are NaN, none of them a made-up half."""
    found = auc_interval(np.ones(20), np.arange(20.0), least_block=1, n_resamples=9, seed=0)
    assert all(math.isnan(v) for v in (found.auc, found.low, found.high, found.se))
    assert found.n_obs == 20
