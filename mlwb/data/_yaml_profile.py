"""A source profile from a YAML file, for a vendor that mlwb does not know."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pandas as pd

from mlwb.core.errors import ParamsError, UnknownParameterError
from mlwb.data._calendars import CALENDARS
from mlwb.data._clocks import CLOCKS
from mlwb.data._market import VALUE_FIELDS
from mlwb.data._profile import KINDS, SIDE_FIELDS, SourceProfile
from mlwb.data._profiles import PROFILES
from mlwb.data._session import parse_session
from mlwb.params import read_yaml

__all__ = ["read_profile"]

_CHOICES = {
    "kind": KINDS,
    "clock": tuple(CLOCKS),
    "calendar": (*CALENDARS, "session"),
    "stamp": ("open", "close"),
    "time_unit": ("s", "ms", "us", "ns", "magnitude"),
}
_MOST_SCALE = 1e15
"""Beyond it, and below its inverse, no price is left of a number."""
_ONE_SIDED = ("side", "price", "size")
_FIELDS = frozenset(("ts", "received", "spread_points", *_ONE_SIDED, *VALUE_FIELDS, *SIDE_FIELDS))
_OF_QUOTES = frozenset(("received", *_ONE_SIDED))
_QUOTE_FIELDS = _OF_QUOTES | {"ts", "bid", "ask", "bid_size", "ask_size"}
_QUOTED = frozenset(("bid", "ask"))
_BARS = (frozenset(("open", "high", "low", "close")), frozenset(SIDE_FIELDS), _QUOTED)
_QUOTES = (_QUOTED, frozenset(("side", "price")))


def read_profile(path: Path) -> SourceProfile:
    """Read a YAML source profile.

    Parameters
    ----------
    path : Path
        Keys are the fields of :class:`SourceProfile`; ``extends`` names a shipped profile to
        start from; ``columns`` maps canonical fields to source columns; ``session`` holds
        opening hours, see :func:`mlwb.data._session.parse_session`.

    Returns
    -------
    SourceProfile

    Raises
    ------
    ParamsError
        Missing or broken YAML, an unknown key, a value of the wrong type or not among its
        choices, columns that make no bar.
    """
    values = read_yaml(path)
    base = _base(values.pop("extends", None), path.name)
    fields = {item.name for item in dataclasses.fields(SourceProfile)}
    unknown = sorted(set(values) - fields)
    if unknown:
        raise UnknownParameterError(
            f"{path.name}: unknown key {unknown[0]}", expected=", ".join(sorted(fields))
        )
    values.setdefault("name", path.stem)
    hours = _hours(values, path.name)
    for key, value in values.items():
        values[key] = _checked(key, value, path.name)
    profile = dataclasses.replace(base, **values, **hours)
    _check_columns(profile, path.name)
    _check_numbers(profile, path.name)
    _check_times(profile, path.name)
    return profile


def _hours(values: dict[str, Any], file: str) -> dict[str, Any]:
    """The ``session`` mapping, taken out of the values; to give hours is to name the calendar."""
    hours = values.pop("session", None)
    if hours is None and values.get("calendar") != "session":
        return {}
    if not isinstance(hours, dict):
        raise ParamsError(
            f"{file}: the calendar session has no hours",
            expected="session: {zone: ..., opens: ..., closes: ...}",
            got=repr(hours),
        )
    if values.setdefault("calendar", "session") != "session":
        raise ParamsError(
            f"{file}: session hours and another calendar", got=f"calendar {values['calendar']}"
        )
    return {"session": parse_session(hours, file=file)}


def _base(extends: object, file: str) -> SourceProfile:
    if extends is None:
        return SourceProfile(name="", about="YAML profile", columns={})
    if not isinstance(extends, str) or extends not in PROFILES:
        raise ParamsError(
            f"{file}: extends names no profile", expected=", ".join(PROFILES), got=repr(extends)
        )
    return PROFILES[extends]


def _checked(key: str, value: Any, file: str) -> Any:
    default = getattr(SourceProfile(name="", about="", columns={}), key)
    if isinstance(default, tuple) and _is_texts(value):
        return tuple(value)
    if isinstance(default, float) and type(value) in {int, float}:
        return float(value)
    is_columns = key == "columns" and isinstance(value, dict) and _is_texts(list(value.values()))
    if not (is_columns or type(value) is type(default)):
        wanted = {"columns": "field: source column", "float": "a number", "tuple": "a list of text"}
        kind = type(default).__name__
        raise ParamsError(
            f"{file}: {key} has the wrong type",
            expected=wanted.get(key, wanted.get(kind, kind)),
            got=repr(value),
        )
    if key in _CHOICES and value not in _CHOICES[key]:
        raise ParamsError(
            f"{file}: {key} is not known", expected=", ".join(_CHOICES[key]), got=repr(value)
        )
    return value


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _check_columns(profile: SourceProfile, file: str) -> None:
    mapped = set(profile.columns)
    if not mapped <= _FIELDS:
        wrong = min(mapped - _FIELDS)
        raise UnknownParameterError(
            f"{file}: columns names no field {wrong}", expected=", ".join(sorted(_FIELDS))
        )
    shapes = _QUOTES if profile.kind == "quotes" else _BARS
    if "ts" not in mapped or not any(mapped >= shape for shape in shapes):
        wanted = {
            "bars": "ts and open, high, low, close (or bid_open .. ask_close, or bid, ask)",
            "quotes": "ts and bid, ask (or side, price)",
        }
        raise ParamsError(
            f"{file}: columns make no {profile.kind.removesuffix('s')}",
            expected=wanted[profile.kind],
            got=", ".join(sorted(mapped)) or "nothing",
        )
    amiss = sorted(mapped - _QUOTE_FIELDS if profile.kind == "quotes" else mapped & _OF_QUOTES)
    if amiss or (profile.kind == "quotes" and profile.stamp == "close"):
        raise ParamsError(
            f"{file}: {profile.kind} have no {amiss[0] if amiss else 'stamp close'}",
            expected=f"{', '.join(sorted(_OF_QUOTES))} for quotes, prices and volume for bars",
        )


def _check_numbers(profile: SourceProfile, file: str) -> None:
    for key in ("price_scale", "integer_price_scale"):
        scale = getattr(profile, key)
        if not (
            1.0 / _MOST_SCALE <= scale <= _MOST_SCALE
            or (key != "price_scale" and math.isnan(scale))
        ):
            raise ParamsError(
                f"{file}: {key} is no scale",
                expected=f"{1.0 / _MOST_SCALE:g} to {_MOST_SCALE:g}",
                got=str(scale),
            )


def _check_times(profile: SourceProfile, file: str) -> None:
    if profile.date_in_name and profile.time_unit == "magnitude":
        raise ParamsError(
            f"{file}: stamps since midnight have no unit", expected="time_unit: s, ms, us or ns"
        )
    try:
        pd.to_datetime(pd.Series(["2024-01-01"]), format=profile.time_format, errors="coerce")
    except ValueError as error:
        raise ParamsError(
            f"{file}: time_format is none", expected='such as "%d/%m/%Y %H:%M"', got=str(error)
        ) from error
