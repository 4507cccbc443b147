"""Histogram gradient boosting, fitted and served on float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]

from mlwb.core.arrays import AnyArray, Float1D
from mlwb.model._family import Family, Trial
from mlwb.model._graph import convert_graph

__all__ = ["Boosting"]


class Boosting(Family):
    """Eighty shallow trees of scikit-learn's histogram gradient boosting."""

    dtype = np.float32

    def build(self, trial: Trial) -> Any:
        """Early stopping is off: it would validate on random rows, which leak in a time series."""
        return HistGradientBoostingClassifier(
            max_iter=80,
            learning_rate=0.08,
            max_leaf_nodes=15,
            min_samples_leaf=200,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=trial.seed,
        )

    def fit(self, classifier: Any, X: AnyArray, y: Float1D, weight: Float1D | None) -> None:
        """Fit, then round every split threshold down to float32.

        For float32 values ``x <= t`` and ``x <= t rounded down`` are the same, so the model stays
        what it is. ONNX holds float32 thresholds; rounded to the nearest, as the converter does, a
        value on such a threshold would fall to the other side.
        """
        super().fit(classifier, X, y, weight)
        for nodes in _nodes(classifier):
            exact = nodes["num_threshold"]
            narrow = exact.astype(np.float32)
            above = narrow > exact
            narrow[above] = np.nextafter(narrow[above], np.float32(-np.inf))
            nodes["num_threshold"] = narrow

    def graph(self, classifier: Any, n_features: int) -> onnx.ModelProto:
        """One tree ensemble node behind a cast."""
        return convert_graph(classifier, n_features, dtype=np.float32)

    def thresholds(self, classifier: Any, column: int) -> Float1D:
        """Every threshold of the feature, once."""
        found = [
            nodes["num_threshold"][(nodes["feature_idx"] == column) & (nodes["is_leaf"] == 0)]
            for nodes in _nodes(classifier)
        ]
        return np.asarray(np.unique(np.concatenate(found)), dtype=np.float64)


def _nodes(classifier: Any) -> list[AnyArray]:
    """Node tables of all trees, as scikit-learn holds them; it publishes no other way."""
    return [tree.nodes for group in classifier._predictors for tree in group]  # noqa: SLF001 - see above
