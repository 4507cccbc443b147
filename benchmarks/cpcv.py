"""Combinatorial purged validation: 15 fits on two weeks of minutes, against the bare minimum.

Run: ``OMP_NUM_THREADS=1 python benchmarks/cpcv.py`` (half a minute). The floor is scikit-learn
alone on the very same splits: standardise, fit, predict; no clipping, counts, paths or scores.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

from benchmarks.kit.timing import best
from mlwb.model import (
    CombinatorialPurgedCV,
    Dataset,
    PurgedKFold,
    Trial,
    auc,
    auc_interval,
    cross_validate_paths,
)

ROWS, FEATURES, HORIZON_S = 20_160, 7, 900


def market(n: int, seed: int = 0) -> Dataset:
    """Rows with a weak edge and labels of a quarter of an hour."""
    rng = np.random.default_rng(seed)
    X = rng.standard_t(4, size=(n, FEATURES))
    target = X @ np.linspace(-0.2, 0.2, FEATURES) + rng.normal(size=n)
    t0 = 60 * np.arange(n)
    names = tuple(f"x{i}" for i in range(FEATURES))
    return Dataset(X, (target > 0).astype(np.float64), t0, t0 + HORIZON_S, target, names)


def floor(data: Dataset, splits: list[tuple[np.ndarray, np.ndarray]], solver: str) -> None:
    """What scikit-learn needs for the fits and predictions alone."""
    for train, test in splits:
        model = make_pipeline(StandardScaler(), LogisticRegression(solver=solver))
        model.fit(data.X[train], data.y[train]).predict_proba(data.X[test])


def main() -> None:
    """Print the table."""
    data = market(ROWS)
    cv = CombinatorialPurgedCV(data.t0, data.t1, n_groups=6, n_test_groups=2)
    splits = list(cv.split())
    trial = Trial("logistic")
    ours = best(lambda: cross_validate_paths(data, trial, cv))
    print(f"{ROWS:,} rows x {FEATURES}, CPCV(6, 2): {len(splits)} fits, {cv.n_paths} paths")
    print(f"split, purge, fit, predict, paths, scores   {ours:7.3f} s")
    for solver in ("newton-cholesky", "lbfgs"):
        bare = best(lambda solver=solver: floor(data, splits, solver))  # type: ignore[misc]
        print(
            f"scikit-learn pipeline, {solver:<17}    {bare:7.3f} s   ours / it {ours / bare:5.2f}"
        )
    purge = best(lambda: list(cv.splits()))
    print(f"of ours, splitting, purging, counting leaks {purge:7.3f} s")
    y, score = data.y, data.X @ np.ones(FEATURES)
    ratio = best(lambda: roc_auc_score(y, score)) / best(lambda: auc(y, score))
    print(f"AUC: scikit-learn / ours {ratio:5.1f} x")
    drawn = best(lambda: auc_interval(y, score, least_block=15, n_resamples=1_000, seed=0), 2)
    print(f"AUC interval, 1,000 block resamples         {drawn:7.3f} s")
    sizes = np.array([1, 2, 4, 8, 16, 32]) * 25_000
    costs = []
    for n in sizes.tolist():
        t0 = np.random.default_rng(0).permutation(60 * np.arange(n))
        folds = PurgedKFold(t0, t0 + HORIZON_S)
        costs.append(best(lambda folds=folds: list(folds.splits()), 3))  # type: ignore[misc]
    slope = float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
    print(f"purge, shuffled rows: {costs[-1]:.3f} s at {sizes[-1]:,}, cost exponent {slope:5.2f}")


if __name__ == "__main__":
    main()
