"""The prediction log: one line a score."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.errors import EvidenceSchemaError
from mlwb.core.predictionlog import (
    PredictionLine,
    ShadowOutcome,
    encode_line,
    parse_line,
    read_predictions,
)

_UNIT = st.floats(0, 1)
_SHADOWS = st.none() | st.builds(
    ShadowOutcome,
    version=st.text(max_size=20),
    score=st.none() | _UNIT,
    delta=st.none() | st.floats(-1, 1),
    match=st.none() | st.booleans(),
    latency_ms=st.none() | st.floats(0, 1e6),
    error=st.text(max_size=20),
)
_LINES = st.builds(
    PredictionLine,
    ts=st.datetimes(timezones=st.just(UTC)),
    request_id=st.text(max_size=64),
    route=st.text(max_size=40),
    model_version=st.text(max_size=64),
    schema_crc32=st.text(max_size=8),
    score=_UNIT,
    latency_ms=st.floats(0, 1e6),
    row=st.integers(0, 1023),
    shadow=_SHADOWS,
)
LINE = PredictionLine(
    ts=datetime(2026, 1, 1, tzinfo=UTC),
    request_id="a1",
    route="/ml/predict",
    model_version="v1.8.1",
    schema_crc32="d84e84b7",
    score=0.25,
    latency_ms=0.5,
)


@given(_LINES)
def test_a_line_survives_the_file(line: PredictionLine) -> None:
    """Encoded and parsed is the same, whatever the text in it; one line stays one line."""
    data = encode_line(line)
    assert parse_line(data) == line
    assert data.count(b"\n") == 1


def test_the_line_as_others_read_it() -> None:
    """Oracle: the json module. No features, no key without a value."""
    assert json.loads(encode_line(LINE)) == {
        "ts": "2026-01-01T00:00:00Z",
        "request_id": "a1",
        "route": "/ml/predict",
        "model_version": "v1.8.1",
        "schema_crc32": "d84e84b7",
        "score": 0.25,
        "latency_ms": 0.5,
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        encode_line(LINE)[:-5],
        encode_line(LINE).replace(b"0.25", b"NaN"),
        encode_line(LINE).replace(b"0.25", b'"0.25"'),
        encode_line(LINE).replace(b"00Z", b"00"),
    ],
)
def test_what_is_no_line_is_refused(data: bytes) -> None:
    """Torn, NaN, text for a number, a time without a zone."""
    with pytest.raises(EvidenceSchemaError):
        parse_line(data)


def test_a_file_with_a_torn_end(tmp_path: Path) -> None:
    """A writer that died costs its last line only."""
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(encode_line(LINE) * 3 + encode_line(LINE)[:20])
    assert list(read_predictions(path)) == [LINE] * 3


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    """A whole line that cannot be read is an error, not a gap."""
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(encode_line(LINE) + b"{}\n" + encode_line(LINE))
    with pytest.raises(EvidenceSchemaError, match=r"predictions\.jsonl line 2"):
        list(read_predictions(path))


def test_no_file_no_lines(tmp_path: Path) -> None:
    """A server that has answered nothing yet is not an error."""
    assert list(read_predictions(tmp_path / "none.jsonl")) == []
