"""The line a server writes for each score.

One JSON object a line. No features, no client data: an id, a version, a score, a time. The file
is a log, not evidence: lines may be dropped under load (the server counts them) and the last one
may be torn.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from mlwb.core.errors import EvidenceSchemaError

__all__ = [
    "REPLAYED",
    "REQUEST_ID",
    "PredictionLine",
    "ShadowOutcome",
    "encode_line",
    "parse_line",
    "read_all_lines",
    "read_all_predictions",
    "read_predictions",
    "set_aside_files",
]

REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}\Z")
"""Ids a caller may bring; any other is refused in a body and replaced in a header."""

REPLAYED = "replay."
"""Ids of replayed rows begin so, that a live log tells them from requests of the day."""


class ShadowOutcome(msgspec.Struct, frozen=True, gc=False):
    """What a candidate made of a row the champion had answered.

    Parameters
    ----------
    version : str
        The candidate; empty when there was none.
    score : float, optional
        Its P(label = 1), in [0, 1].
    delta : float, optional
        Candidate minus champion, in [-1, 1].
    match : bool, optional
        Whether ``|delta|`` is within the server's match limit.
    latency_ms : float, optional
        Time the candidate took.
    error : str, default=""
        Empty, or why there is no score: ``"no_candidate"``, ``"schema"``, ``"range"``,
        ``"model"``, ``"budget"``, ``"dropped"``, ``"breaker"``.
    """

    version: str
    score: float | None = None
    delta: float | None = None
    match: bool | None = None
    latency_ms: float | None = None
    error: str = ""


class PredictionLine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One served score.

    Parameters
    ----------
    ts : datetime
        When the answer was ready, timezone-aware UTC.
    request_id : str
        The caller's or a random one.
    route : str
        ``"/ml/predict"``, ``"/ml/predict-with-shadow"``.
    model_version : str
        The champion that answered.
    schema_crc32 : str
        Of its features: eight hex digits.
    score : float
        P(label = 1), in [0, 1].
    latency_ms : float
        From the first byte of the request to the answer, for the whole request.
    row : int, default=0
        Position within a batch.
    shadow : ShadowOutcome, optional
        The candidate's side.
    """

    ts: datetime
    request_id: str
    route: str
    model_version: str
    schema_crc32: str
    score: float
    latency_ms: float
    row: int = 0
    shadow: ShadowOutcome | None = None


_Line = TypeVar("_Line")

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(PredictionLine)


def encode_line(line: PredictionLine) -> bytes:
    """Bytes of a line, with its newline.

    Examples
    --------
    >>> from datetime import UTC
    >>> line = PredictionLine(datetime(2026, 1, 1, tzinfo=UTC), "a1", "/ml/predict", "v1.8.1",
    ...                       "d84e84b7", 0.5, 0.25)
    >>> parse_line(encode_line(line)) == line
    True
    """
    return _ENCODER.encode(line) + b"\n"


def parse_line(data: bytes) -> PredictionLine:
    """Inverse of :func:`encode_line`.

    Raises
    ------
    EvidenceSchemaError
        Not such a line.
    """
    try:
        line = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvidenceSchemaError(f"not a line of a prediction log: {error}") from error
    if line.ts.tzinfo is None:
        raise EvidenceSchemaError("not a line of a prediction log: ts has no time zone")
    return line


def read_predictions(path: Path) -> Iterator[PredictionLine]:
    """Lines of a log in the order they were written, a torn last line left out.

    Parameters
    ----------
    path : Path
        ``predictions.jsonl``; a missing file has no lines.

    Yields
    ------
    PredictionLine

    Raises
    ------
    EvidenceSchemaError
        A whole line cannot be read; the message names its number.
    """
    with _open(path) as handle:
        if handle:
            yield from _lines(handle, path.name, parse_line)


def set_aside_files(path: Path) -> list[Path]:
    """Files of a log that were set aside, ``<name>.<UTC time>``, oldest first."""
    return sorted(item for item in path.parent.glob(f"{path.name}.*") if item.is_file())


def read_all_predictions(path: Path) -> Iterator[PredictionLine]:
    """Lines of a log with the files that were set aside; see :func:`read_all_lines`.

    Parameters
    ----------
    path : Path
        ``predictions.jsonl``; neither it nor any file beside it need exist.

    Yields
    ------
    PredictionLine

    Raises
    ------
    EvidenceSchemaError
        A whole line cannot be read; the message names file and number.
    """
    return read_all_lines(path, parse_line)


def read_all_lines(path: Path, parse: Callable[[bytes], _Line]) -> Iterator[_Line]:
    """Lines of any log of a server with the files that were set aside, oldest first.

    A log may be set aside while it is read: no line is left out or comes twice. What is written
    after the first line was asked for may be missing.

    Parameters
    ----------
    path : Path
        The named file; neither it nor any file beside it need exist.
    parse : callable
        Reads one line.

    Yields
    ------
    object
        What ``parse`` gives.

    Raises
    ------
    EvidenceSchemaError
        A whole line cannot be read; the message names file and number.
    """
    with _open(path) as newest:
        # Set aside between the two looks, the newest stands among the old ones as well.
        seen = os.fstat(newest.fileno()) if newest else None
        for item in set_aside_files(path):
            with _open(item) as older:
                if older and not (seen and os.path.samestat(os.fstat(older.fileno()), seen)):
                    yield from _lines(older, item.name, parse)
        if newest:
            yield from _lines(newest, path.name, parse)


def _open(path: Path) -> BinaryIO | nullcontext[None]:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return nullcontext()  # never written, or archived since it was listed


def _lines(handle: BinaryIO, name: str, parse: Callable[[bytes], _Line]) -> Iterator[_Line]:
    for number, data in enumerate(handle, start=1):
        if not data.endswith(b"\n"):
            return
        try:
            yield parse(data)
        except EvidenceSchemaError as error:
            raise EvidenceSchemaError(f"{name} line {number}: {error.what}") from error
