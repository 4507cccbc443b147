"""PSI on recorded markets where nothing was retrained: how often each rule objects.

Run: ``python benchmarks/psi_by_market.py [FILE ...]`` (half a minute a market; ``BID+ASK`` is a
pair of files; without files, the synthetic market). Windows slide by a day over the full UTC days
of a recording: 14 days of reference and the next 7, then 40 days of reference with 1 and with 7
where the recording is long enough. ``> 0.2`` is the share of windows over the plain limit, ``p``
the share beyond their own block null at 0.05; then what the calibrated reading says. Windows
overlap: shares are descriptions, their number is no sample size.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.home import find_project
from mlwb.drift import count_blocks, fit_feature_reference, in_full_blocks
from mlwb.drift.calibration import Calibrated, Reading, calibrate, reading
from mlwb.params import TrainingParams, load_params
from mlwb.stages.market import Prepared, prepare

DAY_S, LEVEL, LIMIT = 86_400, 0.05, 0.2
DESIGNS = ((14, 7), (40, 1), (40, 7))
"""Days of reference, days of window."""
READINGS: tuple[Reading, ...] = ("pass", "fail", "insufficient", "not_gateable")
NAMES = (
    "mid_logret_1m",
    "mid_logret_5m",
    "spread_bp",
    "vol1m_log",
    "rsi14_z",
    "zscore_mid_24h",
    "realised_vol_60m",
    "vol_ratio",
)
"""The requirements' features but the constant, and what the last hour's volatility is."""


def columns(prepared: Prepared) -> dict[str, Float1D]:
    """Features, the price itself, and where it is quoted the spread in units of price."""
    frame = prepared.market.frame
    out = {name: prepared.column(name) for name in prepared.names}
    if prepared.market.has_quotes:
        spread = frame["ask"].to_numpy(float) - frame["bid"].to_numpy(float)
        out["spread, price"] = np.round(spread, 9)
    return out | {"mid": frame["mid"].to_numpy(float)}


def windows(
    values: Float1D, ts: Int1D, n_reference: int, n_current: int
) -> list[tuple[Calibrated, int]]:
    """Every window of full days after its reference, with the bins in use."""
    place = np.unique(ts // DAY_S, return_inverse=True)[1]
    found = []
    for first in range(int(place[-1]) + 2 - n_reference - n_current):
        cut = first + n_reference
        before = (place >= first) & (place < cut)
        after = (place >= cut) & (place < cut + n_current)
        frozen = fit_feature_reference("x", values[before], ts[before])
        current = count_blocks(frozen.bins.edges, values[after], ts[after])
        found.append((calibrate(frozen, current), frozen.bins.n_bins))
    return found


def row(name: str, found: list[tuple[Calibrated, int]]) -> str:
    """One line of the table."""
    read = Counter(reading(each, LIMIT) for each, _ in found)
    psi = np.array([each.psi.value for each, _ in found])
    p_values = [each.p_value for each, _ in found if each.p_value is not None]
    n_eff = [each.n_eff for each, _ in found if each.n_eff is not None]
    beyond = np.mean(np.array(p_values) <= LEVEL) if p_values else np.nan
    worth = np.median(n_eff) if n_eff else np.nan
    shares = "".join(f"{read[each] / len(found):>14.0%}" for each in READINGS)
    return (
        (
            f"{name:<18}{np.median(psi):>9.3f}{(psi > LIMIT).mean():>8.0%}{beyond:>6.0%}{shares}"
            f"{worth:>9.0f}{min(bins for _, bins in found):>6}"
        )
        .replace("nan%", "-")
        .replace("nan", "  -")
    )


def show(prepared: Prepared) -> None:
    """Print the tables of one market."""
    full = in_full_blocks(prepared.ts // DAY_S)
    ts = prepared.ts[full]
    n_days = len(np.unique(ts // DAY_S))
    for n_reference, n_current in DESIGNS:
        n_windows = n_days + 1 - n_reference - n_current
        title = f"{prepared.market.symbol}: {n_days} full days, reference {n_reference} days"
        print(f"\n{title}, window {n_current}, {max(n_windows, 0)} windows")
        if n_windows < 1:
            continue
        heads = "".join(f"{each:>14}" for each in READINGS)
        print(f"{'':<18}{'median':>9}{'> 0.2':>8}{'p':>6}{heads}{'n_eff':>9}{'bins':>6}")
        for name, values in columns(prepared).items():
            print(row(name, windows(values[full], ts, n_reference, n_current)))


def main(sources: list[str]) -> None:
    """Print every market."""
    params: TrainingParams = load_params("training", find_project() / "params")
    for source in sources or ["synthetic"]:
        data = replace(params.data, source=tuple(source.split("+")))
        show(prepare(data, NAMES, params.window))


if __name__ == "__main__":
    main(sys.argv[1:])
