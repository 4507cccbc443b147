"""What docs/study.md says is so."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.stages import feature_study
from mlwb.study import CLIP_ALARM, CLIP_EXPECTED
from mlwb.study import _stationarity as unit_root_tests
from tests.stages.conftest import small

PAGE = (Path(__file__).parents[2] / "docs" / "study.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def section(heading: str) -> str:
    """Text below a heading."""
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_every_line_of_the_example_gives_what_its_comment_says() -> None:
    """The example runs, and each expression has the value written behind it."""
    scope: dict[str, Any] = {}
    said = {
        i: line.split("  # ", 1)[1] for i, line in enumerate(CODE.splitlines(), 1) if "  # " in line
    }
    for node in ast.parse(CODE).body:
        if isinstance(node, ast.Expr):
            value = eval(compile(ast.Expression(node.value), "study.md", "eval"), scope)  # noqa: S307 - our own page
            expected = ast.literal_eval(said.pop(node.lineno))
            assert (bool(value) if isinstance(expected, bool) else value) == expected
        else:
            exec(compile(ast.Module([node], []), "study.md", "exec"), scope)  # noqa: S102 - our own page
    assert not said


def test_every_metric_is_listed_with_its_unit(tmp_path: Path) -> None:
    """The table of metrics is the evidence: names and units, nothing more and nothing less."""
    listed = {
        (name, row.split("|")[2].strip())
        for row in section("Evidence").splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    params = small("feature_study", tmp_path, **{"data.days": 16})
    names = ("bias", "vol1m_log", "realised_vol_60m")
    params = replace(params, features=replace(params.features, names=names))
    result = feature_study.measure(feature_study.load(params))
    record = feature_study.record(result, params, ManualClock())[1]
    assert listed == {(m.name, m.unit) for m in record.metrics if m.name != "base_rate"}


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (CLIP_EXPECTED, lambda x: f"{100 * x:g} % is expected"),
        (CLIP_ALARM, lambda x: f"{100 * x:g} % is the alarm"),
        (unit_root_tests.MAX_ROWS, lambda x: f"last {x:,} rows"),
        (unit_root_tests.BREAK_POINTS, lambda x: f"averaged to {x:,} points"),
        (unit_root_tests.LEAST_ROWS, lambda x: f"fewer than {x} values"),
    ],
)
def test_numbers_are_those_of_the_code(number: float, told: Callable[[float], str]) -> None:
    """Constants named on the page are the constants used."""
    assert told(number) in PAGE
