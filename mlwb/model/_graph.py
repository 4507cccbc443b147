"""Pieces of ONNX graphs, with fixed names and versions so that equal models have equal bytes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn  # type: ignore[import-untyped]
from skl2onnx.common.data_types import (  # type: ignore[import-untyped]
    DoubleTensorType,
    FloatTensorType,
)

__all__ = [
    "OUTPUT_NAME",
    "assemble",
    "constant",
    "convert_graph",
    "make_graph",
    "settled",
    "tensor",
]

OUTPUT_NAME = "probability"
_OPSET, _ML_OPSET, _IR_VERSION = 21, 3, 10


def constant(name: str, values: Any, dtype: type[Any] = np.float64) -> onnx.TensorProto:
    """A tensor of the graph."""
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def tensor(name: str, dtype: type[Any], *columns: int) -> onnx.ValueInfoProto:
    """Input or output of shape (n,), or (n, columns)."""
    kind = TensorProto.FLOAT if dtype is np.float32 else TensorProto.DOUBLE
    return helper.make_tensor_value_info(name, kind, [None, *columns])


def assemble(
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto],
    source: onnx.ValueInfoProto,
    output: onnx.ValueInfoProto,
) -> onnx.ModelProto:
    """A model of nodes between one input and one output."""
    graph = helper.make_graph(list(nodes), "mlwb", [source], [output], list(constants))
    return settled(helper.make_model(graph))


def make_graph(
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto],
    n_features: int,
    *,
    dtype: type[Any] = np.float64,
) -> onnx.ModelProto:
    """A family's graph from nodes: ``scaled`` (n, n_features) to ``probability`` (n,).

    Parameters
    ----------
    nodes : sequence of NodeProto
        The first reads ``scaled``, the last gives ``probability``.
    constants : sequence of TensorProto
        What the nodes name beside that.
    n_features : int
        Columns of the input.
    dtype : type, default=numpy.float64
        Of input and output.

    Returns
    -------
    onnx.ModelProto
        As :meth:`Family.graph` must give it.
    """
    source, output = tensor("scaled", dtype, n_features), tensor(OUTPUT_NAME, dtype)
    return assemble(nodes, constants, source, output)


def convert_graph(
    classifier: Any, n_features: int, *, dtype: type[Any] = np.float32
) -> onnx.ModelProto:
    """What ``skl2onnx`` makes of a fitted scikit-learn classifier, cut to the second class.

    Parameters
    ----------
    classifier : object
        Fitted on two classes.
    n_features : int
        Columns it takes.
    dtype : type, default=numpy.float32
        Of its input. ``skl2onnx`` writes tree thresholds as float32: fit trees on float32 too.

    Returns
    -------
    onnx.ModelProto
        As :meth:`Family.graph` must give it.
    """
    kind = FloatTensorType if dtype is np.float32 else DoubleTensorType
    with warnings.catch_warnings():
        # skl2onnx 1.20 hands protobuf a bool for an int; protobuf is held below 7 for it
        warnings.filterwarnings("ignore", "Field onnx.AttributeProto.ints", DeprecationWarning)
        model: onnx.ModelProto = convert_sklearn(
            classifier,
            name="mlwb",
            initial_types=[("scaled", kind([None, n_features]))],
            options={id(classifier): {"zipmap": False}},
            target_opset={"": _OPSET, "ai.onnx.ml": _ML_OPSET},
        )
    model.graph.node.extend(
        [
            helper.make_node("Gather", ["probabilities", "second"], ["column"], axis=1),
            helper.make_node("Reshape", ["column", "flat"], [OUTPUT_NAME]),
        ]
    )
    model.graph.initializer.extend(
        [constant("second", [1], np.int64), constant("flat", [-1], np.int64)]
    )
    del model.graph.output[:]
    model.graph.output.append(tensor(OUTPUT_NAME, dtype))
    return settled(model)


def settled(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model under fixed versions, saying nothing about where it was made."""
    model.ir_version = _IR_VERSION
    model.producer_name, model.producer_version, model.domain, model.doc_string = "mlwb", "", "", ""
    model.graph.name, model.graph.doc_string = "mlwb", ""
    del model.opset_import[:]
    model.opset_import.extend(
        [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    )
    return model
