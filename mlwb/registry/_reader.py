"""What any registry can be asked, wherever its versions stand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mlwb.core.errors import ArtifactNotFoundError
from mlwb.core.ids import check_version
from mlwb.registry._channels import CHANNELS
from mlwb.registry._compare import Difference, compare
from mlwb.registry._retire import garbage
from mlwb.registry._state import State
from mlwb.registry._version import VersionInfo, read_version

__all__ = ["Reader"]


class Reader(ABC):
    """The questions that are answered alike; how log, channels and files are read is not."""

    @abstractmethod
    def state(self) -> State:
        """The fold of the log.

        Raises
        ------
        BrokenChainError
            The log was edited.
        """

    @abstractmethod
    def pointed(self, channel: str) -> str | None:
        """The version a channel stands for now, None for none."""

    @abstractmethod
    def versions(self) -> tuple[str, ...]:
        """All published versions, by name."""

    @abstractmethod
    def resolve(self, name: str) -> Path:
        """Directory of a version or channel; a channel is read once.

        Raises
        ------
        ArtifactNotFoundError
            No such version, or the channel points at nothing.
        ArtifactError
            A channel points outside the registry.
        ParamsError
            The name cannot be a version.
        """

    def status(self) -> dict[str, Any]:
        """Channels, versions and length of the log, for people and JSON."""
        channels = {channel: self.pointed(channel) for channel in CHANNELS}
        return {**channels, "versions": self.versions(), "seq": self.state().seq}

    def latest(self) -> str | None:
        """The version `latest` points at now, None when there is none."""
        return self.pointed("latest")

    def candidate(self) -> str | None:
        """The version registered last and not promoted yet, None when there is none."""
        return self.pointed("candidate")

    def previous(self) -> str | None:
        """The version a rollback without a target goes back to, None when there is none."""
        return self.pointed("previous")

    def show(self, name: str) -> VersionInfo:
        """Manifest of a version or channel.

        Raises
        ------
        ArtifactError
            As :meth:`resolve`, or the manifest cannot be read.
        """
        return read_version(self.resolve(name))

    def garbage(self, cited: Collection[str] = ()) -> tuple[str, ...]:
        """Versions that may go, oldest first: neither new, nor ever `latest`, nor cited.

        Parameters
        ----------
        cited : collection of str
            Versions that something outside the registry still needs, such as a decision.
        """
        return garbage(self.state(), cited)

    def compare(self, before: str, after: str) -> tuple[Difference, ...]:
        """What differs between two versions or channels: training record and files.

        Raises
        ------
        ArtifactError
            As :meth:`show`, or a training record cannot be read.
        """
        return compare(self.show(before), self.show(after))

    def _named(self, name: str) -> str:
        """The version of that name, or that a channel stands for."""
        version = self.pointed(name) if name in CHANNELS else check_version(name)
        if version is None:
            raise ArtifactNotFoundError(f"{name!r} points at no version", todo="promote one first")
        return version
