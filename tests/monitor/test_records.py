"""Drift that stays: from evidence, of this version, live."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mlwb.core.clock import ManualClock
from mlwb.evidence import Context, Metric, Record, new_record
from mlwb.monitor import suggest_retraining
from tests.monitor.monitor_kit import NOW, POLICY


def _record(
    kind: str,
    days_ago: int,
    metrics: list[Metric],
    *,
    version: str = "v2.0.0",
    origin: str = "live",
) -> Record:
    clock = ManualClock(NOW - timedelta(days=days_ago))
    return new_record(kind, metrics, Context(clock=clock, model_version=version, origin=origin))


def _check(days_ago: int, psi: float = 0.5, **more: str) -> Record:
    bounds = [
        Metric("golden_max_abs_diff", 0.0),
        Metric("gateable", 1, segment="rsi14_z"),
        Metric("psi_upper", psi + 0.1, segment="rsi14_z", n=9000),
        Metric("psi_lower", psi, segment="rsi14_z", n=9000),
    ]
    return _record("drift_check", days_ago, bounds, **more)


def test_drift_on_three_days_in_a_row_suggests_training() -> None:
    """The sentence names version, days and features."""
    found = suggest_retraining([_check(0), _check(1), _check(2)], "v2.0.0", POLICY, now=NOW)
    assert found is not None
    assert found.days == ("2026-02-28", "2026-03-01", "2026-03-02")
    assert "rsi14_z" in found.about
    assert "v2.0.0 has drifted on 3 days in a row" in str(found)


@pytest.mark.parametrize(
    "records",
    [[], [_check(0), _check(1)], [_check(0), _check(2), _check(3)],
     [_check(0, 0.0), *map(_check, (1, 2, 3))],
     [_check(n, version="v1") for n in range(4)], [_check(n) for n in range(3, 8)]],
    ids=["none", "two", "a gap", "it ended", "another version", "long ago"],
)  # fmt: skip
def test_what_does_not_persist_suggests_nothing(records: list[Record]) -> None:
    """Two days, a day not measured, a good day, another version, an old story."""
    assert suggest_retraining(records, "v2.0.0", POLICY, now=NOW) is None
