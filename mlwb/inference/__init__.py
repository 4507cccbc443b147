"""From the files of a model version to scores, with nothing but onnxruntime and numpy.

Belongs here: the sidecar, the schema guard, reading and verifying a version's files, the predictor.
Does not belong here: choosing which version to load (``registry``), HTTP (``serve``), fitting and
exporting (``model``). This is the one door to onnxruntime.
"""

from mlwb.inference._golden import GOLDEN_SCHEMA, GOLDEN_TOLERANCE, Golden
from mlwb.inference._latency import latency
from mlwb.inference._predictor import Predictor
from mlwb.inference._reference import VersionReference, load_reference
from mlwb.inference._sidecar import (
    FeatureField,
    LabelField,
    Sidecar,
    parse_sidecar,
    schema_crc32,
)

__all__ = [
    "GOLDEN_SCHEMA",
    "GOLDEN_TOLERANCE",
    "FeatureField",
    "Golden",
    "LabelField",
    "Predictor",
    "Sidecar",
    "VersionReference",
    "latency",
    "load_reference",
    "parse_sidecar",
    "schema_crc32",
]
