"""The panels' numbers over a day: growth by the quarter of an hour, from looks at counters."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.monitor import PANELS, DayPanels, Snapshot, day_panels, parse_counters, parse_gauges
from mlwb.monitor._panels import _quantile
from tests.monitor.log_kit import DAY

PAGE = """
ml_model_info{{model_version="{version}"}} 1
ml_predict_requests_total{{model_version="{version}",status="success"}} {n}
ml_predict_requests_total{{model_version="{version}",status="server_error"}} {failed}
ml_predict_latency_ms_bucket{{model_version="{version}",le="10"}} {half}
ml_predict_latency_ms_bucket{{model_version="{version}",le="80"}} {n}
ml_predict_latency_ms_bucket{{model_version="{version}",le="+Inf"}} {n}
ml_shadow_match_total {half}
ml_shadow_mismatch_total 0
ml_shadow_match_rate {match}
ml_psi_score{{feature="rsi14_z"}} {psi}
ml_psi_score{{feature="spread_bp"}} -1
ml_psi_score{{feature="prediction"}} NaN
ml_shadow_abs_delta_bucket{{le="0.01"}} {half}
ml_shadow_abs_delta_bucket{{le="+Inf"}} {n}
"""


def _look(
    ts: float, n: int, *, target: str = "a", version: str = "v1", match: float = 0.97,
    psi: float = 0.1,
) -> Snapshot:  # fmt: skip
    page = PAGE.format(n=n, half=n // 2, failed=n // 10, match=match, psi=psi, version=version)
    moment = datetime.fromtimestamp(DAY + ts, UTC)
    return Snapshot(moment, target, parse_counters(page), parse_gauges(page))


def _day(*looks: Snapshot) -> DayPanels:
    return day_panels(looks, DAY, DAY + 86_400)


def test_numbers_stand_in_the_quarter_they_were_noted_in() -> None:
    """By hand: 90 requests in the first quarter, a start anew with 45 in the third."""
    found = _day(
        _look(-60, 10), _look(840, 100), _look(2_000, 45, version="v2", match=0.9, psi=0.2)
    )
    requests = found.lines["requests"]["success"] * 900
    assert requests[0] == 90
    assert requests[2] == 45
    assert np.isnan(requests[[1, 3, 95]]).all()
    assert found.lines["latency"]["p50"][0] == pytest.approx(10.0)
    assert found.lines["latency"]["p95"][0] == pytest.approx(10 + 0.45 / 0.5 * 70)
    assert found.below_p95_limit["10"][0] == 0.5
    assert found.errors[0] == pytest.approx(9 / 99)
    assert found.versions == ("v1", "v2")
    assert found.lines["match"]["newest rows"][2] == 0.9
    assert found.lines["psi_mean"]["mean"][[0, 2]].tolist() == [0.1, 0.2]
    assert np.isnan(found.lines["psi"]["spread_bp"]).all()
    assert found.deltas[:, 0].tolist() == [45, 45]
    assert (found.n_looks, found.compared) == (2, (0, 0))


def test_of_several_servers_the_sum_and_the_worse() -> None:
    """Requests add up; the lower match rate and the higher index are shown."""
    looks = [
        _look(ts, n, target=target, match=match, psi=psi)
        for target, match, psi in (("a", 0.99, 0.1), ("b", 0.91, 0.3))
        for ts, n in ((82_900, 0), (86_000, 40))
    ]
    found = _day(*looks)
    assert found.lines["requests"]["success"][-1] * 900 == 80
    assert found.lines["match"]["newest rows"][-1] == 0.91
    assert found.lines["psi"]["rsi14_z"][-1] == 0.3
    assert found.compared == (40, 0)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_a_day_holds_what_was_counted(steps: list[int], rng: object) -> None:
    """Whatever the order of the lines: quarters add up to the requests of the day."""
    looks, total = [_look(-30, 0)], 0
    for place, n in enumerate(steps):
        total += n
        looks.append(_look(60 + place * 86_000 / len(steps), total))
    rng.shuffle(looks)  # type: ignore[attr-defined]
    found = _day(*looks, *looks)
    assert np.nansum(found.lines["requests"]["success"]) * 900 == pytest.approx(sum(steps))


@given(
    st.lists(st.floats(0.0, 300.0), min_size=1, max_size=60),
    st.sampled_from([0.5, 0.95, 0.99]),
)
def test_quantiles_are_those_of_prometheus(values: list[float], q: float) -> None:
    """Within the bucket that holds the quantile, where the share says; the last edge beyond all."""
    edges = [1.0, 5.0, 20.0, 100.0, math.inf]
    buckets = {
        "+Inf" if math.isinf(edge) else f"{edge:g}": np.array(
            [float(sum(v <= edge for v in values))]
        )
        for edge in edges
    }
    found = float(_quantile(buckets, q)[0])
    rank, below = q * len(values), 0.0
    for low, high in zip([0.0, *edges], edges, strict=False):
        n = float(sum(v <= high for v in values))
        if n >= rank:
            expected = (
                low if math.isinf(high) else low + (rank - below) / (n - below) * (high - low)
            )
            break
        below = n
    assert found == pytest.approx(expected)


def test_a_day_without_looks_is_empty_and_says_nothing() -> None:
    """No crash, no number; lines written before gauges were noted have none."""
    found = _day()
    assert (found.n_looks, found.versions, found.compared) == (0, (), (0, 0))
    old = Snapshot(datetime.fromtimestamp(DAY, UTC), "a", {"ml_x_total": 1.0})
    assert _day(old).n_looks == 1
    assert set(found.lines) < set(PANELS)
