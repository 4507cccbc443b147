"""Canonical JSON: one value, one text; and only strict JSON is read."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.canonical import (
    canonical_bytes,
    digest,
    digest_bytes,
    digest_file,
    parse_json,
    to_plain,
)
from mlwb.core.errors import EvidenceSchemaError
from tests.strategies import json_values


@dataclasses.dataclass(frozen=True)
class Point:
    """A value with a field that is a container."""

    x: float
    names: tuple[str, ...] = ()


def shuffled(value: Any, rng: np.random.Generator) -> Any:
    """The same value with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = list(value)
        return {keys[i]: shuffled(value[keys[i]], rng) for i in rng.permutation(len(keys))}
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


@given(json_values())
def test_canonical_bytes_come_back(value: object) -> None:
    """Written and read again the value is the same, and so are its bytes."""
    data = canonical_bytes(value)
    assert parse_json(data) == value
    assert canonical_bytes(parse_json(data)) == data


@pytest.mark.parametrize("value", [2.0**53, 1e16, -3.4850916023759510e16, 1e20, 1e21])
def test_large_floats_come_back_as_floats(value: float) -> None:
    """Written without a point, they would be integers no canonical form exists for."""
    data = canonical_bytes({"volume": value})
    assert parse_json(data)["volume"] == value
    assert canonical_bytes(parse_json(data)) == data


@given(json_values(), st.integers(0, 99))
def test_order_of_keys_does_not_matter(value: object, seed: int) -> None:
    """A mapping has one text and one digest, however it was built."""
    assert digest(shuffled(value, np.random.default_rng(seed))) == digest(value)


@given(json_values())
def test_pythons_json_reads_it_too(value: object) -> None:
    """The bytes are ordinary JSON to another parser that takes numbers as float64."""
    assert json.loads(canonical_bytes(value), parse_int=float) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e30, "1e+30"),
        (4.50, "4.5"),
        (2e-3, "0.002"),
        (1e-27, "1e-27"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (295147905179352830000.0, "295147905179352830000"),
        (333333333.33333329, "333333333.3333333"),
        ('\u20ac$\u000f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        ({"\u20ac": 1, "\r": 2, "1": 3, "\U0001f600": 4}, '{"\\r":2,"1":3,"€":1,"😀":4}'),
    ],
)
def test_text_is_the_standards(value: object, text: str) -> None:
    """Examples of RFC 8785: number formats (appendix B), string escapes, key order in UTF-16."""
    assert canonical_bytes(value).decode() == text


def test_everything_used_here_has_a_plain_form() -> None:
    """Dataclasses, numpy, tuples, sets and paths become lists, dicts and scalars."""
    value = {
        "point": Point(1.5, ("a", "b")),
        "array": np.array([[1.0, np.nan], [np.inf, -0.5]]),
        "scalar": np.array(3.0),
        "ints": (np.int64(1), np.uint8(2)),
        "flags": np.array([True, False]),
        "flag": np.bool_(1),
        "set": frozenset({3, 1, 2}),
        "path": Path("a") / "b",
        1: None,
    }
    assert to_plain(value) == {
        "point": {"x": 1.5, "names": ["a", "b"]},
        "array": [[1.0, None], [None, -0.5]],
        "scalar": 3.0,
        "ints": [1, 2],
        "flags": [True, False],
        "flag": True,
        "set": [1, 2, 3],
        "path": "a/b",
        "1": None,
    }
    assert type(to_plain(np.bool_(0))) is bool
    assert type(to_plain(True)) is bool


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_what_is_not_finite_is_absent(value: float) -> None:
    """NaN and infinities become null, never text that other parsers choke on."""
    assert canonical_bytes([value]) == b"[null]"


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        1j,
        object(),
        Point,
        np.datetime64("2026-01-01"),
        {"a": {"b": [lambda: 0]}},
        PurePosixPath("a"),
        {1: "a", "1": "b"},
        2**53,
        -(2**53),
        "\ud800",
        {"\ud800": 1},
    ],
    ids=lambda value: repr(value)[:20].replace("\\", ""),
)
def test_what_has_no_one_text_is_refused(value: object) -> None:
    """No JSON form, two keys of one text, integers beyond float64, half a character."""
    with pytest.raises(EvidenceSchemaError):
        canonical_bytes(value)


def test_nesting_without_end_is_refused() -> None:
    """A value too deep to write is an error, not a crash of the interpreter's stack."""
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]
    with pytest.raises(EvidenceSchemaError):
        canonical_bytes(value)


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "Infinity", "-Infinity", '{"a": NaN}', "1e400", "-1e400", "1" * 400, "1" * 5_000,
        '{"a":1,"a":1}', '{"x":{"a":1,"b":2,"a":3}}', "", " ", "{", "[1,]", "{'a':1}", "nul",
        "01", "+1", "1.", ".5", "0x1", "[1] x", "[1][2]", '"\t"', '"\\x"', "[" * 100_000,
        "// c\n1", '{"a":1,}', "{a:1}", '"\\ud800"', '{"\\uDFFF":1}', '["\\udc00\\ud83d"]',
    ],
    ids=lambda text: text[:14] or "empty",
)  # fmt: skip
def test_text_that_is_not_strict_json_is_refused(text: str) -> None:
    """NaN, overflow, repeated keys, trailing text, comments: as text and as bytes."""
    for data in (text, text.encode()):
        with pytest.raises(EvidenceSchemaError):
            parse_json(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b'"\xc3\x28"',
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-16-le"),
        '{"a":1}'.encode("utf-32"),
        b"\xef\xbb\xbf{}",
        b"\x00",
    ],
    ids=["ff", "broken", "utf-16", "utf-16-le", "utf-32", "bom", "nul"],
)
def test_bytes_that_are_not_utf8_json_are_refused(data: bytes) -> None:
    """One encoding: what a signature covers cannot be read in two ways."""
    with pytest.raises(EvidenceSchemaError, match="not JSON"):
        parse_json(data)


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_any_input_is_json_or_an_evidence_error(data: bytes | str) -> None:
    """No input ends in another exception."""
    with contextlib.suppress(EvidenceSchemaError):
        parse_json(data)


def test_repeated_key_is_named() -> None:
    """The message says which."""
    with pytest.raises(EvidenceSchemaError, match="a key stands twice; got a, c"):
        parse_json('{"a":1,"b":2,"a":3,"c":0,"c":0}')


def test_digests_are_hashlibs(tmp_path: Path) -> None:
    """``sha256:`` and hashlib's hexadecimal digest of the bytes, the value's bytes, the file's."""
    data = b"x" * 300_000
    (tmp_path / "f").write_bytes(data)
    assert digest_bytes(data) == digest_file(tmp_path / "f")
    assert digest_bytes(data) == "sha256:" + hashlib.sha256(data).hexdigest()
    assert digest({"b": 1, "a": [1.0]}) == digest_bytes(b'{"a":[1],"b":1}')


def test_digest_is_the_same_in_every_process() -> None:
    """Hash randomisation does not reach it, sets included."""
    code = (
        "from mlwb.core.canonical import digest;"
        "print(digest({'s': {'b', 'a', 'c'}, 't': frozenset('xyz')}))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
