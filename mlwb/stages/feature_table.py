"""Features and labels of a market as one table, and the probe of everything that makes it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from mlwb.core.arrays import Float2D, Int1D
from mlwb.core.canonical import canonical_bytes, to_plain
from mlwb.core.errors import ParamsError
from mlwb.core.fsops import write_atomic
from mlwb.features import spec_digest
from mlwb.features.labels import Labels
from mlwb.features.probe import (
    Probe,
    StartSensitivity,
    probe_features,
    probe_fitted,
    probe_labels,
    probe_regimes,
    start_sensitivity,
)
from mlwb.features.regimes import regime_inputs
from mlwb.model import WinsorScaler
from mlwb.params import FeatureStudyParams, params_values
from mlwb.stages.market import Prepared, labels_of, prepare

__all__ = ["FeatureTable", "Probes", "build", "probe", "write"]


@dataclass(frozen=True)
class FeatureTable:
    """What a model is trained on, row by row.

    Parameters
    ----------
    params : FeatureStudyParams
        Market, features and label.
    prepared : Prepared
        Market with its features.
    labels : Labels
        Of every bar.
    """

    params: FeatureStudyParams
    prepared: Prepared
    labels: Labels

    @property
    def digest(self) -> str:
        """Digest of the ordered features; equal to that of a version trained on them."""
        return spec_digest(self.prepared.specs)

    def frame(self) -> pd.DataFrame:
        """One row a bar: ``ts``, the features, then the label with its span and weight."""
        labels = self.labels
        stamps = pd.to_datetime(self.prepared.ts, unit="s", utc=True)
        named = dict(zip(self.prepared.names, self.prepared.X.T, strict=True))
        return pd.DataFrame(
            {
                "ts": stamps,
                **named,
                "label": labels.y,
                "label_target": labels.target,
                "label_valid": labels.valid,
                "label_t0": pd.to_datetime(labels.t0, unit="s", utc=True),
                "label_t1": pd.to_datetime(labels.t1, unit="s", utc=True),
                "label_weight": labels.weight,
            }
        )


@dataclass(frozen=True)
class Probes:
    """What was probed on a market.

    Parameters
    ----------
    found : tuple of Probe
        Features, label parts, scaler and regimes.
    start : tuple of StartSensitivity
        History each feature needs.
    bars : int
        Bars looked at.
    """

    found: tuple[Probe, ...]
    start: tuple[StartSensitivity, ...]
    bars: int

    @property
    def is_clean(self) -> bool:
        """True where nothing reads the future and every look-back is long enough."""
        return all(p.is_clean for p in self.found) and all(s.is_enough for s in self.start)


def build(params: FeatureStudyParams) -> FeatureTable:
    """Read the market, compute features and labels."""
    features = params.features
    prepared = prepare(params.data, features.names, params.window, features.modules)
    return FeatureTable(params, prepared, prepared.labels(params.label))


def write(table: FeatureTable, path: Path) -> None:
    """Write the table as parquet; the file says which features and which label it holds.

    The metadata entry ``mlwb`` is JSON: symbol, feature digest, units, label settings, and the
    features left out because the source does not record their input.

    Raises
    ------
    ParamsError
        The name does not end in ``.parquet``.
    """
    if path.suffix != ".parquet":
        raise ParamsError("no kind of table", expected="FILE.parquet", got=path.name)
    prepared = table.prepared
    facts = {
        "schema": "mlwb.feature-table/1",
        "symbol": prepared.market.symbol,
        "feature_spec_digest": table.digest,
        "units": {spec.name: spec.unit for spec in prepared.specs},
        "dropped": list(prepared.dropped),
        "label": to_plain(params_values(table.params)["label"]),
        "n_eff": table.labels.n_eff,
    }
    content = pa.Table.from_pandas(table.frame(), preserve_index=False)
    metadata = {**(content.schema.metadata or {}), b"mlwb": canonical_bytes(facts)}
    sink = io.BytesIO()
    pq.write_table(content.replace_schema_metadata(metadata), sink, compression="zstd")
    write_atomic(path, sink.getvalue())


def probe(table: FeatureTable, *, n_points: int, n_bars: int, seed: int) -> Probes:
    """Probe every feature, label, the scaler and the regimes on the last bars of the market.

    Parameters
    ----------
    table : FeatureTable
        What to probe.
    n_points : int
        Bars compared for each value.
    n_bars : int
        Last bars of the market that are used.
    seed : int
        Of the points and of what is put in.

    Returns
    -------
    Probes

    Notes
    -----
    The scaler is left out where no two bars have all features, regimes where none of the first
    two thirds of the bars has four hours before it.
    """
    prepared, label = table.prepared, table.params.label
    bars = prepared.bars[-n_bars:]
    rows = prepared.X[-n_bars:][prepared.complete[-n_bars:]]
    half, most = (len(rows) + 1) // 2, 2 * len(bars) // 3
    found = [
        *probe_features(prepared.specs, bars, n_points=n_points, seed=seed),
        *probe_labels(lambda some: labels_of(some, label), bars, n_points=n_points, seed=seed),
    ]
    if len(rows) > 1:
        found.append(probe_fitted("scaler", _scaled, rows, half, n_points=n_points, seed=seed))
    if np.isfinite(regime_inputs(bars).efficiency[:most]).any():
        found += probe_regimes(bars, most, n_points=n_points, seed=seed)
    return Probes(
        tuple(found), start_sensitivity(prepared.specs, prepared.bars, seed=seed), len(bars)
    )


def _scaled(rows: Float2D, train: Int1D) -> Float2D:
    return WinsorScaler().fit(rows[train]).transform(rows)
