"""How versions go: collected when nothing needs them, or into quarantine when they are damaged."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from mlwb.core import fsops
from mlwb.core.errors import ArtifactError, ArtifactNotFoundError, PromotionRefusedError
from mlwb.registry._journal import Journal
from mlwb.registry._state import State
from mlwb.registry._version import is_intact

__all__ = ["collect", "garbage", "quarantine"]

_KEPT = 3


def garbage(state: State, cited: Collection[str]) -> tuple[str, ...]:
    """Versions that may go: not among the last three, never in production, not cited.

    Parameters
    ----------
    state : State
        Of the log.
    cited : collection of str
        Versions that something outside the registry still needs.
    """
    newest = tuple(state.registered)[-_KEPT:]
    kept = {*newest, *state.promoted, state.candidate, *cited}
    return tuple(version for version in state.registered if version not in kept)


def collect(journal: Journal, state: State, version: str) -> None:
    """Remove a version that may go; its name stays taken."""
    if version not in garbage(state, ()):
        raise PromotionRefusedError(f"{version} is among the last three, or was in production")
    _set_aside(
        journal, state, version, action="collect", where=journal.new_staging(), reason="collected"
    )


def quarantine(journal: Journal, state: State, version: str, *, reason: str) -> None:
    """Set a damaged version aside; `latest` goes back to the version before, or is none."""
    if version not in state.registered:
        raise ArtifactNotFoundError(f"{version} is not registered")
    if is_intact(journal.models_dir / version, sha256=state.registered[version]):
        raise ArtifactError(f"{version} is in order, there is nothing to set aside")
    shelf = journal.home / "quarantine"
    fsops.make_dirs(shelf)
    where = shelf / f"{version}-{journal.new_staging().name}"
    _set_aside(journal, state, version, action="quarantine", where=where, reason=reason)


def _set_aside(
    journal: Journal, state: State, version: str, *, action: str, where: Path, reason: str
) -> None:
    """Announce it, move the directory away in one step, commit; a crash is closed by a repair."""
    final, sha256 = journal.models_dir / version, state.registered[version]
    journal.begin(action, version, manifest_sha256=sha256, reason=reason)
    if final.exists():
        target = where / version if action == "collect" else where
        fsops.rename_dir(final, target)
    journal.commit()
    if action == "collect":
        fsops.remove_tree(where)
