"""Reading a registry on an object store: one channel object, then what it names, hashed.

Whoever only reads never writes and, but for doctor, never lists.
"""

from __future__ import annotations

from pathlib import Path

from mlwb.core.chain import Problem
from mlwb.core.errors import (
    ArtifactError,
    BrokenChainError,
    EvidenceError,
    SignatureError,
    StorageError,
)
from mlwb.core.signing import Signer
from mlwb.registry._checks import check_bytes
from mlwb.registry._reader import Reader
from mlwb.registry._remote_channels import agrees, read_pointer
from mlwb.registry._remote_copies import Copies, registered
from mlwb.registry._remote_doctor import examine
from mlwb.registry._remote_files import extra_files, read_file
from mlwb.registry._remote_log import RemoteLog
from mlwb.registry._remote_memory import LogMemory
from mlwb.registry._state import State
from mlwb.registry._store import ObjectStore
from mlwb.registry._version import check_signature, read_version, verify_version

__all__ = ["RemoteReader"]


class RemoteReader(Reader):
    """What can be asked of the model versions below one prefix of an object store.

    Parameters
    ----------
    store : ObjectStore
        Of :func:`mlwb.registry.open_store`.
    scratch : Path
        Directory for versions that are looked at; may be removed afterwards.
    signer : Signer
        May pin a key.
    memory : Path, optional
        File that keeps the lines of the log that were read, for the next process.
    """

    def __init__(
        self, store: ObjectStore, scratch: Path, signer: Signer, memory: Path | None = None
    ) -> None:
        self.store, self.signer = store, signer
        self._memory = LogMemory(memory) if memory else None
        self._log = RemoteLog(store, signer, self._memory.links() if self._memory else ())
        self._copies = Copies(store, scratch, signer)

    def state(self) -> State:
        """The fold of the log.

        Raises
        ------
        BrokenChainError
            The log was edited, or is not the one this machine read before.
        """
        state = self._log.read_on()
        if self._memory:
            self._memory.keep(self._log.links)
        return state

    def pointed(self, channel: str) -> str | None:
        """The version a channel stands for, None for none; one request, nothing is listed."""
        pointer, _ = read_pointer(self.store, channel)
        return pointer.version if pointer else None

    def is_audited(self, channel: str = "latest") -> bool:
        """Whether a channel says what the log said, up to the line it names."""
        try:
            pointer, _ = read_pointer(self.store, channel)
            self.state()
        except StorageError:
            raise
        except (ArtifactError, EvidenceError):
            return False
        return agrees(pointer, channel, self._log)

    def versions(self) -> tuple[str, ...]:
        """All published versions, by name, as the log has them."""
        return tuple(sorted(self.state().registered))

    def resolve(self, name: str) -> Path:
        """A copy of a version or channel in the scratch directory, every byte as registered.

        Raises
        ------
        ArtifactNotFoundError
            No such version, or the channel stands for none.
        DigestMismatchError
            What the store holds is not what was registered.
        """
        state, version = self.state(), self._named(name)
        path = self._copies.fetched(state, version)
        check_bytes(state, path)
        return path

    def read(self, name: str, file: str) -> bytes:
        """One file of a version or channel, hashed against manifest and log.

        Raises
        ------
        ArtifactNotFoundError
            No such version, or file.
        DigestMismatchError
            It is not what was registered.
        """
        state, version = self.state(), self._named(name)
        return read_file(self.store, version, registered(state, version), file)

    def verify(self, name: str) -> tuple[Problem, ...]:
        """Read and hash every object of a version again and compare with manifest and log."""
        state, version = self.state(), self._named(name)
        sha256 = registered(state, version)
        with self._copies.looked_at(state, version) as path:
            found = list(verify_version(path, sha256=sha256))
            found += extra_files(self.store, read_version(path), sha256)
            try:
                check_signature(path, self.signer)
            except SignatureError as error:
                found.append(Problem("unsigned", version, error.what))
        return tuple(found)

    def doctor(self) -> tuple[Problem, ...]:
        """Everything that is not in order: log, channels, versions. Looks and changes nothing.

        Reads every object of the registry.
        """
        log = RemoteLog(self.store, self.signer)
        broken = tuple(log.problems())
        if broken:
            return broken
        log.read_on()
        try:
            self.state()
        except BrokenChainError as error:
            return (Problem("rechained", "log", error.what),)
        found = list(examine(self.store, log))
        for version in sorted(log.state().registered):
            try:
                found += self.verify(version)
            except StorageError:
                raise
            except ArtifactError as error:
                found.append(Problem("incomplete", version, error.what))
        return tuple(found)

    def signed_by(self, name: str) -> str:
        """Id of the pinned key that signed a version or channel; empty where none is pinned."""
        return check_signature(self.resolve(name), self.signer) if self.signer.is_pinned else ""
