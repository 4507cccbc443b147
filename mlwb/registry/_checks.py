"""What must hold before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mlwb.core.errors import (
    ArtifactError,
    DigestMismatchError,
    ParamsError,
    PromotionRefusedError,
    StaleStateError,
)
from mlwb.registry._state import State
from mlwb.registry._version import verify_version

__all__ = [
    "MIRROR",
    "check_bytes",
    "check_current",
    "check_expected",
    "check_new",
    "check_own",
    "check_reason",
    "check_target",
    "is_mirror",
]

MIRROR = "mirror.json"
"""Beside the log of a registry that follows another: which one."""


def check_reason(reason: str) -> None:
    """Somebody says why."""
    if not reason.strip():
        raise ParamsError("a reason is needed", todo="say why, for the log")


def is_mirror(models_dir: Path) -> bool:
    """Whether a models directory only follows a registry elsewhere: nothing is changed here.

    Parameters
    ----------
    models_dir : Path
        Versions and channels.
    """
    return (models_dir.parent / MIRROR).exists()


def check_own(home: Path) -> None:
    """A registry is changed here, and does not only follow another."""
    if (home / MIRROR).exists():
        raise PromotionRefusedError(
            f"{home.name} follows a registry elsewhere ({MIRROR} says which)",
            todo="make the change there: mlwb registry --at URL ...",
        )


def check_new(state: State, versions: Iterable[str], version: str) -> None:
    """A name is new, whatever its case, also among versions that are gone."""
    taken = {*versions, *state.registered, *state.retired}
    if version.casefold() in {name.casefold() for name in taken}:
        raise ArtifactError(
            f"{version} is already published", todo="a version never changes; name a new one"
        )


def check_current(state: State, expected: str | None, *, is_there: bool) -> None:
    """`latest` is where the log says and where the caller saw it."""
    if not is_there:
        raise StaleStateError(
            "latest was moved by hand",
            expected=f"{state.latest}, as the log says",
            todo=f"roll back to {state.latest}",
        )
    check_expected(state, expected)


def check_expected(state: State, expected: str | None) -> None:
    """`latest` is, by the log, what the caller saw."""
    if state.latest != expected:
        raise StaleStateError(
            "latest is not what you expect to replace", expected=str(expected),
            got=str(state.latest), todo="look again before you move it",
        )  # fmt: skip


def check_target(state: State, target: str | None, *, is_there: Callable[[], bool]) -> str:
    """The version to go back to: one that was `latest` and is not, by the log or by the channel.

    Parameters
    ----------
    state : State
        Of the log.
    target : str or None
        None for the version before.
    is_there : callable
        Whether the channel `latest` is where the log says; asked only where that decides.
    """
    version = target or state.previous
    if version is None:
        raise PromotionRefusedError("there is no previous version to go back to")
    if version not in state.promoted:
        raise PromotionRefusedError(
            f"{version} never was latest", todo="promote it, with a decision"
        )
    if version == state.latest and is_there():
        raise PromotionRefusedError(f"{version} is latest already")
    return version


def check_bytes(state: State, path: Path) -> None:
    """A version is registered, and every byte of it as it was then."""
    if path.name not in state.registered:
        raise ArtifactError(f"{path.name} was never registered", todo="register it")
    problems = verify_version(path, sha256=state.registered[path.name])
    if problems:
        raise DigestMismatchError(
            f"{path.name} is not what was registered: {problems[0]}",
            todo=f"mlwb registry restore {path.name}",
        )
