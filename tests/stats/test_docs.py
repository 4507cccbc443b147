"""docs/significance.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from mlwb import model, stats
from tests.model.null_markets import DESIGNS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "significance.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_every_function_named_is_there() -> None:
    """Each ``model.x`` and ``stats.x`` of the table of questions is public."""
    table = TEXT.split("| question |", 1)[1].split("\n\n", 1)[0]
    named = re.findall(r"\b(model|stats)\.(\w+)\(", table)
    assert len(named) > 10
    for room, name in named:
        assert name in {"model": model, "stats": stats}[room].__all__


def test_measured_rates_stand_for_every_design() -> None:
    """A row for each null design, in order, its size within 0.05 to 0.15."""
    rows = re.findall(r"^\| ([a-z -]+) \| 2,000 \| (0\.\d+) \|", TEXT, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(DESIGNS)
    for _, size in rows:
        assert 0.05 <= float(size) <= 0.15
