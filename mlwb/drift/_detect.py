"""One call for a quick look: PSI and KS of two samples against the usual thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlwb.core.arrays import Float1D
from mlwb.drift._bins import fit_reference, out_of_range
from mlwb.drift._psi import psi
from mlwb.drift._samples import ks_test

__all__ = ["detect_drift"]

_MODERATE_FROM, _SIGNIFICANT_ABOVE = 0.1, 0.25
"""Requirements: below 0.1 no significant change, 0.1 to 0.25 moderate, above it significant."""


def detect_drift(
    golden: ArrayLike,
    current: ArrayLike,
    *,
    psi_threshold: float = _SIGNIFICANT_ABOVE,
    ks_level: float = 0.05,
    n_bins: int = 10,
) -> dict[str, Any]:
    """PSI and KS of current values against golden ones, with the usual thresholds.

    Parameters
    ----------
    golden, current : array_like of float
        Values of one feature or scores of one model, in any order; flattened. NaN and infinities
        count in the PSI and are left out of KS.
    psi_threshold : float, default=0.25
        Drift where the PSI is above, nats.
    ks_level : float, default=0.05
        Drift where the p value of KS is below.
    n_bins : int, default=10
        Bins at quantiles of the golden values.

    Returns
    -------
    dict
        Plain JSON values: ``psi`` (``value``, ``raw``, ``band`` "none", "moderate" or
        "significant", ``noise_floor``, ``n_bins``, ``threshold``, ``drift``), ``ks``
        (``statistic``, ``p_value``, ``assumes``, ``level``, ``drift``), ``n_golden``,
        ``n_current``, ``n_out_of_range`` and ``overall_drift``, true where either says drift.

    Raises
    ------
    EmptyWindowError
        One side has no finite value.

    Notes
    -----
    A quick look, not a gate. The p value of KS assumes independent rows: on minutes of a market
    it says drift nearly always, and a PSI of 0.25 is chance where a feature remembers for hours.
    Where the timestamps are known, freeze the reference with
    :func:`mlwb.drift.fit_feature_reference` and judge by its own windows
    (:mod:`mlwb.drift.calibration`).

    Examples
    --------
    >>> golden = np.linspace(0.0, 1.0, 1_000)
    >>> results = detect_drift(golden, golden[::2] ** 2)
    >>> results["psi"]["band"], results["overall_drift"]
    ('significant', True)
    """
    first, second = _flat(golden), _flat(current)
    frozen = fit_reference("values", first, n_bins=n_bins)
    index, distance = psi(frozen, second), ks_test(first, second)
    has_psi, has_ks = index.value > psi_threshold, distance.p_value < ks_level
    return {
        "psi": {
            "value": index.value,
            "raw": None if np.isnan(index.raw) else index.raw,
            "band": _band(index.value),
            "noise_floor": index.noise_floor,
            "n_bins": frozen.n_bins,
            "threshold": psi_threshold,
            "drift": has_psi,
        },
        "ks": {
            "statistic": distance.statistic,
            "p_value": distance.p_value,
            "assumes": "independent rows",
            "level": ks_level,
            "drift": has_ks,
        },
        "n_golden": index.n_ref,
        "n_current": index.n_obs,
        "n_out_of_range": sum(out_of_range(frozen, second)),
        "overall_drift": has_psi or has_ks,
    }


def _flat(values: ArrayLike) -> Float1D:
    return np.asarray(values, dtype=np.float64).ravel()


def _band(value: float) -> str:
    if value > _SIGNIFICANT_ABOVE:
        return "significant"
    return "moderate" if value >= _MODERATE_FROM else "none"
