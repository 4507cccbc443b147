"""Impossible numbers are found, possible ones are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.clock import ManualClock
from mlwb.evidence import Context, Interval, Metric, Record, lint, new_record, rate

MakeRecord = Callable[..., Record]


def _kinds(metrics: list[Metric]) -> list[str]:
    record = new_record("smoke", metrics, Context(clock=ManualClock()))
    return [problem.kind for problem in lint(record)]


@pytest.mark.parametrize(
    ("percent", "n"),
    [("0.35", 50), ("99.2", 50), ("0.42", 100), ("99.1", 100), ("98.7", 250), ("0.51", 500)],
)
def test_percentages_no_count_can_give(percent: str, n: int) -> None:
    """GRIM: a published percentage of n requests that no whole k of n gives is named."""
    value = float(percent) / 100
    nearest = round(value * n)
    assert abs(nearest / n - value) > 1e-9, "this percentage is possible"
    assert _kinds([Metric("error_rate", value, n=n, k=nearest)]) == ["rate"]


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_true_rates_are_never_accused(counts: tuple[int, int]) -> None:
    """Every rate built from counts is possible."""
    assert _kinds([rate("error_rate", *counts)]) == []


@pytest.mark.parametrize(
    ("metrics", "kinds"),
    [
        ([Metric("error_rate", 0.5, n=10, k=11)], ["rate"]),
        ([Metric("error_rate", 0.5, k=1)], ["rate"]),
        ([Metric("match_rate", 1.2)], ["range"]),
        ([Metric("crossed_share", -0.1)], ["range"]),
        ([Metric("auc", 0.6, ci=Interval(0.95, 0.7, 0.5))], ["interval"]),
        ([Metric("p95_ms", 2.0, n=58)], ["too_few"]),
        ([Metric("p95_ms", 2.0, n=59)], []),
        ([Metric("p99_ms", 2.0, n=298)], ["too_few"]),
        ([Metric("p99_ms", 2.0, n=299)], []),
        ([Metric("p50_ms", 3.0, n=999), Metric("p95_ms", 2.0, n=999)], ["quantiles"]),
        ([Metric("p95_ms", 3.0, n=999), Metric("max_ms", 2.0, n=999)], ["quantiles"]),
        ([Metric("p50_ms", 2.0, n=999), Metric("p95_ms", 2.0, n=999)], []),
        (
            [
                Metric("onnx_p50_ms", 3.0, segment="batch_1", n=999),
                Metric("onnx_p95_ms", 2.0, segment="batch_1", n=999),
            ],
            ["quantiles"],
        ),
        (
            [
                Metric("onnx_p50_ms", 3.0, segment="batch_32", n=999),
                Metric("onnx_p95_ms", 2.0, segment="batch_1", n=999),
            ],
            [],
        ),
        ([rate("error_rate", 11, 1000), rate("success_rate", 1000, 1000)], ["counts"]),
        ([rate("error_rate", 11, 1000), rate("success_rate", 989, 1000)], []),
        ([rate("error_rate", 11, 1000), rate("success_rate", 988, 999)], ["counts"]),
        ([rate("error_rate", 11, 1000), rate("success_rate", 989, 999)], ["counts"]),
        (
            [
                rate("precision_top_20pct", 120, 200),
                rate("recall_top_20pct", 121, 480),
                rate("base_rate", 480, 1000),
            ],
            ["identity"],
        ),
        (
            [
                rate("precision_top_20pct", 120, 200),
                rate("recall_top_20pct", 120, 481),
                rate("base_rate", 480, 1000),
            ],
            ["identity"],
        ),
        (
            [
                rate("precision_top_20pct", 120, 200),
                rate("recall_top_20pct", 120, 480),
                rate("base_rate", 480, 1000),
            ],
            [],
        ),
        ([Metric("auc", None), Metric("p95_ms", None, n=3)], []),
    ],
)
def test_each_contradiction_is_named(metrics: list[Metric], kinds: list[str]) -> None:
    """Exactly the impossible number is named, on both sides of every bound."""
    assert _kinds(metrics) == kinds


@pytest.mark.parametrize(("share", "needed"), [(0.95, 59), (0.99, 299)])
def test_counts_a_quantile_needs(share: float, needed: int) -> None:
    """Oracle: n observations bound the quantile at 95 % when share ** n <= 0.05, first at n."""
    assert share**needed <= 0.05 < share ** (needed - 1)


def test_a_full_record_is_clean(make: MakeRecord) -> None:
    """The record the other tests use holds nothing impossible."""
    assert lint(make()) == ()
