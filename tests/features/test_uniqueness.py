"""Uniqueness weights: Lopez de Prado's definition, by prefix sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from mlwb.core.arrays import Float1D, Int1D
from mlwb.features.labels import make_labels, uniqueness
from tests.strategies import label_spans, walk_bars


def literal(t0: Int1D, t1: Int1D, closes: Int1D) -> Float1D:
    """Concurrency of every bar counted label by label, its inverse averaged bar by bar."""
    out = []
    for start, end in zip(t0, t1, strict=True):
        covered = [c for c in closes if start < c <= end]
        shares = [1.0 / int(((t0 < c) & (c <= t1)).sum()) for c in covered]
        out.append(float(np.mean(shares)) if shares else 1.0)
    return np.array(out)


@given(label_spans())
@settings(max_examples=40, deadline=None)
def test_weights_are_the_definition(spans: tuple[Int1D, Int1D]) -> None:
    """Uneven steps, repeats, gaps, ends of any length: equal to counting, in (0, 1]."""
    t0, t1 = spans
    closes = np.unique(np.concatenate([t0, t1]))
    found = uniqueness(t0, t1, closes)
    np.testing.assert_allclose(found, literal(t0, t1, closes), rtol=1e-11)
    assert ((found > 0.0) & (found <= 1.0)).all()


@pytest.mark.parametrize("minutes", [1, 2, 5, 15])
def test_inner_weight_of_a_fixed_horizon(minutes: int) -> None:
    """1 / h away from the ends, so that n labels are worth n / h; exactly 1 for one bar."""
    labels = make_labels(walk_bars(2_000), kind="direction", horizon_s=60 * minutes, theta=-1.0)
    inner = labels.weight[2 * minutes : -3 * minutes]
    np.testing.assert_allclose(inner, 1.0 / minutes, rtol=1e-12)
    assert labels.n_eff == pytest.approx(2_000 / minutes, rel=0.02)
    assert minutes > 1 or set(labels.weight) == {0.0, 1.0}


def test_labels_that_do_not_meet_weigh_one_exactly() -> None:
    """Also after many that do: nothing of their rounding is left."""
    closes = np.arange(0, 60 * 1_000, 60)
    t0 = np.concatenate([np.arange(0, 60 * 700, 60), [45_000, 50_000, 55_000]])
    t1 = t0 + 60 * np.concatenate([np.full(700, 7), [3, 50, 20]])
    assert uniqueness(t0, t1, closes)[-3:].tolist() == [1.0, 1.0, 1.0]


def test_only_labels_that_exist_weigh() -> None:
    """Dropped labels weigh nothing and crowd nobody."""
    bars = walk_bars(600)
    labels = make_labels(bars, kind="direction", horizon_s=600, theta=2e-3)
    assert 0 < labels.valid.sum() < 600
    assert (labels.weight[~labels.valid] == 0.0).all()
    alone = uniqueness(labels.t0[labels.valid], labels.t1[labels.valid], labels.t0)
    assert np.array_equal(labels.weight[labels.valid], alone)
    assert labels.n_eff == labels.weight.sum()


def test_touched_labels_are_worth_more() -> None:
    """Labels that end at a touch overlap less than those that wait for the horizon."""
    bars = walk_bars(3_000)
    waiting = make_labels(bars, kind="direction", horizon_s=3_600)
    touched = make_labels(bars, kind="triple_barrier", horizon_s=3_600)
    assert touched.n_eff / touched.valid.sum() > waiting.n_eff / waiting.valid.sum()
