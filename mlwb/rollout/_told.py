"""What a rollout is asked for, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mlwb.evidence import Record
from mlwb.gates import Verdict
from mlwb.stages.canary_rollout import Mode

__all__ = ["RolloutEnd", "RolloutOptions", "RolloutProgress", "Tell"]


@dataclass(frozen=True)
class RolloutOptions:
    """What kind of rollout, and who may order it.

    Parameters
    ----------
    mode : {"observe_only", "live"}
        Whether the candidate answers.
    confirmation : str, default=""
        Run id of a person's yes; a live rollout needs one.
    is_resumed : bool, default=False
        Go on with the one that was left.
    """

    mode: Mode
    confirmation: str = ""
    is_resumed: bool = False


@dataclass(frozen=True)
class RolloutProgress:
    """Where it is.

    Parameters
    ----------
    phase : str
        Its name.
    number, n_phases : int
        Of the phase, from 1, and of all.
    observed, needed : int
        Requests that the candidate answered in this phase, and has to.
    elapsed_s : float
        Since the phase began.
    log_evidence : float
        Against the rollout, natural logarithm.
    """

    phase: str
    number: int
    n_phases: int
    observed: int
    needed: int
    elapsed_s: float
    log_evidence: float


@dataclass(frozen=True)
class RolloutEnd:
    """How it ended.

    Parameters
    ----------
    record : Record
        The evidence.
    verdict : Verdict
        Of the gate ``canary`` on it.
    aborted : str
        Why it ended early; empty when it did not.
    back_ms : float or None
        From the decision to end until the server said that the share is 0; None where it did not.
    """

    record: Record
    verdict: Verdict
    aborted: str
    back_ms: float | None


Tell: TypeAlias = Callable[[RolloutProgress], None]
