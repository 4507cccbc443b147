"""A real file system of a few megabytes that needs no privileges, to fill to its last byte."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["SmallDisk", "small_disk"]

_MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && echo ready && exec sleep 600'


class SmallDisk(NamedTuple):
    """A tmpfs in a mount namespace of its own.

    Parameters
    ----------
    inside : Path
        Where processes of the namespace find it.
    outside : Path
        Where everybody else does.
    enter : list of str
        Command that starts another in the namespace.
    """

    inside: Path
    outside: Path
    enter: list[str]

    @property
    def _ballast(self) -> Path:
        return self.outside / "ballast"

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("ab", buffering=0) as handle:
            for size in (65_536, 4_096, 1):
                with contextlib.suppress(OSError):
                    while handle.write(b"x" * size):
                        pass

    def free(self) -> None:
        """Give it all back."""
        self._ballast.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """Mounted until left; the test skips where user namespaces are not allowed."""
    inside = folder / "disk"
    inside.mkdir()
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNT, "sh", size, inside],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            pytest.skip("no file system of a limited size here: user namespaces are not allowed")
        target = f"--target={holder.pid}"
        enter = ["nsenter", target, "--user", "--mount", "--preserve-credentials"]
        yield SmallDisk(inside, Path(f"/proc/{holder.pid}/root{inside}"), enter)
    finally:
        holder.kill()
        holder.communicate()
