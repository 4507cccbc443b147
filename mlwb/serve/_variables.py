"""The variables of the environment that tell a server its settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlwb.core.errors import ParamsError
from mlwb.core.signing import PRIVATE_KEY_ENV, PUBLIC_KEY_ENV

__all__ = ["read_variable", "variable"]

_NAMES = {
    "candidate": "CANARY_MODEL_VERSION",
    "killed": "SERVE_KILL",
    "public_keys": PUBLIC_KEY_ENV,
    "signing_key": PRIVATE_KEY_ENV,
}


def variable(setting: str) -> str:
    """The variable of a setting: ``MLWB_`` and its name, but for four.

    Examples
    --------
    >>> variable("body_limit"), variable("killed")
    ('MLWB_BODY_LIMIT', 'SERVE_KILL')
    """
    return _NAMES.get(setting, f"MLWB_{setting.upper()}")


def read_variable(setting: str, text: str, kind: str) -> Any:
    """The value that a variable tells.

    Parameters
    ----------
    setting : str
        Its name.
    text : str
        What the variable holds.
    kind : str
        The annotation of the setting.

    Raises
    ------
    ParamsError
        The text is nothing of that kind.
    """
    read, expected = _READERS[kind]
    try:
        return read(text)
    except (ValueError, KeyError) as error:
        raise ParamsError(
            f"{variable(setting)} cannot be read", expected=expected, got=repr(text[:80])
        ) from error


def _flag(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return known[text.lower()]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _optional_path(text: str) -> Path | None:
    return None if text == "off" else Path(text).expanduser()


_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "Path": (lambda text: Path(text).expanduser(), "a path"),
    "Path | None": (_optional_path, "a path, or off"),
    "str": (str, "text"),
    "int": (int, "a whole number"),
    "float": (_number, "a number"),
    "bool": (_flag, "1 or 0"),
    "tuple[str, ...]": (_words, "words with commas between them"),
}
