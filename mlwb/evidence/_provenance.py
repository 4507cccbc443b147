"""What code and which environment are about to measure."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from mlwb import __version__
from mlwb.core.canonical import digest_file
from mlwb.evidence._record import Code, Environment

__all__ = ["code_state", "environment_state"]

_PATIENCE_S = 10


def code_state(project: Path) -> Code:
    """Commit and cleanliness of a checkout; unknown (None) where git or the checkout is absent.

    Parameters
    ----------
    project : Path
        The checkout. A repository further up that merely contains it does not count.
    """
    top = _git(project, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != project.resolve():
        return Code(package_version=__version__)
    changes = _git(project, "status", "--porcelain", "--untracked-files=no")
    return Code(
        commit=_git(project, "rev-parse", "HEAD") or "",
        dirty=None if changes is None else bool(changes),
        package_version=__version__,
    )


def environment_state(lock: Path, *, kernel_prefix: str = "") -> Environment:
    """Interpreter, machine and lock file of this process.

    Parameters
    ----------
    lock : Path
        ``requirements.lock``; an absent one leaves the digest empty.
    kernel_prefix : str, default=""
        Name of the kernel's environment, never its absolute path.
    """
    return Environment(
        lock_digest=digest_file(lock) if lock.is_file() else "",
        python=".".join(str(part) for part in sys.version_info[:3]),
        platform=f"{platform.system()}-{platform.machine()}".lower(),
        kernel_prefix=kernel_prefix,
    )


def _git(project: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", "-C", str(project), *arguments],  # noqa: S607 - the user's git, by name
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
