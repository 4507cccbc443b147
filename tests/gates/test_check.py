"""One limit against the evidence: every comparator, every way not to pass."""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlwb.core.clock import ManualClock
from mlwb.evidence import Context, Metric, new_record
from mlwb.gates import EvidenceView, Outcome, evaluate, holds
from mlwb.params import COMPARATORS, Limit, Policy, load_policy

ORACLE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
DECIMALS = st.decimals(-1000, 1000, places=4).map(str)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(COMPARATORS), DECIMALS)
def test_comparing_agrees_with_exact_fractions(value: float, comparator: str, limit: str) -> None:
    """Oracle: exact fractions of the shortest decimal of the float and of the limit."""
    exact = ORACLE[comparator](Fraction(repr(value)), Fraction(limit))
    assert holds(value, comparator, limit) is exact


@given(st.floats(-1000, 1000), st.sampled_from(COMPARATORS))
def test_comparing_at_the_limit_itself(value: float, comparator: str) -> None:
    """At exactly the written limit only the comparators with equality hold."""
    assert holds(value, comparator, repr(value)) is (comparator in ("<=", ">=", "=="))


@pytest.mark.parametrize("comparator", [*COMPARATORS, "!=", "", "=>"])
@pytest.mark.parametrize(
    "value",
    [True, False, None, math.nan, math.inf, -math.inf, "0.7", b"1", [0.7], {}, Decimal("0.7"), 1j],
)
def test_what_is_no_finite_number_never_holds(value: object, comparator: str) -> None:
    """A bool, NaN, infinity, text or anything else satisfies no limit at all."""
    assert not any(holds(value, comparator, limit) for limit in ("-1e400", "0", "1", "0.7"))


def test_an_unknown_comparator_never_holds() -> None:
    """A comparator nobody defined is satisfied by nothing."""
    assert not holds(0.7, "!=", "0.5")


def test_binary_fractions_do_not_leak_into_a_limit() -> None:
    """0.1 + 0.2 is not 0.3, and is not rounded to look like it."""
    assert not holds(0.1 + 0.2, "<=", "0.3")
    assert holds(0.3, "<=", "0.3")


POLICY = load_policy(Path(__file__).resolve().parents[2] / "params" / "policy.yml")
DERIVED = {
    "psi.beyond_null",
    "psi.moved",
    "psi.not_gateable",
    "drift.moved",
    "drift.not_gateable",
    "ablation.harmful_groups",
}
LIMITS = [
    limit.id
    for gate in POLICY.gates.values()
    for limit in gate.limits
    if gate.id not in {"evidence", "nightly", "confirmation"} and limit.id not in DERIVED
]
"""Every limit that reads its number from one record."""


def _rivals(limit: Limit) -> list[Limit]:
    """The binding limits of the same gate on the same number."""
    gate = POLICY.gates[_gate(limit.id)]
    same = [x for x in gate.limits if (x.kind, x.metric) == (limit.kind, limit.metric)]
    return [x for x in same if x.severity == "hard"]


def _gate(limit_id: str) -> str:
    return limit_id.partition(".")[0]


def _beyond(limit: Limit) -> list[tuple[float, bool]]:
    """Values one bit to each side of a limit, and on it, with whether they hold."""
    value = float(limit.value)
    around = (math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf))
    truth = {
        "<": (True, False, False),
        "<=": (True, True, False),
        ">": (False, False, True),
        ">=": (False, True, True),
        "==": (False, True, False),
    }
    return list(zip(around, truth[limit.comparator], strict=True))


NEITHER = {"pnl.psr"}
"""A probability a little below its level refutes nothing: it passes as little as it fails."""


