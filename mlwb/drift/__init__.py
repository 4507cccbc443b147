"""Drift of a sample against a frozen reference: bins, PSI, KS, and what chance alone would give.

Belongs here: reference bins fitted once in training, counters that merge by addition, statistics
with their sample size and noise floor.
Does not belong here: a limit or a verdict (``gates``), or refitting a reference on what it judges.

Numpy only, since the server counts live values with it. ``mlwb.drift.calibration`` (scipy) is
a door of its own: the block null and the bounds of the population PSI.
"""

from mlwb.drift._bins import BinnedReference, bin_counts, cells_of, fit_reference
from mlwb.drift._blocks import BLOCK_S, BlockCounts, count_blocks, in_full_blocks
from mlwb.drift._martingale import BlockMartingale
from mlwb.drift._psi import PsiResult, psi, psi_of_counts
from mlwb.drift._reference import (
    REFERENCE_SCHEMA,
    FeatureReference,
    fit_feature_reference,
    parse_references,
    references_json,
)
from mlwb.drift._together import Together, together
from mlwb.drift._wealth import Wealth

__all__ = [
    "BLOCK_S",
    "REFERENCE_SCHEMA",
    "BinnedReference",
    "BlockCounts",
    "BlockMartingale",
    "FeatureReference",
    "PsiResult",
    "Together",
    "Wealth",
    "bin_counts",
    "cells_of",
    "count_blocks",
    "fit_feature_reference",
    "fit_reference",
    "in_full_blocks",
    "parse_references",
    "psi",
    "psi_of_counts",
    "references_json",
    "together",
]
