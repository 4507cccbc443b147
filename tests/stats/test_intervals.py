"""Wilson's interval."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from mlwb.core.errors import EmptyWindowError
from mlwb.stats import wilson


@given(st.integers(1, 100_000), st.floats(0.0, 1.0), st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_interval_is_statsmodels(n: int, share: float, level: float) -> None:
    """Statsmodels' Wilson interval to 1e-12, inside [0, 1], around the observed share."""
    k = round(share * n)
    low, high = wilson(k, n, level=level)
    expected = proportion_confint(k, n, alpha=1.0 - level, method="wilson")
    assert (low, high) == pytest.approx(expected, abs=1e-12)
    assert 0.0 <= low <= k / n <= high <= 1.0


@given(st.integers(1, 1_000), st.data())
def test_interval_mirrors(n: int, data: st.DataObject) -> None:
    """The interval of failures is that of events turned round."""
    k = data.draw(st.integers(0, n))
    low, high = wilson(k, n)
    mirrored = wilson(n - k, n)
    assert (1.0 - high, 1.0 - low) == pytest.approx(mirrored, abs=1e-12)


def test_certainty_ends_exactly() -> None:
    """No event has lower bound 0, no failure upper bound 1, without rounding dust."""
    assert wilson(0, 7)[0] == 0.0
    assert wilson(7, 7)[1] == 1.0


@pytest.mark.parametrize(("k", "n"), [(0, 0), (1, 0), (3, 2), (-1, 5), (-1, -1)])
def test_counts_that_are_no_proportion_are_refused(k: int, n: int) -> None:
    """No trials, more events than trials, negative counts."""
    with pytest.raises(EmptyWindowError, match=f"got {k} of {n}"):
        wilson(k, n)
