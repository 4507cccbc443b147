"""Features and labels: one definition of each, for training and for serving.

Belongs here: step functions, their specs and digests, the online stream, labels with their ends.
Does not belong here: reading market files (``data``), scaling and clipping (fitted in ``model``,
served by the ONNX graph), and anything that looks ahead except a label.

``mlwb.features.batch`` (numba), ``mlwb.features.labels`` (pandas), ``mlwb.features.regimes`` and
``mlwb.features.probe`` are doors of their own: the serving path imports none of them.
"""

from mlwb.features._catalog import FEATURES, feature_names, load_features, specs
from mlwb.features._spec import WINSOR, FeatureSpec, spec_digest
from mlwb.features._steps import log_ratio, minute_of
from mlwb.features._stream import FeatureStream
from mlwb.features._window import Bar, State, window_cells, window_start, window_sums

__all__ = [
    "FEATURES",
    "WINSOR",
    "Bar",
    "FeatureSpec",
    "FeatureStream",
    "State",
    "feature_names",
    "load_features",
    "log_ratio",
    "minute_of",
    "spec_digest",
    "specs",
    "window_cells",
    "window_start",
    "window_sums",
]
