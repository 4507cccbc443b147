"""What is not in order in a registry; looks and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mlwb.core.chain import Problem
from mlwb.core.errors import ArtifactError, SignatureError
from mlwb.core.leftovers import leftovers
from mlwb.registry._channels import CHANNELS, pointed
from mlwb.registry._checks import MIRROR
from mlwb.registry._journal import Journal
from mlwb.registry._state import State
from mlwb.registry._version import check_signature, verify_version, version_names

__all__ = ["examine", "stale_staging"]

_STAGING_LIFE = timedelta(hours=1)


def examine(journal: Journal) -> tuple[Problem, ...]:
    """Every problem of log, channels and versions; of the log only when it cannot be read."""
    broken = journal.chain.problems()
    if any(problem.kind != "torn" for problem in broken):
        return broken
    state = journal.state()
    found = [*broken, *_channel_problems(journal, state), *_version_problems(journal, state)]
    if state.intent is not None:
        what = f"{state.intent['action']} of {state.intent['version']} was begun and not ended"
        found.append(Problem("dangling", journal.chain.path.name, what))
    found += journal.signed.problems(state.flipped)
    found += [
        Problem("stale", path.name, "a killed process left it half way")
        for folder in (journal.home, journal.models_dir)
        for path in leftovers(folder, journal.clock.now())
    ]
    found += [
        Problem("stale", f".staging/{name}", "nobody finished it within an hour")
        for name in stale_staging(journal)
    ]
    return tuple(found)


def stale_staging(journal: Journal) -> tuple[str, ...]:
    """Names of staging directories begun more than an hour ago."""
    oldest = (journal.clock.now() - _STAGING_LIFE).strftime("%Y%m%dT%H%M%SZ")
    shelf = journal.models_dir / ".staging"
    names = sorted(path.name for path in shelf.iterdir()) if shelf.is_dir() else []
    return tuple(name for name in names if name < oldest)


def _channel_problems(journal: Journal, state: State) -> Iterator[Problem]:
    wanted = {"latest": state.latest, "candidate": state.candidate, "previous": state.previous}
    for channel in CHANNELS:
        try:
            found = pointed(journal.models_dir, channel)
        except ArtifactError as error:
            yield Problem("unaudited", channel, error.what)
            continue
        if found != wanted[channel]:
            kind = "missing" if found is None else "unaudited"
            what = f"it points at {found}, the log says {wanted[channel]}"
            yield Problem(kind, channel, what)


def _version_problems(journal: Journal, state: State) -> Iterator[Problem]:
    there = set(version_names(journal.models_dir))
    wanted = set(state.registered)
    if (journal.home / MIRROR).exists():  # has what the channels name, and a few more
        wanted &= {state.latest, state.candidate, state.previous}
    for version in sorted(there | wanted):
        if version not in there:
            yield Problem("missing", version, "the log registered it, the directory is gone")
            continue
        if version not in state.registered:
            yield Problem("unlisted", version, "the log does not say that it was registered")
        sha256 = state.registered.get(version, "")
        try:
            yield from verify_version(journal.models_dir / version, sha256=sha256)
            check_signature(journal.models_dir / version, journal.signer)
        except SignatureError as error:
            yield Problem("unsigned", version, error.what)
        except ArtifactError as error:
            yield Problem("incomplete", version, error.what)
