"""docs/gates.md says what the policy says."""

from __future__ import annotations

from pathlib import Path

from mlwb.gates import UNWAIVABLE, Outcome
from mlwb.params import Limit, Policy, load_policy

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


PROFILES = ("strict", "demo", "requirements")


def _cell(limit: Limit, default: Limit) -> str:
    """How a profile's limit differs from the default one; empty where it does not.

    That the strict policy takes nothing simulated is said once, above the table.
    """
    differs = {
        f"{limit.comparator} {limit.value}": limit.value != default.value,
        limit.severity: limit.severity != default.severity,
        "if measured" if limit.optional else "always": limit.optional != default.optional,
        " or ".join(limit.origins): limit.origins not in (default.origins, ("live", "replay")),
        f"at most {limit.max_age_h} h old": limit.max_age_h != default.max_age_h,
        f"waived: {limit.waived}": limit.waived != default.waived,
        f"({limit.source})": limit.source != default.source,
    }
    return ", ".join(said for said, is_other in differs.items() if is_other)


def profile_rows() -> list[str]:
    """One row for each limit, or whole gate, that a shipped profile changes."""
    folder = PAGE.parents[1] / "params"
    default = load_policy(folder / "policy.yml")
    others = [load_policy(folder / f"policy.{name}.yml") for name in PROFILES]
    rows = []
    for gate in default.gates:
        waived = [f"waived: {p.gates[gate].waived}" if p.gates[gate].waived else "" for p in others]
        if any(waived):
            rows.append(f"| `{gate}` | judged | {' | '.join(waived)} |")
    for name, limit in default.limits.items():
        cells = [_cell(other.limits[name], limit) for other in others]
        if any(cells):
            rule = f"{limit.comparator} {limit.value}, {limit.severity}"
            rows.append(f"| `{name}` | {rule} | {' | '.join(cells)} |")
    return rows


def test_what_the_profiles_change_stands_on_the_page() -> None:
    """The table of profiles is what the files say, with the source of what they set anew."""
    text = PAGE.read_text(encoding="utf-8")
    section = text.partition("## What the profiles change\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == profile_rows()


def test_what_is_never_waived_stands_on_the_page() -> None:
    """The gates no person can waive are named."""
    text = PAGE.read_text(encoding="utf-8").partition("## Waivers\n")[2]
    named = text[: text.index("\n## ")]
    assert all(f"`{gate}`" in named for gate in UNWAIVABLE)


def test_every_gate_and_outcome_stands_on_the_page(policy: Policy) -> None:
    """Each gate is listed with what it is for, each outcome with what it means."""
    text = PAGE.read_text(encoding="utf-8")
    for gate in policy.gates.values():
        assert f"| `{gate.id}` | {gate.about}" in text
    for outcome in Outcome:
        assert f"| `{outcome}` |" in text
