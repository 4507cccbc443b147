"""What a notebook may be given."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core.errors import ParamsError, UnknownParameterError
from mlwb.runner import _engine
from mlwb.runner._engine import inject
from mlwb.runner._inject import check_parameters, declared_parameters
from tests.runner.notebook_kit import code, notebook

_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab_\"'\\{\n"), inner),
    max_leaves=6,
)


def _cell_source(parameters: dict[str, Any]) -> str:
    node = inject(notebook(code("value = 0", "parameters")), parameters, "python3")
    (cell,) = [cell for cell in node.cells if "injected-parameters" in cell.metadata.tags]
    return str(cell.source)


@settings(max_examples=150, deadline=None)
@given(value=_PLAIN)
def test_injected_source_gives_back_the_value(value: object) -> None:
    """Any plain value survives the way into a cell; the oracle is Python running that cell."""
    check_parameters(notebook(code("value = 0", "parameters")), {"value": value})
    scope: dict[str, Any] = {}
    exec(compile(_cell_source({"value": value}), "cell", "exec"), scope)  # noqa: S102 - the cell that was written
    assert repr(scope["value"]) == repr(value)


def test_injection_that_alters_a_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A translator that rounds, quotes or drops is caught before anything runs."""

    def careless(node: Any, _: Any, **__: object) -> Any:
        node.cells.append(code("value = 0.3", "injected-parameters"))
        return node

    monkeypatch.setattr(_engine, "parameterize_notebook", careless)
    with pytest.raises(ParamsError, match="cannot be written as Python"):
        _cell_source({"value": 0.1 + 0.2})


def test_declared_parameters_are_the_assigned_names() -> None:
    """Names come from the syntax tree: comments, calls and nested equal signs do not confuse it."""
    cell = code(
        "# note: a = b\nimport os\nseed: int = 7  # x = 1\nlabel = dict(kind='volatility')\n"
        "a, b = 1, 2\nbare: int\n",
        "parameters",
    )
    assert declared_parameters(notebook(code("other = 1"), cell)) == {
        "seed": "7",
        "label": "dict(kind='volatility')",
    }


def test_unknown_name_is_refused_with_the_nearest() -> None:
    """A typo does not run with the default."""
    with pytest.raises(UnknownParameterError, match="did you mean seed"):
        check_parameters(notebook(code("seed = 1", "parameters")), {"sede": 2})


def test_notebook_without_parameters_takes_none() -> None:
    """Parameters are not injected at the top of a notebook that declares none."""
    check_parameters(notebook(code("x = 1")), {})
    with pytest.raises(UnknownParameterError, match="no cell tagged"):
        check_parameters(notebook(code("x = 1")), {"x": 2})


@pytest.mark.parametrize("name", ["a;import os", "x y", "", "class", "1a", "a.b", "x=1\ny"])
def test_name_that_is_no_identifier_is_refused(name: str) -> None:
    """A name becomes source code, so it must be a name and nothing more."""
    with pytest.raises(ParamsError, match="cannot be a variable"):
        check_parameters(notebook(code("seed = 1", "parameters")), {name: 1})


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (float("nan"), "nan"),
        ([1, [float("inf")]], "inf"),
        ((1, 2), "tuple"),
        (Path("x"), "Path"),
        (np.float64(1.5), "float64"),
        (np.int64(1), "int64"),
        ({1: 2}, "int"),
        ({"a": {"b": {1, 2}}}, "set"),
        ("\ud800", "surrogate"),
        (b"x", "bytes"),
    ],
)
def test_value_that_json_cannot_carry_is_refused(value: object, got: str) -> None:
    """Nothing is turned into text, rounded or renamed on its way into a kernel."""
    with pytest.raises(ParamsError, match=got):
        check_parameters(notebook(code("seed = 1", "parameters")), {"seed": value})


def test_value_that_holds_itself_is_refused() -> None:
    """A cycle ends in a message, not in a stack overflow."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ParamsError, match="nested too deeply"):
        check_parameters(notebook(code("seed = 1", "parameters")), {"seed": loop})


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([code("a = 1", "parameters"), code("b = 1", "parameters")], "declares its parameters twi"),
        ([code("%matplotlib inline\na = 1", "parameters")], "cannot be read"),
    ],
)
def test_parameters_cell_that_cannot_be_read_is_refused(cells: list[Any], message: str) -> None:
    """One cell, plain Python; otherwise nobody can say what the parameters are."""
    with pytest.raises(ParamsError, match=message):
        check_parameters(notebook(*cells), {"a": 2})


def test_injected_cell_follows_the_defaults_and_has_a_fixed_id() -> None:
    """The defaults stay readable above the injected values, and no random id enters the file."""
    node = inject(
        notebook(code("value = 0", "parameters"), code("value")), {"value": "é'\"{}"}, "python3"
    )
    assert [cell.id for cell in node.cells][1] == "injected-parameters"
    assert ast.literal_eval(node.cells[1].source.split(" = ")[1]) == "é'\"{}"
    assert node.metadata.papermill.parameters == {"value": "é'\"{}"}
