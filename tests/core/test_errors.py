"""The error tree: every class travels, has one code, and exits as its drawing says."""

from __future__ import annotations

import ast
import copy
import pickle  # noqa: TID251 - what process pools do with an error
import re
from pathlib import Path

import pytest

from mlwb.core import errors
from mlwb.core.errors import MlwbError, ServeError, UnknownParameterError

BUILTINS = {
    "ParamsError": ValueError,
    "UnknownParameterError": KeyError,
    "DataError": ValueError,
    "DataNotFoundError": FileNotFoundError,
    "ModelError": RuntimeError,
    "ArtifactNotFoundError": FileNotFoundError,
    "LockHeldError": TimeoutError,
    "EvidenceError": ValueError,
    "PromotionRefusedError": PermissionError,
}


def tree(root: type[MlwbError] = MlwbError) -> list[type[MlwbError]]:
    """The class and everything below it."""
    return [root, *(cls for child in root.__subclasses__() for cls in tree(child))]


CLASSES = [cls for cls in tree() if cls.__module__ == errors.__name__]


def drawn() -> dict[str, str]:
    """Class name to exit code as drawn at the top of the module."""
    found, code = {}, ""
    for line in (errors.__doc__ or "").splitlines():
        branch = re.match(r"^\s+[|`]- (\w+)\s+(\d|-)(.*)$", line)
        if branch:
            found[branch[1]] = code = branch[2]
            found |= dict.fromkeys(re.findall(r"\b\w+Error\b", branch[3]), code)
        elif line.strip().startswith("|") and code:
            found |= dict.fromkeys(re.findall(r"\b\w+Error\b", line), code)
    return found


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_error_goes_through_a_process_boundary(cls: type[MlwbError]) -> None:
    """Pickled and copied, the class, the message and every field come back."""
    error = cls("no bars", expected="1 row", got="0 rows", todo="check the path")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert type(again) is cls
        assert str(again) == str(error) == "no bars; expected 1 row, got 0 rows; check the path"
        assert again.__dict__ == error.__dict__
        assert again.args == error.args


def test_serve_error_keeps_its_http_fields() -> None:
    """Status, problem and pointer travel too."""
    error = ServeError("bad", status=422, problem="schema", pointer="/rows/0")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.status, again.problem, again.pointer) == (422, "schema", "/rows/0")


def test_tree_is_the_one_drawn() -> None:
    """Every class stands in the drawing with its exit code, and the drawing holds no other."""
    shown = drawn()
    assert set(shown) == {cls.__name__ for cls in CLASSES} - {"MlwbError"}
    for cls in CLASSES:
        if cls is not MlwbError:
            assert cls.exit_code == int(shown[cls.__name__]), cls.__name__


def test_codes_are_unique_and_follow_the_tree() -> None:
    """Each class has a code of its own; a child's begins with its parent's."""
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    for cls in CLASSES:
        parent = cls.__mro__[1]
        if parent in CLASSES and parent is not MlwbError:
            assert cls.code.startswith(f"{parent.code}.")


def test_every_error_of_the_package_stands_in_the_tree() -> None:
    """No module defines an error below this tree elsewhere, and the tree exports all of it."""
    names = {cls.__name__ for cls in CLASSES}
    package = Path(errors.__file__).parents[1]
    elsewhere = [
        f"{path.name}: {node.name}"
        for path in package.rglob("*.py")
        if path != Path(errors.__file__)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and names & {base.id for base in node.bases if isinstance(base, ast.Name)}
    ]
    assert elsewhere == []
    assert set(errors.__all__) == names


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_error_is_also_the_fitting_builtin(name: str, builtin: type[Exception]) -> None:
    """Callers who know only Python's errors can catch them."""
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "no bars"),
        ({"expected": "1"}, "no bars; expected 1"),
        ({"got": "0"}, "no bars; got 0"),
        ({"todo": "look"}, "no bars; look"),
    ],
)
def test_message_holds_the_parts_there_are(given: dict[str, str], text: str) -> None:
    """No empty clauses; a KeyError shows its message, not its quotes."""
    assert str(MlwbError("no bars", **given)) == text
    assert str(UnknownParameterError("no bars", **given)) == text


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_error_explains_itself(cls: type[MlwbError]) -> None:
    """A docstring of its own that ends a sentence."""
    assert cls.__doc__ is not None
    assert cls.__doc__ is not cls.__mro__[1].__doc__
    assert "." in cls.__doc__
