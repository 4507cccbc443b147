"""Canonical JSON (RFC 8785), strict parsing and digests.

Everything that is hashed, chained or signed passes through here, so that the same value is
the same bytes on every machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import rfc8785

from mlwb.core.errors import EvidenceSchemaError

__all__ = [
    "JsonValue",
    "canonical_bytes",
    "digest",
    "digest_bytes",
    "digest_file",
    "parse_json",
    "to_plain",
]

JsonValue: TypeAlias = Any

_EXACT = 2**53
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""Whole numbers from here on are float64 and no more: 1e16 is written without a point."""


def to_plain(value: object) -> JsonValue:
    """Turn dataclasses, numpy values, tuples and paths into plain JSON values.

    Parameters
    ----------
    value : object
        Dataclass, mapping, sequence, numpy scalar or array, path, or plain value.
        NaN and infinities become None: absence is said, never invented.

    Returns
    -------
    object
        dict, list, str, int, float, bool or None.

    Raises
    ------
    EvidenceSchemaError
        A value has no JSON form.

    Examples
    --------
    >>> to_plain({"a": np.float64(1.5), "b": float("nan"), "c": (1, 2)})
    {'a': 1.5, 'b': None, 'c': [1, 2]}
    """
    if value is None or isinstance(value, (bool, str, np.bool_)):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Path):
        return value.as_posix()
    return _plain_container(value)


def _plain_container(value: object) -> JsonValue:
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, (set, frozenset)):
        return [to_plain(item) for item in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: to_plain(getattr(value, field.name)) for field in fields}
    raise EvidenceSchemaError("a value has no JSON form", got=type(value).__name__)


def _plain_mapping(value: Mapping[Any, Any]) -> dict[str, JsonValue]:
    plain = {str(key): to_plain(item) for key, item in value.items()}
    if len(plain) != len(value):
        raise EvidenceSchemaError("two keys of a mapping are the same text", got=", ".join(plain))
    return plain


def canonical_bytes(value: object) -> bytes:
    """RFC 8785 bytes of a value: sorted keys, shortest floats, no blanks.

    Parameters
    ----------
    value : object
        Anything :func:`to_plain` takes.

    Returns
    -------
    bytes
        UTF-8, no newline at the end.

    Raises
    ------
    EvidenceSchemaError
        A value has no JSON form, or an integer is beyond 2**53.

    Examples
    --------
    >>> canonical_bytes({"b": 1, "a": 0.10})
    b'{"a":0.1,"b":1}'
    """
    try:
        return rfc8785.dumps(to_plain(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise EvidenceSchemaError(f"a value has no canonical form: {error}") from error


def digest_bytes(data: bytes) -> str:
    """``sha256:<64 hex>`` of bytes.

    Examples
    --------
    >>> digest_bytes(b"")[:14]
    'sha256:e3b0c44'
    """
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest(value: object) -> str:
    """``sha256:<64 hex>`` of the canonical bytes of a value."""
    return digest_bytes(canonical_bytes(value))


def digest_file(path: Path) -> str:
    """``sha256:<64 hex>`` of a file, read in blocks."""
    with path.open("rb") as handle:
        return "sha256:" + hashlib.file_digest(handle, "sha256").hexdigest()


def parse_json(data: bytes | str) -> JsonValue:
    """Parse strict JSON: no NaN, no Infinity, no number beyond float64, no repeated key.

    No half of a surrogate pair either: such a text has no UTF-8 form.

    Parameters
    ----------
    data : bytes or str
        UTF-8 JSON text.

    Returns
    -------
    object
        Plain JSON value; whole numbers of 2**53 and beyond are float.

    Raises
    ------
    EvidenceSchemaError
        The text is not strict JSON.

    Examples
    --------
    >>> parse_json('{"a": 1e999}')
    Traceback (most recent call last):
    ...
    mlwb.core.errors.EvidenceSchemaError: a number is not finite; got 1e999
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        found: JsonValue = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            parse_int=_finite_int,
            object_pairs_hook=_unique_keys,
        )
        if _SURROGATE.search(text):
            json.dumps(found, ensure_ascii=False).encode()
    except (json.JSONDecodeError, UnicodeError, RecursionError) as error:
        raise EvidenceSchemaError(f"not JSON: {error}") from error
    return found


def _refuse_constant(name: str) -> float:
    raise EvidenceSchemaError("a number is not finite", got=name)


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise EvidenceSchemaError("a number is not finite", got=text)
    return number


def _finite_int(text: str) -> int | float:
    number = _finite_float(text)
    return int(text) if abs(number) < _EXACT else number


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        raise EvidenceSchemaError("a key stands twice", got=", ".join(repeated))
    return found
