"""``mlwb data facts``: the table, its marks, its JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlwb.cli import _common
from mlwb.cli._app import app
from mlwb.data import FACTS, simulate_market, write_market


def facts(*arguments: str) -> Result:
    """The command in this process, on a short synthetic market."""
    return CliRunner().invoke(app, ["data", "facts", "--days", "6", *arguments])


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_common.console, "width", 160)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A market without quotes."""
    path = tmp_path / "FLAT_1m.csv"
    write_market(simulate_market(days=6, volatility_edge=0.0, quotes=False), path)
    return str(path)


def test_markets_stand_side_by_side(file: str) -> None:
    """A row a fact, a column a market, marks outside the range, a dash for what is not there."""
    done = facts(file)
    assert done.exit_code == 0, done.output
    rows = {line.strip().split("  ")[0]: line.split() for line in done.output.splitlines()}
    assert {fact.about for fact in FACTS} <= set(rows)
    assert rows["fact"][-2:] == ["synthetic", "FLAT"]
    assert rows["autocorrelation of move sizes, a minute"][-1].endswith("!")
    assert rows["median spread, bp"][-1] == "-"
    assert "in range" in done.output


def test_json_has_range_value_and_verdict_of_every_market(file: str) -> None:
    """The same file twice gets a name of its own; nothing is NaN."""
    found = json.loads(facts("--json", file, file).output)
    assert [fact["name"] for fact in found["facts"]] == [fact.name for fact in FACTS]
    first = next(fact for fact in found["facts"] if fact["name"] == "size_acf_1")
    assert list(first["values"]) == ["FLAT", "FLAT (2)", "synthetic"]
    assert first["holds"]["FLAT"] is False
    assert first["values"]["FLAT"] == first["values"]["FLAT (2)"]


def test_strict_is_about_the_synthetic_market() -> None:
    """Exit code 1 exactly when something is outside; six days are too few to meet every range."""
    missed = json.loads(facts("--json").output)["missed"]
    assert missed
    assert facts("--strict").exit_code == 1
