"""Alarm rates and power of the multivariate drift tests, and what they cost.

Run: ``python benchmarks/drift_multivariate.py [--draws 100] [--rows 8000] [--seed 0]``.
Five independent AR(1) series of minutes with variance 1, 40 days of reference. ``days`` is the
current window, ``regime`` the correlation from day to day of a common log volatility of sd 0.3
(0: none). ``fixed`` is the share of draws in which the area itself leaves [0.45, 0.65], as
a limit without a null does; ``boosting`` is the area of sklearn's gradient boosting on the same
folds, averaged over three draws.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter
from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from mlwb.core.arrays import Float2D
from mlwb.drift.multivariate import Sample, classifier_test, pca_test

NAMES = ("a", "b", "c", "d", "e")
REFERENCE_DAYS, ROWS = 40, 1_440
PEER_DRAWS, QUARTERS = 3, 4
Change = Callable[[Float2D], Float2D]


def same(rows: Float2D) -> Float2D:
    """Nothing."""
    return rows


def shifted(rows: Float2D) -> Float2D:
    """Half a standard deviation on one feature."""
    return np.asarray(rows + np.array([0.5, 0.0, 0.0, 0.0, 0.0]))


def wider(rows: Float2D) -> Float2D:
    """One feature half as wide again."""
    return np.asarray(rows * np.array([1.5, 1.0, 1.0, 1.0, 1.0]))


def coupled(rows: Float2D) -> Float2D:
    """Two features correlated 0.5, each as before."""
    out = rows.copy()
    out[:, 1] = 0.5 * rows[:, 0] + np.sqrt(0.75) * rows[:, 1]
    return out


def threefold(rows: Float2D) -> Float2D:
    """The sign of one feature set by two others: no pair shows it."""
    out = rows.copy()
    out[:, 2] = np.abs(rows[:, 2]) * np.sign(rows[:, 0] * rows[:, 1])
    return out


CASES: tuple[tuple[Change, float, int, float], ...] = (
    *((same, phi, 1, 0.0) for phi in (0.0, 0.9, 0.97, 0.99, 0.995)),
    *((same, phi, 7, 0.0) for phi in (0.9, 0.99)),
    *((same, 0.9, days, 0.5) for days in (1, 7)),
    *((change, phi, 1, 0.0) for change in (shifted, wider, coupled) for phi in (0.0, 0.97)),
    (threefold, 0.0, 1, 0.0),
)


def ar1(n: int, phi: float, width: int, rng: np.random.Generator) -> Float2D:
    """Independent AR(1) series with variance 1."""
    steps = rng.normal(size=(n + 3_000, width)) * np.sqrt(1.0 - phi * phi)
    return np.asarray(lfilter([1.0], [1.0, -phi], steps, axis=0)[3_000:])


def path(days: int, phi: float, regime: float, rng: np.random.Generator) -> Float2D:
    """Rows of so many days."""
    rows = ar1(days * ROWS, phi, len(NAMES), rng)
    if regime:
        rows *= np.repeat(np.exp(0.3 * ar1(days, regime, 1, rng)), ROWS, axis=0)
    return rows


def boosted(reference: Sample, current: Sample, step: int) -> float:
    """Area of gradient boosting, quarters of the day held out in turn."""
    rows = np.concatenate([reference[0], current[0]])[::step]
    ts = np.concatenate([reference[1], current[1]])[::step]
    label = np.repeat([0, 1], [len(reference[0]), len(current[0])])[::step]
    fold = ts % 86_400 * QUARTERS // 86_400
    areas = []
    for k in range(QUARTERS):
        model = HistGradientBoostingClassifier(max_iter=50, max_depth=4, class_weight="balanced")
        model.fit(rows[fold != k], label[fold != k])
        held = model.predict_proba(rows[fold == k])[:, 1]
        areas.append(roc_auc_score(label[fold == k], held))
    return float(np.mean(areas))


def row(case: tuple[Change, float, int, float], draws: int, max_rows: int, seed: int) -> str:
    """One line: alarm rates at 5 %, mean areas, milliseconds a call."""
    change, phi, width, regime = case
    rng = np.random.default_rng(seed)
    alarms, areas, peers, spent = np.zeros(3), [], [], 0.0
    for draw in range(draws):
        rows = path(REFERENCE_DAYS + width, phi, regime, rng)
        ts = 60 * np.arange(len(rows), dtype=np.int64)
        cut = REFERENCE_DAYS * ROWS
        reference, current = (rows[:cut], ts[:cut]), (change(rows[cut:]), ts[cut:])
        start = time.perf_counter()
        areas_now = classifier_test(reference, current, NAMES, max_rows=max_rows)
        errors = pca_test(reference, current, max_rows=max_rows)
        spent += time.perf_counter() - start
        areas.append(areas_now.auc)
        is_out = not 0.45 <= areas_now.auc <= 0.65
        alarms += [areas_now.p_value <= 0.05, errors.p_value <= 0.05, is_out]
        if draw < PEER_DRAWS:
            peers.append(boosted(reference, current, -(-len(rows) // max_rows)))
    rates = " ".join(f"{rate:>10.2f}" for rate in alarms / draws)
    name = f"{change.__name__:<10} {phi:>6} {width:>5} {regime:>7}"
    means = f"{np.mean(areas):>6.3f} {np.mean(peers):>9.3f}"
    return f"{name} {rates} {means} {1e3 * spent / draws:>6.0f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--rows", type=int, default=8_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(
        "change        phi  days  regime classifier components      fixed   area  boosting     ms",
        flush=True,
    )
    for case in CASES:
        print(row(case, options.draws, options.rows, options.seed), flush=True)


if __name__ == "__main__":
    main()
