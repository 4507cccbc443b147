"""Drift of a sample against a frozen reference: bins, PSI, KS, and what chance alone would give.

Belongs here: reference bins fitted once in training, counters that merge by addition, statistics
with their sample size and noise floor.
Does not belong here: a limit or a verdict (``gates``), or refitting a reference on what it judges.

Numpy only, since the server counts live values with it. ``mlwb.drift.calibration`` (scipy) is
a door of its own: the block null and the bounds of the population PSI.
"""

from mlwb.drift._bins import BinnedReference, bin_counts, fit_reference
from mlwb.drift._psi import PsiResult, psi, psi_of_counts

__all__ = ["BinnedReference", "PsiResult", "bin_counts", "fit_reference", "psi", "psi_of_counts"]
