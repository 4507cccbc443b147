"""A directory that follows a registry on an object store, for servers to read.

Versions are brought over and verified first, then the lines of the log, then the links move: a
server that follows the directory sees what it would see of a registry of its own. Whatever goes
wrong, what was there stays. The lines already brought over are a memory: a log that was cut or
replaced in the store, or a `latest` put back to what it was, is refused.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.chain import Chain
from mlwb.core.clock import Clock
from mlwb.core.errors import (
    ArtifactError,
    EvidenceSchemaError,
    MlwbError,
    ParamsError,
    StaleStateError,
    StorageError,
)
from mlwb.core.signing import Signer
from mlwb.registry._channels import CHANNELS, point, points_at
from mlwb.registry._checks import MIRROR, check_bytes
from mlwb.registry._journal import locked
from mlwb.registry._remote_channels import Pointer, agrees, read_pointer
from mlwb.registry._remote_copies import registered
from mlwb.registry._remote_files import fetch
from mlwb.registry._remote_log import RemoteLog
from mlwb.registry._state import State
from mlwb.registry._store import ObjectStore
from mlwb.registry._version import check_signature, is_intact, version_names

__all__ = ["Mirror", "Pulled"]

_KEPT = 3


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What a look at the store came to.

    Parameters
    ----------
    latest : str or None
        The version `latest` points at now.
    seq : int
        Lines of the log that were brought over.
    is_news : bool
        Whether anything changed here.
    problems : tuple of str
        Why the candidate, or the version before, could not be brought over.
    """

    latest: str | None
    seq: int
    is_news: bool
    problems: tuple[str, ...] = ()


