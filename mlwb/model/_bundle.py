"""The files of a model version, as bytes; publishing them is the registry's work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.canonical import canonical_bytes
from mlwb.core.clock import DAY_S
from mlwb.drift import SCORE, LossDays, fit_feature_reference, in_full_blocks, references_json
from mlwb.features import FeatureSpec, spec_digest
from mlwb.inference import (
    GOLDEN_SCHEMA,
    FeatureField,
    LabelField,
    Predictor,
    Sidecar,
    schema_crc32,
)
from mlwb.model._export import INPUT_NAME, OUTPUT_NAME
from mlwb.model._fit import FittedModel

__all__ = ["SCORE", "ModelFacts", "golden_file", "make_sidecar", "reference_file", "scaler_file"]

GOLDEN_ROWS = 64
_WIDEN = 10.0
"""Accepted input range: the training range widened by this many spans on either side, but not past
the bounds of the feature's definition. It stops junk; values merely beyond the training range are
clipped by the graph."""


@dataclass(frozen=True)
class ModelFacts:
    """What a version is trained on and for.

    Parameters
    ----------
    version : str
        Model version.
    specs : tuple of FeatureSpec
        Features in column order.
    label_kind : str
        What the score is the probability of.
    horizon_s : int
        Of the label, seconds.
    quoted : bool
        True where ``spread_bp`` comes from quotes.
    """

    version: str
    specs: tuple[FeatureSpec, ...]
    label_kind: str
    horizon_s: int
    quoted: bool


def make_sidecar(facts: ModelFacts, X: Float2D) -> Sidecar:
    """Describe the graph's inputs: order, units, accepted range, schema CRC32, feature digest.

    Parameters
    ----------
    facts : ModelFacts
        Names and units.
    X : ndarray of shape (n_rows, n_features), float64
        Training rows, for the accepted range.

    Returns
    -------
    Sidecar
    """
    fields = tuple(
        FeatureField(spec.name, spec.unit, "float64", *_accepted(spec, column))
        for spec, column in zip(facts.specs, X.T, strict=True)
    )
    has_spread = any(spec.name == "spread_bp" for spec in facts.specs)
    return Sidecar(
        model_version=facts.version,
        input_name=INPUT_NAME,
        output_name=OUTPUT_NAME,
        features=fields,
        schema_crc32=schema_crc32(fields),
        feature_spec_digest=spec_digest(facts.specs),
        label=LabelField(facts.label_kind, facts.horizon_s),
        interval_s=INTERVAL_S,
        spread=("quoted" if facts.quoted else "estimated") if has_spread else "none",
    )


def _accepted(spec: FeatureSpec, column: Float1D) -> tuple[float, float]:
    """The range a server takes: every training row, and what is near and possible."""
    low, high = float(column.min()), float(column.max())
    least, most = spec.bounds
    wide = _WIDEN * (high - low)
    return min(low, max(low - wide, least)), max(high, min(high + wide, most))


def scaler_file(model: FittedModel, names: Sequence[str]) -> bytes:
    """``scaler_params.json``: clip bounds and scale, the same numbers as in the graph."""
    scaler = model.scaler
    rows = zip(names, scaler.lower_, scaler.upper_, scaler.mean_, scaler.scale_, strict=True)
    columns = ("name", "lower", "upper", "mean", "scale")
    features = [dict(zip(columns, row, strict=True)) for row in rows]
    return canonical_bytes({"schema": "mlwb.scaler/1", "features": features})


def golden_file(predictor: Predictor, X: Float2D, *, seed: int) -> bytes:
    """``golden_predictions.json``: rows any server must reproduce before it may answer.

    Parameters
    ----------
    predictor : Predictor
        The exported graph.
    X : ndarray of shape (n_rows, n_features), float64
        Training rows to draw from.
    seed : int
        Of the draw.
    """
    rng = np.random.default_rng(seed)
    rows = X[np.sort(rng.choice(len(X), size=min(GOLDEN_ROWS, len(X)), replace=False))]
    return canonical_bytes(
        {"schema": GOLDEN_SCHEMA, "rows": rows, "scores": predictor.predict(rows)}
    )


def reference_file(
    columns: Mapping[str, tuple[Float1D, Int1D]], *, n_bins: int, losses: LossDays | None = None
) -> bytes:
    """``reference_distributions.json``: frozen bins and counts of full UTC days, by block.

    Parameters
    ----------
    columns : mapping of str to (ndarray, ndarray)
        Raw feature values and the Unix second of each; the model's scores under ``SCORE``.
    n_bins : int
        Bins wanted.
    losses : LossDays, optional
        Of rows that the model had not been fitted on.
    """
    references = []
    for name, (values, ts) in columns.items():
        rows = in_full_blocks(ts // DAY_S)
        references.append(fit_feature_reference(name, values[rows], ts[rows], n_bins=n_bins))
    return canonical_bytes(references_json(references, losses))
