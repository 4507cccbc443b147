"""Drift of a sample against a frozen reference: bins, PSI and other distances, counts by block.

Belongs here: reference bins fitted once in training, counters that merge by addition, statistics
with their sample size and noise floor.
Does not belong here: a limit or a verdict (``gates``; :func:`detect_drift` compares with what it is
given), or refitting a reference on what it judges.

Numpy only, since the server counts live values with it. ``mlwb.drift.calibration`` (scipy) is
a door of its own: the block null and the bounds of the population PSI.
"""

from mlwb.drift._bins import (
    N_SPECIAL,
    BinnedReference,
    bin_counts,
    cells_of,
    fit_reference,
    out_of_range,
)
from mlwb.drift._block_days import suited_block_days
from mlwb.drift._blocks import (
    BLOCK_S,
    FULL_SHARE,
    HOUR_S,
    BlockCounts,
    count_blocks,
    in_full_blocks,
)
from mlwb.drift._categories import CategoryReference, fit_categories
from mlwb.drift._chance import chance_limit
from mlwb.drift._detect import detect_drift
from mlwb.drift._distances import (
    STATISTICS,
    ChiSquareResult,
    CountStatistic,
    bins_moved,
    chi_square_test,
    hellinger,
    jensen_shannon,
    ks_at_edges,
    score_windows,
)
from mlwb.drift._hourlog import (
    CheckNote,
    HourLog,
    encode_hour,
    hour_logs,
    read_hour_log,
    read_live_hours,
)
from mlwb.drift._live import (
    SCORE,
    HourTable,
    LiveCounts,
    covered_share,
    hours_to_blocks,
    merge_hours,
    window_counts,
)
from mlwb.drift._losses import Loss, LossDays, daily_losses
from mlwb.drift._martingale import BlockMartingale
from mlwb.drift._psi import (
    SMOOTHING,
    MissingSplit,
    PsiResult,
    psi,
    psi_of_counts,
    psi_spec,
    spec_digest,
    split_missing,
)
from mlwb.drift._ranks import RankMemory
from mlwb.drift._realised import LossWatch
from mlwb.drift._reference import (
    REFERENCE_SCHEMA,
    FeatureReference,
    fit_feature_reference,
    parse_losses,
    parse_references,
    references_json,
)
from mlwb.drift._reliability import Reliability, reliability
from mlwb.drift._samples import KsResult, ks_test, wasserstein
from mlwb.drift._together import Together, together
from mlwb.drift._wealth import Wealth

__all__ = [
    "BLOCK_S",
    "FULL_SHARE",
    "HOUR_S",
    "N_SPECIAL",
    "REFERENCE_SCHEMA",
    "SCORE",
    "SMOOTHING",
    "STATISTICS",
    "BinnedReference",
    "BlockCounts",
    "BlockMartingale",
    "CategoryReference",
    "CheckNote",
    "ChiSquareResult",
    "CountStatistic",
    "FeatureReference",
    "HourLog",
    "HourTable",
    "KsResult",
    "LiveCounts",
    "Loss",
    "LossDays",
    "LossWatch",
    "MissingSplit",
    "PsiResult",
    "RankMemory",
    "Reliability",
    "Together",
    "Wealth",
    "bin_counts",
    "bins_moved",
    "cells_of",
    "chance_limit",
    "chi_square_test",
    "count_blocks",
    "covered_share",
    "daily_losses",
    "detect_drift",
    "encode_hour",
    "fit_categories",
    "fit_feature_reference",
    "fit_reference",
    "hellinger",
    "hour_logs",
    "hours_to_blocks",
    "in_full_blocks",
    "jensen_shannon",
    "ks_at_edges",
    "ks_test",
    "merge_hours",
    "out_of_range",
    "parse_losses",
    "parse_references",
    "psi",
    "psi_of_counts",
    "psi_spec",
    "read_hour_log",
    "read_live_hours",
    "references_json",
    "reliability",
    "score_windows",
    "spec_digest",
    "split_missing",
    "suited_block_days",
    "together",
    "wasserstein",
    "window_counts",
]
