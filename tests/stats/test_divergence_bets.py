"""Bets on a PSI: never won by chance, won where the distributions differ, cut in any way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwb.core.errors import DataSchemaError
from mlwb.stats import DivergenceBets
from mlwb.stats._divergence_bets import _HIGH, _LOW, _RATIO

LINE = math.log(20)


def _psi(p: np.ndarray, q: np.ndarray) -> float:
    return float(((q - p) * np.log(q / p)).sum())


def test_what_a_pair_says_never_exceeds_the_psi_on_average() -> None:
    """The tangent lies below: for any two distributions, and any ratios one may bet with."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        p, q = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
        ratio = np.exp(rng.uniform(-math.log(_RATIO), math.log(_RATIO), 6))
        of_first, of_second = 1 - ratio - np.log(ratio), 1 - 1 / ratio + np.log(ratio)
        assert p @ of_first + q @ of_second <= _psi(p, q) + 1e-12
        assert 2 * of_first.min() >= _LOW - 1e-12
        assert of_first.max() + of_second.max() <= _HIGH + 1e-12


def _pairs(rng: np.random.Generator, n: int, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    u = rng.random(n)  # one draw for both: as dependent as two scores of one row can be
    first = np.minimum((u * 8).astype(np.int64), 7)
    return first, np.searchsorted(np.cumsum(q)[:-1], u, side="right").astype(np.int64)


def test_a_psi_at_the_limit_is_hardly_ever_called_above() -> None:
    """At most 5 % of long streams whose PSI is the limit ever reach evidence of 20."""
    rng, p = np.random.default_rng(3), np.full(8, 1 / 8)
    tilt = np.array([1, 1, 1, 1, -1, -1, -1, -1]) / 8
    q = p + 0.47 * tilt
    assert 0.2 < _psi(p, q) < 0.3
    walks = [DivergenceBets.start(_psi(p, q), 8).walk(*_pairs(rng, 1500, q)) for _ in range(60)]
    assert np.mean([walk.max() >= LINE for walk in walks]) <= 0.05


def test_a_psi_beyond_the_limit_is_found() -> None:
    """More than twice the limit is found within 600 pairs; equal scores never are."""
    rng, p = np.random.default_rng(4), np.full(8, 1 / 8)
    q = p + 0.72 * np.array([1, 1, 1, 1, -1, -1, -1, -1]) / 8
    assert _psi(p, q) > 0.65
    found = [DivergenceBets.start(0.25, 8).walk(*_pairs(rng, 600, q)).max() for _ in range(20)]
    assert min(found) > LINE
    same = rng.integers(0, 8, 2000)
    assert DivergenceBets.start(0.25, 8).walk(same, same).max() <= 0.0


def test_the_pairs_may_be_cut_anywhere() -> None:
    """In one update or in many, and along the walk: the same evidence and the same plain PSI."""
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 5, 300), rng.integers(1, 5, 300)
    whole = DivergenceBets.start(0.25, 5).update(first, second)
    parts = DivergenceBets.start(0.25, 5)
    for start in range(0, 300, 7):
        parts = parts.update(first[start : start + 7], second[start : start + 7])
    assert parts.log_evidence == whole.log_evidence
    assert (parts.value, parts.n_obs) == (whole.value, 300)
    walk = DivergenceBets.start(0.25, 5).walk(first, second)
    assert walk[-1] == pytest.approx(whole.log_evidence, abs=1e-9)


def test_what_cannot_be_bet_on_is_refused() -> None:
    """A limit beyond what a pair can say, one cell, unequal sides, a cell that there is not."""
    for limit, n_cells in ((0.0, 5), (_HIGH, 5), (0.25, 1), (math.nan, 5)):
        with pytest.raises(DataSchemaError, match="no PSI"):
            DivergenceBets.start(limit, n_cells)
    bets = DivergenceBets.start(0.25, 3)
    for first, second in (([0], [0, 1]), ([3], [0]), ([0], [-1])):
        with pytest.raises(DataSchemaError, match="do not fit"):
            bets.update(np.array(first), np.array(second))
    assert math.isnan(bets.value)
