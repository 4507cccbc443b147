"""Strict YAML: what YAML 1.1 silently makes of a value stays what was written, or is refused."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.errors import ParamsError
from mlwb.core.imports import import_source
from mlwb.params import _yaml, parse_yaml, read_yaml

PARAMS = Path(__file__).resolve().parents[2] / "params"

# What PyYAML's safe loader makes of it stands behind each.
TRAPS: list[tuple[str, object]] = [
    ("1e-5", 1e-5),  # the text "1e-5"
    ("1E3", 1000.0),  # the text "1E3"
    ("on", "on"),  # True
    ("off", "off"),  # False
    ("yes", "yes"),  # True
    ("No", "No"),  # False
    ("True", "True"),  # True
    ("NULL", "NULL"),  # None
    ("12:30", "12:30"),  # 750
    ("1:30:20", "1:30:20"),  # 5420
    ("010", "010"),  # 8
    ("0x1F", "0x1F"),  # 31
    ("0b11", "0b11"),  # 3
    ("1_000", "1_000"),  # 1000
    ("1_0.5", "1_0.5"),  # 10.5
    ("2025-05-20", "2025-05-20"),  # a date
    ("2025-05-20T00:00:00Z", "2025-05-20T00:00:00Z"),  # a datetime
    (".inf", ".inf"),  # infinity
    (".nan", ".nan"),  # NaN
    ("123e456", math.inf),  # the text; infinity is refused by every float parameter
    ("=", "="),  # an error
    ("007", "007"),  # 7
]
PLAIN: list[tuple[str, object]] = [
    ("true", True),
    ("false", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("0", 0),
    ("-7", -7),
    ("+7", 7),
    ("1.", 1.0),
    (".5", 0.5),
    ("-0.25", -0.25),
    ("'1'", "1"),
    ('"on"', "on"),
    ("[1, 2.0, x]", [1, 2.0, "x"]),
    ("{b: 1, c: {d: two}}", {"b": 1, "c": {"d": "two"}}),
]


REFUSED: list[tuple[str, str]] = [
    ("a: 1\na: 2", "line 2: the key 'a' stands twice"),
    ("s:\n  a: 1\n  a: 1", "line 3: the key 'a' stands twice"),
    ("a: {b: 1, b: 2}", "the key 'b' stands twice"),
    ("1: 2", "a key is not text"),
    ("true: 2", "a key is not text"),
    ("? [a]\n: 2", "a key is not text"),
    ("- 1", "not a mapping"),
    ("just text", "not a mapping"),
    ("a: 1\n---\nb: 2", "is not YAML"),
    ("a: [1", "is not YAML"),
    ("a: b: c", "is not YAML"),
    ("\ta: 1", "is not YAML"),
    ("a: \x00", "is not YAML"),
    ("a: *unknown", "is not YAML"),
    ("a: &x {b: *x}", "is not YAML"),
    ("a: !!python/object:os.system {}", "tags are not read"),
    ("a: !!timestamp 2020-01-01", "tags are not read"),
    ("a: !!int abc", "tags are not read"),
    ("a: !!bool x", "tags are not read"),
    ("!!set {a}", "tags are not read"),
    ("a: !own x", "tags are not read"),
    ("a: " + "[" * 5_000, "is not YAML"),
    ("a: " + "1" * 5_000, "is not YAML"),
]


@pytest.fixture(scope="module")
def without_libyaml() -> Callable[[str], dict[str, Any]]:
    """What reads where PyYAML was built without its parser in C."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "yaml.cyaml", None)
        module = import_source(str(Path(_yaml.__file__)))
    return cast("Callable[[str], dict[str, Any]]", module.parse_yaml)


@pytest.mark.parametrize(("text", "value"), TRAPS + PLAIN, ids=repr)
def test_values_are_what_they_look_like(text: str, value: object) -> None:
    """Each value has the type a reader would give it."""
    found = parse_yaml(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=lambda item: item[:30])
def test_what_is_ambiguous_or_hostile_is_refused(text: str, said: str) -> None:
    """Repeated keys, odd keys, tags, recursion, bombs: one sentence with the file's name."""
    with pytest.raises(ParamsError, match=r"training\.yml") as caught:
        parse_yaml(text, name="training.yml")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_both_parsers_read_the_same(
    without_libyaml: Callable[[str], dict[str, Any]],
) -> None:
    """PyYAML's parser in Python is the oracle of the one in C: values, and what is refused."""
    for text, value in TRAPS + PLAIN:
        assert without_libyaml(f"a: {text}")["a"] == value
    for text, said in REFUSED:
        with pytest.raises(ParamsError, match=re.escape(said)):
            without_libyaml(text)
    for path in sorted(PARAMS.rglob("*.yml")):
        text = path.read_text(encoding="utf-8")
        assert without_libyaml(text) == parse_yaml(text)


@given(st.text(max_size=60))
def test_any_text_is_a_mapping_or_a_params_error(text: str) -> None:
    """No input ends in another exception."""
    with contextlib.suppress(ParamsError):
        assert isinstance(parse_yaml(text), dict)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_empty_document_is_an_empty_mapping(text: str) -> None:
    """Nothing written, nothing set."""
    assert parse_yaml(text) == {}


def test_file_is_read_with_its_name(tmp_path: Path) -> None:
    """Errors name the file."""
    path = tmp_path / "mine.yml"
    path.write_text("a: [")
    with pytest.raises(ParamsError, match=r"mine\.yml is not YAML"):
        read_yaml(path)


@pytest.mark.parametrize(
    "content", [None, b"a: \xff", "folder"], ids=["missing", "latin", "folder"]
)
def test_file_that_cannot_be_read_is_a_params_error(
    tmp_path: Path, content: bytes | str | None
) -> None:
    """Missing, not UTF-8, a folder."""
    path = tmp_path / "mine.yml"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ParamsError, match=r"mine\.yml"):
        read_yaml(path)
