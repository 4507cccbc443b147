"""Several features watched at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.errors import EmptyWindowError
from mlwb.drift._martingale import BlockMartingale
from mlwb.stats import e_benjamini_hochberg

__all__ = ["Together", "together"]


@dataclass(frozen=True)
class Together:
    """Several features watched at once.

    Parameters
    ----------
    e_value : float
        Mean of the features' e-values: evidence that any of them changed.
    adjusted : dict of str to float
        Of each feature, the smallest level at which e-BH names it; at ``level`` and below, at most
        that share of the named features did not change, on average, however they depend on each
        other.
    """

    e_value: float
    adjusted: dict[str, float]


def together(watched: Sequence[BlockMartingale]) -> Together:
    """Evidence over features, at one time.

    Parameters
    ----------
    watched : sequence of BlockMartingale
        One a feature, of the same days.

    Returns
    -------
    Together

    Raises
    ------
    EmptyWindowError
        No feature.
    """
    if not watched:
        raise EmptyWindowError("no feature is watched", expected="at least one")
    e_values = np.array([each.e_value for each in watched])
    adjusted = e_benjamini_hochberg(e_values)
    names = [each.name for each in watched]
    return Together(
        float((e_values / len(names)).sum()), dict(zip(names, adjusted.tolist(), strict=True))
    )