@pytest.mark.parametrize("limit_id", LIMITS)
def test_every_limit_of_the_policy_bites_on_its_own_side(
    limit_id: str, green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """One bit beyond the written limit fails, on or within it passes: for each limit there is."""
    limit = policy.limit(limit_id)
    gate = _gate(limit_id)
    record = green.newest(limit.kind)
    assert record is not None
    segment = next(m.segment for m in record.metrics if m.name == limit.metric)
    for value, passes in _beyond(limit):
        view = spoil.metric(green, limit.kind, limit.metric, segment=segment, value=value)
        if limit.refuted_by:
            missed = -9.9 if limit.comparator.startswith(">") else 9.9
            view = spoil.metric(view, limit.kind, limit.refuted_by, segment=segment, value=missed)
        verdict = evaluate(gate, view, policy, now)
        check = next(c for c in verdict.checks if c.id == limit_id and c.segment == segment)
        beyond = Outcome.UNPROVEN if limit_id in NEITHER else Outcome.FAIL
        assert check.outcome == (Outcome.PASS if passes else beyond)
        allowed = all(holds(value, x.comparator, x.value) for x in _rivals(limit))
        assert verdict.is_pass == allowed


@pytest.mark.parametrize("limit_id", LIMITS)
def test_no_limit_passes_without_its_number(
    limit_id: str, green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """Removed or not measured, a number never passes; it blocks unless it is soft or optional."""
    limit = policy.limit(limit_id)
    gate = _gate(limit_id)
    record = green.newest(limit.kind)
    assert record is not None
    segment = next(m.segment for m in record.metrics if m.name == limit.metric)
    for change, outcome in (({"drop": True}, Outcome.MISSING), ({"value": None}, Outcome.UNPROVEN)):
        view = spoil.metric(green, limit.kind, limit.metric, segment=segment, **change)
        verdict = evaluate(gate, view, policy, now)
        checks = [c for c in verdict.checks if c.id == limit_id and c.segment in ("", segment)]
        if limit.segment == "*" and not limit.when and outcome is Outcome.MISSING:
            continue  # "*" means the segments there are
        assert outcome in {check.outcome for check in checks}
        assert verdict.is_pass == all(rival.optional for rival in _rivals(limit))


@pytest.mark.parametrize("limit_id", [key for key in LIMITS if POLICY.limit(key).min_n])
def test_too_few_observations_prove_nothing(
    limit_id: str, green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """One observation short of the minimum, or an unknown number of them, is unproven."""
    limit = policy.limit(limit_id)
    gate = _gate(limit_id)
    segment = limit.segment.split("|")[0]
    for n, passes in ((limit.min_n, True), (limit.min_n - 1, False), (None, False)):
        view = spoil.metric(green, limit.kind, limit.metric, segment=segment, n=n)
        check = next(
            c
            for c in evaluate(gate, view, policy, now).checks
            if c.id == limit_id and c.segment == segment
        )
        assert check.outcome == (Outcome.PASS if passes else Outcome.UNPROVEN)


@pytest.mark.parametrize(("optional", "outcome"), [(True, Outcome.PASS), (False, Outcome.MISSING)])
def test_evidence_that_only_an_optional_limit_reads_may_come_later(
    *, optional: bool, outcome: Outcome, green: EvidenceView, policy: Policy, now: datetime,
    spoil: Any,
) -> None:  # fmt: skip
    """Parity can be judged before a server was asked; the gate `evidence` misses the kind."""
    limit = replace(policy.limit("parity.served_mismatches"), optional=optional)
    gate = policy.gates["parity"]
    limits = tuple(limit if item.id == limit.id else item for item in gate.limits)
    changed = replace(policy, gates={**policy.gates, "parity": replace(gate, limits=limits)})
    view = spoil.drop(green, limit.kind)
    assert evaluate("parity", view, changed, now).outcome is outcome
    assert evaluate("evidence", view, changed, now).outcome is not Outcome.PASS


KINDS = ("data_quality", "offline_report", "parity", "psi_snapshot", "smoke", "shadow", "pnl")


def _gates_of(policy: Policy, kind: str) -> list[str]:
    return [g.id for g in policy.gates.values() if any(x.kind == kind for x in g.limits)]


@pytest.mark.parametrize("kind", [*KINDS, "canary_run", "validation", "nightly", "confirmation"])
@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"origin": "mock"}, Outcome.INVALID),
        ({"model_version": "v1.8.0"}, Outcome.INVALID),
        ({"model_version": "none"}, Outcome.INVALID),
        ({"timestamp": "2027-01-01T00:00:00Z"}, Outcome.INVALID),
        ({"timestamp": "2024-01-01T00:00:00Z"}, Outcome.STALE),
    ],
)
def test_unusable_evidence_is_not_judged(
    kind: str, change: dict[str, str], outcome: Outcome, *, green: EvidenceView, policy: Policy,
    now: datetime, spoil: Any,
) -> None:  # fmt: skip
    """Mocked, foreign, future or old evidence is named as such and its numbers are not used."""
    only = [item for item in green.records if item.kind != kind or item is green.newest(kind)]
    view = spoil.record(replace(green, records=tuple(only)), kind, **change)
    if kind == "data_quality" and change == {"model_version": "none"}:
        assert evaluate("data", view, policy, now).is_pass, "market data has no model"
        return
    for gate in _gates_of(policy, kind):
        verdict = evaluate(gate, view, policy, now)
        outcomes = {c.outcome for c in verdict.checks if policy.limit(c.id).kind == kind}
        assert outcomes == {outcome}, gate
        assert not verdict.is_pass


