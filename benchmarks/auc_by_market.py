"""Purged AUC of both labels on recorded markets.

Run: ``python benchmarks/auc_by_market.py FILE [FILE ...]``; without files, on the synthetic market.
Training window, folds and embargo are those of ``params/training.yml``; one logistic model. The
limits in the last column are the signal gate's: a direction label should not reach them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from mlwb.core.home import find_project
from mlwb.model import PurgedKFold, Trial, cross_validate, score
from mlwb.params import TrainingParams, load_params, load_policy
from mlwb.stages.market import prepare


def main(sources: list[str]) -> None:
    """Print one row a market and label."""
    folder = find_project() / "params"
    limit = load_policy(folder / "policy.yml").limit("signal.auc")
    params: TrainingParams = load_params("training", folder)
    print(f"{'market':<24} {'label':<10} {'rows':>8} {'AUC':>7} {'top 20 %':>9}  signal")
    for source in sources or ["synthetic"]:
        data = replace(params.data, source=(source,))
        prepared = prepare(data, params.features.names, params.window)
        for kind in ("volatility", "direction"):
            labels = prepared.labels(replace(params.label, kind=kind))
            rows = prepared.dataset(labels)
            rows = rows.between(prepared.windows.start, prepared.windows.train_end)
            splitter = PurgedKFold(
                rows.t0, rows.t1, n_splits=params.cv.n_splits, embargo_s=params.cv.embargo_s
            )
            oof = cross_validate(rows, Trial("logistic", 0.1, params.search.seed), splitter)
            found = score(rows.y[oof.index], oof.probability)
            said = "reached" if oof.mean_auc >= float(limit.value) else "refused"
            print(
                f"{prepared.market.symbol:<24} {kind:<10} {found.n_rows:>8,} "
                f"{oof.mean_auc:>7.4f} {found.precision_top_20pct:>9.3f}  {said}"
            )


if __name__ == "__main__":
    main([str(Path(name)) if name != "synthetic" else name for name in sys.argv[1:]])
