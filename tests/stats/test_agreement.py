"""Agreement of two scorers against numpy and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from mlwb.core.errors import DataSchemaError
from mlwb.stats import agreement


@given(st.integers(2, 60), st.integers(1, 6), st.integers(0, 10_000))
def test_numpys_quantiles_and_scipys_rank_correlation(n: int, levels: int, seed: int) -> None:
    """Few levels make ties everywhere; a constant side has no rank correlation."""
    rng = np.random.default_rng(seed)
    first, second = (rng.integers(0, levels + 1, n) / 8 for _ in range(2))
    found = agreement(first, second, match_delta=0.125)
    delta = np.abs(first - second)
    assert (found.n, found.n_matched) == (n, int((delta <= 0.125).sum()))
    assert found.match_rate == found.n_matched / n
    shown = (found.mean_abs_delta, found.median_abs_delta, found.p95_abs_delta, found.max_abs_delta)
    expected = (delta.mean(), np.median(delta), np.percentile(delta, 95), delta.max())
    assert shown == pytest.approx(expected, abs=1e-15)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(found.rank_corr)
    else:
        assert found.rank_corr == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)


def test_a_scorer_agrees_with_itself() -> None:
    """Everything matches, no difference, and the rank correlation is not above one."""
    scores = np.random.default_rng(1).random(997)
    found = agreement(scores, scores, match_delta=0.0)
    assert (found.match_rate, found.max_abs_delta) == (1.0, 0.0)
    assert found.rank_corr == pytest.approx(1.0, abs=1e-12)
    assert found.rank_corr <= 1.0


def test_nothing_to_compare() -> None:
    """Counts of zero and no numbers; one row has a difference and no order."""
    none = agreement(np.empty(0), np.empty(0), match_delta=0.05)
    assert (none.n, none.n_matched) == (0, 0)
    assert all(map(math.isnan, (none.match_rate, none.mean_abs_delta, none.p95_abs_delta)))
    one = agreement(np.array([0.5]), np.array([0.75]), match_delta=0.05)
    assert (one.n, one.n_matched, one.max_abs_delta) == (1, 0, 0.25)
    assert math.isnan(one.rank_corr)


def test_other_rows_are_refused() -> None:
    """Scores of another number of rows are not of the same rows."""
    with pytest.raises(DataSchemaError, match="same rows"):
        agreement(np.zeros(2), np.zeros(3), match_delta=0.05)
