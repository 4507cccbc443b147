"""docs/gates.md says what the policy says."""

from __future__ import annotations

from pathlib import Path

from mlwb.gates import Outcome
from mlwb.params import Limit, Policy

PAGE = Path(__file__).resolve().parents[2] / "docs" / "gates.md"


def _row(limit: Limit) -> str:
    over = {"": "", "*": "every segment"}.get(limit.segment, limit.segment.replace("|", ", "))
    over = f"every segment that is {limit.when}" if limit.when else over
    enough = f", n >= {limit.min_n}" if limit.min_n else ""
    rule = f"{limit.metric} {limit.comparator} {limit.value}{enough}"
    severity = limit.severity + (", if measured" if limit.optional else "")
    return f"| `{limit.id}` | {rule} | {over} | {limit.kind} | {severity} | {limit.source} |"


def test_every_limit_stands_on_the_page(policy: Policy) -> None:
    """The table of limits is the policy, row by row, with the source of each."""
    section = PAGE.read_text(encoding="utf-8").partition("## Every limit\n")[2]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [_row(limit) for limit in policy.limits.values()]


def test_every_gate_and_outcome_stands_on_the_page(policy: Policy) -> None:
    """Each gate is listed with what it is for, each outcome with what it means."""
    text = PAGE.read_text(encoding="utf-8")
    for gate in policy.gates.values():
        assert f"| `{gate.id}` | {gate.about}" in text
    for outcome in Outcome:
        assert f"| `{outcome}` |" in text
