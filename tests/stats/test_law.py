"""The law of a sum of picks, against laws that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, kstest

from mlwb.core.arrays import Float1D
from mlwb.stats._law import draw_sums


class Even:
    """A generator whose uniform numbers are the middles of equal parts: no Monte Carlo error."""

    def random(self, n: int) -> Float1D:
        """``(i + 1/2) / n``."""
        return (np.arange(n) + 0.5) / n


def sums(parts: list[tuple[Float1D, int]], n: int = 200_000) -> Float1D:
    """Evenly spread draws."""
    return draw_sums(parts, n, Even())  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 40, 5_000])
def test_tossed_coins_are_binomial(count: int) -> None:
    """Heads of so many coins, cell by cell: the binomial distribution to 1e-4."""
    centred = np.array([-0.25, -0.25, -0.25, 0.75])
    heads = np.rint(sums([(centred, count)]) + 0.25 * count)
    k = np.arange(count + 1)
    share = np.bincount(heads.astype(int), minlength=count + 1) / len(heads)
    np.testing.assert_allclose(share, binom.pmf(k, count, 0.25), atol=1e-4)


@pytest.mark.parametrize("tail", [1.5, 4.0])
def test_moments_are_exact(tail: float) -> None:
    """Mean zero; variance, skewness that of the parts added up, also with outliers."""
    values = np.random.default_rng(0).standard_t(tail, 3_000)
    values -= values.mean()
    rest = values[::7] - values[::7].mean()
    found = sums([(values, 400), (rest, 1)], n=1_000_000)
    variance = 400 * float((values**2).mean()) + float((rest**2).mean())
    third = 400 * float((values**3).mean()) + float((rest**3).mean())
    assert found.mean() == pytest.approx(0.0, abs=1e-4 * math.sqrt(variance))
    assert found.var() == pytest.approx(variance, rel=1e-3)
    assert (found**3).mean() == pytest.approx(third, rel=0.02, abs=2e-3 * variance**1.5)


def test_many_picks_are_normal() -> None:
    """A hundred thousand picks of a short-tailed value: the normal law, to 1e-3 everywhere."""
    values = np.random.default_rng(1).uniform(-1.0, 1.0, 20_000)
    values -= values.mean()
    found = sums([(values, 100_000)])
    scale = math.sqrt(100_000 * float((values**2).mean()))
    assert kstest(found / scale, "norm").statistic < 1e-3


def test_no_spread_no_draw() -> None:
    """Values that are all zero sum to zero."""
    assert set(sums([(np.zeros(5), 9)], n=7).tolist()) == {0.0}
