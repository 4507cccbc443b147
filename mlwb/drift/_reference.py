"""What a version was trained on, frozen: bins, counts by block, counts by hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import ArtifactError
from mlwb.drift._bins import BinnedReference, fit_reference
from mlwb.drift._blocks import BLOCK_S, BlockCounts, count_blocks
from mlwb.drift._losses import LossDays

__all__ = [
    "REFERENCE_SCHEMA",
    "FeatureReference",
    "fit_feature_reference",
    "parse_losses",
    "parse_references",
    "references_json",
]

REFERENCE_SCHEMA = "mlwb.reference/2"
"""Schema of ``reference_distributions.json``."""


@dataclass(frozen=True)
class FeatureReference:
    """Frozen bins of one feature, with the rows of the training window by block.

    Parameters
    ----------
    bins : BinnedReference
        Edges and the counts of the whole window.
    blocks : BlockCounts
        The same rows by block of time and by hour of the day.
    """

    bins: BinnedReference
    blocks: BlockCounts

    @property
    def name(self) -> str:
        """Feature name."""
        return self.bins.name

    def to_json(self) -> dict[str, Any]:
        """Plain form, one entry of ``reference_distributions.json``."""
        return {
            **self.bins.to_json(),
            "block_s": BLOCK_S,
            "starts": self.blocks.starts,
            "blocks": self.blocks.counts,
            "by_hour": self.blocks.by_hour,
            "digest": self.bins.digest,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> FeatureReference:
        """Inverse of :meth:`to_json`.

        Raises
        ------
        ArtifactError
            The stored form is not a reference, or its parts do not add up.
        """
        bins = BinnedReference.from_json(stored)
        try:
            starts = np.asarray(stored["starts"], dtype=np.int64)
            counts = np.asarray(stored["blocks"], dtype=np.int64).reshape(len(starts), -1)
            by_hour = np.asarray(stored["by_hour"], dtype=np.int64)
            is_whole = (
                stored["block_s"] == BLOCK_S
                and stored["digest"] == bins.digest
                and not (starts % BLOCK_S).any()
                and bool((np.diff(starts) > 0).all())
                and by_hour.shape == (24, len(bins.counts))
                and min(counts.min(initial=0), by_hour.min(initial=0)) >= 0
                and np.array_equal(counts.sum(axis=0), bins.counts)
                and np.array_equal(by_hour.sum(axis=0), bins.counts)
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ArtifactError(f"not a reference of {bins.name}: {error}") from error
        if not is_whole:
            raise ArtifactError(f"the reference of {bins.name} does not add up", got=bins.name)
        return cls(bins, BlockCounts(starts, counts, by_hour))


def fit_feature_reference(
    name: str, values: Float1D, ts: Int1D, *, n_bins: int = 10
) -> FeatureReference:
    """Freeze the bins of a feature and count its training rows by block.

    Parameters
    ----------
    name : str
        Feature name.
    values : ndarray of shape (n_obs,), float64
        NaN and infinities are counted in cells of their own.
    ts : ndarray of shape (n_obs,), int64
        Unix seconds of each row; pass rows of full days, see :func:`mlwb.drift.in_full_blocks`.
    n_bins : int, default=10
        Bins wanted.

    Returns
    -------
    FeatureReference

    Raises
    ------
    EmptyWindowError
        No finite value.
    """
    bins = fit_reference(name, values, n_bins=n_bins)
    return FeatureReference(bins, count_blocks(bins.edges, values, ts))


def references_json(
    references: Sequence[FeatureReference], losses: LossDays | None = None
) -> dict[str, Any]:
    """Content of ``reference_distributions.json``.

    Parameters
    ----------
    references : sequence of FeatureReference
        Features and the score.
    losses : LossDays, optional
        Of training rows that the model had not been fitted on.
    """
    return {
        "schema": REFERENCE_SCHEMA,
        "features": [item.to_json() for item in references],
        "losses": None if losses is None else losses.to_json(),
    }


def parse_losses(stored: Mapping[str, Any]) -> LossDays | None:
    """Losses that stand beside references, None where there are none.

    Raises
    ------
    ArtifactError
        What stands there is no losses by day.
    """
    losses = stored.get("losses")
    return None if losses is None else LossDays.from_json(losses)


def parse_references(stored: Any) -> dict[str, FeatureReference]:
    """Read what :func:`references_json` gave, by feature name in stored order.

    Raises
    ------
    ArtifactError
        Not this schema, or an entry that is not a reference or stands twice.
    """
    schema = stored.get("schema") if isinstance(stored, Mapping) else None
    if schema != REFERENCE_SCHEMA or not isinstance(stored.get("features"), list):
        raise ArtifactError(
            "the reference distributions cannot be read",
            expected=REFERENCE_SCHEMA,
            got=repr(schema),
            todo="train the version again",
        )
    found: dict[str, FeatureReference] = {}
    for entry in stored["features"]:
        reference = FeatureReference.from_json(entry)
        if reference.name in found:
            raise ArtifactError(f"two references of {reference.name}")
        found[reference.name] = reference
    return found
