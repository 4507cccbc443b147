"""The registry: immutable versions, one `latest`, and a log nobody can quietly edit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mlwb.core import fsops
from mlwb.core.chain import Problem
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import (
    StaleStateError,
)
from mlwb.core.ids import check_version
from mlwb.core.signing import Signer
from mlwb.registry._admission import check_decision, cited_decision
from mlwb.registry._backup import back_up, has_copy, restore
from mlwb.registry._channels import points_at
from mlwb.registry._checks import (
    check_bytes,
    check_current,
    check_expected,
    check_new,
    check_reason,
    check_target,
)
from mlwb.registry._doctor import stale_staging
from mlwb.registry._journal import Journal
from mlwb.registry._local_reader import LocalReader
from mlwb.registry._retire import collect, garbage, quarantine
from mlwb.registry._state import State
from mlwb.registry._version import (
    VersionInfo,
    check_signature,
    read_version,
    sign_version,
    write_manifest,
)

__all__ = ["Registry"]


class Registry(LocalReader):
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
    signer : Signer, optional
        With a private key, versions and the log are signed; with a pinned key, what is not
        signed by it is neither promoted nor rolled back to.
    """

    def __init__(
        self, models_dir: Path, *, clock: Clock, actor: str = "local", signer: Signer | None = None
    ) -> None:
        journal = Journal(models_dir, clock=clock, actor=actor, signer=signer or Signer())
        super().__init__(journal)

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
        with self._journal.changing() as state:
            self._check_new(version)
            self._journal.keep_reserve()
            created = format_utc(self._journal.clock.now())
            sha256 = write_manifest(staging, version, created=created)
            if self._journal.signer.can_sign:
                sign_version(staging, self._journal.signer)
            fsops.seal_tree(staging)
            back_up(self._journal, state, staging, version=version, sha256=sha256)
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
        oldest: datetime | None = None,
        evidence_head: str = "",
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
        oldest : datetime, optional
            A decision made before is refused.
        evidence_head : str, default=""
            Digest of the last line of the evidence ledger, for the log.
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
        check_reason(reason)
        with self._journal.changing() as state:
            check_current(state, expect_current, is_there=self._is_at(state.latest))
            if version == state.latest:
                raise StaleStateError(f"{version} is latest already")
            info = self._check_intact(state, version)
            check_decision(state, info, decision, is_bootstrap=bootstrap, oldest=oldest)
            if not has_copy(self._journal, version):
                self._back_up(state, version)
            self._journal.begin(
                "bootstrap" if bootstrap else "promote",
                version,
                manifest_sha256=info.sha256,
                evidence_head=evidence_head,
                reason=reason,
                **cited_decision(decision),
            )
            return self._journal.flip(state, version, load_check)

    def rollback(
        self,
        target: str | None = None,
        *,
        reason: str,
        expect_current: str | None = None,
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
        expect_current : str, optional
            The version the caller believes the log calls `latest`; not asked when absent.
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
        StaleStateError
            `latest` is another version than expected.
        DigestMismatchError
            A byte of the target changed since it was registered.
        LockHeldError
            Somebody else is changing the registry.
        """
        check_reason(reason)
        with self._journal.changing() as state:
            check_expected(state, expect_current or state.latest)
            version = check_target(state, target, is_there=lambda: self._is_at(state.latest))
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
            fsops.fsync_dir(self.models_dir)  # links that stood right may not be durable yet
            for name in stale_staging(self._journal):
                fsops.remove_tree(self.models_dir / ".staging" / name)
        return self.doctor()

    def backup(self) -> Path | None:
        """Copy `latest` and the log to ``backups/``; publishing did so before.

        Returns
        -------
        Path or None
            The copy; None when there is nothing to copy.
        """
        with self._journal.changing() as state:
            return self._back_up(state, state.latest) if state.latest else None

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

    def quarantine(self, version: str, *, reason: str) -> State:
        """Set a damaged version aside that no backup brings back.

        When it is `latest`, that goes to the version before, or is none: a registry whose only
        version is lost can be bootstrapped again.

        Raises
        ------
        ArtifactError
            The version is in order, or not registered.
        """
        check_reason(reason)
        with self._journal.changing() as state:
            quarantine(self._journal, state, check_version(version), reason=reason)
            return self._journal.state()

    def collect(self, cited: Collection[str] = ()) -> tuple[str, ...]:
        """Remove what :meth:`garbage` names; the names stay taken and the log says so."""
        with self._journal.changing() as state:
            gone = garbage(state, cited)
            for version in gone:
                collect(self._journal, state, version)
        return gone

    def sign(self, version: str = "") -> int:
        """Sign the log as it is and, when named, an intact version published without a key.

        Returns
        -------
        int
            Number of the line of the log that was signed.

        Raises
        ------
        SignatureError
            There is no private key.
        DigestMismatchError
            The version is not what was registered.
        """
        with self._journal.changing(is_signing=True) as state:
            if version:
                path = self.resolve(version)
                check_bytes(state, path)
                sign_version(path, self._journal.signer)
            return self._journal.signed.sign()

    def _is_at(self, version: str | None) -> bool:
        return points_at(self.models_dir, "latest", version)

    def _back_up(self, state: State, version: str) -> Path:
        source, sha256 = self.models_dir / version, state.registered[version]
        return back_up(self._journal, state, source, version=version, sha256=sha256)

    def _check_new(self, version: str) -> None:
        check_new(self.state(), self.versions(), check_version(version))

    def _check_intact(self, state: State, version: str) -> VersionInfo:
        path = self.resolve(check_version(version))
        check_bytes(state, path)
        check_signature(path, self._journal.signer)
        return read_version(path)
