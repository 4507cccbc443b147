"""The fitted model as one ONNX graph: raw features in, probability out.

Clip bounds and scale are nodes of the graph, so the server sends what it measured. This first part
is float64; what follows computes in the family's own type, on which it was fitted: a tick-sized
value on a split threshold would otherwise fall to the other side.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, compose, helper

from mlwb.core.errors import ExportError
from mlwb.model._fit import FittedModel
from mlwb.model._graph import OUTPUT_NAME, assemble, constant, settled, tensor

__all__ = ["INPUT_NAME", "OUTPUT_NAME", "export_onnx"]

INPUT_NAME = "features"


def export_onnx(model: FittedModel) -> bytes:
    """Serialise a fitted model, with the same bytes for the same numbers.

    Parameters
    ----------
    model : FittedModel
        Of any family.

    Returns
    -------
    bytes
        ONNX model: ``features`` float64 (n, n_features) to ``probability`` (n,) of the family's
        type.

    Raises
    ------
    ExportError
        The family's graph does not fit behind the scaling, or does not pass the ONNX checker.
    """
    try:
        graph = model.family.graph(model.classifier, len(model.scaler.mean_))
    except Exception as error:  # whatever somebody else's family raises
        got = f"{type(error).__name__}: {error}"
        raise ExportError(f"{model.trial.name} gives no graph", got=got) from error
    if not isinstance(graph, onnx.ModelProto):
        raise ExportError(f"{model.trial.name} gives no graph", got=type(graph).__name__)
    try:
        merged = _behind_scaling(model, graph)
        onnx.checker.check_model(merged, full_check=True)
    except (ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the ONNX graph does not check: {error}") from error
    return bytes(merged.SerializeToString(deterministic=True))


def _behind_scaling(model: FittedModel, graph: onnx.ModelProto) -> onnx.ModelProto:
    """The family's graph reading what the scaling gives; the merge itself checks no types."""
    scaling = _scaling(model)
    if [value.name for value in graph.graph.output] != [OUTPUT_NAME]:
        raise ValueError(f"its one output must be named {OUTPUT_NAME}")
    (given,), (taken,) = scaling.graph.output, graph.graph.input
    if given.type.tensor_type.elem_type != taken.type.tensor_type.elem_type:
        raise ValueError(f"its input must be {model.family.dtype.__name__}, as its family says")
    joint = [(given.name, taken.name)]
    return settled(compose.merge_models(scaling, settled(graph), io_map=joint))


def _scaling(model: FittedModel) -> onnx.ModelProto:
    scaler, dtype, n_features = model.scaler, model.family.dtype, len(model.scaler.mean_)
    nodes = [
        helper.make_node("Max", [INPUT_NAME, "lower"], ["clipped_below"]),
        helper.make_node("Min", ["clipped_below", "upper"], ["clipped"]),
        helper.make_node("Sub", ["clipped", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["standard"]),
    ]
    if dtype is np.float32:
        nodes.append(helper.make_node("Cast", ["standard"], ["narrow"], to=TensorProto.FLOAT))
    constants = [
        constant("lower", scaler.lower_),
        constant("upper", scaler.upper_),
        constant("mean", scaler.mean_),
        constant("scale", scaler.scale_),
    ]
    source = tensor(INPUT_NAME, np.float64, n_features)
    return assemble(nodes, constants, source, tensor(nodes[-1].output[0], dtype, n_features))
