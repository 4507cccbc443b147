"""The registry on an object store: the same contract, kept by conditional writes alone.

There is no lock. A change is one line of the log, and the line is the change: it is created only
if nobody created that number before, so of several changes one comes first and the others are
checked again behind it. Channels follow the log; whoever comes next finishes what a crash left.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mlwb.core import fsops
from mlwb.core.chain import Problem
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import (
    ArtifactError,
    DigestMismatchError,
    MlwbError,
    PromotionRefusedError,
    SignatureError,
    StaleStateError,
)
from mlwb.core.ids import check_version
from mlwb.core.signing import Signer
from mlwb.registry._admission import check_decision, cited_decision
from mlwb.registry._checks import (
    check_bytes,
    check_current,
    check_expected,
    check_new,
    check_reason,
    check_target,
)
from mlwb.registry._remote_channels import project
from mlwb.registry._remote_copies import registered
from mlwb.registry._remote_doctor import left_over
from mlwb.registry._remote_files import upload
from mlwb.registry._remote_reader import RemoteReader
from mlwb.registry._retire import garbage
from mlwb.registry._state import State
from mlwb.registry._store import ObjectStore, in_parallel, probe
from mlwb.registry._version import (
    VersionInfo,
    check_signature,
    check_staged,
    read_version,
    sign_version,
    verify_version,
    write_manifest,
)

__all__ = ["RemoteRegistry"]


class RemoteRegistry(RemoteReader):
    """The model versions below one prefix of an object store.

    Its methods promise what those of :class:`mlwb.registry.Registry` do, unless they say more.
    Everything raises `StoreUnavailableError` when the store does not answer; what was there
    before still is then, and a change whose answer was lost has happened or not, never half.

    Parameters
    ----------
    store : ObjectStore
        Of :func:`mlwb.registry.open_store`. Before the first change it is probed: a store that
        does not enforce conditional writes is refused.
    scratch : Path
        Directory for versions that are staged or looked at; may be removed afterwards.
    clock : Clock
        Stamps the log.
    actor : str, default="local"
        Who acts, as the log says it.
    signer : Signer, optional
        With a private key, versions and every line of the log are signed; with a pinned key, what
        is not signed by it is neither promoted nor rolled back to.
    memory : Path, optional
        File that keeps the lines of the log that were read: another process of this machine reads
        only what came since, and notices a log that was cut or replaced meanwhile.
    """

    def __init__(
        self,
        store: ObjectStore,
        scratch: Path,
        *,
        clock: Clock,
        actor: str = "local",
        signer: Signer | None = None,
        memory: Path | None = None,
    ) -> None:
        super().__init__(store, scratch, signer or Signer(), memory)
        self._clock, self._actor = clock, actor
        self._is_probed = False

    def stage(self, version: str) -> Path:
        """A new, empty directory to write the files of a version into."""
        check_new(self.state(), (), check_version(version))
        path = self._copies.room(version)
        path.mkdir()
        return path

    def register(self, version: str, staging: Path) -> VersionInfo:
        """Publish a staged directory as a version, for good, and make it the candidate."""
        check_new(self._changing(), (), check_version(version))
        write_manifest(staging, version, created=format_utc(self._clock.now()))
        if self.signer.can_sign:
            sign_version(staging, self.signer)
        info = self.push(staging)
        fsops.remove_tree(staging.parent)
        return info

    def push(self, path: Path) -> VersionInfo:
        """Publish a version that was published elsewhere, byte for byte; it may be repeated.

        Of a version that is registered here already, what is missing or damaged is put right.

        Parameters
        ----------
        path : Path
            Its directory, named as the version.

        Raises
        ------
        DigestMismatchError
            Its files are not what its manifest says.
        ArtifactError
            The name stands for other bytes here.
        SignatureError
            A key is pinned, and the version is not signed by it.
        """
        state, info = self._changing(), _intact(path)
        check_version(info.version)
        check_signature(path, self.signer)
        is_known = state.registered.get(info.version) == info.sha256
        if not is_known:
            check_new(state, (), info.version)
        is_repair = is_known and self._copies.is_damaged(state, info.version)
        upload(self.store, info)

        def holds(now: State) -> None:
            if not is_known:
                check_new(now, (), info.version)

        if is_repair or not is_known:
            action = "restore" if is_repair else "register"
            self._change(action, info.version, holds, manifest_sha256=info.sha256)
        return info

    def restore(self, version: str, path: Path) -> VersionInfo:
        """Bring a damaged version back from a whole copy of it.

        Raises
        ------
        ArtifactError
            The copy is not the version that was registered, or the version is in order.
        """
        state = self.state()
        if _intact(path).sha256 != registered(state, check_version(version)):
            raise DigestMismatchError(f"that copy is not the {version} that was registered")
        if not self._copies.is_damaged(state, version):
            raise ArtifactError(f"{version} is in order, there is nothing to restore")
        return self.push(path)

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

        Every byte of the candidate is read from the store, hashed and loaded before the change.

        Parameters
        ----------
        version, decision, expect_current, reason, bootstrap, oldest, evidence_head, load_check
            As of :meth:`mlwb.registry.Registry.promote`, and so are the errors.

        Returns
        -------
        State
            After the promotion.
        """
        check_reason(reason)
        state = self._changing()
        check_current(state, expect_current, is_there=self.is_audited())
        if version == state.latest:
            raise StaleStateError(f"{version} is latest already")

        def holds(now: State) -> None:
            check_expected(now, expect_current)
            _check_registered(now, info)
            check_decision(now, info, decision, is_bootstrap=bootstrap, oldest=oldest)

        with self._copies.intact(state, version) as info:
            holds(state)
            self._load(state, info, load_check)
        return self._change(
            "bootstrap" if bootstrap else "promote",
            version,
            holds,
            manifest_sha256=info.sha256,
            evidence_head=evidence_head,
            reason=reason,
            **cited_decision(decision),
        )

    def rollback(
        self,
        target: str | None = None,
        *,
        reason: str,
        expect_current: str | None = None,
        load_check: Callable[[Path], None] | None = None,
    ) -> State:
        """Point `latest` back at a version it pointed at before; no gate but integrity.

        Parameters
        ----------
        target, reason, expect_current, load_check
            As of :meth:`mlwb.registry.Registry.rollback`, and so are the errors.

        Returns
        -------
        State
            After the rollback.
        """
        check_reason(reason)
        state = self._changing()
        check_expected(state, expect_current or state.latest)
        version = check_target(state, target, is_there=self.is_audited)

        def holds(now: State) -> None:
            check_expected(now, state.latest)
            _check_registered(now, info)

        with self._copies.intact(state, version) as info:
            self._load(state, info, load_check)
        return self._change("rollback", version, holds, manifest_sha256=info.sha256, reason=reason)

    def recover(self) -> tuple[Problem, ...]:
        """Close what a crash left open; safe to repeat.

        Returns
        -------
        tuple of Problem
            What is still wrong, as :meth:`doctor`.
        """
        self._changing()
        for key in left_over(self.store, self._log):
            self.store.delete(key)
        return self.doctor()

    def quarantine(self, version: str, *, reason: str) -> State:
        """Give up a damaged version; `latest` goes to the version before, or is none."""
        check_reason(reason)
        state = self._changing()
        sha256 = registered(state, check_version(version))
        if not self._copies.is_damaged(state, version):
            raise ArtifactError(f"{version} is in order, there is nothing to set aside")

        def holds(now: State) -> None:
            registered(now, version)

        return self._change("quarantine", version, holds, manifest_sha256=sha256, reason=reason)

    def collect(self, cited: Collection[str] = ()) -> tuple[str, ...]:
        """Remove what :meth:`garbage` names; the names stay taken and the log says so."""
        state = self._changing()
        gone = garbage(state, cited)
        for version in gone:

            def holds(now: State, version: str = version) -> None:
                if version not in garbage(now, cited):
                    raise PromotionRefusedError(f"{version} is needed again")

            sha256 = state.registered[version]
            self._change("collect", version, holds, manifest_sha256=sha256, reason="collected")
        in_parallel(self.store, self.store.delete, left_over(self.store, self._log))
        return gone

    def sign(self, version: str = "") -> int:
        """Sign the log as it is and, when named, an intact version published without a key.

        Returns
        -------
        int
            Number of the line of the log that was signed.
        """
        if not self.signer.can_sign:
            raise SignatureError("there is no key to sign with")
        state = self._changing(is_signing=True)
        if version:
            with self._copies.looked_at(state, version) as path:
                check_bytes(state, path)
                sign_version(path, self.signer)
                upload(self.store, read_version(path))
        return self._append("sign", lambda _: None).seq

    def _changing(self, *, is_signing: bool = False) -> State:
        """Probe once, finish what a crash left, and give the state to start from."""
        if not self._is_probed:
            probe(self.store)
            self._is_probed = True
        state = self.state()
        if not is_signing:
            self._log.check_signed(state.flipped)
        project(self._log, self.store)
        return self._log.state()

    def _change(
        self, action: str, version: str, holds: Callable[[State], None], **more: Any
    ) -> State:
        body = {"decision_sha256": "", "confirmations": [], "reason": "", **more}
        state = self._append("change", holds, action=action, version=version, **body)
        project(self._log, self.store, by_force=action == "rollback")
        return state

    def _append(self, event: str, holds: Callable[[State], None], **body: Any) -> State:
        stamp = {"actor": self._actor, "time": format_utc(self._clock.now())}
        said = {"event": event, "op": secrets.token_hex(16), **stamp, **body}
        return self._log.append(said, holds)

    def _load(
        self, state: State, info: VersionInfo, load_check: Callable[[Path], None] | None
    ) -> None:
        try:
            if load_check is not None:
                load_check(info.path)
        except (MlwbError, OSError) as error:
            reason = f"the load check failed: {type(error).__name__}"
            self._append("abort", lambda _: None, version=info.version, reason=reason)
            raise PromotionRefusedError(
                f"{info.version} does not load, latest is {state.latest} as before: {error}"
            ) from error


def _intact(path: Path) -> VersionInfo:
    check_staged(path)
    problems = verify_version(path)
    if problems:
        raise DigestMismatchError(f"{path.name} is not what its manifest says: {problems[0]}")
    return read_version(path)


def _check_registered(now: State, info: VersionInfo) -> None:
    if now.registered.get(info.version) != info.sha256:
        raise StaleStateError(f"{info.version} was retired meanwhile")
