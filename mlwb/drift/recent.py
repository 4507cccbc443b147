"""Is it moving now, or has it moved: a window against the one just before it.

A door of its own: the null's tail needs scipy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Int2D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._blocks import BlockCounts
from mlwb.drift._null import BlockNull
from mlwb.drift._psi import PsiResult, psi_of_counts
from mlwb.drift._reference import FeatureReference

__all__ = ["Recent", "against_previous"]

_MIN_PAIRS = 5
"""Fewer pairs than this say nothing about the spread of a statistic."""


@dataclass(frozen=True)
class Recent:
    """PSI of a window against the window of the same length before it.

    Parameters
    ----------
    psi : PsiResult
        In the frozen bins; ``n_ref`` are the rows of the earlier window.
    null : BlockNull or None
        Neighbouring windows of the reference against each other; None where it holds too few.
    """

    psi: PsiResult
    null: BlockNull | None

    @property
    def p_value(self) -> float | None:
        """Probability of two neighbouring windows at least this far apart, without any change."""
        return None if self.null is None else self.null.p_value(self.psi.value)


def against_previous(frozen: FeatureReference, current: BlockCounts) -> Recent | None:
    """Hold a window against the last days of the reference, as many as it has itself.

    A reference of months can be far from today's rows although nothing has moved for weeks. The
    window before is the nearest past; both are noisy, so that the null is made of neighbouring
    windows of the reference.

    Parameters
    ----------
    frozen : FeatureReference
        Frozen in training, from full days; ``current`` follows it.
    current : BlockCounts
        Rows of full days in the same bins.

    Returns
    -------
    Recent or None
        None where the reference has fewer days than the window.

    Raises
    ------
    EmptyWindowError
        No current row.
    """
    days, width = frozen.blocks.daily, len(current.days)
    if not width:
        raise EmptyWindowError(f"no current row of {frozen.name}")
    if len(days) < width:
        return None
    found = psi_of_counts(frozen.name, days[-width:].sum(axis=0), current.total)
    return Recent(found, _neighbours(frozen.name, days, width))


def _neighbours(name: str, days: Int2D, width: int) -> BlockNull | None:
    """PSI of each pair of windows of the reference of which one begins where the other ends."""
    if len(days) - 2 * width + 1 < _MIN_PAIRS:
        return None
    running = np.cumsum(np.vstack([0 * days[:1], days]), axis=0)
    windows = running[width:] - running[:-width]
    pairs = zip(windows[:-width], windows[width:], strict=True)
    scores = [psi_of_counts(name, earlier, later).value for earlier, later in pairs]
    return BlockNull(np.asarray(scores), width, len(days))
