"""A candidate with evidence that passes every gate, to be spoilt one thing at a time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import Clock, ManualClock, format_utc
from mlwb.evidence import Context, Metric, new_record
from mlwb.gates import EvidenceView, phrase_of
from mlwb.params import Limit, Policy, load_policy
from tests.records import DETAILS

PARAMS = Path(__file__).resolve().parents[2] / "params"
VERSION, MANIFEST = "v1.8.1", "sha256:" + "a" * 64
FEATURES = ("rsi14_z", "spread_bp")


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The default policy."""
    return load_policy(PARAMS / "policy.yml")


@pytest.fixture
def now(clock: ManualClock) -> datetime:
    """The moment everything is judged: an hour after it was measured."""
    return clock.now() + timedelta(hours=1)


def _passing_value(limit: Limit) -> float | int:
    value = Decimal(limit.value)
    step = {">": Decimal("0.001"), "<": Decimal("-0.001")}.get(limit.comparator, Decimal(0))
    number = value + step
    return int(number) if number == number.to_integral_value() else float(number)


def _segments(limit: Limit) -> tuple[str, ...]:
    return FEATURES if limit.segment == "*" or limit.when else tuple(limit.segment.split("|"))


def _metrics(policy: Policy) -> dict[str, dict[tuple[str, str], Metric]]:
    found: dict[str, dict[tuple[str, str], Metric]] = defaultdict(dict)
    strictest = sorted(
        (limit for gate in policy.gates.values() for limit in gate.limits),
        key=lambda limit: Decimal(limit.value),
        reverse=True,
    )
    for limit in strictest:
        for segment in _segments(limit):
            metric = Metric(
                limit.metric, _passing_value(limit), segment=segment, n=max(limit.min_n, 1000)
            )
            found[limit.kind][limit.metric, segment] = metric
    found["offline_report"]["auc", ""] = Metric("auc", 0.66, n=20_160)
    for feature in FEATURES:
        found["psi_snapshot"]["gateable", feature] = Metric("gateable", 1, segment=feature)
        found["psi_snapshot"]["psi_null95", feature] = Metric("psi_null95", 0.1, segment=feature)
        found["psi_snapshot"]["p_block", feature] = Metric("p_block", 0.4, segment=feature)
        found["psi_snapshot"]["psi_lower", feature] = Metric("psi_lower", 0.01, segment=feature)
        found["psi_snapshot"]["psi_corrected", feature] = Metric(
            "psi_corrected", 0.02, segment=feature
        )
        found["psi_snapshot"]["gateable_days", feature] = Metric(
            "gateable_days", 28, unit="d", segment=feature
        )
    found["ablation"] |= {
        (name, group): Metric(name, value, segment=group)
        for group in ("returns", "level")
        for name, value in (("delta", -0.01), ("p_adjusted", 1.0))
    }
    more = {
        "psi_overall_lower": 0.01,
        "psi_overall_corrected": 0.02,
        "p_overall": 0.4,
        "psi_overall_null95": 0.1,
        "overall_gateable": 1,
        "prediction_psi_lower": 0.01,
        "prediction_psi_corrected": 0.02,
        "prediction_p_block": 0.4,
        "prediction_psi_null95": 0.1,
        "prediction_gateable": 1,
        "prediction_gateable_days": 21,
    }
    found["psi_snapshot"] |= {(name, ""): Metric(name, value) for name, value in more.items()}
    found["nightly"] = {("green", ""): Metric("green", 1)}
    bounds = {"sharpe_upper": 4.0, "sharpe_se": 1.5, "variance_lower": 0.7, "win_rate_upper": 0.6}
    for name, bound in bounds.items():
        found["pnl"][name, ""] = Metric(name, bound)
    return found


def _night(stamp: str) -> dict[str, Any]:
    return {"date": stamp[:10], "blocking": []}


@pytest.fixture
def green(policy: Policy, clock: ManualClock) -> EvidenceView:
    """Evidence that passes every gate of the default policy."""
    return green_view(policy, clock)


def green_view(policy: Policy, clock: Clock) -> EvidenceView:
    """Evidence that passes every gate of a policy which takes live evidence."""
    context = Context(clock=clock, model_version=VERSION, origin="live")
    metrics = _metrics(policy)
    kinds = dict.fromkeys((*policy.gates["evidence"].settings["kinds"], "validation"))
    records = [
        new_record(kind, metrics[kind].values(), context, details=DETAILS.get(kind))
        for kind in kinds
    ]
    for night in range(7):
        stamp = format_utc(clock.now() - timedelta(days=6 - night))
        record = new_record("nightly", metrics["nightly"].values(), context, details=_night(stamp))
        records.append(replace(record, timestamp=stamp, policy_digest=policy.digest))
    view = EvidenceView(
        model_version=VERSION,
        records=tuple(records),
        chain_problems=(),
        manifest_sha256=MANIFEST,
    )
    yes = {
        "phrase": phrase_of(view, policy),
        "by": "release manager",
        "policy_digest": policy.digest,
        "evidence_digest": view.evidence_digest,
        "manifest_sha256": MANIFEST,
        "expires_at": format_utc(clock.now() + timedelta(hours=4)),
    }
    return replace(
        view, records=(*view.records, new_record("confirmation", [], context, details=yes))
    )


def change_record(view: EvidenceView, kind: str, **fields: Any) -> EvidenceView:
    """The view with fields of the newest record of a kind replaced."""
    old = view.newest(kind)
    assert old is not None
    new = replace(old, **fields)
    return replace(view, records=tuple(new if item is old else item for item in view.records))


def change_metric(
    view: EvidenceView, kind: str, name: str, *, segment: str = "", **fields: Any
) -> EvidenceView:
    """The view with fields of one metric replaced; ``drop=True`` removes it."""
    old = view.newest(kind)
    assert old is not None
    target = old.metric(name, segment)
    new = () if fields.pop("drop", False) else (replace(target, **fields),)
    metrics = [item for metric in old.metrics for item in (new if metric is target else (metric,))]
    return change_record(view, kind, metrics=tuple(metrics))


def drop_kind(view: EvidenceView, kind: str) -> EvidenceView:
    """The view without any record of a kind."""
    return replace(view, records=tuple(item for item in view.records if item.kind != kind))


class Spoilers:
    """The three ways to spoil a view, for tests that take them as a fixture."""

    record = staticmethod(change_record)
    metric = staticmethod(change_metric)
    drop = staticmethod(drop_kind)


@pytest.fixture
def spoil() -> Spoilers:
    """Ways to spoil a view: ``record``, ``metric``, ``drop``."""
    return Spoilers()
