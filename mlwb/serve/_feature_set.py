"""The features of a model as this server computes them, if it computes the same."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

from mlwb.core.bars import ASK, BID, CLOSE, INTERVAL_S, MID
from mlwb.core.clock import DAY_S
from mlwb.core.errors import ParamsError, UnknownParameterError
from mlwb.features import FeatureSpec, spec_digest, specs
from mlwb.inference import Sidecar

__all__ = ["FeatureSet", "open_features"]

_LOG = logging.getLogger("mlwb.serve")


class FeatureSet(NamedTuple):
    """Features in the order of a sidecar, proven to be those the model was trained on.

    Parameters
    ----------
    specs : tuple of FeatureSpec
        In the order of the model's columns.
    names : tuple of str
        Of ``specs``.
    digest : str
        Of ``specs``; equal to the sidecar's.
    spread : str
        As in the sidecar: ``mid`` is the middle of the quotes in a quoted market, the close in one
        without quotes, and goes by the bar where the model does not say.
    keep_s : int
        Seconds of bars from which every value can be computed anew.
    """

    specs: tuple[FeatureSpec, ...]
    names: tuple[str, ...]
    digest: str
    spread: str
    keep_s: int

    def with_mid(self, bar: Sequence[float]) -> list[float]:
        """The bar with its ``mid``, as the market the model was trained on has it."""
        row = list(bar)
        mid = (row[BID] + row[ASK]) / 2.0
        if self.spread == "estimated" or (self.spread == "none" and math.isnan(mid)):
            mid = row[CLOSE]
        row[MID] = mid
        return row


def open_features(sidecar: Sidecar, modules: Sequence[str]) -> FeatureSet | str:
    """The features a model takes.

    Parameters
    ----------
    sidecar : Sidecar
        Names, order and digest.
    modules : sequence of str
        Where features of one's own are found.

    Returns
    -------
    FeatureSet or str
        The word says why this server cannot compute them: ``"interval"``, ``"unknown_features"``,
        ``"feature_modules"``, ``"feature_source"`` or ``"feature_digest"``.
    """
    if sidecar.interval_s != INTERVAL_S:
        return "interval"
    try:
        chosen = specs(sidecar.names, quoted=sidecar.spread == "quoted", modules=modules)
        found = spec_digest(chosen)
    except UnknownParameterError:
        return "unknown_features"
    except ParamsError as error:
        _LOG.error("no features of one's own: %s", error)
        return "feature_modules"
    except OSError as error:  # an installation without source text
        _LOG.error("features cannot be told apart: %s", error)
        return "feature_source"
    if found != sidecar.feature_spec_digest:
        return "feature_digest"
    longest = max(spec.lookback_s for spec in chosen)
    return FeatureSet(chosen, sidecar.names, found, sidecar.spread, max(DAY_S, longest))
