"""Messages of the figures about time."""

from __future__ import annotations

import math

import pytest

from mlwb.report import figures
from tests.report.conftest import Study, ages, by_day, window

pytestmark = pytest.mark.usefixtures("coarse")


def test_memory_names_what_is_worth_least(study: Study) -> None:
    """The feature with the fewest independent rows leads."""
    assert figures.memory(study.memory).title == (
        "a remembers longest: its 9,000 rows are worth 90 independent ones"
    )


def test_eligibility_depends_on_what_is_held_out(study: Study) -> None:
    """A feature that needs four days is not judged in three; a constant is no curve."""
    short = figures.eligibility(study.eligibility, held_out_days=3.0)
    assert (
        short.title
        == "0 features of 2 can be judged by PSI in the 3.0\u00a0d held out; not <b>b, a"
    )
    long = figures.eligibility(study.eligibility, held_out_days=4.0)
    assert long.title == "1 feature of 2 can be judged by PSI in the 4.0\u00a0d held out; not <b>b"
    quiet = [window("a", 0.1, days=1, needed=1.0, why="quiet")]
    assert "; not" not in figures.eligibility(quiet, held_out_days=7.0).title


def test_daily_says_how_steady() -> None:
    """The strongest feature by size of its mean, with its count of days and its ratio."""
    items = [by_day("weak", 0.01, 9.0), by_day("strong", -0.4, -2.5)]
    assert figures.daily(items).title == (
        "strong has the same sign on 3 of 4 days; ICIR −2.50 per day"
    )


@pytest.mark.parametrize(
    ("half_life_s", "said"),
    [
        (600.0, "a, the strongest, is worth half after 10 min"),
        (math.inf, "a, the strongest, keeps over half for 1 h"),
        (math.nan, "a, the strongest, has no half-life: it is not known to know anything"),
    ],
)
def test_decay_says_how_long_knowledge_lasts(half_life_s: float, said: str) -> None:
    """A half-life, one that is not reached, and none where nothing is known."""
    items = [ages("b", 0.1, 60.0), ages("a", -0.4, half_life_s)]
    assert figures.decay(items).title == said
