"""The data gate's evidence on its own: what a run asks before any kernel starts."""

from __future__ import annotations

from mlwb.core.clock import Clock
from mlwb.data import quality
from mlwb.evidence import Record
from mlwb.params import FeatureStudyParams
from mlwb.stages._quality_metrics import quality_record
from mlwb.stages.common import context, next_version, registry_of
from mlwb.stages.market import Prepared, market_inputs, market_origin, prepare

__all__ = ["load", "measure"]


def load(params: FeatureStudyParams) -> Prepared:
    """Read the market and compute its features.

    Raises
    ------
    DataError
        The market cannot be read.
    """
    return prepare(params.data, params.features.names, params.window, params.features.modules)


def measure(prepared: Prepared, params: FeatureStudyParams, clock: Clock) -> tuple[Record, ...]:
    """The data quality record, not written."""
    registry = registry_of(params.run)
    found = quality(prepared.market)
    shared = context(
        "feature_study",
        params,
        clock,
        version=params.run.model_version or next_version(registry),
        origin=market_origin(prepared),
        inputs=market_inputs(prepared),
    )
    return (quality_record(prepared, found, shared),)
