"""Groups of features that help or harm."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mlwb.core.arrays import Float1D
from mlwb.features import feature_names
from mlwb.model import (
    FEATURE_GROUPS,
    Dataset,
    GroupEffect,
    OutOfFold,
    PurgedKFold,
    ablate,
    costed_ic,
    cross_validate,
    feature_groups,
)
from tests.model.model_kit import TRIALS, dataset
from tests.strategies import ar1


def effects(data: Dataset, cost: Float1D | None = None) -> dict[str, GroupEffect]:
    """What dropping each group does, by group."""
    splitter = PurgedKFold(data.t0, data.t1, n_splits=5)
    trial = TRIALS["logistic"]
    full = cross_validate(data, trial, splitter)
    found = ablate(
        data, trial, full, splitter=splitter, target=data.target, n_resamples=499, seed=1, cost=cost
    )
    return {effect.group: effect for effect in found}


def test_group_that_knows_is_missed() -> None:
    """Without the informative group the rank IC falls; groups of noise change next to nothing."""
    found = effects(dataset())
    assert set(found) == {"returns", "book", "oscillator", "volatility"}
    assert found["volatility"].delta < -0.2
    assert found["volatility"].p_value > 0.99
    for group in ("returns", "book", "oscillator"):
        assert abs(found[group].delta) < 0.03


def test_group_that_harms_is_found() -> None:
    """A feature whose meaning turns round from fold to fold: dropping it helps, beyond chance."""
    data = dataset(edge=0.4)
    turned = np.where(np.arange(len(data)) // 600 % 2 == 0, 1.0, -1.0)
    X = data.X.copy()
    X[:, 3] = turned * data.target
    found = effects(replace(data, X=X))
    harm = found["oscillator"]
    assert harm.delta > 0.05
    assert harm.p_adjusted <= 0.10
    assert max(found.values(), key=lambda effect: effect.delta) is harm
    assert all(found[group].p_adjusted > 0.10 for group in ("returns", "book"))


def test_adjusted_p_values_are_holms() -> None:
    """Never below the single p value; the smallest times the number of groups."""
    found = effects(dataset(1_200)).values()
    assert all(e.p_adjusted >= e.p_value for e in found)
    least = min(found, key=lambda e: e.p_value)
    assert least.p_adjusted == pytest.approx(min(1.0, len(found) * least.p_value))


def test_groups_cover_every_feature_once() -> None:
    """Each feature of the package but the bias is in exactly one named group, and no other is."""
    named = [name for members in FEATURE_GROUPS.values() for name in members]
    assert sorted(named) == sorted(set(named))
    own = feature_groups(feature_names())
    assert sorted(name for members in own.values() for name in members) == sorted(named)
    assert set(own) == set(FEATURE_GROUPS)


def test_feature_of_ones_own_is_dropped_alone() -> None:
    """A name in no group is a group; its effect is measured like the others'."""
    data = dataset(1_200)
    named = replace(data, names=(*data.names[:3], "my_signal", data.names[4]))
    assert feature_groups(named.names)["my_signal"] == ("my_signal",)
    assert set(effects(named)) == {"returns", "book", "volatility", "my_signal"}


def test_without_costs_the_costed_change_is_unknown() -> None:
    """A volatility score is not traded: NaN, not 0."""
    assert all(math.isnan(e.delta_after_costs) for e in effects(dataset(1_200)).values())


def test_costs_are_charged_to_both_sides() -> None:
    """Free, the plain correlation is left; at a cost, losing a slow feature is dear."""
    data = dataset(1_500)
    X = data.X.copy()
    X[:, 4] = ar1(len(X), 0.98, np.random.default_rng(1))
    target = X[:, 4] / X[:, 4].std() + np.random.default_rng(2).normal(size=len(X))
    data = replace(data, X=X, target=target, y=(target > 0.0).astype(np.float64))
    free = effects(data, np.zeros(len(data)))["volatility"]
    dear = effects(data, np.full(len(data), 0.2))["volatility"]
    assert free.delta_after_costs == pytest.approx(free.delta, abs=0.1)
    assert dear.delta_after_costs < free.delta_after_costs - 0.05
    assert dear.delta == free.delta


@pytest.mark.parametrize("horizon_s", [60, 300])
def test_ic_after_costs_is_what_the_book_earns(horizon_s: int) -> None:
    """Sleeves opened, turned and closed one by one; their net over the spread of returns."""
    data = dataset(400)
    data = replace(data, t1=data.t0 + horizon_s).rows(np.delete(np.arange(400), [50, 51, 200]))
    rng = np.random.default_rng(0)
    n = len(data)
    score, target, cost = rng.normal(size=n), rng.normal(size=n), 0.01 * rng.random(n)
    out = OutOfFold(np.arange(n), np.zeros(n, dtype=np.int64), score, (0.5,), ())
    z = (score - score.mean()) / score.std()
    by_time = {int(t): i for i, t in enumerate(data.t0)}
    net = 0.0
    for i, t in enumerate(data.t0.tolist()):
        before, after = by_time.get(t - horizon_s), by_time.get(t + horizon_s)
        net += z[i] * (target[i] - target.mean())
        net -= cost[i] * abs(z[i] - (z[before] if before is not None else 0.0))
        net -= cost[i] * abs(z[i]) if after is None else 0.0
    expected = net / n / target.std()
    assert costed_ic(data, out, target, cost) == pytest.approx(expected, abs=1e-12)


def test_ic_after_costs_of_a_constant_score_is_unknown() -> None:
    """Not zero: nothing was measured."""
    data = dataset(100)
    out = OutOfFold(np.arange(100), np.zeros(100, dtype=np.int64), np.ones(100), (0.5,), ())
    assert math.isnan(costed_ic(data, out, data.target, np.zeros(100)))
