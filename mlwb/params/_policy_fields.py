"""What may stand in a policy, key by key: a value as it is to be used, or a refusal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mlwb.core.errors import PolicyError

__all__ = [
    "check_complete",
    "check_known",
    "count",
    "decimal",
    "flag",
    "mapping",
    "origins",
    "pick",
    "severity",
    "text",
    "texts",
    "waived",
]

_ORIGINS = ("live", "replay", "simulated")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def check_complete(found: Mapping[str, Any], wanted: tuple[str, ...], what: str) -> None:
    """Everything that is wanted is there, and nothing else."""
    unknown = sorted(set(found) - set(wanted))
    missing = [name for name in wanted if name not in found]
    if unknown:
        raise PolicyError(f"unknown {what}", expected=", ".join(wanted), got=", ".join(unknown))
    if missing:
        raise PolicyError(f"no limits for {what} {', '.join(missing)}", todo="name every one")


def check_known(body: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """No key that nobody knows."""
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise PolicyError(
            f"unknown key in {where}", expected=", ".join(sorted(known)), got=", ".join(unknown)
        )


def pick(body: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Those of the keys that are there."""
    return {key: body[key] for key in keys if key in body}


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """A value that holds others."""
    if not isinstance(value, Mapping):
        raise PolicyError(f"{where} is not a mapping", got=type(value).__name__)
    return value


def text(body: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    """Text that says something; the default where there is one and no text."""
    value = body.get(key, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise PolicyError(f"{where} needs text for {key!r}", got=repr(value))
    return value


def texts(value: object, where: str) -> tuple[str, ...]:
    """A list of text."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise PolicyError(f"{where} is not a list of text", got=repr(value))
    return tuple(value)


def decimal(value: object, where: str) -> str:
    """A number as it is written, so that it is compared as it is written."""
    if not isinstance(value, str) or _DECIMAL.fullmatch(value) is None:
        raise PolicyError(
            f"{where}.value is not a quoted decimal",
            expected='text such as "0.62"',
            got=repr(value),
            todo="quote it, so that it is compared as it is written",
        )
    return value


def severity(body: Mapping[str, Any], where: str) -> str:
    """``"hard"`` or ``"soft"``."""
    value = body.get("severity", "hard")
    if value not in ("hard", "soft"):
        raise PolicyError(f"{where} has no such severity", expected="hard or soft", got=repr(value))
    return str(value)


def count(value: object, where: str) -> int:
    """A whole number, not below 0."""
    if type(value) is not int or value < 0:
        raise PolicyError(f"{where} is not a whole number >= 0", got=repr(value))
    return value


def flag(body: Mapping[str, Any], key: str, where: str) -> bool:
    """True or false; false where nothing is said."""
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise PolicyError(f"{where}.{key} is not true or false", got=repr(value))
    return value


def origins(value: object, where: str) -> tuple[str, ...]:
    """Origins of evidence, one at least."""
    found = texts(value, f"{where}.origins")
    if not found or not set(found) <= set(_ORIGINS):
        raise PolicyError(
            f"{where} accepts an origin no gate may accept",
            expected="some of " + ", ".join(_ORIGINS),
            got=repr(value),
        )
    return found


def waived(body: Mapping[str, Any], where: str) -> str:
    """Why it does not bind; empty where it does."""
    if not flag(body, "waived_by_policy", where):
        if "reason" in body:
            raise PolicyError(f"{where} gives a reason and waives nothing")
        return ""
    return text(body, "reason", where)
