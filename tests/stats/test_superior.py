"""Several candidates against one baseline: a peer library, error rates, power."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import SPA, StepM

from mlwb.core.arrays import Float2D
from mlwb.core.errors import EmptyWindowError
from mlwb.stats import superior
from tests.strategies import ar1


def gains_of(seed: int, edges: list[float], n: int = 400, phi: float = 0.0) -> Float2D:
    """Gains of candidates that share half of their noise."""
    rng = np.random.default_rng(seed)
    shared = ar1(n, phi, rng)
    return np.column_stack([ar1(n, phi, rng) + shared + edge for edge in edges])


@pytest.mark.parametrize(
    "edges", [[0.0, 0.0, 0.0], [0.14, 0.0, -0.1], [0.05, 0.1, -2.0], [-0.5, -0.4, -0.6]]
)
def test_p_values_are_archs_where_spreads_are_equal(edges: list[float]) -> None:
    """Within Monte Carlo error. Arch leaves the statistics unstudentised, so spreads are equal."""
    gains = gains_of(3, edges)
    gains = (gains - gains.mean(axis=0)) / gains.std(axis=0) + gains.mean(axis=0)
    ours = superior(gains, block=10, n_resamples=3_000, seed=0)
    spa = SPA(np.zeros(len(gains)), -gains, block_size=10, reps=1_000, bootstrap="cbb", seed=1)
    spa.compute()
    theirs = spa.pvalues
    if edges == [-0.5, -0.4, -0.6]:  # arch does not cut the statistic at zero
        assert (ours.p_lower, ours.p_value, ours.p_upper) == (1.0, 1.0, 1.0)
        return
    for mine, name in (
        (ours.p_lower, "lower"),
        (ours.p_value, "consistent"),
        (ours.p_upper, "upper"),
    ):
        assert mine == pytest.approx(float(theirs[name]), abs=0.05)


def test_winners_are_archs() -> None:
    """Clear cases: the same columns as arch's StepM."""
    gains = gains_of(4, [0.0, 0.5, -0.3, 0.6])
    step = StepM(
        np.zeros(len(gains)), -gains, size=0.1, block_size=5, reps=300, bootstrap="cbb", seed=0
    )
    step.compute()
    found = superior(gains, block=5, n_resamples=499, seed=0)
    assert list(found.winners) == list(step.superior_models) == [1, 3]


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.6])
def test_size_is_kept(phi: float) -> None:
    """Six candidates without skill: the best passes at 0.10 in 5 to 15 % of 200 markets."""
    rng = np.random.default_rng(5)
    passed, named = [], []
    for seed in rng.integers(0, 2**31, 200).tolist():
        gains = gains_of(seed, [0.0] * 6, n=300, phi=phi)
        found = superior(gains, block=15 if phi else 2, n_resamples=199, seed=seed)
        passed.append(found.p_value <= 0.10)
        named.append(bool(found.winners))
    assert 0.04 <= np.mean(passed) <= 0.16
    assert 0.04 <= np.mean(named) <= 0.16


def test_taking_the_best_alone_would_not_keep_it() -> None:
    """Why together: the best of six, tested as if it were the only one, passes too often."""
    passed = []
    for seed in range(150):
        gains = gains_of(seed, [0.0] * 6, n=300)
        best = gains[:, [int(gains.mean(axis=0).argmax())]]
        passed.append(superior(best, block=2, n_resamples=199, seed=seed).p_value <= 0.10)
    assert np.mean(passed) > 0.25


def test_noisy_candidate_does_not_hide_a_steady_one() -> None:
    """Studentised: a candidate of fifty times the spread leaves the winner where it was."""
    gains = gains_of(6, [0.3, 0.0])
    loud = np.column_stack([gains, 50.0 * np.random.default_rng(6).normal(size=len(gains))])
    alone = superior(gains, block=5, n_resamples=999, seed=2)
    beside = superior(loud, block=5, n_resamples=999, seed=2)
    assert alone.winners == beside.winners == (0,)
    assert beside.p_value <= 0.02


def test_hopeless_candidates_cost_the_upper_bound_only() -> None:
    """Adding ten that lose for certain raises the reality check's p, hardly the consistent one."""
    gains = gains_of(7, [0.0])
    gains += 2.0 * gains.std() / 20.0 - gains.mean()  # two standard errors of 400 rows
    crowd = np.column_stack([gains, gains_of(8, [-3.0] * 10)])
    alone = superior(gains, block=4, n_resamples=1_999, seed=3)
    beside = superior(crowd, block=4, n_resamples=1_999, seed=3)
    assert beside.p_lower <= beside.p_value <= beside.p_upper
    assert beside.p_value == pytest.approx(alone.p_value, abs=0.01)
    assert beside.p_upper > 2 * beside.p_value


def test_same_seed_same_result() -> None:
    """And another seed another."""
    gains = gains_of(9, [0.1, 0.0], n=101)
    first, again, other = (
        superior(gains, block=7, n_resamples=199, seed=seed) for seed in (1, 1, 2)
    )
    assert first.p_value == again.p_value
    assert (first.statistics == again.statistics).all()
    assert (first.statistics != other.statistics).any()


@pytest.mark.parametrize(
    "gains", [np.empty((0, 3)), np.empty((9, 0)), np.full((9, 1), np.nan), np.zeros((9, 2))]
)
def test_nothing_to_compare_is_refused(gains: Float2D) -> None:
    """No rows, no candidates, no numbers, no variation."""
    with pytest.raises(EmptyWindowError):
        superior(gains, block=2, n_resamples=9, seed=0)
