"""The sidecar: what a model says about itself."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.errors import ModelError
from mlwb.inference import FeatureField, parse_sidecar, schema_crc32
from tests.inference.version_kit import NAMES, sidecar_for


def _changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(sidecar_for("v1").to_json()), **changes}).encode()


def test_a_sidecar_survives_the_file() -> None:
    """What is written is what is read."""
    sidecar = sidecar_for("v1.8.1")
    assert parse_sidecar(sidecar.to_json()) == sidecar
    assert sidecar.names == NAMES


def test_the_file_has_the_documented_keys() -> None:
    """The contract with other writers: these keys and no others."""
    assert set(json.loads(sidecar_for("v1").to_json())) == {
        "schema",
        "model_version",
        "input_name",
        "output_name",
        "features",
        "schema_crc32",
        "feature_spec_digest",
        "label",
        "interval_s",
        "spread",
    }


def test_the_crc_is_zlibs_over_names_and_dtypes() -> None:
    """Oracle: zlib over text written by hand."""
    fields = [FeatureField(n, "bp", "float64", 0.0, 1.0) for n in ("a", "b")]
    text = b'[["a","float64"],["b","float64"]]'
    assert schema_crc32(fields) == f"{zlib.crc32(text):08x}"


@given(st.permutations(NAMES).filter(lambda names: tuple(names) != NAMES))
def test_another_order_is_another_schema(names: list[str]) -> None:
    """Swapped columns cannot pass for the right ones."""
    assert sidecar_for("v1", names).schema_crc32 != sidecar_for("v1").schema_crc32


def test_a_key_added_later_does_not_lock_out() -> None:
    """An unknown key is left aside."""
    assert parse_sidecar(_changed(trained_by="a later version")) == sidecar_for("v1")


_FEATURE = {"name": "a", "unit": "1", "dtype": "float64", "low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"schema":"mlwb.sidecar/1"}',
        _changed(schema="mlwb.sidecar/2"),
        _changed(model_version="../latest"),
        _changed(schema_crc32="00000000"),
        _changed(features=[]),
        _changed(features=[_FEATURE, _FEATURE]),
        _changed(features=[{**_FEATURE, "name": "a b"}]),
        _changed(features=[{**_FEATURE, "low": 2.0}]),
        _changed(features=[{**_FEATURE, "high": "1"}]),
        _changed(features=[{**_FEATURE, "dtype": "float32"}]),
        _changed(features=[{**_FEATURE, "low": float("-inf")}]),
        _changed(interval_s=0),
        _changed(interval_s=60.5),
        _changed(label={"kind": "direction", "horizon_s": -1}),
        _changed(spread="guessed"),
    ],
)
def test_a_wrong_sidecar_is_refused(data: bytes) -> None:
    """Every contradiction is one clear error, never a traceback of another kind."""
    with pytest.raises(ModelError):
        parse_sidecar(data)


def test_the_message_names_both_checksums() -> None:
    """Expected, got: the reader can act on it."""
    with pytest.raises(
        ModelError, match=f"expected {sidecar_for('v1').schema_crc32}, got 00000000"
    ):
        parse_sidecar(_changed(schema_crc32="00000000"))
