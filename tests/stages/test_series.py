"""A server's metrics as a record holds them, and where two of them differ."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.canonical import canonical_bytes
from mlwb.core.errors import EvidenceSchemaError
from mlwb.stages._series import Snapshot, differences, parse_metrics

EDGES = ("1.0", "10.0", "+Inf")


def text(
    version: str = "v1",
    *,
    success: float = 100,
    error: float = 0,
    within: tuple[float, float, float] = (99, 100, 100),
    more: str = "",
) -> str:
    """What a server shows."""
    cells = "".join(
        f'ml_predict_latency_ms_bucket{{model_version="{version}",le="{edge}"}} {count}\n'
        for edge, count in zip(EDGES, within, strict=True)
    )
    return (
        "# TYPE ml_predict_requests_total counter\n"
        f'ml_predict_requests_total{{model_version="{version}",status="success"}} {success}\n'
        f'ml_predict_requests_total{{model_version="{version}",status="server_error"}} {error}\n'
        f"# TYPE ml_predict_latency_ms histogram\n{cells}"
        f'ml_predict_latency_ms_sum{{model_version="{version}"}} 12.5\n'
        f'ml_predict_latency_ms_count{{model_version="{version}"}} {within[-1]}\n'
        f"# TYPE ml_ready gauge\nml_ready 1\n# TYPE ml_psi_score gauge\nml_psi_score NaN\n{more}"
    )


def told(before: str, after: str, tolerance: float = 0.01) -> list[str]:
    """Differences of two texts."""
    return differences(parse_metrics(before), parse_metrics(after), tolerance=tolerance)


def test_every_series_with_its_kind() -> None:
    """Under the names a server shows, labels sorted."""
    found = parse_metrics(text())
    assert found.kinds == {
        "ml_predict_requests_total": "counter",
        "ml_predict_latency_ms": "histogram",
        "ml_ready": "gauge",
        "ml_psi_score": "gauge",
    }
    assert found.values['ml_predict_requests_total{model_version="v1",status="success"}'] == 100
    assert found.values['ml_predict_latency_ms_bucket{le="+Inf",model_version="v1"}'] == 100
    assert math.isnan(found.values["ml_psi_score"])


def test_what_a_test_did() -> None:
    """Counters and histograms by what they have grown, gauges as they are."""
    before = parse_metrics(text(success=900, within=(500, 600, 700)))
    found = parse_metrics(text(success=1000, within=(599, 700, 800))).since(before).values
    assert found['ml_predict_requests_total{model_version="v1",status="success"}'] == 100
    assert found['ml_predict_latency_ms_bucket{le="1.0",model_version="v1"}'] == 99
    assert found['ml_predict_latency_ms_sum{model_version="v1"}'] == 0
    assert found["ml_ready"] == 1


def test_details_come_back() -> None:
    """Through JSON, which has no NaN."""
    found = parse_metrics(text())
    back = Snapshot.from_details(json.loads(canonical_bytes(found.details())))
    assert back.kinds == found.kinds
    assert back.digest == found.digest
    assert back.values == pytest.approx(dict(found.values), nan_ok=True)


@pytest.mark.parametrize("page", ["<html>", "a b c\n", "ml_ready x\n"])
def test_a_page_that_is_none(page: str) -> None:
    """Another server's page is no baseline."""
    with pytest.raises(EvidenceSchemaError, match="not the metrics"):
        parse_metrics(page)


def test_the_same_test_of_another_version_does_not_differ() -> None:
    """What is new is the version alone; its length counts neither."""
    assert told(text("v1"), text("v2", success=1000, within=(991, 1000, 1000))) == []


def test_series_that_came_or_went() -> None:
    """Each is named; a version more of the same series is none."""
    more = "# TYPE ml_new gauge\nml_new 3\n"
    assert told(text(), text(more=more)) == ["ml_new is new"]
    assert told(text(more=more), text()) == ["ml_new is gone"]
    assert told(text(more=more), text(more=more.replace("gauge", "counter")))


def test_counters_that_moved_otherwise() -> None:
    """Beyond the tolerance, per request, in either direction."""
    worse = text(success=950, error=50)
    (first, second) = told(text(success=1000), worse)
    assert (
        first == 'ml_predict_requests_total{status="server_error"} grows by 0.05 a request, was 0'
    )
    assert "success" in second
    assert told(text(success=1000), worse, tolerance=0.051) == []


def test_a_server_that_became_slower() -> None:
    """The edge below which 95 % lie went up; that it went down is no complaint."""
    slow = text(within=(94, 95, 100))
    assert told(text(), slow) == ["ml_predict_latency_ms: 95 % lie within 10 ms, was 1"]
    assert told(slow, text()) == []
    assert told(text(within=(0, 0, 0)), slow) == []


@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=3), st.integers(0, 10**6))
def test_nothing_differs_from_itself(cells: list[int], success: int) -> None:
    """Whatever a server shows."""
    low, middle, high = sorted(cells)
    same = text(success=success, within=(low, middle, high))
    assert told(same, same, tolerance=0.0) == []
