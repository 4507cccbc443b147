"""From request bytes to numbers, by a type generated from the model's sidecar.

Every value is bounded by its feature's range, so NaN, infinity, ``1e400``, text, booleans and
nulls are refused while decoding: nothing that is not a plausible number reaches the model.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mlwb.core.errors import ServeError
from mlwb.core.predictionlog import REQUEST_ID
from mlwb.inference import Sidecar
from mlwb.serve._problems import problem_error

__all__ = ["UNREADABLE", "Decoder", "Query", "unreadable"]

_LOCATED = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
# Messages that can only hold our own words: types, limits and names of the model's fields.
_SAFE = re.compile(
    r"^(Expected `[a-z |]+`(, got `[a-z]+`)?( [<>]=? -?[0-9.e+-]+| of length ([<>]=? )?[0-9]+)?"
    r"|Object missing required field `\w+`|Number out of range)$"
)
_MISSING = re.compile(r"^Object missing required field `(\w+)`$")

_FORMS = {
    "request_id": "1 to 64 of A-Z a-z 0-9 . _ -",
    "schema_crc32": "eight digits of 0-9 a-f",
    "symbol": "1 to 32 of A-Z a-z 0-9 . _ -, the first a letter or a digit",
    "ts": "the bar's open in UTC, on the minute, as 2026-01-01T00:00:00Z",
}

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a body raises."""


class Query(NamedTuple):
    """A decoded request.

    Parameters
    ----------
    rows : list of tuple of float
        One tuple for one row, in the order of the sidecar; several for a batch.
    is_batch : bool
        Whether the caller sent ``rows``.
    request_id : str
        The caller's, or empty.
    """

    rows: list[tuple[float, ...]]
    is_batch: bool
    request_id: str


class Decoder:
    """Reads requests for one model version.

    Parameters
    ----------
    sidecar : Sidecar
        Names, order and ranges.
    max_rows : int
        Largest batch.

    Attributes
    ----------
    request_type : type
        What a body is decoded as, and published as.
    """

    __slots__ = ("_crc", "_decode", "_width", "request_type")

    def __init__(self, sidecar: Sidecar, max_rows: int) -> None:
        self._crc = sidecar.schema_crc32
        self._width = len(sidecar.features)
        self.request_type = _request_type(sidecar, max_rows)
        self._decode = msgspec.json.Decoder(self.request_type).decode

    def decode(self, body: bytes) -> Query:
        """Decode and check one body.

        Parameters
        ----------
        body : bytes
            ``{"features": {name: number, ...}}``, ``{"features": [number, ...]}`` or
            ``{"rows": [[number, ...], ...]}``; with ``schema_crc32`` and ``request_id``
            optional beside it.

        Returns
        -------
        Query

        Raises
        ------
        ServeError
            400 not JSON, 422 anything that does not fit; a pointer names the field.
        """
        try:
            request = self._decode(body)
        except UNREADABLE as error:
            raise unreadable(error) from error
        features, rows = request.features, request.rows
        if (features is UNSET) is (rows is UNSET):
            raise problem_error("invalid_input", "expected either features or rows")
        self._check_keys(request, body)
        if request.schema_crc32 is not UNSET and request.schema_crc32 != self._crc:
            detail = f"the model's schema_crc32 is {self._crc}; read /ml/model/info"
            raise problem_error("schema_mismatch", detail, pointer="#/schema_crc32")
        request_id = "" if request.request_id is UNSET else request.request_id
        if features is UNSET:
            return Query(rows, is_batch=True, request_id=request_id)
        row = features if type(features) is tuple else msgspec.structs.astuple(features)
        return Query([row], is_batch=False, request_id=request_id)

    def _check_keys(self, request: Any, body: bytes) -> None:
        # A key and a string value hold two quotes each, and the patterns leave no room for an
        # escaped one; more quotes than that means a key was sent twice and one was not read.
        quotes = 2
        if request.schema_crc32 is not UNSET:
            quotes += 4
        if request.request_id is not UNSET:
            quotes += 4
        if type(request.features) is not tuple and request.features is not UNSET:
            quotes += 2 * self._width
        if body.count(b'"') != quotes:
            raise problem_error("repeated_key", "expected every key once")


def _request_type(sidecar: Sidecar, max_rows: int) -> type[Any]:
    values = tuple(
        Annotated[
            float,
            Meta(
                ge=field.low,
                le=field.high,
                title=field.name,
                extra_json_schema={"x-unit": field.unit},
            ),
        ]
        for field in sidecar.features
    )
    cells = [f"f{index}" for index in range(len(values))]
    named = msgspec.defstruct(
        "Features",
        list(zip(cells, values, strict=True)),
        namespace={"__doc__": "Raw values by name, each within the range that is scored."},
        rename=dict(zip(cells, sidecar.names, strict=True)),
        forbid_unknown_fields=True,
        frozen=True,
        gc=False,
    )
    row: Any = tuple[values]  # type: ignore[valid-type]
    rows = Annotated[list[row], Meta(min_length=1, max_length=max_rows)]
    only = {"const": sidecar.schema_crc32}  # published; another one is refused as what it is
    crc = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}\Z", extra_json_schema=only)]
    request_id = Annotated[str, Meta(pattern=REQUEST_ID.pattern)]
    return msgspec.defstruct(
        "Request",
        [
            ("features", named | row | UnsetType, UNSET),
            ("rows", rows | UnsetType, UNSET),
            ("schema_crc32", crc | UnsetType, UNSET),
            ("request_id", request_id | UnsetType, UNSET),
        ],
        namespace={"__doc__": "One row, by name or in order, or a batch of rows in order."},
        forbid_unknown_fields=True,
    )


def unreadable(error: Exception, *, known: str = "read /ml/model/info for the names") -> ServeError:
    """The refusal for what msgspec found wrong, with a pointer and nothing of the input.

    Parameters
    ----------
    error : Exception
        One of :data:`UNREADABLE`.
    known : str
        Where the names that are known stand.
    """
    if not isinstance(error, msgspec.ValidationError):
        detail = "expected one JSON object in UTF-8; NaN and Infinity are not JSON"
        return problem_error("bad_json", detail)
    found = _LOCATED.match(str(error))
    what, path = (found["what"], found["path"] or "") if found else ("", "")
    missing = _MISSING.match(what)
    pointer = "#" + re.sub(r"[.\[]", "/", path).replace("]", "")
    if missing:
        return problem_error(
            "invalid_input", f"{missing[1]} is missing", pointer=f"{pointer}/{missing[1]}"
        )
    if what.startswith("Object contains unknown field"):
        what = f"an unknown field; {known}"
    elif what.startswith("Invalid enum value"):
        what = "not one of the words it may be; see /docs"
    elif _SAFE.match(what) is None:
        form = _FORMS.get(pointer.rpartition("/")[2])
        what = f"expected {form}" if form else "not the expected form; see /docs"
    return problem_error("invalid_input", what.replace("`", ""), pointer=pointer)
