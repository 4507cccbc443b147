"""What a field of the parameters may hold, as metadata of its dataclass."""

from __future__ import annotations

from dataclasses import Field, field
from typing import Any

__all__ = ["between", "may_be_empty", "one_of", "one_of_or_reference"]


def between(low: float | None = None, high: float | None = None, *, step: int = 0) -> Any:
    """A number in a range; a multiple of ``step`` where that is not 0."""
    found: Field[Any] = field(metadata={"low": low, "high": high, "step": step})
    return found


def one_of(*choices: str) -> Any:
    """One of the words."""
    found: Field[Any] = field(metadata={"choices": choices})
    return found


def one_of_or_reference(*choices: str) -> Any:
    """One of the choices, or where something is that mlwb does not ship: ``module:NAME``."""
    found: Field[Any] = field(metadata={"choices": choices, "reference": True})
    return found


def may_be_empty() -> Any:
    """A text that may be empty."""
    found: Field[Any] = field(metadata={"empty": True})
    return found
