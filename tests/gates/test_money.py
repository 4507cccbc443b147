"""What the pnl gate says of a short record, and of regimes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from mlwb.evidence import Metric
from mlwb.gates import Check, EvidenceView, Outcome, evaluate
from mlwb.params import Policy


def with_metrics(view: EvidenceView, spoil: Any, *metrics: Metric) -> EvidenceView:
    """The view with these numbers in its pnl record, in place of those of the same name."""
    record = view.newest("pnl")
    assert record is not None
    names = {metric.name for metric in metrics}
    kept = [metric for metric in record.metrics if metric.name not in names]
    found: EvidenceView = spoil.record(view, "pnl", metrics=(*kept, *metrics))
    return found


def check_of(view: EvidenceView, policy: Policy, now: datetime, name: str) -> Check:
    """One check of the pnl gate."""
    verdict = evaluate("pnl", view, policy, now)
    return next(check for check in verdict.checks if check.id == f"pnl.{name}")


@pytest.mark.parametrize(
    ("psr", "outcome"),
    [(0.97, "PASS"), (0.95, "PASS"), (0.94, "UNPROVEN"), (0.5, "UNPROVEN"), (0.06, "UNPROVEN"),
     (0.05, "FAIL"), (0.001, "FAIL"), (None, "UNPROVEN")],
)  # fmt: skip
def test_a_sharpe_ratio_is_shown_refuted_or_neither(
    psr: float | None, outcome: str, green: EvidenceView, policy: Policy, *, now: datetime,
    spoil: Any,
) -> None:  # fmt: skip
    """At 95 % it is shown, at 5 % it is refuted, between them the record is too short."""
    view = with_metrics(green, spoil, Metric("psr", psr, n=14, definition="a formula"))
    check = check_of(view, policy, now, "psr")
    assert check.outcome == outcome
    assert "a formula" not in check.reason


def test_the_reason_says_how_long_it_would_take(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """The ratio, its error, the days there are and the days it needs; or that none would do."""
    facts = (Metric("psr", 0.6, n=14), Metric("sharpe", 1.5, n=14), Metric("sharpe_se", 5.1))
    view = with_metrics(green, spoil, *facts, Metric("min_track_record", 441.6))
    said = check_of(view, policy, now, "psr").reason
    assert "Sharpe 1.50 with a standard error of 5.10 after 14 days" in said
    assert "442 days at this rate would show it above 0" in said
    endless = Metric("min_track_record", None, null_reason="not above 0")
    view = with_metrics(green, spoil, *facts, endless)
    assert (
        "no length at this rate would show it above 0" in check_of(view, policy, now, "psr").reason
    )


def regimes(**found: tuple[float, int]) -> list[Metric]:
    """Regimes with their Holm-adjusted p and their decisions."""
    pairs = [
        (
            Metric("regime_p_negative", p, segment=name),
            Metric("regime_decisions", n, segment=name),
        )
        for name, (p, n) in found.items()
    ]
    return [metric for pair in pairs for metric in pair]


@pytest.mark.parametrize(
    ("found", "outcome", "said"),
    [
        ({"ranging": (0.6, 500), "volatile": (0.2, 500)}, "PASS", "= 0"),
        ({"ranging": (0.6, 500), "volatile": (0.05, 500)}, "FAIL", "= 1"),
        ({"ranging": (0.6, 500), "volatile": (0.001, 99)}, "UNPROVEN", "decisions in volatile"),
        ({"ranging": (0.01, 100), "volatile": (0.9, 99)}, "FAIL", "= 1"),
        ({"ranging": (0.6, 500), "unknown": (0.9, 3)}, "PASS", "= 0"),
    ],
    ids=["none", "one", "few", "one-and-few", "unknown"],
)
def test_a_losing_regime_is_counted_where_it_can_be_seen(
    found: dict[str, tuple[float, int]], outcome: str, said: str, *, green: EvidenceView,
    policy: Policy, now: datetime, spoil: Any,
) -> None:  # fmt: skip
    """At the policy's level and with its decisions; too few of them show nothing."""
    view = with_metrics(green, spoil, *regimes(**found))
    check = check_of(view, policy, now, "negative_regimes")
    assert check.outcome == outcome
    assert said in check.reason


@pytest.mark.parametrize(("upper", "outcome"), [(0.55, "UNPROVEN"), (0.51, "FAIL")])
def test_a_win_rate_fails_only_where_its_bound_does(
    upper: float, outcome: str, *, green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """49 % of a few trades is no proof of less than 52 %."""
    rates = (Metric("win_rate", 0.49, n=100), Metric("win_rate_upper", upper, n=100))
    view = with_metrics(green, spoil, *rates)
    assert check_of(view, policy, now, "win_rate").outcome == outcome


def test_old_evidence_is_not_judged_on(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """A derived number is bound by the age and origin of its record."""
    view = with_metrics(green, spoil, Metric("psr", 0.99, n=14))
    record = view.newest("pnl")
    assert record is not None
    old = replace(record, timestamp="2001-01-01T00:00:00Z")
    view = replace(view, records=tuple(old if r is record else r for r in view.records))
    assert check_of(view, policy, now, "psr").outcome is Outcome.STALE
