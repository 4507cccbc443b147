"""Features and labels: one definition of each, for training and for serving.

Belongs here: step functions, their specs and digests, the online stream, labels with their ends.
Does not belong here: reading market files (``data``), scaling and clipping (fitted in ``model``,
served by the ONNX graph), and anything that looks ahead except a label.

``mlwb.features.batch`` (numba), ``mlwb.features.labels`` (pandas) and ``mlwb.features.regimes`` are
doors of their own: the serving path imports none of them.
"""

from mlwb.features._spec import FEATURES, FeatureSpec, feature_names, spec_digest, specs
from mlwb.features._stream import FeatureStream

__all__ = [
    "FEATURES",
    "FeatureSpec",
    "FeatureStream",
    "feature_names",
    "spec_digest",
    "specs",
]
