"""Copies of `latest`, taken before it changes, and the way back from them."""

from __future__ import annotations

from pathlib import Path

from mlwb.core import fsops
from mlwb.core.errors import ArtifactError, ArtifactNotFoundError, IncompleteVersionError
from mlwb.registry._journal import Journal
from mlwb.registry._state import State
from mlwb.registry._version import is_intact

__all__ = ["back_up", "restore"]

_KEPT = 3


def back_up(journal: Journal, state: State) -> Path | None:
    """Copy `latest` and the log beside the registry, keeping the last three copies."""
    if state.latest is None:
        return None
    shelf = journal.home / "backups"
    final = shelf / f"{state.seq:08d}-{state.latest}"
    if final.exists():
        return final
    staging = journal.new_staging()
    fsops.copy_tree(journal.models_dir / state.latest, staging / state.latest)
    fsops.write_new(staging / journal.chain.path.name, fsops.read_bytes(journal.chain.path))
    fsops.seal_tree(staging)
    fsops.rename_dir(staging, final)
    for old in sorted(shelf.iterdir())[:-_KEPT]:
        fsops.remove_tree(old)
    return final


def restore(journal: Journal, state: State, version: str) -> None:
    """Put the newest intact copy of a version back; what stood there goes to quarantine."""
    if version not in state.registered:
        raise ArtifactNotFoundError(f"{version} was never registered")
    sha256, final = state.registered[version], journal.models_dir / version
    if is_intact(final, sha256=sha256):
        raise ArtifactError(f"{version} is in order, there is nothing to restore")
    source = _newest_copy(journal.home / "backups", version, sha256)
    staging = journal.new_staging()
    fsops.remove_tree(staging)
    fsops.copy_tree(source, staging)
    fsops.seal_tree(staging)
    journal.begin("restore", version, manifest_sha256=sha256, staging=staging.name)
    if final.exists() or final.is_symlink():
        fsops.rename_dir(final, journal.home / "quarantine" / f"{version}-{staging.name}")
    fsops.rename_dir(staging, final)
    journal.commit()


def _newest_copy(shelf: Path, version: str, sha256: str) -> Path:
    copies = sorted(shelf.glob(f"*-{version}/{version}"), reverse=True)
    for copy in copies:
        if is_intact(copy, sha256=sha256):
            return copy
    if copies:
        raise IncompleteVersionError(f"no backup of {version} is intact")
    raise ArtifactNotFoundError(f"there is no backup of {version}", todo="publish it again")