class Mirror:
    """A models directory kept as a registry on an object store has it.

    Holds what the channels name and the last versions that were `latest`. It cannot be changed
    but by following.

    Parameters
    ----------
    store : ObjectStore
        Of :func:`mlwb.registry.open_store`; is only read, and nothing is listed.
    models_dir : Path
        Versions and links; log and lock stand beside it. Not that of a registry of its own.
    clock : Clock
        Names unfinished work.
    signer : Signer, optional
        Where a key is pinned, what is not signed by it is not brought over.
    """

    def __init__(
        self, store: ObjectStore, models_dir: Path, *, clock: Clock, signer: Signer | None = None
    ) -> None:
        self._store, self._models_dir, self._home = store, models_dir, models_dir.parent
        self._clock, self._signer = clock, signer or Signer()
        self._chain = Chain(self._home / "promotions.log")
        self._log: RemoteLog | None = None
        self._n_kept = 0

    def pull(self) -> Pulled:
        """Bring over what is new: three small reads when nothing is.

        Raises
        ------
        StoreUnavailableError
            The store does not answer.
        ArtifactError
            What the store has is not in order; nothing was moved.
        ParamsError
            The directory holds a registry of its own, or follows another.
        BrokenChainError
            The log there was edited, cut or replaced.
        """
        pointers = {name: read_pointer(self._store, name)[0] for name in reversed(CHANNELS)}
        with locked(self._home):
            try:
                return self._follow(pointers)
            except BaseException:
                self._log = None  # what was read and not brought over is read again
                raise

    def follow(
        self,
        *,
        every_s: float,
        tell: Callable[[Pulled | MlwbError], None],
        is_over: threading.Event,
    ) -> None:
        """Pull again and again; what was there stays while the store is away or not in order.

        Parameters
        ----------
        every_s : float
            Seconds between two looks.
        tell : callable
            Is given what is new: the first outcome, every change, every other trouble.
        is_over : Event
            Ends it, at once.

        Raises
        ------
        ParamsError
            As :meth:`pull`; waiting would not help.
        """
        before = ""
        while not is_over.is_set():
            outcome: Pulled | MlwbError
            try:
                outcome = self.pull()
            except ParamsError:
                raise
            except MlwbError as error:
                outcome = error
            is_news, word = _in_short(outcome)
            if is_news or word != before:
                tell(outcome)
            before = word
            is_over.wait(every_s)

    def _follow(self, pointers: dict[str, Pointer | None]) -> Pulled:
        if not any(pointers.values()) and not (self._home / MIRROR).exists():
            return Pulled(latest=None, seq=0, is_news=False)
        self._claim()
        log, is_fresh = self._log or self._remembered(), self._log is None
        until = max([self._n_kept, *(pointer.seq for pointer in pointers.values() if pointer)])
        if is_fresh or until > self._n_kept:
            log.read_on()
        state = log.state(until) if until else State()
        self._check(pointers, log, state)
        self._log = log
        if self._is_current(state) and until == self._n_kept:
            return Pulled(latest=state.latest, seq=state.seq, is_news=False)
        is_news = until > self._n_kept or not points_at(self._models_dir, "latest", state.latest)
        self._bring(state, state.latest)
        self._keep(log, until)
        point(self._models_dir, "latest", state.latest)
        problems = [
            problem
            for channel, version in (("previous", state.previous), ("candidate", state.candidate))
            if (problem := self._bring_beside(state, channel, version))
        ]
        self._prune(state)
        return Pulled(latest=state.latest, seq=state.seq, is_news=is_news, problems=tuple(problems))

    def _claim(self) -> None:
        """Make the directory a mirror of this store, or see that it is."""
        mark = self._home / MIRROR
        try:
            of = parse_json(fsops.read_bytes(mark))["of"]
        except FileNotFoundError:
            if self._chain.path.exists():
                raise ParamsError(
                    f"{self._home} holds a registry of its own, so it cannot follow another",
                    todo="follow into an empty directory: --into DIR",
                ) from None
            fsops.make_dirs(self._models_dir)
            fsops.write_atomic(mark, canonical_bytes({"of": self._store.name}))
            return
        except (EvidenceSchemaError, KeyError, TypeError) as error:
            raise ArtifactError(f"{MIRROR} cannot be read") from error
        if of != self._store.name:
            raise ParamsError(
                "this directory follows another registry", expected=str(of), got=self._store.name
            )

    def _remembered(self) -> RemoteLog:
        fsops.drop_torn_tail(self._chain.path)
        known = self._chain.links()
        self._n_kept = len(known)
        return RemoteLog(self._store, self._signer, known)

    def _check(self, pointers: dict[str, Pointer | None], log: RemoteLog, state: State) -> None:
        latest = pointers["latest"]
        for channel, pointer in pointers.items():
            if not agrees(pointer, channel, log):
                raise ArtifactError(
                    f"{channel} of {self._store.name} is not where its log says",
                    todo="look there: mlwb registry doctor",
                )
        if (latest.version if latest else None) != state.latest:
            raise StaleStateError(
                f"latest of {self._store.name} is behind what was already followed here",
                expected=str(state.latest),
                got=str(latest.version if latest else None),
                todo="if it stays so, look there: mlwb registry doctor",
            )
        log.check_signed(state.flipped)

    def _is_current(self, state: State) -> bool:
        return all(
            points_at(self._models_dir, channel, getattr(state, channel))
            and (version is None or (self._models_dir / version).is_dir())
            for channel in CHANNELS
            for version in [getattr(state, channel)]
        )

    def _bring(self, state: State, version: str | None) -> None:
        """Have a version here, every byte as registered; it appears in one step."""
        if version is None:
            return
        final, sha256 = self._models_dir / version, registered(state, version)
        if is_intact(final, sha256=sha256):
            return
        token = f"{self._clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        staging = self._models_dir / ".staging" / token
        try:
            fetch(self._store, version, sha256, staging / version)
            check_bytes(state, staging / version)
            check_signature(staging / version, self._signer)
            fsops.seal_tree(staging)
            if final.exists() or final.is_symlink():
                fsops.rename_dir(final, self._home / "quarantine" / f"{version}-{token}")
            fsops.rename_dir(staging / version, final)
        finally:
            fsops.remove_tree(staging)

    def _bring_beside(self, state: State, channel: str, version: str | None) -> str:
        """As :meth:`_bring`, of what `latest` does not wait for; empty, or what went wrong."""
        try:
            self._bring(state, version)
        except StorageError:
            raise
        except ArtifactError as error:
            return f"{channel}: {error}"
        point(self._models_dir, channel, version)
        return ""

    def _keep(self, log: RemoteLog, until: int) -> None:
        """Add the lines up to one to the log here, and the newest signature among them."""
        for link in log.links[self._n_kept : until]:
            fsops.append_line(self._chain.path, link.line)
            self._n_kept = link.seq
            if (envelope := log.envelope(link.seq)) is not None:
                said = {"seq": link.seq, "sha256": link.sha256}
                fsops.write_atomic(
                    self._chain.path.with_suffix(".sig"),
                    canonical_bytes({"head": said, "envelope": envelope}),
                )

    def _prune(self, state: State) -> None:
        kept = {*state.history[-_KEPT:], *(getattr(state, channel) for channel in CHANNELS)}
        for version in version_names(self._models_dir):
            if version not in kept:
                fsops.remove_tree(self._models_dir / version)


def _in_short(outcome: Pulled | MlwbError) -> tuple[bool, str]:
    """Whether something changed, and what is to be said once only."""
    if isinstance(outcome, MlwbError):
        return False, type(outcome).__name__
    return outcome.is_news, "; ".join(outcome.problems) or "in order"