@pytest.mark.parametrize(("minutes", "passes"), [(5, True), (6, False)])
def test_a_clock_a_little_ahead_is_forgiven(
    minutes: int, green: EvidenceView, policy: Policy, *, clock: ManualClock, passes: bool
) -> None:
    """Evidence dated up to five minutes after the judge's clock is used, later is not."""
    judge = clock.now() - timedelta(minutes=minutes)
    assert evaluate("parity", green, policy, judge).is_pass is passes


@pytest.mark.parametrize(("more_s", "outcome"), [(0, Outcome.PASS), (1, Outcome.STALE)])
def test_evidence_ages_to_the_second(
    more_s: int, outcome: Outcome, green: EvidenceView, *, policy: Policy, clock: ManualClock
) -> None:
    """At its maximum age evidence is still used, a second later it is stale."""
    hours = policy.limit("parity.max_abs_diff").max_age_h
    judge = clock.now() + timedelta(hours=hours, seconds=more_s)
    assert evaluate("parity", green, policy, judge).outcome is outcome


def test_a_metric_given_twice_is_not_chosen_from(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """Two values under one name cannot be picked between."""
    record = green.newest("offline_report")
    assert record is not None
    metrics = (*record.metrics, Metric("auc", 0.7, n=20_160))
    view = spoil.record(green, "offline_report", metrics=metrics)
    verdict = evaluate("signal", view, policy, now)
    assert {c.outcome for c in verdict.checks if c.metric == "auc"} == {Outcome.INVALID}


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, 0.0, -0.0, 5e-324, 1e308, -1e308, 0.62, 0.58, 0.1, 0.8, None]),
)


@example([0.75, 1.0, 0.0, 0.0], 1000)
@given(st.lists(VALUES, min_size=4, max_size=4), st.sampled_from([None, 0, 199, 1000, 10**9]))
def test_no_input_passes_by_accident(values: list[float | None], n: int | None) -> None:
    """Oracle: the signal gate passes exactly when its inequalities hold as exact fractions."""
    clock = ManualClock()
    context = Context(clock=clock, model_version="v1")
    auc, precision, leaks, against = values
    offline = [
        Metric("auc", auc, n=n),
        Metric("precision_top_20pct", precision, n=n),
        Metric("leak_count", leaks),
        # What the gate asks beside these four, as it has to be.
        Metric("fit_leaks", 0),
        Metric("auc_holdout", 0.7, n=10**9),
        Metric("gate_window_reuses", 0),
    ]
    proven = [Metric("p_against", against), Metric("p_against_holdout", 0.0)]
    records = {
        "offline_report": new_record("offline_report", offline, context),
        "significance": new_record("significance", proven, context),
    }
    x = [None if value is None else Fraction(repr(value)) for value in values]
    expected = (
        n is not None
        and n >= 1000
        and x[0] is not None
        and Fraction("0.62") <= x[0] < Fraction("0.8")
        and x[1] is not None
        and x[1] >= Fraction("0.58")
        and x[2] == 0
        and x[3] is not None
        and x[3] <= Fraction("0.1")
    )
    assert evaluate("signal", records, POLICY, clock.now()).is_pass is expected
