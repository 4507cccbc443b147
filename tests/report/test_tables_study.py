"""Tables about the features."""

from __future__ import annotations

import pytest

from mlwb.report import tables
from mlwb.study import Clipping, Distribution, Information, Stationarity
from tests.report.conftest import Study, looked

NAN = float("nan")
COS = Distribution("cos", 100, 0.0, 0.0, 0.7, (-1.0, -0.7, 6.1e-17, 0.7, 1.0), 0.01)


def test_distributions_drop_rounding_noise() -> None:
    """A median of 6e-17 beside a deviation of 0.7 is a zero."""
    table = tables.distributions([COS])
    assert table.rows[0][5] == "0"
    assert table.caption.endswith("; 100 rows")
    assert tables.distributions([]).rows == ()


@pytest.mark.parametrize(("above", "said"), [(10, "1.0 %"), (31, "✗ 3.1 %")])
def test_clip_rate_beyond_the_alarm_is_marked(above: int, said: str) -> None:
    """What is clipped later stands last; beyond 3 % it has a sign, not only a colour."""
    table = tables.distributions([COS], [Clipping("cos", -1.0, 1.0, 0, above, 1_000)])
    assert table.columns[-1].name == "clipped later"
    assert repr(table).splitlines()[4].endswith(said)


def test_stationarity() -> None:
    """The caption counts; the adjusted p is shown; a constant has none; a break is named."""
    table = tables.stationarity(
        [
            Stationarity("a", "stationary", 1e-9, 0.3, 10_080, 1e-8, 1e-9, 0.021, 1e-9, 0.2, 0.5),
            Stationarity("b", "constant", NAN, NAN, 5),
            Stationarity("c", "unit root", 0.3, 0.001, 900, 0.6, 0.4, 0.97, 0.3, 0.001, 0.5),
        ]
    )
    assert table.caption.startswith("1 of 3 features are stationary")
    assert table.rows[0][2:] == ("< 0.001", "0.300", "< 0.001", "0.02", "0.200", "10,080")
    assert table.rows[1][2:7] == ("–",) * 5
    assert table.rows[2][1:3] == ("unit root, level break", "0.600")


def test_eligibility_says_why(study: Study) -> None:
    """Each feature has a word, the window it needs, and the reason."""
    table = tables.eligibility(study.eligibility, held_out_days=4.0)
    shown = [line.split("  ")[0] for line in repr(table).splitlines()[4:]]
    assert shown == ["a", "<b>b", "bias"]
    a, b, bias = table.rows
    assert [str(a[1]), *a[2:]] == [
        "✓ eligible", "4 d", "0.250", "200\u00a0rows", "chance stays below the limit",
    ]  # fmt: skip
    assert [str(b[1]), b[2]] == ["✗ not eligible", "≥ 30 d"]
    assert bias[2:] == ("none", "–", "–", "a constant cannot drift")
    short = tables.eligibility(study.eligibility, held_out_days=3.0)
    assert str(short.rows[0][1]) == "✗ not eligible"
    assert short.rows[0][3] == "0.500"
    assert short.rows[0][5] == "chance exceeds the limit in what is held out"
    assert "&lt;b&gt;b" in table._repr_html_()


def test_information_has_stars_for_adjusted_looks() -> None:
    """Rank IC with stars, Pearson's in brackets, strongest first, a dash for no value."""
    flat = Information("flat", 60, NAN, NAN, NAN, 0, 1)
    table = tables.information(
        [flat, looked("b", 0.1, p=0.2), looked("a", -0.3, p=0.004), looked("a", 0.2, horizon_s=300)]
    )
    assert [column.name for column in table.columns] == ["feature", "1 min ahead", "5 min ahead"]
    assert table.rows == (
        ("a", "−0.300** (−0.300)", "0.200** (0.200)"),
        ("b", "0.100 (0.100)", "–"),
        ("flat", "–", "–"),
    )
    assert "Holm over the 4 looks" in table.note


def test_steadiness_joins_days_and_decay(study: Study) -> None:
    """The day's numbers and the half-life of the same feature, strongest first."""
    table = tables.steadiness(study.daily, study.decay)
    assert table.rows[0] == (
        "a", "0.300", "0.100", "3.00", "2.50 to 3.50", "3 of 4 (75.0\u00a0%)", "10 min",
    )  # fmt: skip
    assert table.rows[1][-1] == "–"


def test_costs_of_a_size_have_no_net(study: Study) -> None:
    """A volatility label has turnover and a hurdle; a sign has what is left and breaks even."""
    size = tables.costs(study.costs, horizon_s=60, is_traded=False)
    assert [len(row) for row in size.rows] == [4, 4]
    assert "not defined for a volatility label" in size.note
    sign = tables.costs(study.costs, horizon_s=60, is_traded=True)
    assert sign.rows[0] == (
        "a", "0.200", "1.50\u00a0bp", "0.1000", "−0.3000", "0.2000", "1.250\u00a0bp",
    )  # fmt: skip
    assert sign.note == ""


def test_regimes_name_their_best(study: Study) -> None:
    """Rows, share, base rate with interval, and who knows most."""
    table = tables.regimes(study.regimes)
    assert table.rows[1] == (
        "wild", "900", "50.0\u00a0%", "60.0\u00a0%", "59.0 to 61.0\u00a0%", "a 0.30",
    )  # fmt: skip
