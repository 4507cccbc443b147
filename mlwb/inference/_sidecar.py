"""What a model says about itself: inputs in order, their units and bounds, its label."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.errors import EvidenceSchemaError, ModelError
from mlwb.core.ids import VERSION

__all__ = [
    "FeatureField",
    "LabelField",
    "Sidecar",
    "parse_sidecar",
    "schema_crc32",
]


@dataclass(frozen=True)
class FeatureField:
    """One input of the model.

    Parameters
    ----------
    name : str
        A Python identifier, unique within the model.
    unit : str
        ``"1"`` for a dimensionless number.
    dtype : str
        ``"float64"``.
    low, high : float
        The training range, widened within the bounds of the definition, in ``unit``, finite,
        ``low <= high``. A value outside it is refused, never scored.
    """

    name: str
    unit: str
    dtype: Literal["float64"]
    low: float
    high: float


@dataclass(frozen=True)
class LabelField:
    """What the score is the probability of.

    Parameters
    ----------
    kind : str
        ``"volatility"``, ``"direction"``, ``"triple_barrier"``.
    horizon_s : int
        Seconds the label looks ahead.
    """

    kind: str
    horizon_s: int


@dataclass(frozen=True)
class Sidecar:
    """The content of ``sidecar.json``; checked on construction.

    Parameters
    ----------
    model_version : str
        The version the file belongs to.
    input_name, output_name : str
        Tensors of the graph: float64 ``(n, k)`` in, float64 or float32 ``(n,)`` or ``(n, 1)``
        out, P(label = 1).
    features : tuple of FeatureField
        In the order of the input columns.
    schema_crc32 : str
        :func:`schema_crc32` of ``features``.
    feature_spec_digest : str
        Digest of the feature definitions the model was trained on.
    label : LabelField
        What is predicted.
    interval_s : int
        Seconds from bar to bar.
    spread : {"quoted", "estimated", "none"}
        Where the training data had its spread from.
    schema : str
        ``"mlwb.sidecar/1"``.

    Raises
    ------
    ModelError
        A field contradicts another; the message names it.
    """

    model_version: str
    input_name: str
    output_name: str
    features: tuple[FeatureField, ...]
    schema_crc32: str
    feature_spec_digest: str
    label: LabelField
    interval_s: int
    spread: Literal["quoted", "estimated", "none"]
    schema: Literal["mlwb.sidecar/1"] = "mlwb.sidecar/1"

    def __post_init__(self) -> None:
        if VERSION.match(self.model_version) is None:
            raise ModelError(
                "the sidecar names no model version", got=repr(self.model_version[:80])
            )
        _check_features(self.features)
        found = schema_crc32(self.features)
        if found != self.schema_crc32:
            raise ModelError(
                "the sidecar's schema_crc32 is not that of its features",
                expected=found,
                got=self.schema_crc32[:16],
            )
        if self.interval_s <= 0 or self.label.horizon_s <= 0:
            raise ModelError("interval_s and label.horizon_s must be positive seconds")

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names, in the order of the input columns."""
        return tuple(field.name for field in self.features)

    def to_json(self) -> bytes:
        """Canonical bytes of ``sidecar.json``; :func:`parse_sidecar` is the inverse."""
        return canonical_bytes(self)


def _check_features(features: Sequence[FeatureField]) -> None:
    names = [field.name for field in features]
    if not names:
        raise ModelError("the sidecar names no feature", expected="at least one")
    if len(set(names)) != len(names):
        raise ModelError("the sidecar names a feature twice", got=", ".join(names)[:200])
    for field in features:
        if not (field.name.isascii() and field.name.isidentifier()):
            raise ModelError("a feature name is not an identifier", got=repr(field.name[:80]))
        if not (math.isfinite(field.low) and math.isfinite(field.high) and field.low <= field.high):
            raise ModelError(
                f"the range of feature {field.name} is not one",
                expected="finite low <= high",
                got=f"{field.low} .. {field.high}",
            )


def schema_crc32(features: Sequence[FeatureField]) -> str:
    """CRC32 of names, order and dtypes: eight hex digits a client can send along.

    Parameters
    ----------
    features : sequence of FeatureField
        In the order of the input columns. Units and ranges do not enter.

    Returns
    -------
    str
        CRC32 over the canonical JSON of ``[[name, dtype], ...]``, lower case.

    Examples
    --------
    >>> schema_crc32([FeatureField("bias", "1", "float64", 1.0, 1.0)])
    'd84e84b7'
    """
    pairs = [[field.name, field.dtype] for field in features]
    return f"{zlib.crc32(canonical_bytes(pairs)):08x}"


def parse_sidecar(data: bytes) -> Sidecar:
    """Read ``sidecar.json``.

    Parameters
    ----------
    data : bytes
        Strict JSON. Keys this version does not know are left aside, so that a field added
        later does not lock older servers out.

    Returns
    -------
    Sidecar

    Raises
    ------
    ModelError
        Not JSON, a field is missing or of the wrong type, or fields contradict each other.
    """
    try:
        return msgspec.convert(parse_json(data), type=Sidecar)
    except (EvidenceSchemaError, msgspec.ValidationError) as error:
        raise ModelError(
            f"sidecar.json cannot be used: {error}", todo="publish the version again"
        ) from error
