"""One line of `mlwb doctor`."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Finding", "fail", "ok", "warn"]


class Finding(NamedTuple):
    """What was looked at and what was found.

    Parameters
    ----------
    about : str
        A word for what was looked at.
    state : {"ok", "warn", "fail"}
        ``warn`` is something to know of, ``fail`` something that stops work or must not be.
    what : str
        One sentence without a full stop.
    todo : str, default=""
        What to do about it.
    code : int, default=0
        Exit code of a failure, as of the errors of its kind.
    """

    about: str
    state: Literal["ok", "warn", "fail"]
    what: str
    todo: str = ""
    code: int = 0


def ok(about: str, what: str) -> Finding:
    """Nothing to do."""
    return Finding(about, "ok", what)


def warn(about: str, what: str, todo: str = "") -> Finding:
    """Something to know of."""
    return Finding(about, "warn", what, todo)


def fail(about: str, what: str, todo: str = "", *, code: int = 5) -> Finding:
    """Something that has to be put right."""
    return Finding(about, "fail", what, todo, code)
