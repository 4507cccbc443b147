"""Tensors of the Open Inference Protocol: from a request to rows of features, and back.

A model takes one tensor of shape ``[n, k]``, or a tensor of shape ``[n]`` for each feature. Values
stand in the JSON, flat or nested, or behind it in binary (the extension ``binary_tensor_data``).
Either way each must be a plausible value of its feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from mlwb.core.errors import ServeError
from mlwb.core.predictionlog import REQUEST_ID
from mlwb.serve._decode import UNREADABLE, unreadable
from mlwb.serve._models import Live
from mlwb.serve._problems import problem_error

__all__ = ["InferQuery", "InferRequest", "OutputTensor", "read_infer"]

_TYPES: dict[str, np.dtype[Any]] = {"FP64": np.dtype("<f8"), "FP32": np.dtype("<f4")}
_BINARY_SIZE = "binary_data_size"
_MANY_ROWS = 32
"""From here on numpy is faster than Python."""
_UNSUPPORTED = ("sequence_id", "shared_memory_region", "classification")
Parameters: TypeAlias = dict[str, bool | int | float | str]
Size: TypeAlias = Annotated[int, Meta(ge=1, le=1 << 20)]

Datatype: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": list(_TYPES)})]
"""Published as what it may be, read as a text: so that a refusal can say what is expected."""


class InputTensor(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Values of all features, or of one."""

    name: str
    shape: Annotated[list[Size], Meta(min_length=1, max_length=2)]
    datatype: Datatype
    data: list[float | list[float]] | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET


