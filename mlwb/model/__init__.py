"""Training: purged validation, search, significance, ONNX export and parity.

Belongs here: everything fitted, always inside the fold; the files of a model version as bytes.
Does not belong here: reading markets (``data``), defining features (``features``), publishing a
version (``registry``), or saying whether a number is good enough (``gates``).
"""

from mlwb.model._auc import AucInterval, auc, auc_interval
from mlwb.model._bundle import (
    SCORE,
    ModelFacts,
    golden_file,
    make_sidecar,
    reference_file,
    scaler_file,
)
from mlwb.model._export import export_onnx
from mlwb.model._families import FAMILIES, find_family, make_trials
from mlwb.model._family import Family, Trial
from mlwb.model._fit import FittedModel, WinsorScaler, fit_model
from mlwb.model._graph import convert_graph, make_graph
from mlwb.model._metrics import Scores, correlation, precision_top, rank_correlation, score
from mlwb.model._parity import Parity, measure_parity, parity_rows
from mlwb.model._paths import Paths, cross_validate_paths
from mlwb.model._significance import (
    FEATURE_GROUPS,
    GroupEffect,
    Skill,
    ablate,
    rank_contributions,
    skill,
)
from mlwb.model._split import (
    CombinatorialPurgedCV,
    PurgedKFold,
    PurgedSplitter,
    Split,
    WalkForward,
    leak_count,
)
from mlwb.model._validate import (
    Dataset,
    OutOfFold,
    TrialResult,
    choose,
    cross_validate,
    refit,
    search,
    walk,
)

__all__ = [
    "FAMILIES",
    "FEATURE_GROUPS",
    "SCORE",
    "AucInterval",
    "CombinatorialPurgedCV",
    "Dataset",
    "Family",
    "FittedModel",
    "GroupEffect",
    "ModelFacts",
    "OutOfFold",
    "Parity",
    "Paths",
    "PurgedKFold",
    "PurgedSplitter",
    "Scores",
    "Skill",
    "Split",
    "Trial",
    "TrialResult",
    "WalkForward",
    "WinsorScaler",
    "ablate",
    "auc",
    "auc_interval",
    "choose",
    "convert_graph",
    "correlation",
    "cross_validate",
    "cross_validate_paths",
    "export_onnx",
    "find_family",
    "fit_model",
    "golden_file",
    "leak_count",
    "make_graph",
    "make_sidecar",
    "make_trials",
    "measure_parity",
    "parity_rows",
    "precision_top",
    "rank_contributions",
    "rank_correlation",
    "reference_file",
    "refit",
    "scaler_file",
    "score",
    "search",
    "skill",
    "walk",
]
