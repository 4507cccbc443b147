"""What a notebook may be given: known names, plain values, injected exactly as asked."""

from __future__ import annotations

import ast
import difflib
import keyword
import math
from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode

from mlwb.core.errors import ParamsError, UnknownParameterError

__all__ = ["check_parameters", "declared_parameters", "injected_values"]

_DEEPEST = 16


def declared_parameters(node: NotebookNode) -> dict[str, str]:
    """Names assigned in the cell tagged ``parameters``, with the source of their defaults.

    Parameters
    ----------
    node : NotebookNode
        Notebook format 4.

    Returns
    -------
    dict of str to str
        In the order of the cell; empty when there is no such cell.

    Raises
    ------
    ParamsError
        More than one cell carries the tag, or the cell is not plain Python.
    """
    cells = [cell for cell in node.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) > 1:
        raise ParamsError(
            "the notebook declares its parameters twice",
            expected="one cell tagged `parameters`",
            got=f"{len(cells)}",
        )
    return {} if not cells else assignments(cells[0].source)


def assignments(source: str) -> dict[str, str]:
    """Top-level ``name = value`` lines of a cell, as source text."""
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise ParamsError(
            "the `parameters` cell cannot be read",
            expected="plain Python assignments",
            got=f"{error.msg} in line {error.lineno}",
        ) from error
    found: dict[str, str] = {}
    for statement in body:
        found |= _assigned(statement)
    return found


def _assigned(statement: ast.stmt) -> dict[str, str]:
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets: list[ast.expr] = [statement.target]
    elif isinstance(statement, ast.Assign):
        targets = statement.targets
    else:
        return {}
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return {name: ast.unparse(statement.value) for name in names if statement.value is not None}


def check_parameters(node: NotebookNode, parameters: Mapping[str, Any]) -> None:
    """Refuse what the notebook does not declare and what JSON cannot carry.

    Raises
    ------
    UnknownParameterError
        A name the notebook's ``parameters`` cell does not assign.
    ParamsError
        A name that is no identifier; a value that is not plain JSON with finite numbers.
    """
    for name in parameters:
        if not str(name).isidentifier() or keyword.iskeyword(name):
            raise ParamsError(
                "a parameter name cannot be a variable",
                expected="letters, digits and _, no Python keyword",
                got=repr(name)[:80],
            )
    known = declared_parameters(node)
    for name, value in parameters.items():
        if name not in known:
            raise _unknown(name, list(known))
        _check_value(name, value, depth=0)


def _unknown(name: str, known: list[str]) -> UnknownParameterError:
    near = difflib.get_close_matches(name, known, n=1)
    return UnknownParameterError(
        "the notebook has no such parameter",
        expected=", ".join(known) if known else "none: it has no cell tagged `parameters`",
        got=name,
        todo=f"did you mean {near[0]}?" if near else "",
    )


def _check_value(name: str, value: object, *, depth: int) -> None:
    if depth > _DEEPEST:
        raise _not_plain(name, "a value nested too deeply")
    if type(value) is list:
        for item in value:
            _check_value(name, item, depth=depth + 1)
    elif type(value) is dict:
        for key, item in value.items():
            _check_scalar(f"a key of {name}", key, (str,))
            _check_value(f"{name}.{key}", item, depth=depth + 1)
    else:
        _check_scalar(name, value, (str, bool, int, float, type(None)))


def _check_scalar(name: str, value: object, kinds: tuple[type, ...]) -> None:
    if type(value) not in kinds:  # not isinstance: numpy's float64 is a float, and is not plain
        raise _not_plain(name, type(value).__name__)
    if isinstance(value, float) and not math.isfinite(value):
        raise _not_plain(name, repr(value))
    if isinstance(value, str):
        _check_text(name, value)


def _check_text(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _not_plain(name, "half of a character (a lone surrogate)") from error


def _not_plain(name: str, got: str) -> ParamsError:
    return ParamsError(
        f"parameter {name} cannot be handed to a notebook",
        expected="text, finite numbers, true, false, null, lists and mappings of these",
        got=got,
    )


def injected_values(source: str) -> dict[str, Any]:
    r"""Values a cell of literal assignments gives, read back without running it.

    Examples
    --------
    >>> injected_values("# Parameters\nseed = 7\nname = 'EURUSD'\n")
    {'seed': 7, 'name': 'EURUSD'}
    """
    return {name: ast.literal_eval(text) for name, text in assignments(source).items()}
