"""A test of every new day that may be looked at every day: conformal martingale on block PSI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from mlwb.core.arrays import Float1D, Int1D, Int2D
from mlwb.core.errors import ArtifactError, DataSchemaError, EmptyWindowError
from mlwb.drift._blocks import FULL_SHARE
from mlwb.drift._psi import psi_of_rows
from mlwb.drift._ranks import RankMemory, memory_of, parse_memory, rank_p, tie_break
from mlwb.drift._wealth import Wealth, parse_wealth

__all__ = ["BlockMartingale"]

MARTINGALE_SCHEMA = "mlwb.martingale/1"
MAX_WATCHED = 730
"""Blocks kept after the reference; memory and time of an update stay bounded."""
_WHOLE = (
    "seed", "block_days", "n_reference", "first_day", "last_day", "n_thin", "n_restarts",
)  # fmt: skip


@dataclass(frozen=True)
class BlockMartingale:
    """Evidence that a feature changed, day after day, valid whenever it is looked at.

    The PSI of every block against all others is ranked; where nothing changed, the newest block
    is equally likely to take any rank, whatever the feature does within a block. The p values of
    the ranks are then independent and uniform, so that wealth from betting on them exceeds
    ``1 / level`` ever with probability ``level`` at most (Ville 1939). What a rank keeps of the
    one before is taken out of it first. A value: :meth:`update` gives the next one.

    Parameters
    ----------
    name : str
        Feature.
    seed : int
        Breaks ties, together with name and day.
    block_days : int
        Days a block.
    n_reference : int
        Blocks of the reference, the first rows of ``bag``.
    bag : ndarray of shape (n_blocks, n_cells), int64
        Counts of the reference's blocks and of every block scored since.
    first_day, last_day : int
        UTC day after the reference, where the grid of watched blocks begins, and the last day
        taken.
    pending : ndarray of shape (n_cells,), int64
        Counts of the block under way.
    memory : RankMemory
        What a block's rank keeps of the one before, by the reference.
    wealth : Wealth
        The bets so far.
    n_thin : int
        Blocks passed over because they had less than three quarters of the usual rows.
    n_restarts : int
        How often the watch began anew from the reference because ``MAX_WATCHED`` blocks were full.

    Notes
    -----
    The bound is exact for exchangeable blocks and ``memory`` 0, and close to it for ranks that
    are a short autoregression. Features whose level lasts for days on end (volatility) exceed it:
    ``docs/drift-measured.md`` says by how much, and what longer blocks and references do about it.

    References
    ----------
    .. [1] Vovk, Nouretdinov, Gammerman (2003). Testing exchangeability on-line. ICML.
    .. [2] Vovk et al. (2021). Retrain or not retrain: conformal test martingales for change-point
       detection. COPA.
    .. [3] Shin, Ramdas, Rinaldo (2024). E-detectors. NEJSDS.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> watch = BlockMartingale.start("x", rng.multinomial(1440, [0.25] * 4, size=40))
    >>> for day in range(40, 50):
    ...     watch = watch.update(day, rng.multinomial(1440, [0.3, 0.2, 0.2, 0.3]))
    >>> watch.alarm(0.05), watch.sr_alarm(average_run_length_days=365)
    (True, True)
    """

    name: str
    seed: int
    block_days: int
    n_reference: int
    bag: Int2D
    first_day: int
    last_day: int
    pending: Int1D
    memory: RankMemory = field(default_factory=RankMemory)
    wealth: Wealth = field(default_factory=Wealth)
    n_thin: int = 0
    n_restarts: int = 0

    @classmethod
    def start(
        cls,
        name: str,
        daily_counts: Int2D,
        *,
        days: Int1D | None = None,
        block_days: int = 1,
        memory: float | None = None,
        seed: int = 0,
    ) -> BlockMartingale:
        """Begin from the days of a reference.

        Parameters
        ----------
        name : str
            Feature.
        daily_counts : ndarray of shape (n_days, n_cells), int64
            Rows in each cell, a day a row, in time order.
        days : ndarray of shape (n_days,), int64, optional
            Their UTC day numbers, increasing; 0, 1, 2, ... where not given.
        block_days : int, default=1
            Days a block. Blocks of the reference are cut backwards from its last day; blocks
            with less than three quarters of the usual rows are left out.
        memory : float, optional
            Correlation of neighbouring blocks' ranks, in [0, 0.95]; estimated on the reference
            where not given. 0 for blocks that are known to be exchangeable: the bound is exact.
        seed : int, default=0
            Breaks ties.

        Returns
        -------
        BlockMartingale

        Raises
        ------
        DataSchemaError
            Days are not increasing, or not one a row.
        EmptyWindowError
            Fewer than two full blocks.
        """
        table = np.asarray(daily_counts, dtype=np.int64)
        at = np.arange(len(table)) if days is None else np.asarray(days, dtype=np.int64)
        if len(at) != len(table) or block_days < 1 or bool((np.diff(at) <= 0).any()):
            raise DataSchemaError(
                f"the reference days of {name} are not days", expected="increasing, one a row"
            )
        blocks = _in_blocks(table, (at - at[-1] - 1) // block_days) if len(at) else table
        rows = blocks.sum(axis=1)
        bag = blocks[rows >= FULL_SHARE * np.median(rows)] if len(rows) else blocks
        if len(bag) < 2:
            raise EmptyWindowError(
                f"the reference of {name} is too short to rank a new block in",
                expected=f"at least 2 full blocks of {block_days} days",
                got=f"{len(bag)}",
            )
        last = int(at[-1])
        kept = memory_of(block_scores(bag), share=memory)
        return cls(name, seed, block_days, len(bag), bag, last + 1, last, 0 * bag[0], kept)

    def update(self, day: int, counts: Int1D) -> BlockMartingale:
        """Take one more day.

        Parameters
        ----------
        day : int
            UTC day number, after the last one taken; days may be left out.
        counts : ndarray of shape (n_cells,), int64
            Rows of that day in each cell.

        Returns
        -------
        BlockMartingale
            With one more bet for every block that this day completes.

        Raises
        ------
        DataSchemaError
            The day is not after the last, or the counts are not counts of these cells.
        """
        row = np.asarray(counts)
        if day <= self.last_day:
            raise DataSchemaError(
                f"day {day} of {self.name} is not after the last one",
                expected=f"a day after {self.last_day}",
                got=f"{day}",
            )
        if row.shape != self.pending.shape or row.dtype.kind not in "iu" or (row < 0).any():
            raise DataSchemaError(
                f"not the counts of {self.name}",
                expected=f"{len(self.pending)} counts, none negative",
                got=f"shape {row.shape} of {row.dtype}",
            )
        block = _block_of(self, day)
        before = self if block == _block_of(self, self.last_day) else _closed(self)
        taken = replace(before, last_day=int(day), pending=before.pending + row)
        return taken if block == _block_of(self, day + 1) else _closed(taken)

    @property
    def e_value(self) -> float:
        """Wealth now, of 1 at the start; its mean is at most 1 without a change."""
        return self.wealth.e_value

    @property
    def log_e(self) -> float:
        """Log of the wealth, without a largest number."""
        return self.wealth.log_e

    @property
    def sr(self) -> float:
        """Shiryaev-Roberts sum in days; without a change it grows by at most 1 a day on average."""
        return self.wealth.sr * self.block_days

    @property
    def n_watched(self) -> int:
        """Blocks scored since the (last) start."""
        return len(self.bag) - self.n_reference

    @property
    def smallest_p(self) -> float:
        """The p value of a next block farther off than all others, before ties are broken.

        With fewer than 19 blocks it is above 0.05: evidence then takes many extreme blocks.
        """
        return 1.0 / (len(self.bag) + 1)

    def alarm(self, level: float = 0.05) -> bool:
        """Whether wealth has ever reached ``1 / level``.

        Parameters
        ----------
        level : float, default=0.05
            Probability that this ever happens without a change, at most, until the first restart.

        Returns
        -------
        bool
        """
        return self.wealth.alarm(level)

    def sr_alarm(self, average_run_length_days: float = 365.0) -> bool:
        """Whether the Shiryaev-Roberts sum has ever reached a run length.

        Parameters
        ----------
        average_run_length_days : float, default=365
            Days from the start to a false alarm, on average, at least.

        Returns
        -------
        bool
        """
        return self.wealth.sr_alarm(average_run_length_days / self.block_days)

    def to_json(self) -> dict[str, Any]:
        """Plain form; with :meth:`from_json` a watch is taken up again at any day, bit for bit."""
        return {"schema": MARTINGALE_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> BlockMartingale:
        """Inverse of :meth:`to_json`, also after a canonical JSON round trip.

        Raises
        ------
        ArtifactError
            Not a state of this schema, or its parts do not fit.
        """
        schema = stored.get("schema")
        if schema != MARTINGALE_SCHEMA:
            raise ArtifactError(
                "not the state of a watch", expected=MARTINGALE_SCHEMA, got=repr(schema)
            )
        try:
            state = _parsed(stored)
            fits = _fits(state)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ArtifactError(f"not the state of a watch: {error}") from error
        if not fits:
            raise ArtifactError(f"the parts of the watch of {state.name} do not fit")
        return state


def _parsed(stored: Mapping[str, Any]) -> BlockMartingale:
    whole = {key: int(stored[key]) for key in _WHOLE}
    return BlockMartingale(
        name=str(stored["name"]),
        bag=np.asarray(stored["bag"], dtype=np.int64),
        pending=np.asarray(stored["pending"], dtype=np.int64),
        memory=parse_memory(stored["memory"]),
        wealth=parse_wealth(stored["wealth"]),
        **whole,
    )


def _fits(state: BlockMartingale) -> bool:
    return (
        state.bag.ndim == 2
        and state.pending.shape == state.bag[0].shape
        and min(int(state.bag.min()), int(state.pending.min()), state.n_thin) >= 0
        and 2 <= state.n_reference <= len(state.bag)
        and state.block_days >= 1
        and state.last_day >= state.first_day - 1
    )


def _block_of(state: BlockMartingale, day: int) -> int:
    return (day - state.first_day) // state.block_days


def _closed(state: BlockMartingale) -> BlockMartingale:
    """After the block under way has ended."""
    n_rows = int(state.pending.sum())
    if n_rows == 0:
        return state
    empty = replace(state, pending=0 * state.pending)
    usual = float(np.median(state.bag[: state.n_reference].sum(axis=1)))
    if n_rows < FULL_SHARE * usual:
        return replace(empty, n_thin=state.n_thin + 1)
    bag = np.vstack([state.bag, state.pending])
    p_value = rank_p(block_scores(bag), tie_break(state.seed, state.name, state.last_day))
    after = replace(
        empty,
        bag=bag,
        memory=state.memory.after(p_value),
        wealth=state.wealth.bet(state.memory.cleared(p_value)),
    )
    return after if after.n_watched < MAX_WATCHED else _restarted(after)


def _restarted(state: BlockMartingale) -> BlockMartingale:
    """From the reference again, which no watched day has entered."""
    return replace(
        state,
        bag=state.bag[: state.n_reference],
        wealth=state.wealth.restarted(),
        n_restarts=state.n_restarts + 1,
    )


def block_scores(bag: Int2D) -> Float1D:
    """PSI of every block against all others together, shape (n_blocks,)."""
    return psi_of_rows(bag.sum(axis=0) - bag, bag)


def _in_blocks(table: Int2D, blocks: Int1D) -> Int2D:
    distinct, place = np.unique(blocks, return_inverse=True)
    out = np.zeros((len(distinct), table.shape[1]), dtype=np.int64)
    np.add.at(out, place, table)
    return out
