"""Does a value read the future? Cut it off, spoil it, and compare bits.

What is known at a bar must be the same whether the bars after it exist, are missing or are other
ones. A probe computes values on the whole market, then again with everything after a bar cut off
and with everything after it spoiled, and compares the value at that bar bit for bit. A feature may
read up to its bar, a label up to its ``t1``, what is fitted up to the last training row; not one
bar further. Offline only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from mlwb.core.arrays import Float2D, Int1D
from mlwb.core.bars import INTERVAL_S, TS
from mlwb.features._probe import Probe, Violation, columns_of, probe_values
from mlwb.features._spec import FeatureSpec
from mlwb.features._start import StartSensitivity, start_sensitivity
from mlwb.features.batch import compute
from mlwb.features.labels import Labels
from mlwb.features.regimes import RegimeCuts, RegimeInputs, fit_regimes, regime_inputs, regime_of

__all__ = [
    "Probe",
    "StartSensitivity",
    "Violation",
    "probe_features",
    "probe_fitted",
    "probe_labels",
    "probe_regimes",
    "probe_values",
    "start_sensitivity",
]

Fit = Callable[[RegimeInputs, Int1D], RegimeCuts]


def probe_features(
    chosen: Sequence[FeatureSpec], bars: Float2D, *, n_points: int = 32, seed: int = 0
) -> tuple[Probe, ...]:
    """Probe features: a value may read its own bar and those before.

    Parameters
    ----------
    chosen : sequence of FeatureSpec
        What to probe.
    bars : ndarray of shape (n_bars, n_fields), float64
        As :func:`mlwb.features.batch.compute` takes them.
    n_points, seed : int
        As :func:`probe_values`.

    Returns
    -------
    tuple of Probe
        One a feature.
    """
    names = [spec.name for spec in chosen]
    return probe_values(
        names, lambda rows: compute(chosen, rows), bars, n_points=n_points, seed=seed
    )


def probe_labels(
    make: Callable[[Float2D], Labels], bars: Float2D, *, n_points: int = 32, seed: int = 0
) -> tuple[Probe, ...]:
    """Probe labels: target, validity and end may read up to ``t1``, a weight one horizon further.

    Parameters
    ----------
    make : callable
        From bars to labels: :func:`mlwb.features.labels.make_labels` with its settings.
    bars : ndarray of shape (n_bars, n_fields), float64
        As above.
    n_points, seed : int
        As :func:`probe_values`.

    Returns
    -------
    tuple of Probe
        Of ``y``, ``target``, ``valid``, ``t1`` and ``weight``.

    Notes
    -----
    The weight of a label depends on which of the labels that overlap it exist, and those end at
    most one horizon after it.
    """
    labels = make(bars)
    closes = bars[:, TS].astype(np.int64) + INTERVAL_S
    ends = np.searchsorted(closes, labels.t1, side="right") - 1
    later = np.searchsorted(closes, labels.t1 + labels.horizon_s, side="right") - 1

    def parts(rows: Float2D) -> Float2D:
        made = make(rows)
        return np.stack([made.y, made.target, made.valid.astype(float), made.t1.astype(float)], 1)

    names = ("label", "label target", "label valid", "label t1")
    probe = partial(probe_values, n_points=n_points, seed=seed)
    return (
        *probe(names, parts, bars, ends=ends),
        *probe(["label weight"], lambda rows: make(rows).weight, bars, ends=later),
    )


def probe_fitted(
    what: str,
    scale: Callable[[Float2D, Int1D], Float2D],
    rows: Float2D,
    n_train: int,
    *,
    n_points: int = 32,
    seed: int = 0,
) -> Probe:
    """Probe something fitted on the first rows and applied to all: a scaler, clip bounds.

    Parameters
    ----------
    what : str
        Its name.
    scale : callable
        ``scale(rows, train)`` to transformed rows of the same number; ``train`` are the positions
        of the rows it may learn from.
    rows : ndarray of shape (n_rows, n_columns), float64
        In time order.
    n_train : int
        The first so many rows are trained on.
    n_points, seed : int
        As :func:`probe_values`.

    Returns
    -------
    Probe
        The first violation of any column.
    """
    train = np.arange(n_train)
    columns = [f"{what}[{i}]" for i in range(columns_of(scale(rows, train)).shape[1])]
    ends = np.maximum(np.arange(len(rows)), n_train - 1)
    probes = probe_values(
        columns,
        lambda changed: scale(changed, train),
        rows,
        ends=ends,
        n_fixed=0,
        n_points=n_points,
        seed=seed,
    )
    first = next((probe.violation for probe in probes if probe.violation), None)
    n_points, n_known = (sum(getattr(p, n) for p in probes) for n in ("n_points", "n_known"))
    return Probe(what, n_points, n_known, first)


def probe_regimes(
    bars: Float2D, n_train: int, *, fit: Fit = fit_regimes, n_points: int = 32, seed: int = 0
) -> tuple[Probe, ...]:
    """Probe regimes: inputs may read their bar, cuts and regimes the last training bar.

    Parameters
    ----------
    bars : ndarray of shape (n_bars, n_fields), float64
        As above.
    n_train : int
        The cuts are fitted on the first so many bars.
    fit : callable, default=fit_regimes
        How.
    n_points, seed : int
        As :func:`probe_values`.

    Returns
    -------
    tuple of Probe
        Of both inputs, both cuts and the regime.
    """

    def inputs(rows: Float2D) -> Float2D:
        found = regime_inputs(rows)
        return np.stack([found.realised_vol, found.efficiency], 1)

    def named(rows: Float2D) -> Float2D:
        found = regime_inputs(rows)
        cuts = fit(found, np.arange(n_train))
        limits = np.broadcast_to([cuts.volatile, cuts.trending], (len(rows), 2))
        return np.column_stack([limits, regime_of(found, cuts)])

    ends = np.maximum(np.arange(len(bars)), n_train - 1)
    cuts = ("volatile cut", "trending cut", "regime")
    probe = partial(probe_values, n_points=n_points, seed=seed)
    return (
        *probe(("realised_vol", "efficiency"), inputs, bars),
        *probe(cuts, named, bars, ends=ends),
    )
