"""The line a server writes for each score.

One JSON object a line. No features, no client data: an id, a version, a score, a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from mlwb.core.linelog import parse_stamped, read_all_lines, read_lines

__all__ = [
    "REPLAYED",
    "REQUEST_ID",
    "PredictionLine",
    "ShadowOutcome",
    "encode_line",
    "parse_line",
    "read_all_predictions",
    "read_predictions",
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
    return parse_stamped(data, _DECODER, "prediction log")


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
    return read_lines(path, parse_line)


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
