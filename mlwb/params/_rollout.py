"""How a candidate takes its part of a running server's traffic."""

from __future__ import annotations

from dataclasses import dataclass

from mlwb.params._fields import between, may_be_empty, one_of

__all__ = ["RolloutParams"]


@dataclass(frozen=True)
class RolloutParams:
    """How a candidate takes its part of a server's traffic.

    Parameters
    ----------
    phases : tuple of float
        Shares, percent.
    by : str
        ``evidence``: a phase lasts until enough was observed; ``duration``: ``least_s``.
    observed_per_phase : int
        Requests that the candidate has to answer in each phase.
    least_s, most_s : float
        A phase is neither shorter nor longer.
    poll_s : float
        Between two looks.
    settle_s : float
        After so long what the server answered stands in its logs.
    patience_s : float
        A server that is away for longer ends the rollout; a lease lost for longer pauses it.
    prediction_log, shadow_log : str
        Of the server; empty is where ``mlwb serve`` writes.
    """

    phases: tuple[float, ...] = between(0.01, 100.0)
    by: str = one_of("evidence", "duration")
    observed_per_phase: int = between(1, 10_000_000)
    least_s: float = between(0.0, 604_800.0)
    most_s: float = between(0.1, 2_592_000.0)
    poll_s: float = between(0.01, 60.0)
    settle_s: float = between(0.0, 60.0)
    patience_s: float = between(0.0, 3_600.0)
    prediction_log: str = may_be_empty()
    shadow_log: str = may_be_empty()
