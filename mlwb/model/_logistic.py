"""L2 logistic regression, float64 to the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from mlwb.model._family import Family, Trial
from mlwb.model._graph import OUTPUT_NAME, constant, make_graph

__all__ = ["Logistic"]


class Logistic(Family):
    """Logistic regression with strength ``c``; the intercept is not penalised."""

    def build(self, trial: Trial) -> Any:
        """A solver that reaches the optimum to 1e-8 in a handful of steps."""
        return LogisticRegression(C=trial.c, solver="newton-cholesky", max_iter=100, tol=1e-8)

    def graph(self, classifier: Any, n_features: int) -> onnx.ModelProto:
        """Four nodes, all float64."""
        nodes = [
            helper.make_node("MatMul", ["scaled", "coefficients"], ["weighted"]),
            helper.make_node("Add", ["weighted", "intercept"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["column"]),
            helper.make_node("Reshape", ["column", "flat"], [OUTPUT_NAME]),
        ]
        constants = [
            constant("coefficients", np.asarray(classifier.coef_).reshape(-1, 1)),
            constant("intercept", classifier.intercept_),
            constant("flat", [-1], np.int64),
        ]
        return make_graph(nodes, constants, n_features)
