"""The registry: immutable versions, one `latest`, and a log nobody can quietly edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlwb.core import fsops
from mlwb.core.canonical import digest
from mlwb.core.chain import Problem
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    DigestMismatchError,
    ParamsError,
    PromotionRefusedError,
    StaleStateError,
)
from mlwb.core.ids import check_version
from mlwb.registry._admission import check_decision, confirmations
from mlwb.registry._backup import back_up, restore
from mlwb.registry._channels import CHANNELS, pointed, points_at
from mlwb.registry._doctor import examine, stale_staging
from mlwb.registry._journal import Journal
from mlwb.registry._state import State
from mlwb.registry._version import (
    VersionInfo,
    read_version,
    verify_version,
    version_names,
    write_manifest,
)

__all__ = ["Registry"]


class Registry:
    """The model versions of one workbench, ``<home>/artifacts/models``.

    Parameters
    ----------
    models_dir : Path
        Versions and channels. ``promotions.log``, the lock, ``backups/`` and ``quarantine/``
        stand beside it.
    clock : Clock
        Stamps the log.
    actor : str, default="local"
        Who acts, as the log says it.
    """

    def __init__(self, models_dir: Path, *, clock: Clock, actor: str = "local") -> None:
        self.models_dir = models_dir
        self._journal = Journal(models_dir, clock=clock, actor=actor)

    def state(self) -> State:
        """The fold of the log.

        Raises
        ------
        BrokenChainError
            The log was edited.
        """
        return self._journal.state()

    def status(self) -> dict[str, Any]:
        """Channels, versions and length of the log, for people and JSON."""
        channels = {channel: pointed(self.models_dir, channel) for channel in CHANNELS}
        return {**channels, "versions": self.versions(), "seq": self.state().seq}

    def latest(self) -> str | None:
        """The version `latest` points at now, None when there is none."""
        return pointed(self.models_dir, "latest")

    def candidate(self) -> str | None:
        """The version registered last and not promoted yet, None when there is none."""
        return pointed(self.models_dir, "candidate")

    def previous(self) -> str | None:
        """The version a rollback without a target goes back to, None when there is none."""
        return pointed(self.models_dir, "previous")

    def versions(self) -> tuple[str, ...]:
        """All published versions, by name."""
        return version_names(self.models_dir)

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
        version = pointed(self.models_dir, name) if name in CHANNELS else check_version(name)
        if version is None:
            raise ArtifactNotFoundError(f"{name!r} points at no version", todo="promote one first")
        path = self.models_dir / version
        if path.is_symlink() or not path.is_dir():
            known = ", ".join(self.versions()) or "none is published"
            raise ArtifactNotFoundError(f"no model version {version}", expected=known)
        return path

    def show(self, name: str) -> VersionInfo:
        """Manifest of a version or channel.

        Raises
        ------
        ArtifactError
            As :meth:`resolve`, or the manifest cannot be read.
        """
        return read_version(self.resolve(name))

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
        if path.name in registered:
            return problems
        what = "the log does not say that it was registered"
        return (*problems, Problem("unlisted", path.name, what))

    def stage(self, version: str) -> Path:
        """A new, empty directory to write the files of a version into.

        Raises
        ------
        ParamsError
            The name cannot be a version.
        ArtifactError
            The version is already published.
        """
        self._check_new(version)
        return self._journal.new_staging()

    def register(self, version: str, staging: Path) -> VersionInfo:
        """Publish a staged directory as a version, for good, and make it the candidate.

        Parameters
        ----------
        version : str
            Its name from now on.
        staging : Path
            Of :meth:`stage`; gone afterwards.

        Returns
        -------
        VersionInfo

        Raises
        ------
        ArtifactError
            The version exists, a required file is missing, or the lock is held.
        """
        with self._journal.changing():
            self._check_new(version)
            self._journal.keep_reserve()
            created = format_utc(self._journal.clock.now())
            sha256 = write_manifest(staging, version, created=created)
            fsops.seal_tree(staging)
            self._journal.begin("register", version, manifest_sha256=sha256)
            fsops.rename_dir(staging, self.models_dir / version)
            self._journal.commit()
        return self.show(version)

    def promote(
        self,
        version: str,
        *,
        decision: Mapping[str, Any] | None,
        expect_current: str | None,
        reason: str,
        bootstrap: bool = False,
        load_check: Callable[[Path], None] | None = None,
    ) -> State:
        """Point `latest` at a version the gates let through.

        Parameters
        ----------
        version : str
            The candidate.
        decision : mapping or None
            JSON form of a record of kind ``decision`` about exactly these bytes.
        expect_current : str or None
            The version the caller believes to be `latest`; None for an empty registry.
        reason : str
            For the log.
        bootstrap : bool, default=False
            The very first `latest` needs no decision.
        load_check : callable, optional
            Loads the version as the server will, before `latest` moves; raising ends the promotion.

        Returns
        -------
        State
            After the promotion.

        Raises
        ------
        StaleStateError
            `latest` is another version than expected, or this one already.
        DigestMismatchError
            A byte of the candidate changed since it was registered.
        PromotionRefusedError
            The decision says no, is about something else or was used before; or the version
            does not load.
        LockHeldError
            Somebody else is changing the registry.
        """
        _check_reason(reason)
        with self._journal.changing() as state:
            self._check_current(state, expect_current)
            if version == state.latest:
                raise StaleStateError(f"{version} is latest already")
            info = self._check_intact(state, version)
            check_decision(state, info, decision, is_bootstrap=bootstrap)
            back_up(self._journal, state)
            self._journal.begin(
                "bootstrap" if bootstrap else "promote",
                version,
                manifest_sha256=info.sha256,
                decision_sha256=digest(decision) if decision else "",
                confirmations=confirmations(decision),
                reason=reason,
            )
            return self._journal.flip(state, version, load_check)

    def rollback(
        self,
        target: str | None = None,
        *,
        reason: str,
        load_check: Callable[[Path], None] | None = None,
    ) -> State:
        """Point `latest` back at a version it pointed at before; no gate but integrity.

        Rolling back to what the log calls latest puts right a `latest` moved by hand.

        Parameters
        ----------
        target : str, optional
            `previous` when absent.
        reason : str
            For the log; mandatory.
        load_check : callable, optional
            As for :meth:`promote`.

        Returns
        -------
        State
            After the rollback.

        Raises
        ------
        PromotionRefusedError
            The target never was `latest`, is `latest`, or does not load.
        DigestMismatchError
            A byte of the target changed since it was registered.
        LockHeldError
            Somebody else is changing the registry.
        """
        _check_reason(reason)
        with self._journal.changing() as state:
            version = target or state.previous
            if version is None:
                raise PromotionRefusedError("there is no previous version to go back to")
            if version not in state.promoted:
                raise PromotionRefusedError(
                    f"{version} never was latest", todo="promote it, with a decision"
                )
            if version == state.latest and points_at(self.models_dir, "latest", version):
                raise PromotionRefusedError(f"{version} is latest already")
            info = self._check_intact(state, version)
            self._journal.begin("rollback", version, manifest_sha256=info.sha256, reason=reason)
            return self._journal.flip(state, version, load_check)

    def recover(self) -> tuple[Problem, ...]:
        """Close what a crash left open; safe to repeat.

        Returns
        -------
        tuple of Problem
            What is still wrong, as :meth:`doctor`.
        """
        with self._journal.changing():
            self._journal.project()
            for name in stale_staging(self._journal):
                fsops.remove_tree(self.models_dir / ".staging" / name)
        return self.doctor()

    def doctor(self) -> tuple[Problem, ...]:
        """Everything that is not in order: log, channels, versions. Looks and changes nothing.

        Returns
        -------
        tuple of Problem
            Empty for a healthy registry.
        """
        return examine(self._journal)

    def backup(self) -> Path | None:
        """Copy `latest` and the log to ``backups/``, keeping the last three copies.

        Returns
        -------
        Path or None
            The copy; None when there is nothing to copy.
        """
        with self._journal.changing() as state:
            return back_up(self._journal, state)

    def restore(self, version: str) -> VersionInfo:
        """Bring a damaged or removed version back from its newest intact backup.

        Raises
        ------
        ArtifactNotFoundError
            No backup holds it.
        ArtifactError
            No backup holds it intact, or the version is in order.
        """
        check_version(version)
        with self._journal.changing() as state:
            restore(self._journal, state, version)
        return self.show(version)

    def _check_new(self, version: str) -> None:
        check_version(version)
        taken = {*self.versions(), *self.state().registered}
        if version.casefold() in {name.casefold() for name in taken}:
            raise ArtifactError(
                f"{version} is already published", todo="a version never changes; name a new one"
            )

    def _check_current(self, state: State, expected: str | None) -> None:
        if not points_at(self.models_dir, "latest", state.latest):
            raise StaleStateError(
                "latest was moved by hand",
                expected=f"{state.latest}, as the log says",
                todo=f"roll back to {state.latest}",
            )
        if state.latest != expected:
            raise StaleStateError(
                "latest is not what you expect to replace", expected=str(expected),
                got=str(state.latest), todo="look again before you promote",
            )  # fmt: skip

    def _check_intact(self, state: State, version: str) -> VersionInfo:
        path = self.resolve(check_version(version))
        if version not in state.registered:
            raise ArtifactError(f"{version} was never registered", todo="register it")
        problems = verify_version(path, sha256=state.registered[version])
        if problems:
            raise DigestMismatchError(
                f"{version} is not what was registered: {problems[0]}",
                todo=f"restore {version} from a backup",
            )
        return read_version(path)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise ParamsError("a reason is needed", todo="say why, for the log")
