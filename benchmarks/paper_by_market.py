"""What volatility timing does on recorded markets, out of sample and after costs.

Run: ``python benchmarks/paper_by_market.py FILE [FILE ...]``; the two files of a bid/ask pair are
written ``BID,ASK``; without files, on the synthetic market. Walk-forward scores of one logistic
model, everything else as in ``params/training.yml``. Returns are timed minus constant exposure.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from mlwb.core.home import find_project
from mlwb.model import Trial, walk
from mlwb.params import TrainingParams, load_params
from mlwb.stages._paper import paper_trade
from mlwb.stages.market import prepare


def main(sources: list[str]) -> None:
    """Print one row a market."""
    params: TrainingParams = load_params("training", find_project() / "params")
    print(
        f"{'market':<28} {'days':>4} {'variance':>22} {'worst hours':>11} {'turnover':>8} "
        f"{'paid':>7} {'net':>8} {'Sharpe':>14}"
    )
    for source in sources or ["synthetic"]:
        data = replace(params.data, source=tuple(source.split(",")))
        prepared = prepare(data, params.features.names, params.window)
        windows = prepared.windows
        rows = prepared.dataset(prepared.labels(params.label))
        rows = rows.between(windows.start, windows.train_end)
        trial = Trial("logistic", 0.1, params.search.seed)
        segments = walk(rows, trial, n_segments=params.cv.n_segments)
        paper = paper_trade(prepared, rows, segments, params)
        risk, effect = paper.risk, paper.effect
        assert effect is not None  # noqa: S101 - the label is volatility, its rule is timing
        bounds = f"{effect.variance_low:.2f} to {effect.variance_high:.2f}"
        print(
            f"{prepared.market.symbol:<28} {risk.n_days:>4} {effect.variance_ratio:>7.2f} "
            f"({bounds}) {effect.tail_ratio:>11.2f} {paper.activity.turnover:>8.2f} "
            f"{1e4 * paper.ledger.cost.sum() / risk.n_days:>5.1f}bp {risk.net_return:>+8.2%} "
            f"{risk.sharpe:>6.1f} +- {risk.sharpe_se:>4.1f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
