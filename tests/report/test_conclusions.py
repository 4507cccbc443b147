"""Conclusions follow their numbers: another measurement, another sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlwb.report import conclusions
from mlwb.study import Clipping, Distribution, Redundancy, Stationarity
from tests.report.conftest import Study, ages, by_day, held, looked, mood, window

NAN, INF = float("nan"), float("inf")


def shape(name: str, missing: float = 0.0) -> Distribution:
    """A feature with some values missing."""
    return Distribution(name, 900, missing, 0.0, 1.0, (-2.0, -1.0, 0.0, 1.0, 2.0), 0.01)


def clip(name: str, k: int) -> Clipping:
    """A feature with so many of a thousand clipped."""
    return Clipping(name, -1.0, 1.0, 0, k, 1_000)


def reading(name: str, verdict: str, adf: float = 0.001, broke: float = 0.5) -> Stationarity:
    """A feature with a verdict."""
    if verdict == "constant":
        return Stationarity(name, verdict, NAN, NAN, 900)
    return Stationarity(name, verdict, adf, 0.02, 900, adf, adf, 0.5, 0.5, broke, 0.5)


def test_features_praise_bounds_that_hold_and_name_those_that_do_not() -> None:
    """At or below the alarm the highest rate is told; above it the feature is named."""
    found = [shape("a"), shape("b", 0.02)]
    good = str(conclusions.features(found, [clip("a", 9), clip("b", 30)]))
    assert good == (
        "→ All 2 features are known on at least 98.0 % of the bars (least: b). Clip bounds fitted "
        "on the first part of the window still fit the rest: at most 3.0 % are clipped (b), "
        "1 % is expected."
    )
    bad = str(conclusions.features(found[:1], [clip("a", 42)]))
    assert bad.startswith("→ The one feature is known on at least 100.0 % of the bars. Clip bounds")
    assert "no longer fit a (4.2 %)" in bad


def test_stationarity_says_what_each_reading_means() -> None:
    """Readings are grouped, a unit root comes with advice, a break is named."""
    said = str(
        conclusions.stationarity(
            [reading("a", "stationary"), reading("b", "conflict"), reading("c", "constant")]
        )
    )
    assert said.startswith("→ 1 feature stationary by both tests; b with long memory")
    assert "c constant" in said
    assert said.endswith("ADF alone would have passed all 2 features.")
    walk = str(conclusions.stationarity([reading("w", "unit root", adf=0.4, broke=0.01)]))
    assert "w with a unit root: take differences" in walk
    assert "w moved to another level once" in walk
    assert "ADF alone" not in walk


def test_memory_names_what_psi_cannot_judge(study: Study) -> None:
    """Each feature beyond the held-out window has what it needs, or why it never can."""
    said = str(conclusions.memory(study.memory, study.eligibility, held_out_days=5.0))
    assert said == (
        "→ Neighbouring minutes repeat each other: 9,000 rows of a are worth 90. PSI can judge "
        "1 of 3 features in the 5.0 d held out; <b>b needs at least 30 d and bias cannot "
        "(constant). A PSI of these says nothing about drift."
    )
    quiet = [window("a", 0.1, days=1, needed=1.0, why="quiet")]
    alone = str(conclusions.memory([], quiet, held_out_days=5.0))
    assert alone == "→ Every feature can be judged by PSI in the 5.0 d held out."


def test_markup_of_names_is_escaped(study: Study) -> None:
    """A feature cannot be named like a tag and become one."""
    html = conclusions.memory(study.memory, study.eligibility, held_out_days=5.0)._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;b" in html
    assert html.startswith('<p class="note"><strong>So:</strong> ')


def test_information_that_is_not_proven_is_none() -> None:
    """Holm decides who is named; with nobody left there is nothing to learn."""
    some = str(conclusions.information([looked("a", 0.3), looked("b", 0.2, p=0.2)]))
    assert some.startswith("→ 1 of 2 features know something, after Holm over 2 looks: a. ")
    assert some.endswith("Strongest is a at 1 min, rank IC 0.300 (0.280 to 0.320).")
    none = str(conclusions.information([looked("a", 0.3, p=0.2)]))
    assert none.startswith("→ None of 1 feature is shown to know anything")


@pytest.mark.parametrize(
    ("half", "half_life_s", "said"),
    [
        (0.5, 600.0, "ICIR 3.00 (2.50 to 3.50). Half of what it knows is gone after 10 min"),
        (4.0, INF, "ICIR 3.00 (−1.00 to 7.00): not told from luck. It ages so slowly"),
        (0.5, NAN, "ICIR 3.00 (2.50 to 3.50). "),
    ],
)
def test_steadiness_weighs_its_interval(half: float, half_life_s: float, said: str) -> None:
    """An interval that holds zero is luck; a half-life is told where there is one."""
    items = [by_day("a", 0.3, 3.0, half=half), by_day("b", 0.1, 9.0)]
    found = str(conclusions.steadiness(items, [ages("a", 0.3, half_life_s)]))
    assert found.startswith("→ a points the same way on 3 of 4 days, ")
    assert said in found + " "
    assert "too few days" in str(conclusions.steadiness([by_day("a", 0.3, NAN)], []))


def test_costs_never_promise(study: Study) -> None:
    """A size has no net; what earns is a ceiling; what does not is said plainly."""
    size = str(conclusions.costs(study.costs, is_traded=False))
    assert size.startswith("→ IC after costs is not defined here")
    assert "exceed an IC of 0.0200 if it moved like a held for 1 h" in size
    lucky = str(conclusions.costs(study.costs, is_traded=True))
    assert lucky.startswith(
        "→ No feature is shown to earn its costs. 2 pairs of feature and horizon do"
    )
    earns = str(conclusions.costs(study.costs, study.information, is_traded=True))
    assert earns.startswith("→ 2 pairs of feature and horizon exceed their costs, ")
    assert " of them told from luck, best a held for" in earns
    assert "a ceiling and not a promise" in earns
    dear = str(conclusions.costs([held("a", 0.1, 0.4)], is_traded=True))
    assert dear == (
        "→ No feature earns its costs at any horizon. The closest is a held for 1 min: its IC of "
        "0.100 pays for 1.250 bp a trade, and a trade costs 1.50 bp."
    )
    assert "nothing can be held" in str(conclusions.costs([], is_traded=True))


def test_regimes_compare_only_beyond_their_intervals() -> None:
    """Base rates apart or not, and features that keep their sign everywhere or only somewhere."""
    kept = str(conclusions.regimes([mood("calm", 0.4, 0.1), mood("wild", 0.6, 0.3)]))
    assert kept == (
        "→ Label 1 is 60.0 % of wild bars and 40.0 % of calm ones, more than chance explains. "
        "In every regime the sign of a is the same and sure."
    )
    lost = str(conclusions.regimes([mood("calm", 0.40, -0.1), mood("wild", 0.41, 0.3)]))
    assert "which chance may explain. No feature keeps a sure sign" in lost
    assert "nothing to compare" in str(conclusions.regimes([mood("calm", 0.4, 0.1)]))


def test_redundancy_names_mixtures() -> None:
    """Above ten a feature is a mixture; below it weights can be read one by one."""
    matrix = np.eye(2)
    mixed = Redundancy(("a", "b"), matrix, np.asarray([12.0, 1.0]))
    assert str(conclusions.redundancy(mixed)).startswith("→ a is nearly a mixture of others")
    plain = Redundancy(("a", "b"), matrix, np.asarray([2.5, 1.0]))
    assert "largest variance inflation factor is 2.5 (a)" in str(conclusions.redundancy(plain))
    assert "Fewer than two" in str(
        conclusions.redundancy(Redundancy((), np.empty((0, 0)), np.empty(0)))
    )


def test_the_whole_study_in_three_counts(study: Study) -> None:
    """Each count is from its own measurement."""
    kinds = [reading("a", "stationary"), reading("b", "conflict")]
    said = conclusions.study(kinds, study.eligibility, study.information, held_out_days=4.0)
    assert str(said) == (
        "→ Stationary by both tests: 1 of 2 features. Fit to be judged by PSI in 4.0 d: 1. "
        "Shown to know something about the target: 1."
    )
    unsure = [replace(item, p_holm=0.5) for item in study.information]
    other = conclusions.study(kinds, study.eligibility, unsure, held_out_days=3.0)
    assert str(other).endswith("in 3.0 d: 0. Shown to know something about the target: 0.")
