"""Whether predictions became worse, once their labels are known, day after day."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.core.errors import ArtifactError, DataSchemaError, EmptyWindowError
from mlwb.drift._blocks import FULL_SHARE
from mlwb.drift._losses import Loss, LossDays
from mlwb.drift._ranks import RankMemory, memory_of, parse_memory, rank_p, tie_break
from mlwb.drift._wealth import Wealth, parse_wealth

__all__ = ["LossWatch"]

LOSS_WATCH_SCHEMA = "mlwb.loss-watch/1"
MAX_WATCHED = 730
"""Days kept after the reference."""
_LOSSES = ("brier", "log_loss")


@dataclass(frozen=True)
class LossWatch:
    """Evidence that losses rose by more than a tolerance, valid whenever it is looked at.

    Only harm counts: each new day's mean loss, less the tolerance, is ranked among the days of the
    reference and the days watched before. Where the risk has not risen by more than the tolerance
    those p values are at least uniform, so that the bound of :class:`BlockMartingale` holds; a
    change of the features that costs nothing raises no alarm.

    Parameters
    ----------
    loss : {"brier", "log_loss"}
        What is ranked.
    tolerance : float
        Rise of the daily mean that is accepted, in the unit of the loss.
    seed : int
        Breaks ties.
    n_reference : int
        Days of the reference, the first of ``bag``.
    usual_rows : float
        Median rows of a day of the reference; a day with less than three quarters is passed over.
    bag : ndarray of shape (n_days,), float64
        Mean losses of the reference's days, then those watched, less the tolerance.
    last_day : int
        Last UTC day taken.
    memory : RankMemory
        What a day's rank keeps of the one before, by the reference.
    wealth : Wealth
        The bets so far.
    n_thin, n_restarts : int
        Days passed over, and how often the watch began anew because 730 days were full.

    Notes
    -----
    Days as in :class:`BlockMartingale`. Ranks of days replace the bets on single losses of [1]_,
    whose null is that the risk given the past stays below the limit at every moment: a bad spell
    that a model has always had breaks it, and alarms.

    References
    ----------
    .. [1] Podkopaev and Ramdas (2022). Tracking the risk of a deployed model and detecting harmful
       distribution shifts. ICLR.
    """

    loss: Loss
    tolerance: float
    seed: int
    n_reference: int
    usual_rows: float
    bag: Float1D
    last_day: int
    memory: RankMemory = field(default_factory=RankMemory)
    wealth: Wealth = field(default_factory=Wealth)
    n_thin: int = 0
    n_restarts: int = 0

    @classmethod
    def start(
        cls,
        reference: LossDays,
        *,
        tolerance: float = 0.0,
        loss: Loss = "brier",
        memory: float | None = None,
        seed: int = 0,
    ) -> LossWatch:
        """Begin from losses on rows that the model has not been fitted on.

        Parameters
        ----------
        reference : LossDays
            Out-of-fold or held-out; days with few rows are left out.
        tolerance : float, default=0.0
            Rise that is accepted, >= 0.
        loss : {"brier", "log_loss"}, default="brier"
            What is ranked.
        memory : float, optional
            Correlation of neighbouring days' ranks; estimated on the reference where not given.
        seed : int, default=0
            Breaks ties.

        Returns
        -------
        LossWatch

        Raises
        ------
        EmptyWindowError
            Fewer than two full days.
        DataSchemaError
            The tolerance is negative or not a number.
        """
        if not 0.0 <= tolerance < math.inf:
            raise DataSchemaError("not a tolerance", expected=">= 0", got=f"{tolerance}")
        usual = float(np.median(reference.rows)) if len(reference.rows) else 0.0
        bag = reference.mean(loss)[reference.rows >= FULL_SHARE * usual]
        if len(bag) < 2:
            raise EmptyWindowError(
                "the losses of training are too few to rank a day in",
                expected="at least 2 full days",
                got=f"{len(bag)}",
            )
        kept, last = memory_of(bag, share=memory), int(reference.days[-1])
        return cls(loss, float(tolerance), seed, len(bag), usual, bag, last, kept)

    def update(self, matured: LossDays) -> LossWatch:
        """Take the days whose labels have all matured.

        Parameters
        ----------
        matured : LossDays
            Whole days, all after the last one taken.

        Returns
        -------
        LossWatch

        Raises
        ------
        DataSchemaError
            A day is not after the last one.
        """
        if len(matured.days) and matured.days[0] <= self.last_day:
            raise DataSchemaError(
                "losses of a day that has been taken",
                expected=f"days after {self.last_day}",
                got=f"{matured.days[0]}",
            )
        state = self
        for day, rows, mean in zip(
            matured.days.tolist(), matured.rows.tolist(), matured.mean(self.loss), strict=True
        ):
            state = _after(replace(state, last_day=day), rows, float(mean))
        return state

    @property
    def e_value(self) -> float:
        """Wealth now, of 1 at the start; its mean is at most 1 without harm."""
        return self.wealth.e_value

    @property
    def sr(self) -> float:
        """Shiryaev-Roberts sum now."""
        return self.wealth.sr

    def alarm(self, level: float = 0.05) -> bool:
        """Whether wealth has ever reached ``1 / level``."""
        return self.wealth.alarm(level)

    def sr_alarm(self, average_run_length_days: float = 365.0) -> bool:
        """Whether the Shiryaev-Roberts sum has ever reached a run length in days."""
        return self.wealth.sr_alarm(average_run_length_days)

    def to_json(self) -> dict[str, Any]:
        """Plain form; with :meth:`from_json` a watch is taken up again, bit for bit."""
        return {"schema": LOSS_WATCH_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> LossWatch:
        """Inverse of :meth:`to_json`.

        Raises
        ------
        ArtifactError
            Not of this schema, or its parts do not fit.
        """
        if stored.get("schema") != LOSS_WATCH_SCHEMA or stored.get("loss") not in _LOSSES:
            raise ArtifactError("not a watch of losses", expected=LOSS_WATCH_SCHEMA)
        try:
            state = cls(
                stored["loss"],
                float(stored["tolerance"]),
                int(stored["seed"]),
                int(stored["n_reference"]),
                float(stored["usual_rows"]),
                np.asarray(stored["bag"], dtype=np.float64),
                int(stored["last_day"]),
                parse_memory(stored["memory"]),
                parse_wealth(stored["wealth"]),
                int(stored["n_thin"]),
                int(stored["n_restarts"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ArtifactError(f"not a watch of losses: {error}") from error
        whole = state.bag.ndim == 1 and bool(np.isfinite(state.bag).all())
        if not whole or not 2 <= state.n_reference <= len(state.bag) or not state.tolerance >= 0.0:
            raise ArtifactError("the parts of a watch of losses do not fit")
        return state


def _after(state: LossWatch, rows: int, mean: float) -> LossWatch:
    """One more day, whose number the state holds already."""
    if rows < FULL_SHARE * state.usual_rows:
        return replace(state, n_thin=state.n_thin + 1)
    bag = np.append(state.bag, mean - state.tolerance)
    p_value = rank_p(bag, tie_break(state.seed, state.loss, state.last_day))
    after = replace(
        state,
        bag=bag,
        memory=state.memory.after(p_value),
        wealth=state.wealth.bet(state.memory.cleared(p_value)),
    )
    if len(bag) - state.n_reference < MAX_WATCHED:
        return after
    return replace(
        after,
        bag=state.bag[: state.n_reference],
        wealth=after.wealth.restarted(),
        n_restarts=state.n_restarts + 1,
    )
