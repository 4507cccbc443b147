"""The names that move: one relative link each, read once, never followed outside."""

from __future__ import annotations

from pathlib import Path

from mlwb.core import fsops
from mlwb.core.errors import ArtifactError, ParamsError
from mlwb.core.ids import check_version

__all__ = ["CHANNELS", "point", "pointed", "points_at"]

CHANNELS = ("latest", "candidate", "previous")
"""Names that stand for a version."""


def pointed(models_dir: Path, channel: str) -> str | None:
    """The version a channel points at, None when there is no such link.

    Raises
    ------
    ArtifactError
        It is no link, or names anything but a version directory beside it.
    """
    try:
        text = fsops.read_link(models_dir / channel)
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"{channel!r} is no link",
            got=str(error),
            todo="move what stands there away, then: mlwb registry recover",
        ) from error
    if text is None:
        return None
    try:
        return check_version(text.rstrip("/"))
    except ParamsError as error:
        raise ArtifactError(
            f"{channel!r} points outside the registry",
            expected="the name of a version beside it",
            got=repr(text[:80]),
            todo="roll back to a known version",
        ) from error


def points_at(models_dir: Path, channel: str, version: str | None) -> bool:
    """Whether a channel points at exactly this version (None: at nothing)."""
    try:
        return pointed(models_dir, channel) == version
    except ArtifactError:
        return False


def point(models_dir: Path, channel: str, version: str | None) -> None:
    """Point a channel at a version in one step, or remove it; nothing happens when it is so."""
    if points_at(models_dir, channel, version):
        return
    if version is None:
        fsops.remove_file(models_dir / channel)
    else:
        fsops.replace_link(models_dir / channel, version)
