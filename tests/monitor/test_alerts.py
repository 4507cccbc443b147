"""Critical alerts: raised, quiet, or not measured, and the last is never the second."""

from __future__ import annotations

import math

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.home import find_project
from mlwb.evidence import Context, Metric, Record, new_record
from mlwb.monitor import Alert, Alerts, Reading, record_alerts, rollback_alerts
from mlwb.params import load_policy

POLICY = load_policy(find_project() / "params" / "policy.yml")
QUIET = {
    "rank_corr": Reading(0.97, 500),
    "p95_ms": Reading(12.0, 500),
    "prediction_psi": Reading(0.02, 500),
    "error_rate": Reading(0.0, 500),
}


def _record(kind: str, origin: str, *metrics: Metric) -> Record:
    context = Context(clock=ManualClock(), model_version="v2.0.0", origin=origin)
    return new_record(kind, metrics, context)


def test_a_quiet_window_is_proven_without_money() -> None:
    """Where nothing trades, win rate and Sharpe ratio are named, and keep nothing open."""
    found = Alerts(rollback_alerts(QUIET, POLICY))
    assert (found.count, found.risk) == (0, "OK")
    states = {item.id: item.state for item in found.questions}
    assert states["rollback.sharpe"] == states["rollback.win_rate"] == "not measured"


@pytest.mark.parametrize(
    ("name", "limit", "beyond"),
    [("rank_corr", 0.95, 0.949), ("p95_ms", 200.0, 200.1), ("prediction_psi", 0.25, 0.2501),
     ("error_rate", 0.05, 0.0501)],
)  # fmt: skip
def test_a_trigger_fires_beyond_the_policys_limit(name: str, limit: float, beyond: float) -> None:
    """At the limit it is silent, beyond it the count is one and the risk critical."""
    at = Alerts(rollback_alerts({**QUIET, name: Reading(limit, 500)}, POLICY))
    over = Alerts(rollback_alerts({**QUIET, name: Reading(beyond, 500)}, POLICY))
    assert (at.count, over.count, over.risk) == (0, 1, "CRITICAL")
    assert [item.id for item in over.raised] == [f"rollback.{name}"]


def test_what_was_not_measured_is_not_quiet() -> None:
    """One open question, and there is no count; one raised is still one raised."""
    unknown = Reading(math.nan, 3, "3 rows, 299 are needed")
    found = Alerts(rollback_alerts({**QUIET, "rank_corr": unknown}, POLICY))
    assert (found.count, found.risk) == (None, "WARN")
    both = Alerts((*found.questions, Alert("drift_check.moved", "raised", "")))
    assert (both.count, both.risk) == (1, "CRITICAL")


def test_only_live_records_raise() -> None:
    """The same broken number counts once live, and not at all replayed or simulated."""
    broken = Metric("rank_corr", 0.5, n=500)
    for origin, expected in (("live", ["rollback.rank_corr"]), ("replay", []), ("simulated", [])):
        found = record_alerts([_record("shadow", origin, broken)], POLICY)
        assert [item.id for item in found] == expected


def test_a_hard_drift_limit_raises_and_a_soft_one_does_not() -> None:
    """`golden` is hard; the e-value of the watch is a hint."""
    hard = _record("drift_check", "live", Metric("golden_max_abs_diff", 0.1))
    soft = _record("drift_check", "live", Metric("e_value_highest", 50.0))
    assert [item.id for item in record_alerts([hard, hard], POLICY)] == ["drift_check.golden"]
    assert record_alerts([soft], POLICY) == ()
