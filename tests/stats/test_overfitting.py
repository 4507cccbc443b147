"""Backtest overfitting: a hand example, a peer library, noise and skill."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlwb.core.errors import EmptyWindowError, ParamsError
from mlwb.stats import overfitting


def test_two_blocks_by_hand() -> None:
    """Two configurations that swap: the best of one half is the worst of the other, twice."""
    rising, falling = [1.0, 3.0, -1.0, -3.0], [-1.0, -3.0, 1.0, 3.0]
    found = overfitting(np.column_stack([rising, falling]), n_blocks=2)
    assert found.n_splits == 2
    assert found.probability == found.loss_share == 1.0
    # rank 1 of 2 out of sample: w = 1/3, its logit ln(1/2)
    assert found.logits.tolist() == pytest.approx([math.log(0.5)] * 2)


def test_three_configurations_by_hand() -> None:
    """The third is best in the first block and the middle one in the second, and the other way."""
    first = np.array([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]])
    second = np.array([[2.0, 1.0, 0.0], [4.0, 3.0, 2.0]])
    steady = second[:, [2, 0, 1]]
    found = overfitting(np.vstack([first, steady]), n_blocks=2)
    # column 2 leads block 1 and is second of three in block 2; so is column 1 the other way
    assert found.logits.tolist() == pytest.approx([0.0, 0.0])
    assert found.probability == 0.0


@pytest.mark.parametrize(("n_blocks", "n_obs"), [(4, 41), (8, 300), (12, 250)])
@pytest.mark.parametrize("kind", ["noise", "edge", "ties"])
def test_equals_purgedcv(
    oracle: Callable[[str], Any], kind: str, n_blocks: int, n_obs: int
) -> None:
    """Probability, every logit and the slope are purgedcv's; uneven blocks, ties and constants."""
    purgedcv = oracle("purgedcv")
    rng = np.random.default_rng(n_obs)
    returns = rng.standard_t(4, size=(n_obs, 7)) * 0.01 + 0.001
    if kind == "edge":
        returns[:, 2] += 0.004
    if kind == "ties":
        returns[:, 3], returns[:, 5] = returns[:, 1], 0.002
    theirs = purgedcv.probability_of_backtest_overfitting(returns.T, n_splits=n_blocks)
    ours = overfitting(returns, n_blocks=n_blocks)
    assert ours.n_splits == theirs.n_combos
    assert ours.probability == pytest.approx(theirs.pbo, abs=1e-12)
    # the halves come in another order: in sample here is out of sample there
    np.testing.assert_allclose(np.sort(ours.logits), np.sort(theirs.logits), atol=1e-9)
    assert ours.slope == pytest.approx(theirs.slope, rel=1e-6)
    lost = float((theirs.is_oos_performance[:, 1] < 0).mean())
    assert ours.loss_share == pytest.approx(lost, abs=1e-12)


def test_noise_is_a_toss_up_and_skill_is_not() -> None:
    """Over 40 markets of noise the probability averages one half; a real edge brings it near 0."""
    rng = np.random.default_rng(0)
    found = [overfitting(rng.normal(size=(480, 8)), n_blocks=8).probability for _ in range(40)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)
    edge = 0.25 * (np.arange(8) == 5)
    found = [
        overfitting(rng.normal(size=(480, 8)) + edge, n_blocks=8).probability for _ in range(10)
    ]
    assert np.mean(found) < 0.05


def test_the_usual_sixteen_blocks_are_fast_enough() -> None:
    """12,870 splits of 20 configurations are counted."""
    returns = np.random.default_rng(1).normal(size=(640, 20))
    assert overfitting(returns).n_splits == 12_870


def test_scale_and_units_do_not_matter() -> None:
    """Returns in basis points give the same answer."""
    returns = np.random.default_rng(2).normal(size=(200, 5)) * 1e-6
    np.testing.assert_array_equal(
        overfitting(returns, n_blocks=6).logits, overfitting(returns * 1e4, n_blocks=6).logits
    )


@pytest.mark.parametrize("n_blocks", [0, 1, 7, 20])
def test_odd_blocks_are_refused(n_blocks: int) -> None:
    """Halves need an even number, and not so many that counting never ends."""
    with pytest.raises(ParamsError, match="no such blocks"):
        overfitting(np.ones((100, 2)), n_blocks=n_blocks)


@pytest.mark.parametrize("shape", [(100, 1), (31, 5), (0, 5)])
def test_no_choice_is_refused(shape: tuple[int, int]) -> None:
    """One configuration, or too few rows a block."""
    with pytest.raises(EmptyWindowError, match="no choice to judge"):
        overfitting(np.zeros(shape), n_blocks=16)
    with pytest.raises(EmptyWindowError, match="no choice to judge"):
        overfitting(np.full((100, 3), np.nan), n_blocks=4)