class WantedTensor(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An output by its name."""

    name: str
    parameters: Parameters | UnsetType = UNSET


class InferRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Rows to score; parameters other than `schema_crc32` and `binary_data_output` are not read."""

    inputs: Annotated[list[InputTensor], Meta(min_length=1)]
    id: Annotated[str, Meta(pattern=REQUEST_ID.pattern)] | UnsetType = UNSET
    outputs: Annotated[list[WantedTensor], Meta(max_length=1)] | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET


class OutputTensor(msgspec.Struct, gc=False):
    """Scores; without `data` they stand behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float] | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET


class InferQuery(NamedTuple):
    """A decoded request.

    Parameters
    ----------
    rows : list of tuple of float
        In the order of the sidecar, at least one.
    request_id : str
        The caller's, or empty.
    is_binary : bool
        Whether scores go behind the JSON.
    """

    rows: list[tuple[float, ...]]
    request_id: str
    is_binary: bool


_decode = msgspec.json.Decoder(InferRequest).decode
_encode = msgspec.json.Encoder().encode


def read_infer(live: Live, body: bytes, length: bytes | None, *, max_rows: int) -> InferQuery:
    """Decode and check one request.

    Parameters
    ----------
    live : Live
        The version it is for.
    body : bytes
        JSON, and tensors behind it where ``length`` says how long the JSON is.
    length : bytes or None
        Of the header ``Inference-Header-Content-Length``.
    max_rows : int
        Most rows of a request.

    Returns
    -------
    InferQuery

    Raises
    ------
    ServeError
        400 not JSON, 422 anything that does not fit; a pointer names the place.
    """
    text, tail = _split(body, length)
    try:
        request = _decode(text)
    except UNREADABLE as error:
        raise unreadable(error, known="read the model's metadata") from error
    _check_keys(request, text)
    is_binary = _check_wishes(live, request)
    columns = _Columns(live, request.inputs, max_rows)
    return InferQuery(columns.rows(tail), "" if request.id is UNSET else request.id, is_binary)


def _split(body: bytes, length: bytes | None) -> tuple[bytes, bytes]:
    if length is None:
        return body, b""
    if not length.isdigit() or len(length) > 9 or int(length) > len(body):
        detail = "Inference-Header-Content-Length is not the length of the JSON"
        raise problem_error("invalid_input", detail)
    return body[: int(length)], body[int(length) :]


def _check_keys(request: InferRequest, text: bytes) -> None:
    # What was decoded is written again without its numbers: fewer quotes than were sent means
    # that a key was sent twice and one was not read. A quote sent by its number would make up
    # for one that was not read.
    shells = [
        item if item.data is UNSET else msgspec.structs.replace(item, data=[])
        for item in request.inputs
    ]
    written = _encode(msgspec.structs.replace(request, inputs=shells))
    if written.count(b'"') != text.count(b'"') or b"\\u0022" in text:
        raise problem_error("repeated_key", "expected every key once, and no escaped quotes")


def _check_wishes(live: Live, request: InferRequest) -> bool:
    """Whether the answer is to be binary; refuses what is not understood."""
    given: Parameters = {} if request.parameters is UNSET else request.parameters
    is_binary = given.get("binary_data_output") is True
    _check_parameters(given, "#/parameters")
    if given.get("schema_crc32", live.schema_crc32) != live.schema_crc32:
        detail = f"the model's schema_crc32 is {live.schema_crc32}; read /ml/model/info"
        raise problem_error("schema_mismatch", detail, pointer="#/parameters/schema_crc32")
    for place, item in enumerate(() if request.outputs is UNSET else request.outputs):
        if item.name != live.predictor.sidecar.output_name:
            detail = f"the one output is {live.predictor.sidecar.output_name}"
            raise problem_error("invalid_input", detail, pointer=f"#/outputs/{place}/name")
        wishes: Parameters = {} if item.parameters is UNSET else item.parameters
        _check_parameters(wishes, f"#/outputs/{place}/parameters")
        is_binary = wishes.get("binary_data", is_binary) is True
    return is_binary


def _check_parameters(given: Mapping[str, object], pointer: str) -> None:
    for name in _UNSUPPORTED:
        if name in given:
            detail = f"{name} is not supported"
            raise problem_error("invalid_input", detail, pointer=f"{pointer}/{name}")


class _Columns:
    """The inputs of one request as columns of the model."""

    def __init__(self, live: Live, inputs: Sequence[InputTensor], max_rows: int) -> None:
        sidecar = live.predictor.sidecar
        self._live, self._inputs = live, inputs
        self._width = len(sidecar.features)
        self._is_whole = len(inputs) == 1 and inputs[0].name == sidecar.input_name
        names = [item.name for item in inputs]
        if not self._is_whole and sorted(names) != sorted(sidecar.names):
            detail = (
                f"expected the tensor {sidecar.input_name} of shape [n, {self._width}], "
                "or a tensor of shape [n] for each feature"
            )
            raise problem_error("invalid_input", detail, pointer="#/inputs")
        self._places = {name: place for place, name in enumerate(names)}
        self._n_rows = inputs[0].shape[0]
        if self._n_rows > max_rows:
            detail = f"expected at most {max_rows} rows"
            raise problem_error("invalid_input", detail, pointer="#/inputs/0/shape")

    def rows(self, tail: bytes) -> list[tuple[float, ...]]:
        """Checked rows, in the order of the sidecar."""
        found = []
        for place, item in enumerate(self._inputs):
            values, tail = self._values(place, item, tail)
            found.append(values)
        if tail:
            raise problem_error("invalid_input", "there are more bytes than the tensors have")
        if self._is_whole:
            values, width = found[0], self._width
            rows = [tuple(values[at : at + width]) for at in range(0, len(values), width)]
        else:
            columns = [found[self._places[name]] for name in self._live.predictor.sidecar.names]
            rows = list(zip(*columns, strict=True))
        if len(rows) >= _MANY_ROWS and self._are_within(rows):
            return rows
        return [self._bounded(place, row) for place, row in enumerate(rows)]

    def _are_within(self, rows: Sequence[tuple[float, ...]]) -> bool:
        matrix, ranges = np.array(rows), np.array(self._live.ranges)
        return bool(((matrix >= ranges[:, 0]) & (matrix <= ranges[:, 1])).all())

    def _values(self, place: int, item: InputTensor, tail: bytes) -> tuple[list[float], bytes]:
        pointer, kind = f"#/inputs/{place}", _TYPES.get(item.datatype)
        if kind is None:
            detail = "expected FP64 or FP32"
            raise problem_error("invalid_input", detail, pointer=f"{pointer}/datatype")
        width = self._width if self._is_whole else 1
        shapes = [[self._n_rows, width]] if self._is_whole else [[self._n_rows], [self._n_rows, 1]]
        if item.shape not in shapes:
            detail = f"expected [n, {width}]" if self._is_whole else "expected [n], n of all alike"
            raise problem_error("invalid_input", detail, pointer=f"{pointer}/shape")
        given: Parameters = {} if item.parameters is UNSET else item.parameters
        _check_parameters(given, f"{pointer}/parameters")
        count = self._n_rows * width
        if item.data is UNSET:
            return _binary(given.get(_BINARY_SIZE), kind, count, tail, pointer=pointer)
        # Nested only as the shape is: a list within [n] is no number.
        nested = width if len(item.shape) == 2 else -1
        values = _flat(item.data, nested, count, pointer)
        if item.datatype == "FP32":
            with np.errstate(over="ignore"):  # refused with its place, like any infinity
                values = np.array(values).astype(np.float32).astype(float).tolist()
        return values, tail

    def _bounded(self, place: int, row: tuple[float, ...]) -> tuple[float, ...]:
        if self._live.covers(row):
            return row
        for column, (field, value) in enumerate(
            zip(self._live.predictor.sidecar.features, row, strict=True)
        ):
            item = self._inputs[0 if self._is_whole else self._places[field.name]]
            low, high = field.low, field.high
            if item.datatype == "FP32":
                low, high = float(np.float32(low)), float(np.float32(high))
            if not low <= value <= high:
                detail = f"{field.name} is not within {field.low:g} .. {field.high:g}"
                pointer = self._pointer(place, column)
                raise problem_error("invalid_input", detail, pointer=pointer)
        # A limit that FP32 rounded outwards is held inside: less than one part in ten million.
        return tuple(
            min(max(value, low), high)
            for value, (low, high) in zip(row, self._live.ranges, strict=True)
        )

    def _pointer(self, row: int, column: int) -> str:
        if self._is_whole:
            return f"#/inputs/0/data/{row * self._width + column}"
        name = self._live.predictor.sidecar.features[column].name
        return f"#/inputs/{self._places[name]}/data/{row}"


def _binary(
    size: object, kind: np.dtype[Any], count: int, tail: bytes, *, pointer: str
) -> tuple[list[float], bytes]:
    wanted = count * kind.itemsize
    if type(size) is not int:
        detail = f"expected data, or the parameter {_BINARY_SIZE} and the bytes behind the JSON"
        raise problem_error("invalid_input", detail, pointer=f"{pointer}/data")
    if size != wanted or len(tail) < wanted:
        detail = f"expected {wanted} bytes for this shape and datatype"
        pointer = f"{pointer}/parameters/{_BINARY_SIZE}"
        raise problem_error("invalid_input", detail, pointer=pointer)
    with np.errstate(invalid="ignore"):  # any pattern of bits may come; ranges are checked later
        values = np.frombuffer(tail, kind, count).astype(float)
    return values.tolist(), tail[wanted:]


def _flat(data: Sequence[float | list[float]], width: int, count: int, pointer: str) -> list[float]:
    """Values row by row, whichever way they are nested."""
    values: list[float] = []
    for item in data:
        if not isinstance(item, list):
            values.append(item)
        elif len(item) == width:
            values += item
        else:
            raise _wrong_count(count, pointer)
    if len(values) != count or len(data) not in (count, count // abs(width)):
        raise _wrong_count(count, pointer)
    return values


def _wrong_count(count: int, pointer: str) -> ServeError:
    detail = f"expected {count} numbers, flat or row by row"
    return problem_error("invalid_input", detail, pointer=f"{pointer}/data")
