"""Parameters and policy: read strictly, checked before anything starts, frozen afterwards.

Belongs here: the YAML reader, one dataclass a stage, the policy with every limit.
Does not belong here: values. Defaults live in ``params/*.yml``, limits in ``params/policy*.yml``.
"""

from mlwb.params._load import (
    check_overrides,
    load_params,
    params_values,
    parse_override,
    parse_params,
)
from mlwb.params._policy import (
    COMPARATORS,
    GATE_IDS,
    GatePolicy,
    Limit,
    Policy,
    load_policy,
)
from mlwb.params._retention import RETENTION_CLASSES, Retention, load_retention
from mlwb.params._stages import (
    STAGES,
    BacktestParams,
    CanaryAnalysisParams,
    CheckParams,
    CostParams,
    CvParams,
    DataParams,
    DriftCheckParams,
    FeatureModuleParams,
    FeatureParams,
    FeatureStudyParams,
    LabelParams,
    PsiParams,
    PsiValidationParams,
    ReleaseReviewParams,
    ReplayParams,
    ResampleParams,
    RunParams,
    SearchParams,
    TrafficParams,
    TrainingParams,
    WindowParams,
)
from mlwb.params._yaml import parse_yaml, read_yaml

__all__ = [
    "COMPARATORS",
    "GATE_IDS",
    "RETENTION_CLASSES",
    "STAGES",
    "BacktestParams",
    "CanaryAnalysisParams",
    "CheckParams",
    "CostParams",
    "CvParams",
    "DataParams",
    "DriftCheckParams",
    "FeatureModuleParams",
    "FeatureParams",
    "FeatureStudyParams",
    "GatePolicy",
    "LabelParams",
    "Limit",
    "Policy",
    "PsiParams",
    "PsiValidationParams",
    "ReleaseReviewParams",
    "ReplayParams",
    "ResampleParams",
    "Retention",
    "RunParams",
    "SearchParams",
    "TrafficParams",
    "TrainingParams",
    "WindowParams",
    "check_overrides",
    "load_params",
    "load_policy",
    "load_retention",
    "params_values",
    "parse_override",
    "parse_params",
    "parse_yaml",
    "read_yaml",
]
