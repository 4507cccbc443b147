"""From a YAML file, a profile and overrides to one frozen dataclass, or one clear sentence."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlwb.core.errors import ParamsError, UnknownParameterError
from mlwb.params._stages import STAGES
from mlwb.params._yaml import parse_yaml, read_yaml

__all__ = ["check_overrides", "load_params", "params_values", "parse_override", "parse_params"]

_REFERENCE = re.compile(r"([A-Za-z_]\w*(\.[A-Za-z_]\w*)*|.+\.py):[A-Za-z_]\w*")
"""``package.module:NAME`` or ``path/to/file.py:NAME``."""
_EXACT = 2**53
"""Whole numbers beyond this are not float64."""


_BY_OPTION = {
    "run.home": "the variable MLWB_HOME",
    "run.policy": "--policy",
    "run.token": "nothing: a run draws it",
    "run.model_version": "nothing: a run takes the next version",
    "data.source": "--data",
}
"""Parameters a run sets itself; an override would be lost."""


def load_params(
    stage: str,
    folder: Path,
    *,
    profile: str = "",
    overrides: Mapping[str, Any] | None = None,
) -> Any:
    """Read, overlay and check the parameters of a stage.

    Parameters
    ----------
    stage : str
        Key of ``STAGES``.
    folder : Path
        The ``params/`` directory.
    profile : str, default=""
        Name of ``params/profiles/<profile>.yml``, laid over the stage file.
    overrides : mapping, optional
        Dotted names to values, ``{"label.kind": "direction"}``. Sections this stage does not
        have are left to the stages that do; see :func:`check_overrides`.

    Returns
    -------
    object
        The stage's frozen dataclass.

    Raises
    ------
    ParamsError
        Unknown key, wrong type, value out of range, missing value, unreadable file.
    """
    values = read_yaml(folder / f"{stage}.yml")
    cls = _stage_class(stage)
    for name, value in {**_profile_values(folder, profile), **(overrides or {})}.items():
        if _has_field(cls, name):
            _put(values, name, value)
    return _build(cls, values, stage)


def parse_params(stage: str, values: Mapping[str, Any]) -> Any:
    """Check the parameters a notebook was given; see :func:`load_params`."""
    return _build(_stage_class(stage), values, stage)


def params_values(params: Any) -> dict[str, Any]:
    """Plain nested mapping of a parameter dataclass, lists for tuples: what a kernel is given."""
    values = dataclasses.asdict(params)
    return {name: _lists(value) for name, value in values.items()}


def check_overrides(names: Iterable[str]) -> None:
    """Refuse a dotted name that no stage has.

    Raises
    ------
    UnknownParameterError
        With the nearest known name.
    ParamsError
        The name is set by an option or by the run itself.
    """
    known = sorted({path for cls in STAGES.values() for path in _paths(cls)})
    for name in names:
        if name in _BY_OPTION:
            raise ParamsError(f"{name} is not set with -p", todo=f"use {_BY_OPTION[name]}")
        if name not in known:
            raise UnknownParameterError(_unknown(name, known))


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``name=value``; the value is read as YAML.

    Raises
    ------
    ParamsError
        There is no ``=``, or the value is not YAML.

    Examples
    --------
    >>> parse_override("label.horizon_s=300")
    ('label.horizon_s', 300)
    """
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise ParamsError("an override is NAME=VALUE", got=repr(text))
    parsed = parse_yaml(f"value: {value}", name=f"-p {name.strip()}")
    if len(parsed) != 1:
        raise ParamsError("an override is one value", got=repr(text))
    return name.strip(), parsed["value"]


def _profile_values(folder: Path, profile: str) -> dict[str, Any]:
    if not profile:
        return {}
    path = folder / "profiles" / f"{profile}.yml"
    if not path.is_file():
        names = sorted(found.stem for found in (folder / "profiles").glob("*.yml"))
        raise ParamsError(
            "no such parameter profile", expected=f"one of {', '.join(names)}", got=repr(profile)
        )
    values = dict(_flatten(read_yaml(path), ""))
    check_overrides(values)
    return values


def _flatten(values: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _stage_class(stage: str) -> type[Any]:
    if stage not in STAGES:
        raise ParamsError("no such stage", expected=", ".join(STAGES), got=repr(stage))
    return STAGES[stage]


def _paths(cls: type[Any], prefix: str = "") -> Iterable[str]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _paths(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def _has_field(cls: type[Any], name: str) -> bool:
    return name in set(_paths(cls))


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    *sections, last = name.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ParamsError(f"{section} is a section", expected="NAME: VALUE lines below it")
    values[last] = value


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
    return f"unknown parameter {name!r}{hint}"


def _build(cls: type[Any], values: Mapping[str, Any], path: str) -> Any:
    if not isinstance(values, Mapping):
        raise ParamsError(f"{path} is a section", expected="NAME: VALUE lines", got=repr(values))
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in fields:
            raise UnknownParameterError(f"{path}: {_unknown(key, list(fields))}")
    missing = [name for name in fields if name not in values]
    if missing:
        raise ParamsError(f"{path}: no value for {', '.join(missing)}")
    return cls(
        **{
            name: _value(hints[name], values[name], field.metadata, path=f"{path}.{name}")
            for name, field in fields.items()
        }
    )


def _value(hint: Any, value: Any, metadata: Mapping[str, Any], *, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast("type[Any]", hint), value, path)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)) or not (value or metadata.get("empty")):
            raise ParamsError(f"{path} is a list of at least one value", got=repr(value))
        inner = typing.get_args(hint)[0]
        items = tuple(_scalar(inner, item, path) for item in value)
        for item in items:
            _check_range(item, metadata, path)
        return items
    found = _scalar(hint, value, path)
    _check_range(found, metadata, path)
    return found


def _scalar(hint: type[Any], value: Any, path: str) -> Any:
    if hint is float and type(value) is int and abs(value) <= _EXACT:
        value = float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        raise ParamsError(f"{path} has the wrong type", expected=hint.__name__, got=repr(value))
    return value


def _check_range(value: Any, metadata: Mapping[str, Any], path: str) -> None:
    choices = metadata.get("choices")
    elsewhere = metadata.get("reference") and _REFERENCE.fullmatch(str(value))
    if choices and value not in choices and not elsewhere:
        named = [*choices, *(["file.py:NAME", "module:NAME"] if "reference" in metadata else [])]
        raise ParamsError(f"{path} is not known", expected=", ".join(named), got=repr(value))
    step = metadata.get("step")
    if step and value % step:
        raise ParamsError(
            f"{path} is off the grid", expected=f"a multiple of {step}", got=repr(value)
        )
    low, high = metadata.get("low"), metadata.get("high")
    if (low is not None and value < low) or (high is not None and value > high):
        sides = f"{'' if low is None else f'>= {low}'} {'' if high is None else f'<= {high}'}"
        raise ParamsError(f"{path} is out of range", expected=sides.strip(), got=repr(value))
