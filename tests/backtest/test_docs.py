"""docs/backtest.md says what the code does."""

from __future__ import annotations

from dataclasses import fields

from mlwb.backtest import DEFINITIONS, Activity, Definition, Risk
from mlwb.core.home import find_project

PAGE = find_project() / "docs" / "backtest.md"


def _row(what: Definition) -> str:
    ddof = "" if what.ddof is None else what.ddof
    return (
        f"| `{what.name}` | {what.unit} | {what.formula} | {what.annualised} | {ddof} "
        f"| {what.edge} |"
    )


def test_the_page_defines_every_number() -> None:
    """The table is the registry, row by row."""
    section = PAGE.read_text(encoding="utf-8").partition("## Numbers\n")[2]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [_row(what) for what in DEFINITIONS.values()]


def test_every_risk_number_is_defined() -> None:
    """No field of a result without a definition, but for the count of days."""
    names = {field.name for cls in (Risk, Activity) for field in fields(cls)} - {"n_days"}
    assert names <= set(DEFINITIONS)


def test_a_sentence_holds_all_of_a_definition() -> None:
    """Formula, scaling, ddof and edge; nothing where there is none."""
    said = DEFINITIONS["sharpe"].sentence
    assert all(part in said for part in ("mean / sd", "x sqrt(365)", "ddof 1", "null below two"))
    assert DEFINITIONS["exposure_max"].sentence == "largest absolute position"
