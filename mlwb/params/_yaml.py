"""Strict YAML: one key once, true/false only, numbers that look like numbers, no dates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.composer import Composer, ComposerError
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from mlwb.core.errors import ParamsError

__all__ = ["parse_yaml", "read_yaml"]


def _safe_loader() -> type[yaml.SafeLoader]:
    """Events from libyaml, several times faster, composed in Python where tags can be seen."""
    try:
        from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs leave it out
    except ImportError:  # PyYAML was built without libyaml
        return yaml.SafeLoader

    class Loader(Composer, CParser, SafeConstructor, Resolver):
        def __init__(self, stream: str) -> None:
            CParser.__init__(self, stream)
            Composer.__init__(self)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    return cast("type[yaml.SafeLoader]", Loader)


class _StrictLoader(_safe_loader()):  # type: ignore[misc]  # one of two classes
    """A safe loader without tags and the surprises of YAML 1.1 (`on`, `1_000`, `12:30`, `010`)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        if getattr(event, "tag", None) is not None:
            raise ComposerError(None, None, "tags are not read here", event.start_mark)
        found: yaml.Node | None = super().compose_node(parent, index)
        return found


_StrictLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("bool", r"^(?:true|false)$", ["t", "f"]),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    (
        "float",
        r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$",
        list("-+.0123456789"),
    ),
):
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise ParamsError(f"line {line}: a key is not text", got=repr(key))
        if key in found:
            raise ParamsError(f"line {line}: the key {key!r} stands twice")
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse_yaml(text: str, *, name: str = "text") -> dict[str, Any]:
    r"""Parse a YAML mapping strictly.

    Parameters
    ----------
    text : str
        YAML source; the top level is a mapping.
    name : str, default="text"
        What messages call it.

    Returns
    -------
    dict
        Plain values; an empty document is an empty mapping.

    Raises
    ------
    ParamsError
        Broken YAML, a repeated key, or a top level that is not a mapping.

    Examples
    --------
    >>> parse_yaml("a: 1e-5\nb: off\nc: [1, 2]")
    {'a': 1e-05, 'b': 'off', 'c': [1, 2]}
    """
    try:
        value = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a safe loader made stricter
    except ParamsError as error:
        raise ParamsError(f"{name}, {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ParamsError(f"{name} is not YAML: {reason}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ParamsError(f"{name} is not a mapping", got=type(value).__name__)
    return value


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping from a file, strictly; see :func:`parse_yaml`.

    Raises
    ------
    ParamsError
        The file is missing, not UTF-8, or not a strict YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ParamsError(f"no parameter file {path.name}", got=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path.name} cannot be read: {error}") from error
    return parse_yaml(text, name=path.name)
