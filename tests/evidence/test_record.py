"""The record as a value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.errors import EvidenceMissingError, EvidenceSchemaError
from mlwb.evidence import Metric, Record, check_record, rate
from tests.records import DETAILS

MakeRecord = Callable[..., Record]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_metric_is_finite_or_absent(value: float) -> None:
    """NaN and infinities become no value with a reason; finite values stay bit for bit."""
    metric = Metric("auc", value)
    if math.isfinite(value):
        assert metric.value == value
        assert metric.null_reason == ""
    else:
        assert metric.value is None
        assert metric.null_reason == "not finite"


@pytest.mark.parametrize(
    "value", [True, False, np.True_, "0.66", b"1", [1.0], {"a": 1}, 1j, object()]
)
def test_what_is_no_number_is_refused(value: object) -> None:
    """A bool or text never becomes a metric: True >= 0.62 would pass."""
    with pytest.raises(EvidenceSchemaError):
        Metric("auc", value)  # type: ignore[arg-type]


def test_numpy_numbers_become_plain() -> None:
    """Scalars of numpy are stored as Python numbers of the same value."""
    metric = Metric("auc", np.float32(0.5), n=np.int64(7))  # type: ignore[arg-type]
    assert (type(metric.value), metric.value) == (float, 0.5)
    assert (type(metric.n), metric.n) == (int, 7)


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_rate_is_its_counts(k: int, n: int) -> None:
    """The value of a rate is k / n and the counts stay with it."""
    metric = rate("error_rate", k, n)
    assert (metric.value, metric.k, metric.n) == (k / n, k, n)


def test_looking_up_metrics(make: MakeRecord) -> None:
    """Metrics are found by name and segment; a missing one is an error that names it."""
    record = make(metrics=[Metric("psi", 0.1), Metric("psi", 0.2, segment="rsi14_z")])
    assert record.value("psi") == 0.1
    assert record.value("psi", "rsi14_z") == 0.2
    assert list(record.segments("psi")) == ["rsi14_z"]
    with pytest.raises(EvidenceMissingError, match="'auc'"):
        record.metric("auc")
    with pytest.raises(EvidenceMissingError, match="spread_bp"):
        record.metric("psi", "spread_bp")


def test_a_record_survives_json(make: MakeRecord) -> None:
    """Reading back what was written gives an equal record; oracle: the json module parses it."""
    record = make(details={**DETAILS["smoke"], "edges": [1.5, 2.5], "note": "ş"})
    value = json.loads(record.to_bytes())
    check_record(value)
    assert Record.from_json(value) == record


def test_older_one_line_checks_keep_working(make: MakeRecord) -> None:
    """Version, config.model_version and, once judged, pass and all_pass stand at the top level."""
    from mlwb.evidence import with_verdict

    value = json.loads(make().to_bytes())
    assert value["model_version"] == value["config"]["model_version"] == "v1.8.1"
    assert "pass" not in value
    judged = with_verdict(make(), is_pass=False, policy_digest="sha256:" + "6" * 64)
    value = json.loads(judged.to_bytes())
    assert value["pass"] is False
    assert value["all_pass"] is False
    assert value["policy_digest"].startswith("sha256:")
    assert Record.from_json(value) == judged
