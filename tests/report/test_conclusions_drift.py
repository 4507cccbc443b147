"""Sentences about drift follow from the numbers, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlwb.drift.multivariate import ClassifierTest, PcaTest
from mlwb.drift.planning import Plan
from mlwb.report import conclusions
from tests.report.conftest import realised_losses


@pytest.fixture
def mean(make_drift: Callable[..., Any]) -> Any:
    """An overall mean shown below its limit."""
    return make_drift("the overall mean", 0.02, (0.0, 0.05), limit=0.2)


def test_the_page_in_a_sentence(make_drift: Callable[..., Any], mean: Any) -> None:
    """What is shown, what is open, what no such window can judge; and the mean."""
    rows = [
        make_drift("calm", 0.02, (0.0, 0.05)),
        make_drift("moved", 1.25, (0.9, 1.6)),
        make_drift("open", 0.25, (0.1, 0.4)),
        make_drift("slow", 0.1, (0.0, 0.2), 0.5, gateable_days=14),
        make_drift("wild", 0.1, (0.0, 0.2), 0.5),
    ]
    assert conclusions.drift(rows, mean).plain == (
        "→ 1 of 5 features shown below 0.3; moved shown above 0.3; open neither shown below nor "
        "above, the window is too short to tell; slow needs 14 d and wild needs a longer window "
        "than the training data can stand for, since chance alone reaches 0.3 in a window of this "
        "length. The mean is 0.020, shown below 0.2."
    )


@pytest.mark.parametrize(
    ("row", "first", "second"),
    [
        ((0.02, (0.0, 0.05)), "refused nothing.", "The bounds agree: every number"),
        ((1.2, (0.9, 1.6)), "refused a.", "That is no chance"),
        ((0.4, (0.0, 0.5), 0.45), "refused a.", "For a 0.400 is chance: windows of the training"),
        ((0.6, (0.1, 0.9), 0.45), "refused a.", "a shows 0.600, more than chance"),
        ((0.4, None, None), "refused a.", "Whether a is chance cannot be said"),
        ((0.1, (0.0, 0.2), 0.45), "refused nothing and waved through a.", "so 0.100 may be luck"),
        ((0.1, None, None), "refused nothing and waved through a.", "too short to show what"),
    ],
)
def test_the_plain_rule_is_explained(
    row: tuple[Any, ...], first: str, second: str, *, make_drift: Callable[..., Any], mean: Any
) -> None:
    """Two sentences: what a fixed limit would have done, and whether that is chance."""
    said = conclusions.plain_rule([make_drift("a", *row)], mean).plain
    assert first in said
    assert second in said
    assert said.startswith("→ A fixed limit of 0.3 a feature and 0.2 on the mean would have ")


def test_a_mean_over_its_limit_is_refused_by_name(make_drift: Callable[..., Any]) -> None:
    """The mean is held against its own limit, not against that of a feature."""
    mean = make_drift("the overall mean", 0.25, (0.1, 0.28), 0.15, limit=0.2)
    said = conclusions.plain_rule([make_drift("a", 0.25, (0.1, 0.28))], mean).plain
    assert "would have refused the overall mean." in said


@pytest.mark.parametrize(
    ("p_value", "p_recent", "said"),
    [
        (0.5, 0.5, "Nothing is further"),
        (0.5, 0.01, "a moved against the window just before, though training's limit is shown"),
        (0.01, 0.5, "a moved since training but not lately: a new training would take in a PSI"),
        (0.01, 0.01, "a moved against the window just before, though training's limit is shown"),
        (0.01, None, "holds too few windows"),
    ],
)
def test_moving_or_moved(
    p_value: float, p_recent: float | None, said: str, make_drift: Callable[..., Any]
) -> None:
    """Against training and against the window before are two questions."""
    row = make_drift("a", 0.2, (0.1, 0.28), p_value=p_value, p_recent=p_recent)
    assert said in conclusions.recent([row]).plain
    large = make_drift("a", 0.2, (0.1, 0.4), p_value=p_value, p_recent=0.01)
    assert "just before: ask what happened." in conclusions.recent([large]).plain


def plan_of(name: str, detectable: float, passes: float, prove: int | None) -> Plan:
    """A week planned for a limit of 0.3."""
    return Plan(name, 7, 0.3, 0.05, 0.8, detectable, 0.2, passes, 0.9, prove, 7)


def test_a_plan_says_what_the_days_can_show() -> None:
    """The easiest and the hardest feature, and the days that those take which would not pass."""
    calm, slow = plan_of("calm", 0.02, 0.99, 2), plan_of("slow", 0.5, 0.1, 21)
    said = conclusions.planned([calm, slow, plan_of("wild", 0.4, 0.0, None), None]).plain
    assert "7 days would find, with 80\u00a0% probability".replace("\u00a0", " ") in said
    assert "a PSI from 0.020 (calm) to 0.500 (slow)" in said
    assert said.endswith(
        "To be shown below 0.3 with the same probability when nothing moved, slow needs 21 d and "
        "wild needs a longer window than the training data can stand for."
    )
    score = replace(slow, name="prediction", limit=0.25)
    assert "shown below the limit with" in conclusions.planned([calm, score]).plain
    assert "All of them would be shown below 0.3" in conclusions.planned([calm]).plain
    assert "too short to plan with" in conclusions.planned([None]).plain


@pytest.mark.parametrize(
    ("p_auc", "p_pca", "first", "second"),
    [
        (0.4, 0.3, "no more than chance (p 0.400)", "go together as they did (p 0.300)"),
        (0.01, 0.02, "(p 0.010), led by a (0.700)", "go together differently (p 0.020)"),
    ],
)
def test_whole_rows_are_told_apart_or_not(
    p_auc: float, p_pca: float, first: str, second: str
) -> None:
    """An area under the curve means nothing without what unchanged windows give."""
    told = ClassifierTest(0.71, np.asarray([0.55, 0.6]), p_auc, 3, (("a", 0.7), ("b", 0.6)))
    said = conclusions.together(told, PcaTest(1.2, np.asarray([1.1, 1.3]), p_pca, 3, 2)).plain
    assert (
        "with an AUC of 0.710; windows of the training data, told from the rest, reach 0.600"
        in (said)
    )
    assert first in said
    assert second in said
    assert "too short" in conclusions.together(None, None).plain


@pytest.mark.parametrize(
    ("e_value", "said"),
    [(0.5, "no evidence of harm"), (20.0, "that is harm"), (None, "too few days")],
)
def test_losses_say_whether_they_rose(e_value: float | None, said: str) -> None:
    """Evidence of twenty is harm, less is none, and what was not measured is said to be so."""
    found = realised_losses(np.random.default_rng(0), e_value=e_value)
    plain = conclusions.realised(found).plain
    assert said in plain
    assert "0.210 (Brier)" in plain
    assert "No held-out label" in conclusions.realised(None).plain


def test_a_few_days_call_nobody_calibrated_or_not() -> None:
    """Without a level of chance no word is said on calibration, and the limit is the policy's."""
    found = realised_losses(np.random.default_rng(0), e_value=20.0, limit=30.0)
    assert "no evidence of harm" in conclusions.realised(found).plain
    unsure = replace(found, calibration=replace(found.calibration, ece_chance=float("nan")))
    plain = conclusions.realised(unsure).plain
    assert "too few days to say" in plain
    assert "calibrated" not in plain
