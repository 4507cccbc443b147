"""Error rates of p_against: how often it passes without skill, how often it sees a small one.

Run: ``python benchmarks/p_against.py`` (about two minutes). Size is the share of markets without
skill that pass at 0.10, with its Wilson interval; ``folds`` is the requirements' rule on the same
markets, ``t`` the plain t-test of a mean. Power is for a score whose correlation with the target
is 0.05.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from mlwb.core.arrays import Float2D
from mlwb.model import p_against_folds
from mlwb.stats import wilson
from tests.model.null_markets import DESIGNS, N_FOLDS, Design, contributions, skills

N_MARKETS, N_RESAMPLES, LEVEL, IC = 2_000, 999, 0.10, 0.05


def passes(rows: Float2D, design: Design) -> tuple[int, int, int]:
    """Markets that pass by the block bootstrap, by fold means, by a t-test."""
    fold = np.repeat(np.arange(N_FOLDS), rows.shape[1] // N_FOLDS)
    found = skills(rows, design.overlap, n_resamples=N_RESAMPLES)
    blocks = sum(each.p_against <= LEVEL for each in found)
    folds = sum(
        p_against_folds(one, fold, n_resamples=N_RESAMPLES, seed=0) <= LEVEL for one in rows
    )
    t = rows.mean(axis=1) / rows.std(axis=1) * math.sqrt(rows.shape[1])
    return blocks, folds, int((t >= norm.isf(LEVEL)).sum())


def planted(design: Design, rng: np.random.Generator, shape: tuple[int, int]) -> Float2D:
    """Contributions of a score with a correlation of 0.05 with the target."""
    score, target = design.draw(rng, shape)
    scaled = (target - target.mean(axis=1, keepdims=True)) / target.std(axis=1, keepdims=True)
    knows = score / score.std(axis=1, keepdims=True) + IC / math.sqrt(1 - IC * IC) * scaled
    return contributions(knows, target)


def main() -> None:
    """Print size and power, one row a design."""
    print(f"{N_MARKETS:,} markets a row, {N_RESAMPLES} resamples, passing at {LEVEL:.2f}")
    print(f"{'design':<22} {'rows':>6} {'size':>6} {'95 %':>15} {'folds':>6} {'t':>6} {'power':>6}")
    for n_rows, n_markets in ((2_000, N_MARKETS), (10_000, N_MARKETS // 4)):
        for name, design in DESIGNS.items():
            rng = np.random.default_rng(7)
            rows = contributions(*design.draw(rng, (n_markets, n_rows)))
            blocks, folds, t = passes(rows, design)
            seen = passes(planted(design, rng, (n_markets // 4, n_rows)), design)[0]
            low, high = wilson(blocks, n_markets)
            size, power = blocks / n_markets, seen / (n_markets // 4)
            print(
                f"{name:<22} {n_rows:>6,} {size:>6.3f} {f'{low:.3f} to {high:.3f}':>15}"
                f" {folds / n_markets:>6.3f} {t / n_markets:>6.3f} {power:>6.2f}"
            )


if __name__ == "__main__":
    main()
