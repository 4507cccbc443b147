"""Messages of the figures about what features know, what it costs, and what they share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlwb.report import figures
from mlwb.study import Information, Redundancy
from tests.report.conftest import Study, held, looked, mood

pytestmark = pytest.mark.usefixtures("coarse")


def test_information_names_the_strongest() -> None:
    """Strength is size, not sign; what is not proven after Holm does not differ from zero."""
    items = [
        looked("weak", 0.03, p=0.2),
        looked("strong", -0.31),
        looked("strong", -0.2, horizon_s=3600),
    ]
    figure = figures.information(items)
    assert figure.title == (
        "strong knows most: rank IC −0.310 at 1 min (−0.330 to −0.290); "
        "1 of 2 features differ from zero"
    )
    assert "Holm over 3 looks" in figure.subtitle


def test_information_does_not_praise_what_is_not_proven() -> None:
    """A larger coefficient that is not proven does not lead; with none proven nobody does."""
    unsure, sure = looked("wide", 0.4, half=0.5, p=0.3), looked("narrow", 0.1)
    assert figures.information([unsure, sure]).title.startswith("narrow knows most: rank IC 0.100")
    assert figures.information([unsure]).title == (
        "No feature is shown to know anything; the largest is wide, rank IC 0.400 at 1 min "
        "(−0.100 to 0.900)"
    )


def test_information_without_adjustment_reads_the_interval() -> None:
    """Looks that were never adjusted differ from zero where their interval does."""
    items = [replace(looked(name, ic), p_holm=float("nan")) for name, ic in (("a", 0.1), ("b", 0))]
    assert figures.information(items).title.endswith("1 of 2 features differ from zero")


def test_information_leaves_out_what_has_no_value() -> None:
    """A constant feature has no rank correlation and no row."""
    nan = float("nan")
    items = [looked("a", 0.1), Information("flat", 60, nan, nan, nan, 0, 1)]
    assert "1 of 1 features" in figures.information(items).title


def test_regimes_differ_only_beyond_their_intervals() -> None:
    """Where intervals overlap nothing is said about which regime is better."""
    apart = figures.regimes([mood("calm", 0.4, 0.1), mood("wild", 0.6, -0.3)])
    assert apart.title == (
        "a knows most in wild bars, rank IC −0.300, and least in calm ones, 0.100"
    )
    close = figures.regimes([mood("calm", 0.4, 0.28), mood("wild", 0.6, 0.3)])
    assert close.title == (
        "a: size of rank IC 0.280 to 0.300, no regime stands out; told from zero in 2 of 2 regimes"
    )


def test_costs_count_what_is_shown_to_earn(study: Study) -> None:
    """Pairs beyond their hurdle with a proven coefficient are shown; the others have had luck."""
    figure = figures.costs(study.costs, study.information, is_traded=True)
    assert figure.title == (
        "2 of 3 pairs of feature and horizon exceed their costs, 2 of them told from luck; "
        "best is a at 1 min, net 0.200"
    )
    unsure = [replace(item, p_holm=0.5) for item in study.information]
    lucky = figures.costs(study.costs, unsure, is_traded=True)
    assert "none of them told from luck; best is a at 1 min" in lucky.title
    assert lucky.png != figure.png
    dear = figures.costs([held("a", 0.1, 0.4), held("b", 0.1, 0.2)], is_traded=True)
    assert dear.title.endswith("; closest is b at 1 min, net −0.100")


def test_costs_of_a_size_show_hurdles_only(study: Study) -> None:
    """A volatility label has no sign: no pair earns, the hurdle alone is told."""
    figure = figures.costs(study.costs, is_traded=False)
    assert figure.title.startswith("To hold a as a position for 1 h, an IC above 0.0200 would")
    assert "no IC of a sign" in figure.subtitle
    assert figure.png != figures.costs(study.costs, is_traded=True).png


def test_redundancy_names_the_closest_pair_and_mixtures() -> None:
    """The diagonal is not a pair; a negative correlation counts by its size."""
    matrix = np.asarray([[1.0, 0.1, -0.9], [0.1, 1.0, 0.2], [-0.9, 0.2, 1.0]])
    found = Redundancy(("a", "b", "c"), matrix, np.asarray([12.0, 1.0, np.inf]))
    assert figures.redundancy(found).title == (
        "a and c are closest, r = −0.90; nearly a mixture of others: a, c"
    )
