"""The fitted model as one ONNX graph: raw features in, probability out.

Clip bounds and scale are nodes of the graph, so the server sends what it measured. The first part
is float64. A linear model stays float64 to the end; trees take float32, on which they were
trained, since a tick-sized value on a split threshold would otherwise fall to the other side.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper
from skl2onnx import convert_sklearn  # type: ignore[import-untyped]
from skl2onnx.common.data_types import FloatTensorType  # type: ignore[import-untyped]

from mlwb.core.errors import ExportError
from mlwb.model._fit import FittedModel, WinsorScaler

__all__ = ["INPUT_NAME", "OUTPUT_NAME", "export_onnx"]

INPUT_NAME, OUTPUT_NAME = "features", "probability"
_OPSET, _ML_OPSET, _IR_VERSION = 21, 3, 10


def export_onnx(model: FittedModel) -> bytes:
    """Serialise a fitted model, with the same bytes for the same numbers.

    Parameters
    ----------
    model : FittedModel
        Logistic or boosting.

    Returns
    -------
    bytes
        ONNX model: ``features`` float64 (n, n_features) to ``probability`` (n,), float64 for
        the logistic family and float32 for boosting.

    Raises
    ------
    ExportError
        The graph does not pass the ONNX checker.
    """
    build = _logistic if model.trial.family == "logistic" else _boosting
    graph = build(model)
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the ONNX graph does not check: {error}") from error
    return bytes(graph.SerializeToString(deterministic=True))


def _constant(name: str, values: Any, dtype: type[Any] = np.float64) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def _scaling(scaler: WinsorScaler) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    nodes = [
        helper.make_node("Max", [INPUT_NAME, "lower"], ["clipped_below"]),
        helper.make_node("Min", ["clipped_below", "upper"], ["clipped"]),
        helper.make_node("Sub", ["clipped", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
    ]
    constants = [
        _constant("lower", scaler.lower_),
        _constant("upper", scaler.upper_),
        _constant("mean", scaler.mean_),
        _constant("scale", scaler.scale_),
    ]
    return nodes, constants


def _model(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    n_features: int,
    *,
    output: onnx.ValueInfoProto,
) -> onnx.ModelProto:
    source = helper.make_tensor_value_info(INPUT_NAME, TensorProto.DOUBLE, [None, n_features])
    graph = helper.make_graph(nodes, "mlwb", [source], [output], constants)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    return helper.make_model(
        graph, opset_imports=opsets, producer_name="mlwb", ir_version=_IR_VERSION
    )


def _logistic(model: FittedModel) -> onnx.ModelProto:
    nodes, constants = _scaling(model.scaler)
    nodes += [
        helper.make_node("MatMul", ["scaled", "coefficients"], ["weighted"]),
        helper.make_node("Add", ["weighted", "intercept"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["column"]),
        helper.make_node("Reshape", ["column", "flat"], [OUTPUT_NAME]),
    ]
    coefficients = np.asarray(model.classifier.coef_).reshape(-1, 1)
    constants += [
        _constant("coefficients", coefficients),
        _constant("intercept", model.classifier.intercept_),
        _constant("flat", [-1], np.int64),
    ]
    output = helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.DOUBLE, [None])
    return _model(nodes, constants, len(coefficients), output=output)


def _trees(model: FittedModel) -> onnx.ModelProto:
    with warnings.catch_warnings():
        # skl2onnx 1.20 hands protobuf a bool for an int; protobuf is held below 7 for it
        warnings.filterwarnings("ignore", "Field onnx.AttributeProto.ints", DeprecationWarning)
        trees: onnx.ModelProto = convert_sklearn(
            model.classifier,
            name="trees",
            initial_types=[("tree_features", FloatTensorType([None, len(model.scaler.mean_)]))],
            options={id(model.classifier): {"zipmap": False}},
            target_opset={"": _OPSET, "ai.onnx.ml": _ML_OPSET},
        )
    trees.ir_version = _IR_VERSION
    del trees.opset_import[:]
    trees.opset_import.extend(
        [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    )
    return trees


def _boosting(model: FittedModel) -> onnx.ModelProto:
    trees, n_features = _trees(model), len(model.scaler.mean_)
    nodes, constants = _scaling(model.scaler)
    nodes.append(helper.make_node("Cast", ["scaled"], ["narrow"], to=TensorProto.FLOAT))
    narrow = helper.make_tensor_value_info("narrow", TensorProto.FLOAT, [None, n_features])
    scaling = _model(nodes, constants, n_features, output=narrow)
    merged = compose.merge_models(
        scaling, trees, io_map=[("narrow", "tree_features")], outputs=["probabilities"], name="mlwb"
    )
    merged.producer_name, merged.producer_version, merged.doc_string = "mlwb", "", ""
    merged.graph.doc_string = ""
    merged.graph.node.extend(
        [
            helper.make_node("Gather", ["probabilities", "second"], ["column"], axis=1),
            helper.make_node("Reshape", ["column", "flat"], [OUTPUT_NAME]),
        ]
    )
    merged.graph.initializer.extend(
        [
            _constant("second", [1], np.int64),
            _constant("flat", [-1], np.int64),
        ]
    )
    del merged.graph.output[:]
    merged.graph.output.append(
        helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, [None])
    )
    return merged
