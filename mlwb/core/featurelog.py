"""The line a server writes for a row of features it scored, for the next training to read.

One JSON object a line. No request ids and no client data: a market's features, the version that
scored them, a time. Values are written so that reading them gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from mlwb.core.linelog import parse_stamped, read_all_lines

__all__ = ["FeatureLine", "encode_features", "parse_features", "read_features"]


class FeatureLine(msgspec.Struct, frozen=True, gc=False):
    """One scored row.

    Parameters
    ----------
    ts : datetime
        Open of the bar for a row the server computed; when it was answered for a row that a client
        sent. Timezone-aware UTC.
    route : str
        ``"/ml/observe"`` for a row the server computed, ``"/ml/predict"`` for one it was sent.
    symbol : str
        Of the bar; empty for a row that was sent.
    model_version : str
        The version that scored.
    schema_crc32 : str
        Of its features: eight hex digits.
    values : tuple of float
        Finite, in the order of that version's sidecar.
    """

    ts: datetime
    route: str
    symbol: str
    model_version: str
    schema_crc32: str
    values: tuple[float, ...]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(FeatureLine)


def encode_features(line: FeatureLine) -> bytes:
    """Bytes of a line, with its newline.

    Examples
    --------
    >>> from datetime import UTC
    >>> line = FeatureLine(datetime(2026, 1, 1, tzinfo=UTC), "/ml/observe", "EURUSD", "v1.8.1",
    ...                    "d84e84b7", (0.1 + 0.2,))
    >>> parse_features(encode_features(line)) == line
    True
    """
    return _ENCODER.encode(line) + b"\n"


def parse_features(data: bytes) -> FeatureLine:
    """Inverse of :func:`encode_features`.

    Raises
    ------
    EvidenceSchemaError
        Not such a line.
    """
    return parse_stamped(data, _DECODER, "feature log")


def read_features(path: Path) -> Iterator[FeatureLine]:
    """Lines of a feature log with the files that were set aside, oldest first.

    Parameters
    ----------
    path : Path
        ``features.jsonl``; neither it nor any file beside it need exist.

    Yields
    ------
    FeatureLine

    Raises
    ------
    EvidenceSchemaError
        A whole line cannot be read; the message names file and number.
    """
    return read_all_lines(path, parse_features)
