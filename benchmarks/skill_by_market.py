"""Skill on recorded markets: against nothing, beyond the label's own rule, after costs.

Run: ``python benchmarks/skill_by_market.py FILE [FILE ...]``; without files, on the synthetic
market. Window, folds, embargo and costs (without the spread) are those of ``params/training.yml``;
one logistic model, 10,000 resamples. ``W`` is how much the folds agree on what matters.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from mlwb.core.home import find_project
from mlwb.model import (
    Dataset,
    OutOfFold,
    PurgedKFold,
    Trial,
    costed_ic,
    cross_validate,
    importance,
    rule_scores,
    skill_beyond,
)
from mlwb.params import TrainingParams, load_params
from mlwb.stages.market import prepare

N_RESAMPLES, SEED = 10_000, 0


def against(rows: Dataset, out: OutOfFold, kind: str, least_block: int) -> str:
    """Skill of its own, and beyond the rule where there is one."""
    cells = ""
    rule = rule_scores(rows, kind)
    for baseline in (None, rule) if rule is not None else (None,):
        found = skill_beyond(
            out,
            rows.target,
            baseline,
            least_block=least_block,
            n_resamples=N_RESAMPLES,
            seed=SEED,
        )
        cells += f" {found.rank_ic:>8.4f} {found.p_against:>7.4f}"
    return f"{cells:<34}"


def main(sources: list[str]) -> None:
    """Print one row a market and label."""
    params: TrainingParams = load_params("training", find_project() / "params")
    head = f"{'market':<10} {'label':<10} {'rows':>8} {'AUC':>6}"
    head += f" {'rank IC':>8} {'p':>7} {'beyond':>8} {'p':>7}  {'net IC':>8} {'W':>5}  leans on"
    print(head)
    for source in sources or ["synthetic"]:
        data = replace(params.data, source=(source,))
        prepared = prepare(data, params.features.names, params.window)
        for kind in ("volatility", "direction"):
            rows = prepared.dataset(prepared.labels(replace(params.label, kind=kind)))
            rows = rows.between(prepared.windows.start, prepared.windows.train_end)
            splitter = PurgedKFold(
                rows.t0, rows.t1, n_splits=params.cv.n_splits, embargo_s=params.cv.embargo_s
            )
            trial = Trial("logistic", 0.1, params.search.seed)
            out = cross_validate(rows, trial, splitter)
            cells = against(rows, out, kind, max(params.label.horizon_s // 60, 1))
            cost = np.full(len(rows), 1e-4 * (params.costs.fee_bp + params.costs.slippage_bp))
            net = f"{costed_ic(rows, out, rows.target, cost):.4f}" if kind == "direction" else ""
            leans = importance(rows, trial, splitter, seed=SEED)
            leading = [leans.names[i] for i in np.argsort(-leans.mean_loss)[:3]]
            print(
                f"{prepared.market.symbol[:10]:<10} {kind:<10} {len(rows):>8,} {out.mean_auc:>6.3f}"
                f"{cells} {net:>8} {leans.agreement:>5.2f}  {', '.join(leading)}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
