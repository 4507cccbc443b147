"""What to run, and the command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlwb.core.home import Home

__all__ = ["Options", "command_line"]


@dataclass(frozen=True)
class Options:
    """What to run.

    Parameters
    ----------
    home : Home
        Where things live.
    profile, policy : str
        Parameter profile (empty for none) and policy file.
    overrides : mapping
        Dotted names to values.
    cold : bool, default=False
        Smoke requests each on a connection of their own.
    version : str, default=""
        A candidate there is already, to be measured again; the next version when empty.
    command : str, default="run"
        What was typed after ``mlwb``, for whoever wants to do it again.
    """

    home: Home
    profile: str = ""
    policy: str = "policy.yml"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    cold: bool = False
    version: str = ""
    command: str = "run"


def command_line(options: Options, *, folders: bool = False) -> str:
    """What to type to run it again; file names with their folders only where asked for."""
    given = dict(options.overrides)
    files = [str(name) for name in given.pop("data.source", ())]
    shown = [("--data", name if folders else Path(name).name) for name in files]
    if "data.profile" in given:
        shown.append(("--source", given.pop("data.profile")))
    shown += [("-p", f"{name}={_typed(value)}") for name, value in given.items()]
    if options.profile:
        shown.append(("--profile", options.profile))
    if options.policy != "policy.yml":
        shown.append(("--policy", options.policy if folders else Path(options.policy).name))
    typed = [f"{option} {shlex.quote(str(value))}" for option, value in shown]
    cold = ["--cold"] if options.cold else []
    return " ".join(["mlwb", options.command, *typed, *cold])


def _typed(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(str(item) for item in value) + "]"
    return str(value)
