"""Decoding: what is not a plausible number never reaches the model."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.errors import ServeError
from mlwb.serve._decode import Decoder
from tests.inference.version_kit import NAMES, sidecar_for

SIDECAR = sidecar_for("v1")
DECODER = Decoder(SIDECAR, max_rows=3)
ROW = (1.0, 0.25, 2.0, -0.5)
NAMED = dict(zip(NAMES, ROW, strict=True))
MARK = "hunter2-secret"

FORMS = {
    "named": '{"features":{"bias":1,"mid_logret_1m":%s,"spread_bp":2,"rsi14_z":-0.5}}',
    "array": '{"features":[1,%s,2,-0.5]}',
    "batch": '{"rows":[[1,0.25,2,-0.5],[1,%s,2,-0.5]]}',
}
POINTERS = {
    "named": "#/features/mid_logret_1m",
    "array": "#/features/1",
    "batch": "#/rows/1/1",
}
POISON = {
    "infinity by exponent": "1e400",
    "minus infinity by exponent": "-1e400",
    "infinity by digits": "1" + "0" * 400,
    "above the range": "0.5000001",
    "below the range": "-0.5000001",
    "largest float": "1.7976931348623157e308",
    "null": "null",
    "true": "true",
    "false": "false",
    "text": '"0.25"',
    "empty text": '""',
    "list": "[0.25]",
    "object": "{}",
    "nothing but a name": '"' + MARK + '"',
}
BROKEN = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "hex": "0x10",
    "leading zero": "00.25",
    "bare dot": ".25",
    "nothing": "",
    "two numbers": "0.2 0.3",
    "comment": "/*x*/0.25",
}


def _refused(body: bytes) -> ServeError:
    with pytest.raises(ServeError) as caught:
        DECODER.decode(body)
    return caught.value


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("poison", POISON)
def test_poison_is_refused_with_a_pointer(form: str, poison: str) -> None:
    """Every poisoned value, in every form of request: 422 at its place, nothing echoed."""
    error = _refused((FORMS[form] % POISON[poison]).encode())
    assert (error.status, error.problem) == (422, "invalid_input")
    assert error.pointer == POINTERS[form] or error.pointer.startswith(POINTERS[form])
    assert MARK not in str(error)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", BROKEN)
def test_what_is_not_json_is_refused(form: str, text: str) -> None:
    """The tokens other parsers let through as numbers are no JSON here: 400."""
    error = _refused((FORMS[form] % BROKEN[text]).encode())
    assert (error.status, error.problem) == (400, "bad_json")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"features":[1,0.25,2]}', "#/features"),
        (b'{"features":[1,0.25,2,-0.5,0]}', "#/features"),
        (b'{"features":[]}', "#/features"),
        (b'{"features":{}}', "#/features/bias"),
        (b'{"features":{"bias":1,"mid_logret_1m":0,"spread_bp":2}}', "#/features/rsi14_z"),
        (json.dumps({"features": {**NAMED, MARK: 1}}).encode(), "#/features"),
        (b'{"rows":[]}', "#/rows"),
        (json.dumps({"rows": [ROW] * 4}).encode(), "#/rows"),
        (b'{"rows":[[1,0.25,2]]}', "#/rows/0"),
        (b'{"rows":[1,0.25,2,-0.5]}', "#/rows/0"),
        (b'{"features":[1,0.25,2,-0.5],"rows":[[1,0.25,2,-0.5]]}', ""),
        (b"{}", ""),
        (b"[]", "#"),
        (b"null", "#"),
        (b'"x"', "#"),
        (b'{"features":[1,0.25,2,-0.5],"hunter2-secret":1}', "#"),
        (b'{"features":[1,0.25,2,-0.5],"request_id":"hunter2-secret\\n"}', "#/request_id"),
        (b'{"features":[1,0.25,2,-0.5],"request_id":""}', "#/request_id"),
        (b'{"features":[1,0.25,2,-0.5],"request_id":7}', "#/request_id"),
        (b'{"features":[1,0.25,2,-0.5],"schema_crc32":"HUNTER2"}', "#/schema_crc32"),
        (b'{"features":null}', "#/features"),
    ],
)
def test_a_wrong_shape_is_refused(body: bytes, pointer: str) -> None:
    """Wrong length, unknown and missing names, both forms, neither: 422, nothing echoed."""
    error = _refused(body)
    assert error.status == 422
    assert error.pointer == pointer
    assert "hunter2" not in str(error).lower()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"\xc3(":1}', b"{} {}", b"'", b"[" * 60_000],
)
def test_broken_bytes_are_refused(body: bytes) -> None:
    """Cut, binary, marked, doubled, deep: a client error, never another exception."""
    assert _refused(body).status in (400, 422)


@pytest.mark.parametrize("nest", ['{"features":%s', '{"rows":%s', '{"rows":[%s', '{"x":%s'])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_json_is_refused(nest: str, opening: str) -> None:
    """Depth costs no stack."""
    assert _refused((nest % (opening * 10_000)).encode()).status in (400, 422)


def test_another_schema_is_refused() -> None:
    """A client built for other features is told, with the checksum it should have."""
    good = SIDECAR.schema_crc32
    body = '{"features":[1,0.25,2,-0.5],"schema_crc32":"%s"}'
    assert DECODER.decode((body % good).encode()).rows == [ROW]
    error = _refused((body % "00000000").encode())
    assert (error.status, error.problem) == (422, "schema_mismatch")
    assert good in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b'{"features":[1,0.25,2,-0.5],"features":[1,0.3,2,-0.5]}',
        b'{"rows":[[1,0.25,2,-0.5]],"rows":[[1,0.3,2,-0.5]]}',
        b'{"features":{"bias":1,"mid_logret_1m":0,"mid_logret_1m":0.1,"spread_bp":2,"rsi14_z":0}}',
        b'{"features":[1,0.25,2,-0.5],"request_id":"a","request_id":"b"}',
        b'{"features":[1,0.25,2,-0.5],"request_id":"a","\\u0072equest_id":"b"}',
    ],
)
def test_a_key_that_stands_twice_is_refused(body: bytes) -> None:
    """No parser gets to choose which of two values was meant."""
    assert _refused(body).problem == "repeated_key"


@pytest.mark.parametrize("spaces", ["", " ", "\n\t "])
def test_blanks_and_escapes_are_no_repetition(spaces: str) -> None:
    """The check for repeated keys counts quotes; blanks and escaped letters do not fool it."""
    body = (
        '{"features":{"bias":1,"mid_logret_1m":0.25,"spread_bp":2,"rsi14\\u005fz":-0.5},'
        '"request_id":"\\u0061b"}'
    ).replace(",", "," + spaces)
    query = DECODER.decode(body.encode())
    assert (query.rows, query.request_id, query.is_batch) == ([ROW], "ab", False)


_VALUE = st.floats(-0.5, 0.5)


@given(st.tuples(st.just(1.0), _VALUE, st.floats(0, 50), st.floats(-2, 2)), st.data())
def test_every_row_in_range_is_read_exactly(row: tuple[float, ...], data: Any) -> None:
    """Bit for bit, in all three forms, names in any order, with -0 and denormals."""
    order = data.draw(st.permutations(range(len(NAMES))))
    named = {NAMES[index]: row[index] for index in order}
    forms = ({"features": row}, {"features": named}, {"rows": [row]})
    for form in forms:
        found = DECODER.decode(json.dumps(form).encode()).rows
        assert [value.hex() for value in found[0]] == [value.hex() for value in row]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from((*NAMES, "features", "rows", "x")), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(_JSON | st.dictionaries(st.sampled_from(("features", "rows")), _JSON, min_size=1))
def test_any_json_is_a_finite_row_or_a_client_error(value: Any) -> None:
    """Whatever is sent, only rows within range come out."""
    try:
        query = DECODER.decode(json.dumps(value).encode())
    except ServeError as error:
        assert 400 <= error.status < 500  # noqa: PT017 - both ends are fine
        return
    for row in query.rows:
        assert len(row) == len(NAMES)
        for cell, field in zip(row, SIDECAR.features, strict=True):
            assert math.isfinite(cell)
            assert field.low <= cell <= field.high


@given(st.binary(max_size=200))
def test_any_bytes_are_a_client_error(body: bytes) -> None:
    """Noise is refused, never an exception of another kind."""
    assert 400 <= _refused(body).status < 500


def test_a_name_that_is_a_keyword_is_served() -> None:
    """Feature names are data, not code."""
    decoder = Decoder(sidecar_for("v1", ("class", "__init__")), max_rows=1)
    assert decoder.decode(b'{"features":{"__init__":0.1,"class":1}}').rows == [(1.0, 0.1)]
