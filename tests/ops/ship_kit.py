"""What `ops/` says is run: the image, the compose file, units and cron lines, as values."""

from __future__ import annotations

import json
import re
import shlex
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import typer
import yaml

from mlwb.cli._app import app
from mlwb.cli._lazy import LazyGroup
from tests.ops.prometheus_kit import OPS

__all__ = [
    "COMPOSE",
    "ROOT",
    "Image",
    "command_lines",
    "image",
    "instructions",
    "is_sent",
    "parse",
    "services",
]

ROOT = OPS.parent
COMPOSE: dict[str, Any] = yaml.safe_load((OPS / "compose.yml").read_text(encoding="utf-8"))


class Image(NamedTuple):
    """The last stage of the Dockerfile."""

    environ: dict[str, str]
    start: list[str]
    health: list[str]
    rest: dict[str, list[str]]
    """Arguments of every instruction, by its name."""


def instructions() -> list[tuple[str, str]]:
    """Name and arguments of each instruction of the Dockerfile."""
    text = (OPS / "Dockerfile").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", kept).splitlines()
    return [
        (name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines) if name
    ]


def image() -> Image:
    """What runs in a container, and how."""
    said = instructions()
    last = max(place for place, (name, _) in enumerate(said) if name == "FROM")
    rest: dict[str, list[str]] = {}
    for name, arguments in said[last:]:
        rest.setdefault(name, []).append(arguments)
    pairs = [pair for line in rest["ENV"] for pair in shlex.split(line)]
    environ = dict(pair.split("=", 1) for pair in pairs)
    (entry,), (command,), (health,) = rest["ENTRYPOINT"], rest["CMD"], rest["HEALTHCHECK"]
    start = [*json.loads(entry), *json.loads(command)]
    return Image(environ, start, json.loads(health.partition("CMD ")[2]), rest)


def services() -> dict[str, dict[str, Any]]:
    """Services of the compose file that run this software."""
    return {name: service for name, service in COMPOSE["services"].items() if "build" in service}


def is_sent(path: str) -> bool:
    """Whether ``.dockerignore`` lets a file of the checkout into the build."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    places = [path, *map(str, Path(path).parents)][:-1]
    is_kept = True
    for pattern in (line for line in lines if line and not line.startswith("#")):
        bare = pattern.removeprefix("!").removeprefix("**/")
        depth = None if "**/" in pattern else bare.count("/")
        for place in places:
            name = place.rsplit("/", 1)[-1] if depth is None else place
            if fnmatch(name, bare) and depth in (None, place.count("/")):
                is_kept = pattern.startswith("!")
                break
    return is_kept


def command_lines() -> list[tuple[str, list[str]]]:
    """(where it stands, words behind ``mlwb``) of everything that units, cron and images call."""
    found = [("Dockerfile", image().start[1:])]
    found += [(f"compose.yml {name}", it["command"]) for name, it in services().items()]
    calls = re.compile(r"(?:bin/mlwb|-m mlwb|run --rm [\w-]+) +([a-z][^>;|&#`]*)")
    texts = [*OPS.glob("systemd/*.service"), *OPS.glob("cron/*"), OPS / "compose.yml"]
    for path in (*sorted(texts), ROOT / "docs" / "deploy.md"):
        for line in path.read_text(encoding="utf-8").splitlines():
            found += [(path.name, shlex.split(match[1])) for match in calls.finditer(line)]
    return found


@cache
def _root() -> Any:
    return typer.main.get_command(app)


def parse(words: list[str]) -> None:
    """Read a command line as `mlwb` does, and run nothing.

    Raises
    ------
    Exception
        A command or an option that does not exist, a value that cannot be read.
    """
    command = _root()
    while hasattr(command, "commands"):
        assert words, "a command is missing"
        assert words[0] in command.commands, words
        inner = command.load if isinstance(command, LazyGroup) else command.commands.get
        command, words = inner(words[0]), words[1:]
    command.make_context(command.name, list(words))
