"""Graphs with a defect on purpose, for the proof that a rollout finds it.

Each is a valid ONNX model that really does what is wrong: it raises, works, or scores so. Nothing
of a served model is mocked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from mlwb.core.errors import ModelError
from mlwb.inference import Sidecar
from mlwb.model._graph import constant

__all__ = ["DEFECTS", "with_defect"]

_SOUND = "sound_probability"
_GRAIN = 1e6
"""A row is drawn by the digits of its weighted sum behind this scale: equal rows fare alike."""
_SIZE = 160
"""Rows of the matrix that a slow graph multiplies by itself: 8 million operations a time."""


@dataclass(frozen=True)
class _Added:
    """What stands behind a sound graph; the last node gives ``probability`` as float64."""

    nodes: tuple[NodeProto, ...]
    constants: tuple[onnx.TensorProto, ...]


_Builder = Callable[[Sidecar, float], _Added]


def with_defect(onnx_bytes: bytes, sidecar: Sidecar, kind: str, size: float) -> bytes:
    """A sound model with a defect behind it.

    Parameters
    ----------
    onnx_bytes : bytes
        The sound model.
    sidecar : Sidecar
        Names its tensors; its output is float64.
    kind : str
        One of :data:`DEFECTS`.
    size : float
        How bad: of ``errors`` the share of rows that raise, in (0, 1]; of ``slow`` the number of
        matrix products a row; of ``pushed`` the distance by which scores move away from 0.5; of
        ``flipped`` the share of the way from each score to its opposite, in (0, 1].

    Returns
    -------
    bytes
        An ONNX model with the same inputs and outputs.

    Raises
    ------
    ModelError
        No such defect, or the model has no float64 output of that name.
    """
    if kind not in DEFECTS:
        raise ModelError("no such defect", expected=", ".join(DEFECTS), got=kind)
    model = onnx.load_model_from_string(onnx_bytes)
    (output,) = model.graph.output
    if output.name != sidecar.output_name or output.type.tensor_type.elem_type != _DOUBLE:
        raise ModelError("a defect follows float64 scores only", got=output.name)
    for node in model.graph.node:
        node.output[:] = [_SOUND if name == output.name else name for name in node.output]
    added = DEFECTS[kind](sidecar, size)
    model.graph.node.extend(added.nodes)
    model.graph.initializer.extend(added.constants)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _errors(sidecar: Sidecar, share: float) -> _Added:
    """A table of one entry, asked beyond its end for a share of the rows: onnxruntime raises."""
    weights = np.sqrt(np.arange(2.0, 2.0 + len(sidecar.features)))[:, None] * _GRAIN
    middle = np.array([(field.low + field.high) / 2.0 for field in sidecar.features])
    start = 0.5 - middle @ weights  # the middle of the ranges, which warms a model, is a good row
    nodes = (
        _node("MatMul", [sidecar.input_name, "draw_weights"], "drawn_column"),
        _node("Reshape", ["drawn_column", "defect_flat"], "drawn_flat"),
        _node("Add", ["drawn_flat", "draw_start"], "drawn"),
        _node("Floor", ["drawn"], "drawn_floor"),
        _node("Sub", ["drawn", "drawn_floor"], "drawn_digits"),
        _node("Less", ["drawn_digits", "draw_share"], "is_bad"),
        helper.make_node("Cast", ["is_bad"], ["beyond"], to=TensorProto.INT64),
        _node("Gather", ["short_table", "beyond"], "looked_up"),
        _node("Mul", [_SOUND, "looked_up"], sidecar.output_name),
    )
    return _Added(
        nodes,
        (
            constant("draw_weights", weights),
            constant("draw_start", start),
            constant("draw_share", [share]),
            constant("short_table", [1.0]),
            constant("defect_flat", [-1], np.int64),
        ),
    )


def _slow(sidecar: Sidecar, products: float) -> _Added:
    """The score, after a matrix made of it was multiplied by itself many times."""
    nodes = [
        _node("Reshape", [_SOUND, "work_shape"], "work_scalar"),
        _node("Mul", ["work_scalar", "work_ones"], "work_0"),
    ]
    nodes += [
        _node("MatMul", [f"work_{place}"] * 2, f"work_{place + 1}")
        for place in range(int(products))
    ]
    last = f"work_{int(products)}"
    nodes += [
        helper.make_node("ReduceSum", [last, "work_axes"], ["work_sum"], keepdims=0),
        _node("Mul", ["work_sum", "work_nothing"], "work_silent"),
        _node("Add", [_SOUND, "work_silent"], sidecar.output_name),
    ]
    return _Added(
        tuple(nodes),
        (
            constant("work_shape", [-1, 1, 1], np.int64),
            constant("work_ones", np.full((_SIZE, _SIZE), 1.0 / _SIZE)),
            constant("work_axes", [1, 2], np.int64),
            constant("work_nothing", 0.0),
        ),
    )


def _pushed(sidecar: Sidecar, distance: float) -> _Added:
    """Scores a little surer than they are: near enough each, together another distribution."""
    nodes = (
        _node("Sub", [_SOUND, "push_middle"], "push_side"),
        _node("Sign", ["push_side"], "push_sign"),
        _node("Mul", ["push_sign", "push_distance"], "push_by"),
        _node("Add", [_SOUND, "push_by"], "pushed"),
        _node("Clip", ["pushed", "push_low", "push_high"], sidecar.output_name),
    )
    return _Added(
        nodes,
        (
            constant("push_middle", 0.5),
            constant("push_distance", distance),
            constant("push_low", 0.0),
            constant("push_high", 1.0),
        ),
    )


def _flipped(sidecar: Sidecar, share: float) -> _Added:
    """``p + share * (1 - 2 p)``: with 1 the probability of the other class."""
    nodes = (
        _node("Mul", [_SOUND, "flip_slope"], "flip_scaled"),
        _node("Add", ["flip_scaled", "flip_share"], sidecar.output_name),
    )
    return _Added(nodes, (constant("flip_slope", 1.0 - 2.0 * share), constant("flip_share", share)))


def _node(kind: str, inputs: list[str], output: str) -> NodeProto:
    return helper.make_node(kind, inputs, [output])


_DOUBLE = TensorProto.DOUBLE

DEFECTS = MappingProxyType[str, _Builder](
    {"errors": _errors, "flipped": _flipped, "pushed": _pushed, "slow": _slow}
)
"""What can be wrong with a graph, by name."""
