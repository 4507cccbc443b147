"""How long evidence stays in place, read strictly from ``params/retention.yml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlwb.core.errors import ParamsError
from mlwb.params._yaml import read_yaml

__all__ = ["RETENTION_CLASSES", "Retention", "load_retention"]

RETENTION_CLASSES = ("critical", "daily", "shadow_predictions")
_TOP = {"classes", "forever", "profiles"}


@dataclass(frozen=True)
class Retention:
    """Days in place, by class of evidence.

    Parameters
    ----------
    name : str
        ``"default"``, or the profile.
    days : mapping of str to int
        Class of :data:`RETENTION_CLASSES` to days.
    classes : mapping of str to str
        Kind of evidence to its class, for kinds that are not critical.
    forever : frozenset of str
        Kinds that are never archived.
    """

    name: str
    days: Mapping[str, int]
    classes: Mapping[str, str]
    forever: frozenset[str]

    def days_of(self, kind: str) -> int | None:
        """Days a kind of evidence stays in place; None for ever."""
        if kind in self.forever:
            return None
        return self.days[self.classes.get(kind, "critical")]


def load_retention(path: Path, profile: str = "") -> Retention:
    """Read the retention table.

    Parameters
    ----------
    path : Path
        ``params/retention.yml``.
    profile : str, default=""
        A profile of the file: its days hold for every class.

    Returns
    -------
    Retention

    Raises
    ------
    ParamsError
        A class is missing or unknown, a kind stands in two classes, a number of days is no whole
        number above 0, a source is missing, or there is no such profile.
    """
    content = read_yaml(path)
    if set(content) != _TOP:
        raise ParamsError(f"{path.name} needs {', '.join(sorted(_TOP))}", got=str(sorted(content)))
    classes = content["classes"]
    if not isinstance(classes, Mapping) or set(classes) != set(RETENTION_CLASSES):
        raise ParamsError(f"{path.name}: the classes are {', '.join(RETENTION_CLASSES)}")
    days = {name: _days(classes[name], f"classes.{name}") for name in RETENTION_CLASSES}
    if profile:
        known = content["profiles"]
        if profile not in known:
            raise ParamsError("no such profile", expected=", ".join(known), got=profile)
        days = dict.fromkeys(days, _days(known[profile], f"profiles.{profile}"))
    forever = _kinds(content["forever"], "forever")
    named = {kind: name for name in RETENTION_CLASSES for kind in _kinds(classes[name], name)}
    if len(named) < sum(len(_kinds(classes[name], name)) for name in RETENTION_CLASSES):
        raise ParamsError(f"{path.name}: a kind stands in two classes")
    if set(forever) & set(named):
        raise ParamsError(f"{path.name}: a kind is kept for ever and in a class")
    return Retention(profile or "default", days, named, frozenset(forever))


def _days(body: Any, where: str) -> int:
    if not isinstance(body, Mapping) or set(body) - {"days", "kinds", "source"}:
        raise ParamsError(f"{where} holds days, kinds and source", got=repr(body))
    days, source = body.get("days"), body.get("source")
    if type(days) is not int or days < 1:
        raise ParamsError(f"{where}.days is no whole number above 0", got=repr(days))
    if not isinstance(source, str) or not source.strip():
        raise ParamsError(f"{where} names no source")
    return days


def _kinds(body: Any, where: str) -> list[str]:
    kinds = body.get("kinds") if isinstance(body, Mapping) else None
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise ParamsError(f"{where}.kinds is not a list of text", got=repr(kinds))
    return kinds
