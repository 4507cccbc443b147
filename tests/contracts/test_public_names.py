"""Public names: sorted, importable, documented as they are."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "mlwb"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
PLAIN = sorted(
    f"{path.parent.name}.{path.stem}"
    for path in PACKAGE.glob("*/*.py")
    if not path.name.startswith("_")
)
SECTION = re.compile(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", re.DOTALL | re.MULTILINE)
Subject = tuple[str, object]


def module(name: str) -> ModuleType:
    """A module of the package."""
    return importlib.import_module(f"mlwb.{name}")


def exported(name: str) -> list[str]:
    """What a module hands out; empty where it is only a place for modules."""
    return list(getattr(module(name), "__all__", []))


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, each alphabetical: the linter's order."""
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name


def subjects(name: str) -> Iterator[Subject]:
    """Classes and functions a module hands out, and the public methods of its classes."""
    for key in exported(name):
        item = getattr(module(name), key)
        if inspect.isclass(item) or inspect.isfunction(item):
            yield key, item
        if inspect.isclass(item):
            for method, value in vars(item).items():
                if inspect.isfunction(value) and not method.startswith("_"):
                    yield f"{key}.{method}", value


def documented(doc: str) -> list[str] | None:
    """Names in the Parameters section; None without one."""
    section = SECTION.search(doc)
    if section is None:
        return None
    heads = [line for line in section[1].splitlines() if line and not line[0].isspace()]
    return [name.strip().lstrip("*") for head in heads for name in head.split(" : ")[0].split(",")]


def taken(item: object) -> dict[str, inspect.Parameter]:
    """Parameters a caller may give."""
    assert callable(item)
    found = inspect.signature(item).parameters
    return {
        name: parameter
        for name, parameter in found.items()
        if name != "self" and not name.startswith("_")
    }


@pytest.mark.parametrize("name", [*ROOMS, *PLAIN])
def test_names_are_sorted_unique_and_there(name: str) -> None:
    """Every name in `__all__` once, in the linter's order, public and importable."""
    names = exported(name)
    assert names == sorted(set(names), key=order)
    assert not [key for key in names if key.startswith("_") or not hasattr(module(name), key)]


@pytest.mark.parametrize("name", ROOMS)
def test_room_says_what_belongs_in_it(name: str) -> None:
    """Its docstring draws both lines: what belongs here and what does not."""
    doc = module(name).__doc__ or ""
    assert "Belongs here:" in doc
    assert "Does not belong here:" in doc


@pytest.mark.parametrize("name", PLAIN)
def test_plain_module_says_what_it_is(name: str) -> None:
    """A module that is imported by its name has a docstring."""
    assert (module(name).__doc__ or "").strip()


@pytest.mark.parametrize("name", [*ROOMS, *PLAIN])
def test_public_objects_are_documented(name: str) -> None:
    """Each class, function and method has a docstring that begins with a sentence."""
    for key, item in subjects(name):
        first = (inspect.getdoc(item) or "").split("\n\n")[0].rstrip()
        assert first.endswith((".", ":", "::")), f"{name}.{key}: {first!r}"


@pytest.mark.parametrize("name", [*ROOMS, *PLAIN])
def test_documented_parameters_are_the_real_ones(name: str) -> None:
    """A Parameters section names every parameter without a default, and none that is not taken."""
    for key, item in subjects(name):
        names = documented(inspect.getdoc(item) or "")
        if names is None:
            continue
        real = taken(item)
        needed = {
            parameter.name
            for parameter in real.values()
            if parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        }
        assert len(names) == len(set(names)), f"{name}.{key}"
        assert needed <= set(names) <= set(real), f"{name}.{key}: {names} for {list(real)}"


@pytest.mark.parametrize("name", ROOMS)
def test_functions_of_many_parameters_explain_them(name: str) -> None:
    """Beyond three parameters a summary line is not enough."""
    for key, item in subjects(name):
        if inspect.isfunction(item) and len(taken(item)) > 3:
            assert documented(inspect.getdoc(item) or "") is not None, f"{name}.{key}"


def test_parser_of_docstrings_sees_a_stale_one() -> None:
    """The check can fail: a section about other parameters is read as what it is."""
    stale = (
        "Do.\n\nParameters\n----------\nx, y : int\n    Two.\nz : str\n\nReturns\n-------\nint\n"
    )
    assert documented(stale) == ["x", "y", "z"]
    assert documented("Do.") is None
