"""Copies of versions, taken when they are published, and the way back from them."""

from __future__ import annotations

from pathlib import Path

from mlwb.core import fsops
from mlwb.core.errors import ArtifactError, ArtifactNotFoundError, IncompleteVersionError
from mlwb.registry._journal import Journal
from mlwb.registry._state import State
from mlwb.registry._version import is_intact

__all__ = ["back_up", "has_copy", "restore"]

_KEPT = 3
_STAMP = len("00000000-")


def back_up(journal: Journal, state: State, source: Path, *, version: str, sha256: str) -> Path:
    """Copy a whole version and the log beside the registry; a copy that is there is kept.

    Kept are the last three copies, and the newest of `latest`, `previous` and the candidate.
    """
    shelf = journal.home / "backups"
    final = shelf / f"{state.seq:08d}-{version}"
    if is_intact(final / version, sha256=sha256):
        return final
    fsops.remove_tree(final)
    staging = journal.new_staging()
    fsops.copy_tree(source, staging / version)
    if journal.chain.path.exists():
        fsops.write_new(staging / journal.chain.path.name, fsops.read_bytes(journal.chain.path))
    fsops.seal_tree(staging)
    fsops.rename_dir(staging, final)
    _prune(shelf, {version, state.latest, state.previous, state.candidate})
    return final


def has_copy(journal: Journal, version: str) -> bool:
    """Whether there is a copy of a version; whether it is intact is seen when it is needed."""
    return any((journal.home / "backups").glob(f"*-{version}/{version}"))


def _prune(shelf: Path, wanted: set[str | None]) -> None:
    copies = sorted(path for path in shelf.iterdir() if path.is_dir())
    newest = {copy.name[_STAMP:]: copy for copy in copies}
    kept = {newest.get(str(version)) for version in wanted} | set(copies[-_KEPT:])
    for copy in copies:
        if copy not in kept:
            fsops.remove_tree(copy)


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
        raise IncompleteVersionError(
            f"no backup of {version} is intact", todo=f"mlwb registry quarantine {version}"
        )
    raise ArtifactNotFoundError(
        f"there is no backup of {version}", todo=f"mlwb registry quarantine {version}"
    )
