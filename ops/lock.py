"""What a server installs, cut out of the one lock: ``python ops/lock.py`` writes the files.

``serving.lock`` is the base install and what builds the package; ``s3.lock`` and ``redis.lock``
are what the extras of these names add to it. Every pin is copied from ``requirements.lock`` with
its hashes, so a server runs the versions that were tested. Who needs whom is read off the
installed packages: run it in the environment of ``make setup``, after the lock or a dependency
changed. A test holds the files to it.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["blocks", "closure", "locks", "main"]

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent
_PLACES = [
    {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system.lower(),
        "platform_system": system,
        "platform_machine": machine,
    }
    for python, system, machine in itertools.product(
        ("3.11", "3.12", "3.13", "3.14"), ("Linux", "Darwin"), ("x86_64", "aarch64")
    )
]
"""Where ``ops/install`` runs; what one of them needs is in the lock of all."""


def closure(wanted: Iterable[str]) -> set[str]:
    """Names of the packages that requirements need, and these again, to the last.

    Parameters
    ----------
    wanted : iterable of str
        Requirements as ``pyproject.toml`` has them.

    Returns
    -------
    set of str
        Canonical names.
    """
    todo = [Requirement(text) for text in wanted]
    asked: set[str] = set()
    found: set[str] = set()
    while todo:
        requirement = todo.pop()
        if str(requirement) in asked or not _is_needed(requirement, {""}):
            continue
        asked.add(str(requirement))
        found.add(canonicalize_name(requirement.name))
        package = _installed(requirement.name)
        inner = [Requirement(text) for text in (package and package.requires) or ()]
        for needed in inner:
            if _is_needed(needed, requirement.extras or {""}):
                needed.marker = None
                todo.append(needed)
    return found


def _is_needed(requirement: Requirement, extras: Iterable[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate({**place, "extra": extra}) for place in _PLACES for extra in extras
    )


def blocks(text: str) -> dict[str, str]:
    """Pins of a lock with their hashes, by canonical name.

    Parameters
    ----------
    text : str
        A hashed requirements file.

    Returns
    -------
    dict of str to str
        Lines of each package, in the order of the file.
    """
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            name = canonicalize_name(line.partition("==")[0])
        if name:
            found[name] = found.get(name, "") + line
    return found


def locks() -> dict[str, str]:
    """The files this script writes.

    Returns
    -------
    dict of str to str
        Text by file name.
    """
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = blocks((_ROOT / "requirements.lock").read_text(encoding="utf-8"))
    base = closure(project["project"]["dependencies"])
    build = closure(project["build-system"]["requires"])
    extras = project["project"]["optional-dependencies"]
    added = {f"{name}.lock": closure(extras[name]) - base for name in ("redis", "s3")}
    wanted = {"serving.lock": base | build, **added}
    _check_installed(set().union(*wanted.values()), pins)
    return {
        file: "".join(text for name, text in pins.items() if name in names)
        for file, names in wanted.items()
    }


def _check_installed(names: Iterable[str], pins: Mapping[str, str]) -> None:
    """What was asked who it needs must be what is pinned."""
    for name in names:
        package = _installed(name)
        if package is not None and f"=={package.version} " not in pins[name]:
            raise SystemExit(f"{name} {package.version} is not of the lock: make setup")


def _installed(name: str) -> metadata.Distribution | None:
    """A package as it is here; None for one that only another Python needs."""
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def main() -> None:
    """Write the files."""
    for file, text in locks().items():
        (_HERE / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
