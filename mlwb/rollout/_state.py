"""What a rollout leaves on disk, so that another process can look at it, end it or go on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from mlwb.core import fsops
from mlwb.core.errors import EvidenceSchemaError, LockHeldError
from mlwb.core.home import Home
from mlwb.stages.canary_rollout import Mode

__all__ = ["RolloutFiles", "RolloutState"]


class RolloutState(msgspec.Struct, forbid_unknown_fields=True):
    """A rollout under way, or the last one; the requests themselves stand in the server's logs.

    Parameters
    ----------
    base_url : str
        The server.
    mode : {"observe_only", "live"}
        Whether the candidate answers.
    lock : dict of str to str
        Versions and digests it is about.
    phases : list of float
        Shares, percent.
    started, finished : str
        UTC; not finished is empty.
    begun : list of str
        When each phase that was reached began, UTC.
    counted : list of (str, int, int)
        When, and how many errors and fallbacks the server's counters grew by.
    counters : (float, float)
        Their last values.
    confirmation : str
        Run id of a person's yes; empty where nobody was asked.
    is_open : bool
        The server was told to begin and has not confirmed the end.
    aborted : str
        Why it ended early; empty when it did not.
    record : str
        Run id of the evidence.
    observed : int
        Requests of this phase that the candidate answered.
    log_evidence : float
        Against the rollout, natural logarithm.
    holder : str
        By which the server knows whose canary it is; whoever goes on with the rollout has it too.
    runner : str
        The process that leads it, or was the last to.
    renewed : str
        When the server was last told to go on, UTC.
    gaps : list of (str, str)
        From when to when the server took no share because nobody renewed the lease, UTC.
    unscored : dict of str to int
        Requests that the candidate was asked and did not score, in all phases, by why.
    """

    base_url: str
    mode: Mode
    lock: dict[str, str]
    phases: list[float]
    started: str
    begun: list[str]
    finished: str = ""
    counted: list[tuple[str, int, int]] = []
    counters: tuple[float, float] = (0.0, 0.0)
    confirmation: str = ""
    is_open: bool = False
    aborted: str = ""
    record: str = ""
    observed: int = 0
    log_evidence: float = 0.0
    holder: str = ""
    runner: str = ""
    renewed: str = ""
    gaps: list[tuple[str, str]] = []
    unscored: dict[str, int] = {}

    @property
    def phase(self) -> str:
        """Name of the phase it is in, or was."""
        return f"{self.phases[len(self.begun) - 1]:g}%" if self.begun else ""

    @property
    def said_unscored(self) -> str:
        """``"6 by model, 1 by budget"``; empty where the candidate scored whatever it was asked."""
        return ", ".join(f"{n:,} by {why}" for why, n in self.unscored.items())


class RolloutFiles:
    """The state, who holds it, and the wish that it ends.

    Parameters
    ----------
    home : Home
        Whose canary it is.
    """

    def __init__(self, home: Home) -> None:
        folder = home.artifacts / "canary"
        self._state = folder / "rollout.json"
        self._wish = folder / "abort"
        self._held = folder / "rollout.lock"

    def read(self) -> RolloutState | None:
        """The newest rollout, None before the first.

        Raises
        ------
        EvidenceSchemaError
            The file is damaged.
        """
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=RolloutState)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EvidenceSchemaError(
                f"the state of the rollout cannot be read: {error}",
                got=str(self._state),
                todo="end the server's canary by POST /ml/canary, and remove the file",
            ) from error

    def write(self, state: RolloutState) -> None:
        """Keep it, whole or not at all."""
        fsops.make_dirs(self._state.parent)
        fsops.write_atomic(self._state, msgspec.json.encode(state) + b"\n")

    @property
    def wish(self) -> str:
        """Why somebody wants it to end; empty where nobody does."""
        with suppress(FileNotFoundError):
            return self._wish.read_text(encoding="utf-8").strip() or "aborted"
        return ""

    def ask_to_end(self, why: str) -> None:
        """Make the runner end it, wherever it is."""
        fsops.make_dirs(self._wish.parent)
        fsops.write_atomic(self._wish, why.encode())

    def forget_wish(self) -> None:
        """Before a new rollout."""
        with suppress(FileNotFoundError):
            fsops.remove_file(self._wish)

    @property
    def is_held(self) -> bool:
        """Whether a runner is at work."""
        try:
            with self.held():
                return False
        except LockHeldError:
            return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only runner; a killed one holds nothing.

        Raises
        ------
        LockHeldError
            There is another.
        """
        fsops.make_dirs(self._held.parent)
        descriptor = os.open(self._held, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LockHeldError(
                    "another runner holds the rollout", todo="see it: mlwb canary status"
                ) from error
            yield
        finally:
            os.close(descriptor)
