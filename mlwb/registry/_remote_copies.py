"""Copies of versions from an object store, made to be looked at: fresh ones, since bytes change."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlwb.core import fsops
from mlwb.core.errors import ArtifactNotFoundError, DigestMismatchError, IncompleteVersionError
from mlwb.core.ids import check_version
from mlwb.core.signing import Signer
from mlwb.registry._checks import check_bytes
from mlwb.registry._remote_files import fetch
from mlwb.registry._state import State
from mlwb.registry._store import ObjectStore
from mlwb.registry._version import VersionInfo, check_signature, read_version

__all__ = ["Copies", "registered"]


def registered(state: State, version: str) -> str:
    """Digest of the manifest of a version.

    Raises
    ------
    ArtifactNotFoundError
        The log does not have it.
    """
    if version not in state.registered:
        known = ", ".join(sorted(state.registered)) or "one that is published, and none is"
        raise ArtifactNotFoundError(f"no model version {version}", expected=known)
    return state.registered[version]


class Copies:
    """Rooms in a directory, one a copy.

    Parameters
    ----------
    store : ObjectStore
        Of the registry.
    scratch : Path
        Holds the rooms.
    signer : Signer
        May pin a key.
    """

    def __init__(self, store: ObjectStore, scratch: Path, signer: Signer) -> None:
        self._store, self._scratch, self._signer = store, scratch, signer

    def room(self, version: str) -> Path:
        """Where a directory named as a version may be made."""
        room = self._scratch / secrets.token_hex(8)
        fsops.make_dirs(room)
        return room / version

    def fetched(self, state: State, version: str) -> Path:
        """A copy of what the store holds, not verified; whoever asked removes it."""
        sha256 = registered(state, check_version(version))
        path = self.room(version)
        fetch(self._store, version, sha256, path)
        return path

    @contextmanager
    def looked_at(self, state: State, version: str) -> Iterator[Path]:
        """A copy of what the store holds, not verified, gone afterwards."""
        path = self.fetched(state, version)
        try:
            yield path
        finally:
            fsops.remove_tree(path.parent)

    @contextmanager
    def intact(self, state: State, version: str) -> Iterator[VersionInfo]:
        """A copy whose every byte is as registered, signed where a key is pinned.

        Raises
        ------
        DigestMismatchError
            The store holds other bytes.
        SignatureError
            A key is pinned, and the version is not signed by it.
        """
        with self.looked_at(state, version) as path:
            check_bytes(state, path)
            check_signature(path, self._signer)
            yield read_version(path)

    def is_damaged(self, state: State, version: str) -> bool:
        """Whether the store holds other bytes than those registered, or lacks some."""
        try:
            with self.looked_at(state, version) as path:
                check_bytes(state, path)
        except (DigestMismatchError, IncompleteVersionError):
            return True
        return False
