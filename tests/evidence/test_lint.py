"""Impossible numbers are found, possible ones are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.clock import ManualClock
from mlwb.evidence import Context, Input, Interval, Metric, Record, lint, new_record, rate

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


CANARY = {"5%": ("0.35", 50), "10%": ("0.42", 100), "25%": ("0.51", 250), "50%": ("0.55", 500)}
"""A published canary: errors in percent, requests."""


def test_a_published_canary_table_is_impossible() -> None:
    """0.35 % of 50 requests are 0.175 errors; the total lies above every phase: both are named."""
    phases = [
        Metric("error_rate", float(percent) / 100, n=n, segment=phase)
        for phase, (percent, n) in CANARY.items()
    ]
    total = Metric("error_rate", 0.0095, n=1900)
    record = new_record("canary_run", [total, *phases], Context(clock=ManualClock()))
    found = {(problem.kind, problem.where) for problem in lint(record)}
    assert ("rate", "error_rate[5%]") in found
    assert ("sums", "error_rate") in found
    assert {where for kind, where in found if kind == "rate"} >= {
        f"error_rate[{phase}]" for phase in ("5%", "10%", "25%", "50%")
    }


@given(st.integers(1, 10**4).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.data())
def test_a_rounded_rate_of_counts_is_never_accused(
    counts: tuple[int, int], data: st.DataObject
) -> None:
    """Any k / n, rounded to any number of digits, is possible without its k."""
    k, n = counts
    value = round(k / n, data.draw(st.integers(1, 17)))
    assert _kinds([Metric("error_rate", value, n=n)]) == []


@pytest.mark.parametrize(
    ("metrics", "kinds"),
    [
        ([Metric("error_rate", 0.02, n=50)], []),
        ([Metric("error_rate", 0.0035, n=50)], ["rate"]),
        ([Metric("clip_rate", 0.0035, n=50)], []),
        ([Metric("p_against", 1.0)], []),
        ([Metric("p_against", 1.0000001)], ["range"]),
        ([Metric("auc", -0.0000001)], ["range"]),
        ([Metric("brier_heldout", -0.004)], ["range"]),
        ([Metric("brier_rise", -0.004)], []),  # a difference: the model may do better than before
        ([Metric("net_p", 1.5)], ["range"]),
        ([Metric("rank_corr", -1.0)], []),
        ([Metric("rank_corr", -1.0000001)], ["range"]),
        ([Metric("min_ms", 2.0, n=999), Metric("p50_ms", 2.0, n=999)], []),
        ([Metric("min_ms", 2.1, n=999), Metric("p50_ms", 2.0, n=999)], ["quantiles"]),
        ([Metric("requests", 1000), rate("error_rate", 0, 1000)], []),
        ([Metric("requests", 999), rate("error_rate", 0, 1000)], ["counts"]),
        (
            [
                Metric("precision_top_20pct_holdout", 0.6, n=200),
                Metric("recall_top_20pct_holdout", 0.25, n=200),
                Metric("base_rate_holdout", 0.48, n=1000),
            ],
            [],
        ),
        (
            [
                Metric("precision_top_20pct_holdout", 0.6, n=200),
                Metric("recall_top_20pct_holdout", 0.2500005, n=200),
                Metric("base_rate_holdout", 0.48, n=1000),
            ],
            ["identity"],
        ),
    ],
)
def test_each_rule_on_both_sides_of_its_limit(metrics: list[Metric], kinds: list[str]) -> None:
    """A rule is silent at the last possible number and fires at the first impossible one."""
    assert _kinds(metrics) == kinds


def _canary(total: Metric, *phases: tuple[int, int]) -> list[str]:
    parts = [rate("match_rate", k, n, segment=f"{i}%") for i, (k, n) in enumerate(phases)]
    record = new_record("canary_run", [total, *parts], Context(clock=ManualClock()))
    return [problem.kind for problem in lint(record)]


def test_a_canary_is_the_sum_of_its_phases() -> None:
    """Counts add up; a total without counts lies between its worst and its best phase."""
    assert _canary(rate("match_rate", 147, 150), (49, 50), (98, 100)) == []
    assert _canary(rate("match_rate", 148, 150), (49, 50), (98, 100)) == ["sums", "sums"]
    assert _canary(rate("match_rate", 294, 300), (49, 50), (98, 100)) == ["sums"]
    assert _canary(Metric("match_rate", 0.98), (49, 50), (98, 100)) == []
    assert _canary(Metric("match_rate", 0.97), (49, 50), (98, 100)) == ["sums"]
    assert _canary(Metric("match_rate", 0.97)) == []


@pytest.mark.parametrize(("overall", "kinds"), [(0.2, []), (0.2 + 1e-15, []), (0.21, ["mean"])])
def test_a_mean_is_the_mean_of_its_parts(overall: float, kinds: list[str]) -> None:
    """The overall PSI is the mean of the features it says it is the mean of, no others."""
    psi = [Metric("psi", value, segment=name) for name, value in (("a", 0.1), ("b", 0.3), ("c", 9))]
    assert _kinds([*psi, Metric("psi_overall", overall, definition="mean over a, b")]) == kinds
    assert _kinds([*psi, Metric("psi_overall", overall, definition="mean over a, z")]) == []


@pytest.mark.parametrize(
    ("counts", "kinds"), [([60, 40], []), ([60, 41], ["histogram"]), ([101, -1], ["histogram"])]
)
def test_a_histogram_adds_up(counts: list[int], kinds: list[str]) -> None:
    """The counts of a feature are the observations its PSI rests on."""
    details = {"features": [{"name": "a", "current_counts": counts}], "heldout_days": 1}
    metrics = [Metric("psi", 0.1, n=100, segment="a")]
    record = new_record("psi_snapshot", metrics, Context(clock=ManualClock()), details=details)
    assert [problem.kind for problem in lint(record)] == kinds


@pytest.mark.parametrize(
    ("hours", "finished", "kinds"),
    [
        (24.0, "2026-01-02T00:00:00Z", []),
        (24.001, "2026-01-02T00:00:00Z", ["window"]),
        (0.0, "2025-12-31T23:59:59Z", ["window", "window"]),
        (24.0, "2026-01-02T00:05:00Z", []),
        (24.0, "2026-01-02T00:05:01Z", ["window"]),
    ],
)
def test_a_window_lies_inside_its_times(hours: float, finished: str, kinds: list[str]) -> None:
    """Nobody covers more hours than lie between beginning and end, nor ends after the record."""
    clock = ManualClock(elapsed_s=86_400.0)
    details = {"started_at": "2026-01-01T00:00:00Z", "finished_at": finished}
    record = new_record(
        "validation", [Metric("covered_h", hours)], Context(clock=clock), details=details
    )
    assert [problem.kind for problem in lint(record)] == kinds


def test_nothing_is_from_the_future() -> None:
    """Five minutes of clock difference are forgiven, a second more is named."""
    clock = ManualClock()
    record = new_record("bench", [], Context(clock=clock))
    assert lint(record, now=clock.now() - timedelta(minutes=5)) == ()
    found = lint(record, now=clock.now() - timedelta(minutes=5, seconds=1))
    assert [(problem.kind, problem.where) for problem in found] == [("time", "timestamp")]


def test_a_stamp_is_the_run_ids_stamp() -> None:
    """A record dated other than its run id was dated by hand."""
    record = new_record("bench", [], Context(clock=ManualClock()))
    found = lint(replace(record, timestamp="2026-01-01T00:00:01Z"))
    assert [problem.kind for problem in found] == ["time"]


@pytest.mark.parametrize(
    ("first", "last", "origin", "kinds"),
    [
        ("2025-12-01T00:00:00Z", "2026-01-01T00:05:00Z", "replay", []),
        ("2025-12-01T00:00:00Z", "2026-01-01T00:05:01Z", "replay", ["time"]),
        ("2025-12-01T00:00:00Z", "2027-01-01T00:00:00Z", "simulated", []),
        ("2025-12-02T00:00:00Z", "2025-12-01T00:00:00Z", "simulated", ["time"]),
        ("", "", "live", []),
    ],
)
def test_a_recording_ends_before_it_is_measured(
    first: str, last: str, origin: str, kinds: list[str]
) -> None:
    """Market data from the future is simulated or dated wrongly."""
    inputs = (Input("market", "bars.csv", "sha256:" + "1" * 64, 10, first, last),)
    context = Context(clock=ManualClock(), origin=origin, inputs=inputs)
    assert [problem.kind for problem in lint(new_record("bench", [], context))] == kinds


def test_a_full_record_is_clean(make: MakeRecord) -> None:
    """The record the other tests use holds nothing impossible."""
    assert lint(make()) == ()
