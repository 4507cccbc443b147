"""Quantiles from counts: an edge, never below the value, exact at every limit in use."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.home import find_project
from mlwb.monitor import LATENCY_EDGES_MS, Binned
from mlwb.params import load_policy

POLICY = load_policy(find_project() / "params" / "policy.yml")


def test_edges_increase_and_hold_every_limit_of_the_policy() -> None:
    """A rule on a limit reads an exact count: each limit in milliseconds is an edge."""
    assert all(low < high for low, high in pairwise(LATENCY_EDGES_MS))
    limits = [limit for gate in POLICY.gates.values() for limit in gate.limits]
    limits += [limit for group in POLICY.watch.values() for limit in group]
    wanted = {float(item.value) for item in limits if item.metric.endswith("p95_ms")}
    assert {10.0, 60.0, 80.0, 120.0, 200.0} <= wanted <= set(LATENCY_EDGES_MS)


@given(st.lists(st.floats(0.0, 1e4), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_the_edge_above_the_true_one(values: list[float], q: float) -> None:
    """Oracle: numpy's inverted_cdf. The answer is the edge at or above it, or the largest value."""
    found = Binned(LATENCY_EDGES_MS)
    for value in values:
        found.add(value)
    true = float(np.quantile(values, q, method="inverted_cdf"))
    edge = next((edge for edge in LATENCY_EDGES_MS if edge >= true), math.inf)
    assert found.quantile(q) == min(edge, max(values))
    for limit in (10.0, 80.0, 120.0, 200.0):
        assert (found.quantile(q) <= limit) == (true <= limit)


def test_without_values_there_is_no_quantile() -> None:
    """NaN, not 0."""
    found = Binned((1.0,))
    assert math.isnan(found.quantile(0.5))
    assert math.isnan(found.mean)


@pytest.mark.parametrize("value", [1.0, 1.0000001])
def test_an_edge_belongs_to_the_cell_below(value: float) -> None:
    """As in the server's histograms: bounds are inclusive."""
    found = Binned((1.0, 2.0))
    found.add(value)
    assert found.counts == ([1, 0, 0] if value == 1.0 else [0, 1, 0])
