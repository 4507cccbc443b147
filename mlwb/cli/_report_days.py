"""A day on a command line."""

from __future__ import annotations

from datetime import date

from mlwb.core.errors import ParamsError

__all__ = ["parse_day"]


def parse_day(text: str) -> date:
    """A UTC date.

    Raises
    ------
    ParamsError
        It is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ParamsError("--date is no UTC date", expected="2026-01-31", got=text) from error
