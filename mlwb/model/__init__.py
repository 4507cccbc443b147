"""Training: purged validation, search, significance, ONNX export and parity.

Belongs here: everything fitted, always inside the fold; the files of a model version as bytes, and
graphs with a defect on purpose.
Does not belong here: reading markets (``data``), defining features (``features``), publishing a
version (``registry``), or saying whether a number is good enough (``gates``).
"""

from mlwb.model._ablation import FEATURE_GROUPS, GroupEffect, ablate, costed_ic, feature_groups
from mlwb.model._auc import AucInterval, auc, auc_interval
from mlwb.model._bundle import (
    SCORE,
    ModelFacts,
    golden_file,
    make_sidecar,
    reference_file,
    scaler_file,
)
from mlwb.model._challenger import Comparison, compare_models
from mlwb.model._choice import daily_skill, trial_contributions
from mlwb.model._defects import DEFECTS, with_defect
from mlwb.model._export import export_onnx
from mlwb.model._families import FAMILIES, family_digest, find_family, make_trials
from mlwb.model._family import Family, Trial
from mlwb.model._fit import FittedModel, WinsorScaler, fit_model
from mlwb.model._graph import convert_graph, make_graph
from mlwb.model._importance import Importance, importance, kendall_w, top_overlap
from mlwb.model._metrics import Scores, correlation, rank_correlation, score
from mlwb.model._parity import Parity, measure_parity, parity_rows
from mlwb.model._paths import Paths, cross_validate_paths
from mlwb.model._probe import outside_influence
from mlwb.model._significance import (
    RULES,
    Skill,
    p_against_folds,
    rank_contributions,
    rule_scores,
    skill,
    skill_beyond,
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
    "DEFECTS",
    "FAMILIES",
    "FEATURE_GROUPS",
    "RULES",
    "SCORE",
    "AucInterval",
    "CombinatorialPurgedCV",
    "Comparison",
    "Dataset",
    "Family",
    "FittedModel",
    "GroupEffect",
    "Importance",
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
    "compare_models",
    "convert_graph",
    "correlation",
    "costed_ic",
    "cross_validate",
    "cross_validate_paths",
    "daily_skill",
    "export_onnx",
    "family_digest",
    "feature_groups",
    "find_family",
    "fit_model",
    "golden_file",
    "importance",
    "kendall_w",
    "leak_count",
    "make_graph",
    "make_sidecar",
    "make_trials",
    "measure_parity",
    "outside_influence",
    "p_against_folds",
    "parity_rows",
    "rank_contributions",
    "rank_correlation",
    "reference_file",
    "refit",
    "rule_scores",
    "scaler_file",
    "score",
    "search",
    "skill",
    "skill_beyond",
    "top_overlap",
    "trial_contributions",
    "walk",
    "with_defect",
]
