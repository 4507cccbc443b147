"""Reading a registry on disk: a link, then the directory it names."""

from __future__ import annotations

from pathlib import Path

from mlwb.core import fsops
from mlwb.core.chain import Problem
from mlwb.core.errors import ArtifactError, ArtifactNotFoundError, EvidenceError, SignatureError
from mlwb.registry._channels import pointed
from mlwb.registry._doctor import examine
from mlwb.registry._journal import Journal
from mlwb.registry._reader import Reader
from mlwb.registry._state import State
from mlwb.registry._version import check_file, check_signature, verify_version, version_names

__all__ = ["LocalReader"]


class LocalReader(Reader):
    """What can be asked of the model versions in a directory.

    Parameters
    ----------
    journal : Journal
        Of that directory.
    """

    def __init__(self, journal: Journal) -> None:
        self.models_dir, self._journal = journal.models_dir, journal

    def state(self) -> State:
        """The fold of the log."""
        return self._journal.state()

    def pointed(self, channel: str) -> str | None:
        """The version a channel points at now, None for none."""
        return pointed(self.models_dir, channel)

    def is_audited(self, channel: str = "latest") -> bool:
        """Whether a channel points where the log says, or where a change in progress will.

        False for a log that cannot be read. Looks at the log only: for a server, on every flip.
        """
        try:
            found, state = self.pointed(channel), self.state()
        except (ArtifactError, EvidenceError):
            return False
        announced = state.intent["version"] if state.intent else state.latest
        return found == getattr(state, channel) or (channel == "latest" and found == announced)

    def versions(self) -> tuple[str, ...]:
        """All published versions, by name."""
        return version_names(self.models_dir)

    def resolve(self, name: str) -> Path:
        """Directory of a version or channel; a channel is read once."""
        path = self.models_dir / self._named(name)
        if path.is_symlink() or not path.is_dir():
            known = ", ".join(self.versions()) or "one that is published, and none is"
            raise ArtifactNotFoundError(f"no model version {path.name}", expected=known)
        return path

    def read(self, name: str, file: str) -> bytes:
        """One file of a version or channel, hashed against its manifest.

        Raises
        ------
        ArtifactNotFoundError
            No such version, or the manifest names no such file.
        DigestMismatchError
            It is not what the manifest says.
        """
        info = self.show(name)
        data = fsops.read_bytes(info.path / file) if file in info.files else None
        return check_file(info, file, data)

    def verify(self, name: str) -> tuple[Problem, ...]:
        """Hash every file of a version again and compare with manifest and log.

        Returns
        -------
        tuple of Problem
            Empty when every byte is as registered.

        Raises
        ------
        ArtifactError
            As :meth:`show`.
        """
        path, registered = self.resolve(name), self.state().registered
        problems = verify_version(path, sha256=registered.get(path.name, ""))
        try:
            check_signature(path, self._journal.signer)
        except SignatureError as error:
            problems = (*problems, Problem("unsigned", path.name, error.what))
        if path.name in registered:
            return problems
        what = "the log does not say that it was registered"
        return (*problems, Problem("unlisted", path.name, what))

    def doctor(self) -> tuple[Problem, ...]:
        """Everything that is not in order: log, channels, versions. Looks and changes nothing.

        Returns
        -------
        tuple of Problem
            Empty for a healthy registry.
        """
        return examine(self._journal)

    def signed_by(self, name: str) -> str:
        """Id of the pinned key that signed a version or channel; empty where none is pinned.

        Raises
        ------
        SignatureError
            A key is pinned, and the signature is missing or not by it.
        """
        return check_signature(self.resolve(name), self._journal.signer)
