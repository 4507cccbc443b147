"""Messages of the figures about a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlwb.model import GroupEffect, Importance, TrialResult
from mlwb.report import figures

pytestmark = pytest.mark.usefixtures("coarse")

START = 1_735_689_600


def test_fold_auc_names_the_one_taken(make_trial: Callable[..., TrialResult]) -> None:
    """Not always the best: an incumbent may be kept; the next one is named with its gain."""
    incumbent = make_trial("logistic", 0.1, [0.65, 0.67])
    challenger = make_trial("boosting", 1.0, [0.66, 0.69])
    kept = figures.fold_auc([incumbent, challenger], chosen=incumbent)
    assert kept.title == (
        "logistic C=0.1 is taken: mean AUC 0.660 over 2 folds, 0.650 to 0.670; "
        "next is boosting, +0.015"
    )
    assert figures.fold_auc([challenger]).title.startswith("boosting is taken")


def test_importance_names_what_leads_and_whether_folds_agree() -> None:
    """Three folds that rank alike are stable; three that do not are said not to be."""
    alike = Importance(("book", "level"), np.array([[0.03, 0.01]] * 3), 1.0, 1.0)
    figure = figures.importance(alike, least="0.7")
    assert figure.title.startswith("The model leans on book most (0.030 of AUC); folds agree")
    split = Importance(("book", "level"), np.array([[0.03, 0.01], [0.0, 0.05]]), 0.0, 1.0)
    assert "level most" in figures.importance(split, least=0.7).title
    assert "do not agree" in figures.importance(split, least=0.7).title


def test_calibration_measures_the_gap(labels: Any) -> None:
    """Probabilities moved up by 0.15 are found to be off by about that."""
    y, probability = labels
    honest = figures.calibration(y, probability).title
    boasting = figures.calibration(y, probability + 0.15).title
    gaps = [float(title.split("at most ")[1].split(" points")[0]) for title in (honest, boasting)]
    assert gaps[0] < 8.0
    assert 12.0 < gaps[1] < 23.0


def test_ablation_tells_harm_from_noise() -> None:
    """A rise is harm only when Holm says so."""
    helps = GroupEffect("volatility", -0.035, 1.0, 1.0)
    noise = GroupEffect("clock", 0.004, 0.2, 0.4)
    harm = GroupEffect("book", 0.02, 0.001, 0.004)
    assert figures.ablation([helps, noise]).title == (
        "No group does harm; volatility helps most (−0.035 without it)"
    )
    assert figures.ablation([helps, noise, harm]).title.startswith("book does harm")
    assert figures.ablation([noise]).title == "No group does harm"


def test_walk_forward_counts_and_dates_the_weakest() -> None:
    """A segment at the limit is not above it; one without a value counts as not above."""
    starts = [START, START + 86_400, START + 2 * 86_400]
    figure = figures.walk_forward(starts, [0.66, 0.5, float("nan")])
    assert figure.title == (
        "1 of 3 segments is above 0.5; the weakest, from 2025-01-02, has AUC 0.500"
    )
    strict = figures.walk_forward(np.asarray(starts[:2]), [0.66, 0.65], limit="0.62")
    assert strict.title.startswith("2 of 2 segments are above 0.62")


def test_walk_forward_of_a_bet_counts_what_earns() -> None:
    """Where scores are bet on, a segment above chance that loses is not called good."""
    starts = [START, START + 86_400]
    figure = figures.walk_forward(starts, [0.56, 0.54], net=[-0.02, -0.01])
    assert figure.title.startswith(
        "2 of 2 segments are above 0.5, none of them earns after costs; the"
    )
    assert "counts segments with both" in figure.subtitle
    one = figures.walk_forward(starts, [0.56, 0.54], net=[0.02, -0.01])
    assert "above 0.5, 1 of them earns after costs" in one.title
    lucky = figures.walk_forward(starts, [0.56, 0.48], net=[-0.02, 0.01])
    assert lucky.title.startswith("1 of 2 segments is above 0.5, none of them earns")
    assert "costs" not in figures.walk_forward(starts, [0.56, 0.54]).title


def test_a_better_trial_that_is_not_taken_has_a_reason(
    make_trial: Callable[..., TrialResult],
) -> None:
    """A family ahead by less than the margin is named with the margin."""
    tried = [make_trial("logistic", 0.1, [0.64, 0.65]), make_trial("boosting", 1.0, [0.65, 0.66])]
    title = figures.fold_auc(tried, chosen=tried[0], margin=0.02).title
    assert title.endswith("next is boosting, +0.010, within the margin of 0.02")
    assert "margin" not in figures.fold_auc(tried, margin=0.02).title
