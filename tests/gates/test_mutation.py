"""Turning any comparator of any policy around changes a verdict: no limit stands there idle."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlwb.evidence import Metric
from mlwb.gates import EvidenceView, Outcome
from mlwb.gates._check import Derived, check_limit
from mlwb.params import COMPARATORS, Limit, Policy, load_policy

PARAMS = Path(__file__).resolve().parents[2] / "params"
POLICIES = [load_policy(path) for path in sorted(PARAMS.glob("policy*.yml"))]
TRUTH = {
    "<": (True, False, False),
    "<=": (True, True, False),
    ">": (False, False, True),
    ">=": (False, True, True),
    "==": (False, True, False),
}
"""Whether a number just below, at and just above a limit holds."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _answers(limit: Limit) -> tuple[bool, ...]:
    """What the gate says just below, at and just above the written limit."""
    value = float(limit.value)
    around = (math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf))
    empty = EvidenceView(model_version="v1", records=())
    found = []
    for observed in around:
        given = {limit.metric: Derived(Metric(limit.metric, observed, n=max(limit.min_n, 1)))}
        (check,) = check_limit(limit, empty, given, now=NOW)
        found.append(check.outcome is Outcome.PASS)
    return tuple(found)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_every_limit_answers_as_its_comparator_says(policy: Policy) -> None:
    """Just below, at and just above: the three answers are those of the comparator written."""
    for limit in policy.limits.values():
        assert _answers(limit) == TRUTH[limit.comparator], limit.id


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_every_comparator_turned_around_is_noticed(policy: Policy) -> None:
    """A mutant with any other comparator gives other answers, so the test above would fail."""
    for limit in policy.limits.values():
        for other in COMPARATORS:
            mutant = replace(limit, comparator=other)
            is_same = _answers(mutant) == TRUTH[limit.comparator]
            assert is_same == (other == limit.comparator), f"{limit.id} {other}"


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_every_minimum_count_lowered_is_noticed(policy: Policy) -> None:
    """One observation fewer than asked for is unproven; a mutant that asks for fewer passes it."""
    empty = EvidenceView(model_version="v1", records=())
    for limit in policy.limits.values():
        if not limit.min_n:
            continue
        near = float(limit.value) + {"<": -1e-9, ">": 1e-9}.get(limit.comparator, 0.0)
        metric = Metric(limit.metric, near, n=limit.min_n - 1)
        for mutant, outcome in (
            (limit, Outcome.UNPROVEN),
            (replace(limit, min_n=limit.min_n - 1), Outcome.PASS),
        ):
            (check,) = check_limit(mutant, empty, {limit.metric: Derived(metric)}, now=NOW)
            assert check.outcome is outcome, limit.id
