"""Which registry a command means: the directory of this home, or one on an object store."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

import typer

from mlwb.cli._common import home, registry
from mlwb.core.canonical import digest_bytes
from mlwb.core.clock import SystemClock
from mlwb.core.errors import ParamsError
from mlwb.core.signing import Signer
from mlwb.registry import REMOTE_ENV, ObjectStore, Registry, RemoteRegistry, open_store

__all__ = [
    "AtOption",
    "GroupAtOption",
    "choose",
    "here_too",
    "is_remote",
    "remote_store",
    "selected",
]

_HELP = f"s3://bucket/prefix; `local` for the directory of this home. Also {REMOTE_ENV}."

GroupAtOption = Annotated[
    str, typer.Option("--at", envvar=REMOTE_ENV, show_envvar=False, help=_HELP)
]
"""Before the command, or in the environment."""

AtOption = Annotated[str, typer.Option("--at", help=_HELP)]
"""Behind the command, which goes before both."""

_LOCAL = ("", "local")
_at: ContextVar[str] = ContextVar("_at", default="")
_rooms: ContextVar[ExitStack] = ContextVar("_rooms")


def choose(context: typer.Context, at: str) -> None:
    """Remember what `--at` or the environment named, for the command that follows."""
    _at.set(at)
    _rooms.set(ExitStack())
    context.call_on_close(_rooms.get().close)


def is_remote() -> bool:
    """Whether the command means an object store."""
    return _at.get() not in _LOCAL


def here_too(command: str) -> str:
    """A command of ``mlwb registry`` that is about the same registry as this one."""
    return f"{command} --at {_at.get()}" if command and is_remote() else command


def remote_store(at: str = "") -> ObjectStore:
    """The object store that was named, behind the command or before it.

    Raises
    ------
    ParamsError
        None was.
    """
    _at.set(at or _at.get())
    if not is_remote():
        raise ParamsError(
            "that needs a registry on an object store",
            todo=f"name it: --at s3://bucket/prefix, or {REMOTE_ENV}",
        )
    return open_store(_at.get(), os.environ)


def selected(at: str = "") -> Registry | RemoteRegistry:
    """The registry that was named, behind the command or before it, with this process's keys."""
    _at.set(at or _at.get())
    if not is_remote():
        return registry()
    scratch = _rooms.get().enter_context(tempfile.TemporaryDirectory(prefix="mlwb-registry-"))
    store = remote_store()
    alias = digest_bytes(store.name.encode()).removeprefix("sha256:")[:16]
    return RemoteRegistry(
        store,
        Path(scratch),
        clock=SystemClock(),
        actor=os.environ.get("USER", "local"),
        signer=Signer.from_env(os.environ),
        memory=home().artifacts / "remote" / f"{alias}.log",
    )
