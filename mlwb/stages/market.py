"""What stages that read a market share: its bars with features, windows, inputs of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, Float2D, Int1D
from mlwb.core.bars import BAR_FIELDS, INTERVAL_S, TS
from mlwb.core.canonical import digest_bytes
from mlwb.core.clock import format_utc
from mlwb.core.errors import DataSchemaError, EmptyWindowError, LeakageError
from mlwb.data import Market, load_market, to_bars
from mlwb.evidence import Input
from mlwb.features import FeatureSpec, feature_names, spec_digest, specs
from mlwb.features.batch import check_compiled, compute
from mlwb.features.labels import Barriers, Labels, make_labels
from mlwb.model import Dataset
from mlwb.params import DataParams, LabelParams, WindowParams

__all__ = [
    "Prepared",
    "Windows",
    "check_unseen",
    "cut_windows",
    "labels_of",
    "market_inputs",
    "market_origin",
    "prepare",
]


@dataclass(frozen=True)
class Windows:
    """Cut points of the bars' span, seconds since 1970.

    Parameters
    ----------
    start, champion_end, train_end, end : int
        The champion learns before ``champion_end``, the candidate before ``train_end``; what
        follows is held out.
    """

    start: int
    champion_end: int
    train_end: int
    end: int


@dataclass(frozen=True)
class Prepared:
    """A market with its features.

    Parameters
    ----------
    market : Market
        As read.
    bars : ndarray of shape (n_bars, n_fields), float64
        Columns of ``mlwb.core.bars.BAR_FIELDS``.
    specs : tuple of FeatureSpec
        Features in column order.
    X : ndarray of shape (n_bars, n_features), float64
        Their values; NaN where not known.
    windows : Windows
        Cut points.
    dropped : tuple of str
        Features asked for that this source cannot give: it records none of an input.
    """

    market: Market
    bars: Float2D
    specs: tuple[FeatureSpec, ...]
    X: Float2D
    windows: Windows
    dropped: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in column order."""
        return tuple(spec.name for spec in self.specs)

    @property
    def ts(self) -> Int1D:
        """Bar opens, seconds since 1970."""
        return self.bars[:, TS].astype(np.int64)

    @property
    def complete(self) -> Bool1D:
        """Rows on which every feature is known."""
        return np.asarray(np.isfinite(self.X).all(axis=1))

    def labels(self, label: LabelParams) -> Labels:
        """Labels of every bar."""
        return labels_of(self.bars, label)

    def dataset(self, labels: Labels) -> Dataset:
        """Rows that have all features and a label."""
        rows = np.flatnonzero(self.complete & labels.valid)
        return Dataset(
            X=self.X[rows],
            y=labels.y[rows],
            t0=labels.t0[rows],
            t1=labels.t1[rows],
            target=labels.target[rows],
            names=self.names,
            weight=labels.weight[rows],
        )

    def column(self, name: str) -> Float1D:
        """One feature, NaN where not known."""
        return self.X[:, self.names.index(name)]


def labels_of(bars: Float2D, label: LabelParams) -> Labels:
    """Labels of bars, with the settings of the parameters."""
    return make_labels(
        bars,
        kind=label.kind,
        horizon_s=label.horizon_s,
        theta=label.theta,
        median_window_s=label.median_window_s,
        barriers=Barriers(
            label.upper_barrier, label.lower_barrier, label.barrier_unit, label.at_horizon
        ),
    )


def prepare(
    data: DataParams, names: Sequence[str], window: WindowParams, modules: Sequence[str] = ()
) -> Prepared:
    """Read the market and compute its features.

    A feature that needs a field the source does not record at all (volume in many currency
    feeds) is left out and named in ``dropped``.

    Raises
    ------
    DataError
        The market cannot be read.
    UnknownParameterError
        A feature is not known.
    ParamsError
        A module of features cannot be taken.
    """
    market = load_market(
        data.source, profile=data.profile, symbol=data.symbol, days=data.days, seed=data.seed
    )
    bars = to_bars(market)
    wanted = specs(names, quoted=market.has_quotes, modules=modules)
    empty = {BAR_FIELDS[i] for i in np.flatnonzero(np.isnan(bars).all(axis=0))}
    chosen = tuple(spec for spec in wanted if not _lacks(spec, empty))
    dropped = tuple(spec.name for spec in wanted if spec not in chosen)
    if modules:
        check_compiled([spec for spec in chosen if spec.name not in feature_names()])
    windows = cut_windows(bars, window)
    return Prepared(market, bars, chosen, compute(chosen, bars), windows, dropped)


def _lacks(spec: FeatureSpec, empty: set[str]) -> bool:
    """Whether the source records none of what a feature reads; quotes are made up for by bars."""
    return bool((set(spec.inputs) - {"bid", "ask"}) & empty)


def cut_windows(bars: Float2D, window: WindowParams) -> Windows:
    """Cut the span of the bars at the window shares, on the minute.

    Raises
    ------
    EmptyWindowError
        Fewer than two bars.
    """
    if len(bars) < 2 or bars.shape[1] != len(BAR_FIELDS):
        raise EmptyWindowError("too few bars to cut into windows", got=str(len(bars)))
    start, end = int(bars[0, TS]), int(bars[-1, TS]) + INTERVAL_S
    span = (end - start) // INTERVAL_S

    def at(share: float) -> int:
        return start + int(share * span) * INTERVAL_S

    return Windows(start, at(window.champion_end), at(window.train_end), end)


def market_inputs(prepared: Prepared) -> tuple[Input, ...]:
    """The market as inputs of a record: each file, or the synthetic bars by their bytes."""
    first, last = prepared.ts[0], prepared.ts[-1]
    span = {"time_min": _utc(first), "time_max": _utc(last)}
    found = tuple(
        Input(role=file.role, uri=file.uri, sha256=file.sha256, rows=file.rows, **span)
        for file in prepared.market.source.inputs
    )
    if found:
        return found
    made = digest_bytes(prepared.bars.tobytes())
    return (Input("market", "synthetic", made, len(prepared.bars), **span),)


def market_origin(prepared: Prepared) -> str:
    """``simulated`` for the synthetic market, ``replay`` for recorded bars."""
    return "simulated" if prepared.market.source.origin == "simulated" else "replay"


def check_unseen(prepared: Prepared, manifest: Mapping[str, Any]) -> None:
    """Refuse to judge a version on another market, or on bars it was trained on.

    Parameters
    ----------
    prepared : Prepared
        Market and windows.
    manifest : mapping
        The version's ``training_manifest.json``.

    Raises
    ------
    DataSchemaError
        Another symbol or other features than the version was trained on.
    LeakageError
        The version was trained on bars after ``train_end``.
    """
    kin, symbol = manifest["kinship"], prepared.market.symbol
    if kin["symbol"] != symbol or kin["features"] != spec_digest(prepared.specs):
        raise DataSchemaError(
            f"{manifest['model_version']} was trained on another market or other features",
            expected=f"{kin['symbol']} with the features of its sidecar",
            got=symbol,
            todo="name the same data and window as in training",
        )
    last = manifest["data_window"][1]
    if last > prepared.windows.train_end:
        raise LeakageError(
            f"{manifest['model_version']} was trained on bars of the held-out window",
            expected=f"trained before {_utc(prepared.windows.train_end)}",
            got=f"until {_utc(last)}",
            todo="name the same data and window as in training",
        )


def _utc(seconds: int) -> str:
    return format_utc(datetime.fromtimestamp(int(seconds), UTC))
