"""Key numbers out of evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlwb.evidence import Interval, Metric, Record, rate
from mlwb.params import Policy, load_policy
from mlwb.report import index

PARAMS = Path(__file__).resolve().parents[2] / "params"
Make = Callable[..., Record]


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The default policy."""
    return load_policy(PARAMS / "policy.yml")


def _records(make: Make, auc: float, symbol: str = "EURUSD") -> dict[str, Record]:
    ends = {"psi_overall": 0.05, "psi_overall_lower": 0.01, "psi_overall_upper": 0.12}
    ci = Interval(0.95, 0.985, 0.997, "Wilson")
    return {
        "offline_report": make(
            "offline_report", Metric("auc", auc, n=100), Metric("auc", 0.1, segment="fold 1"),
            symbol=symbol, label={"kind": "volatility"},
        ),
        "psi_snapshot": make("psi_snapshot", *(Metric(k, v, n=50) for k, v in ends.items())),
        "shadow": make("shadow", rate("match_rate", 993, 1000, ci=ci)),
    }  # fmt: skip


def test_numbers_limits_and_intervals(make_record: Make, policy: Policy) -> None:
    """Each value stands with the policy's limit; the interval is the record's own."""
    found = {n.name: n for n in index.key_numbers(_records(make_record, 0.66), policy)}
    auc = found["AUC, out of fold"]
    assert (auc.value, auc.comparator, auc.limit, auc.n) == (0.66, ">=", "0.62", 100)
    assert (found["Overall PSI"].low, found["Overall PSI"].high) == (0.01, 0.12)
    agree = found["Agreement with the champion"]
    assert (agree.value, agree.low, agree.high, agree.unit) == (0.993, 0.985, 0.997, "%")


def test_missing_evidence_is_not_measured(policy: Policy) -> None:
    """Without evidence every card is there, and empty."""
    found = index.key_numbers({}, policy)
    assert len(found) == 6
    assert {n.value for n in found} == {None}


def test_previous_only_of_the_same_market(make_record: Make, policy: Policy) -> None:
    """Another market's AUC is no predecessor."""
    now = _records(make_record, 0.66)
    same = index.key_numbers(now, policy, previous=_records(make_record, 0.64))
    other = index.key_numbers(now, policy, previous=_records(make_record, 0.64, symbol="BTC"))
    assert same[0].previous == 0.64
    assert {n.previous for n in other} == {None}
