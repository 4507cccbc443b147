"""A family that mlwb does not ship, as a user would write it; docs/validation.md shows it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np
import onnx
from sklearn.ensemble import ExtraTreesClassifier  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D, Float2D
from mlwb.model import Family, FittedModel, Trial, convert_graph, fit_model
from tests.model.model_kit import dataset

__all__ = ["FOREST", "FOREST_NAME", "NOT_A_FAMILY", "Forest", "forest"]

FOREST_NAME = "tests.model.forest_kit:FOREST"


class Forest(Family):
    """Extremely randomised trees, fitted and served on float32."""

    dtype = np.float32
    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"depth": (3.0, 6.0)}

    def build(self, trial: Trial) -> Any:
        """Thirty trees as deep as the trial says."""
        settings = dict(trial.settings)
        return ExtraTreesClassifier(
            n_estimators=30,
            max_depth=int(settings["depth"]),
            min_samples_leaf=50,
            random_state=trial.seed,
        )

    def graph(self, classifier: Any, n_features: int) -> onnx.ModelProto:
        """What skl2onnx makes of it."""
        return convert_graph(classifier, n_features, dtype=np.float32)

    def thresholds(self, classifier: Any, column: int) -> Float1D:
        """Every value the trees split the feature at."""
        trees = [member.tree_ for member in classifier.estimators_]
        found = [tree.threshold[tree.feature == column] for tree in trees]
        return np.unique(np.concatenate(found))


FOREST = Forest()
NOT_A_FAMILY = "a string"


@cache
def forest() -> tuple[FittedModel, Float2D]:
    """A fitted forest and its rows."""
    data = dataset(6_000)
    trial = Trial(FOREST_NAME, seed=3, settings=(("depth", 6.0),))
    return fit_model(trial, data.X, data.y), data.X
