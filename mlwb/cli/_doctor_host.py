"""What `mlwb doctor` asks of the machine: the interpreter, packages, the clock, variables."""

from __future__ import annotations

import platform
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib import metadata
from pathlib import Path

from mlwb import __version__
from mlwb.cli._finding import Finding, ok, warn
from mlwb.cli._variables import strangers
from mlwb.core.host_clock import HostClock, host_clock
from mlwb.params import Policy

__all__ = ["clock", "extras", "packages", "python", "variables"]

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
_NAME = re.compile(r"^[A-Za-z0-9._-]+")
_NEED = re.compile(r"^([A-Za-z0-9._-]+)[^;]*;.*\bextra == ['\"](\w+)['\"]")


def python() -> Iterator[Finding]:
    """What runs this; an older Python would not have come so far."""
    yield ok("python", f"{platform.python_version()}, mlwb {__version__}, {platform.platform()}")


def packages(lock: Path) -> Iterator[Finding]:
    """Installed packages beside the lock; those that are not installed are no concern of it.

    Parameters
    ----------
    lock : Path
        ``requirements.lock``; an installed wheel has none.
    """
    if not lock.is_file():
        yield ok("packages", "there is no lock here to compare with")
        return
    locked: dict[str, set[str]] = defaultdict(set)
    for name, version in _PIN.findall(lock.read_text(encoding="utf-8")):
        locked[name].add(version)
    found = {name: _installed(name) for name in locked}
    others = [
        f"{name} {version} (lock: {' or '.join(sorted(locked[name]))})"
        for name, version in found.items()
        if version and version not in locked[name]
    ]
    if others:
        what = f"{len(others)} differ from {lock.name}: {', '.join(others[:5])}"
        yield warn("packages", what + (", ..." if len(others) > 5 else ""), _INSTALL)
    else:
        yield ok("packages", f"{sum(map(bool, found.values()))} as in {lock.name}")


_INSTALL = ".venv/bin/pip install --require-hashes -r requirements.lock"


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def extras(requirements: list[str]) -> Iterator[Finding]:
    """Optional halves: each whole, or absent; what the base brings anyway is no part of one.

    Parameters
    ----------
    requirements : list of str
        Of the installed package, as its metadata has them.
    """
    wanted: dict[str, list[str]] = defaultdict(list)
    brought = _brought(requirements)
    for line in requirements:
        if (need := _NEED.match(line)) and need[1] not in brought:
            wanted[need[2]].append(need[1])
    whole = []
    for extra, names in wanted.items():
        missing = [name for name in names if not _installed(name)]
        if not missing:
            whole.append(extra)
        elif len(missing) < len(names):
            yield warn(
                "extras", f"{extra} lacks {', '.join(missing)}", f"pip install 'mlwb[{extra}]'"
            )
    yield ok("extras", ", ".join(whole) or "none: the serving half only")


def _brought(requirements: list[str]) -> set[str]:
    """Names of what installed requirements without an extra need themselves."""
    inner: list[str] = []
    for base in _names(requirements):
        if _installed(base):
            inner += metadata.requires(base) or []
    return _names(inner)


def _names(requirements: list[str]) -> set[str]:
    plain = (_NAME.match(line) for line in requirements if not _NEED.match(line))
    return {found[0] for found in plain if found}


def clock(policy: Policy, found: HostClock | None = None) -> Iterator[Finding]:
    """How well this host's clock is kept: a recorder's skew is its host's."""
    found = found or host_clock()
    most = Decimal(policy.limit("validation.clock_offset_ms").value)
    if found is None:
        yield ok("clock", "this system does not say how well it is kept")
    elif not found.is_synchronised:
        what = "follows no time server: what is recorded here has stamps of unknown error"
        yield warn("clock", what, "run chrony or systemd-timesyncd")
    else:
        said = f"{found.offset_ms:+.1f} ms to correct, wrong by at most {found.max_error_ms:.0f} ms"
        is_far = abs(found.offset_ms) >= most
        yield warn("clock", said, "see what the time daemon says") if is_far else ok("clock", said)


def variables(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Names that nothing reads."""
    unread = strangers(environ)
    for name, nearest in unread.items():
        yield warn("variables", f"nothing reads {name}", f"rename it: {nearest}" * bool(nearest))
    if not unread:
        yield ok("variables", "every MLWB_ variable is one that is read")
