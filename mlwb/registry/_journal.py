"""How the registry changes: intent, change, commit; each durable before the next begins."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from mlwb.core import fsops
from mlwb.core.chain import Chain
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import LockHeldError, MlwbError, PromotionRefusedError, StorageError
from mlwb.core.leftovers import clear_leftovers
from mlwb.core.signing import Signer
from mlwb.registry._channels import point, points_at
from mlwb.registry._checks import check_own
from mlwb.registry._evidence_heads import audit_head
from mlwb.registry._signed_head import SignedHead
from mlwb.registry._state import State, fold
from mlwb.registry._version import is_intact

__all__ = ["Journal", "locked"]

_PATIENCE_S = 10.0
_RESERVE_BYTES = 262_144

_T = TypeVar("_T")


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Be the only one who changes what stands in a directory.

    Raises
    ------
    LockHeldError
        Somebody else is, for longer than is waited.
    StorageError
        The disk refuses.
    """
    try:
        with _refusals_named():
            fsops.make_dirs(home)
            with FileLock(home / ".registry.lock", timeout=_PATIENCE_S):
                yield
    except Timeout as error:
        raise LockHeldError(
            "somebody else is changing the registry", todo="try again in a moment"
        ) from error


@contextmanager
def _refusals_named() -> Iterator[None]:
    """Say what the disk refused as an error of ours."""
    try:
        yield
    except OSError as error:
        if isinstance(error, (MlwbError, Timeout)):
            raise
        raise StorageError(
            f"the disk refused to change the registry: {error.strerror or error}",
            got=Path(error.filename).name if error.filename else "",
            todo="what was there before still is; put the disk right and try again",
        ) from error


class Journal:
    """``promotions.log`` and the changes it announces.

    Parameters
    ----------
    models_dir : Path
        Versions and channels; log, lock, backups and quarantine stand beside it.
    clock : Clock
        Stamps the lines.
    actor : str
        Who acts.
    signer : Signer
        Keys of this process; may hold none.
    """

    def __init__(self, models_dir: Path, *, clock: Clock, actor: str, signer: Signer) -> None:
        self.models_dir, self.home, self.signer = models_dir, models_dir.parent, signer
        self.chain = Chain(self.home / "promotions.log")
        self.clock, self._actor = clock, actor
        self.signed = SignedHead(self.chain, signer)
        self._reserve = self.home / ".reserve"

    def state(self) -> State:
        """The fold of the log."""
        return fold(self.chain.links())

    def new_staging(self) -> Path:
        """An empty directory inside the registry that no reader looks at."""
        stamp = self.clock.now().strftime("%Y%m%dT%H%M%SZ")
        path = self.models_dir / ".staging" / f"{stamp}-{secrets.token_hex(4)}"
        with _refusals_named():
            fsops.make_dirs(path)
        return path

    @contextmanager
    def changing(self, *, is_signing: bool = False) -> Iterator[State]:
        """Hold the lock, close what a crash left open, and give the state to start from.

        Where a key is pinned the log must hold the line that was signed, except to sign it.
        """
        with locked(self.home):
            check_own(self.home)
            fsops.make_dirs(self.models_dir)
            yield self._repair(is_signing=is_signing)

    def begin(self, action: str, version: str, *, manifest_sha256: str, **more: Any) -> None:
        """Announce a change, and sign the log that says so before the change comes."""
        body = {"decision_sha256": "", "confirmations": [], "reason": "", **more}
        if head := audit_head(self.home):
            body["audit_head"] = head
        self._write(
            "intent", action=action, version=version, manifest_sha256=manifest_sha256, **body
        )
        if self.signer.can_sign:
            self.signed.sign()

    def commit(self, **more: Any) -> State:
        """End a change that happened, and bring the channels in line."""
        self._write("commit", **more)
        return self.project()

    def flip(self, before: State, version: str, load_check: Callable[[Path], None] | None) -> State:
        """Point `latest` at a version whose change was announced; first it must load.

        Loading comes before the flip, so that no reader sees a version that does not load, also
        when loading kills the process.
        """
        try:
            if load_check is not None:
                load_check(self.models_dir / version)
        except BaseException as error:
            self._write("abort", reason=f"the load check failed: {type(error).__name__}")
            if isinstance(error, (MlwbError, OSError)):
                raise PromotionRefusedError(
                    f"{version} does not load, latest is {before.latest} as before: {error}"
                ) from error
            raise
        self._with_room(lambda: fsops.replace_link(self.models_dir / "latest", version))
        return self.commit()

    def keep_reserve(self) -> None:
        """Keep some room for the log, so that a rollback works when the disk is full."""
        if not self._reserve.exists():
            with suppress(OSError):
                fsops.write_new(self._reserve, bytes(_RESERVE_BYTES))

    def project(self) -> State:
        """Bring the channels in line with the log; a `latest` moved by hand is left to doctor."""
        state = self.state()
        point(self.models_dir, "candidate", state.candidate)
        point(self.models_dir, "previous", state.previous)
        if points_at(self.models_dir, "latest", None) or self._points_at_retired(state):
            point(self.models_dir, "latest", state.latest)
        return state

    def _points_at_retired(self, state: State) -> bool:
        return any(points_at(self.models_dir, "latest", version) for version in state.retired)

    def _repair(self, *, is_signing: bool) -> State:
        fsops.drop_torn_tail(self.chain.path)
        clear_leftovers((self.home, self.models_dir), self.clock.now())
        state = self.state()
        if self.signer.is_pinned and state.flipped and not is_signing:
            self.signed.check()
        if state.intent is None:
            return state
        if self._happened(state.intent):
            # seen is not durable: whoever made the change may have died before it was
            fsops.fsync_dir(self.models_dir)
            fsops.fsync_dir(self.home)
            return self.commit(recovered=True)
        self._write("abort", recovered=True, reason="a crash came before the change")
        return self.state()

    def _happened(self, intent: Any) -> bool:
        version = intent["version"]
        final = self.models_dir / version
        if intent["action"] in ("collect", "quarantine"):
            return not final.exists()
        if intent["action"] not in ("register", "restore"):
            return points_at(self.models_dir, "latest", version)
        staging = self.models_dir / ".staging" / intent.get("staging", "")
        if intent["action"] == "restore" and not final.exists() and staging.is_dir():
            fsops.rename_dir(staging, final)
        return is_intact(final, sha256=intent["manifest_sha256"])

    def _write(self, event: str, **body: Any) -> None:
        stamp = {"actor": self._actor, "time": format_utc(self.clock.now())}
        self._with_room(lambda: self.chain.append({"event": event, **stamp, **body}))

    def _with_room(self, change: Callable[[], _T]) -> _T:
        """Do what may be repeated; on a full disk give up the reserve and do it again."""
        try:
            return change()
        except OSError as error:
            if error.errno != errno.ENOSPC or not self._reserve.exists():
                raise
        fsops.remove_file(self._reserve)
        return change()
