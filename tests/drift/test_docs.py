"""docs/drift-measured.md claims no more than what its own tables of measured rates show."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "drift-measured.md").read_text(encoding="utf-8")


def _table(head: str) -> list[list[str]]:
    """Cells of the rows below a table's head."""
    rows = TEXT.split(head, 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def _by_name(head: str) -> dict[str, list[str]]:
    return {row[0]: row[2:] for row in _table(head)}


def _number(cell: str) -> float:
    found = re.match(r"\d[\d.]*", cell)
    assert found, cell
    return float(found.group())


def test_quiet_months_keep_the_bound_where_days_are_exchangeable() -> None:
    """Independent and autocorrelated minutes at most 0.05, other rules far above, in every row."""
    rows = _table("| minutes, 30 days without drift ")
    exchangeable = [row for row in rows if not row[0].startswith("volatility")]
    assert len(exchangeable) == 3
    assert all(_number(row[1]) <= 0.05 for row in exchangeable)
    assert all(_number(row[2]) <= 0.05 for row in exchangeable)
    assert all(_number(row[3]) <= 30.0 / 365.0 for row in exchangeable)
    assert all(max(_number(cell) for cell in row[4:]) > 0.5 for row in rows)


def test_a_change_is_found_whenever_it_begins() -> None:
    """Three settings, each at once and after 20 and 60 quiet days: at least 0.85 of months."""
    rows = _table("| change | quiet days before ")
    assert [int(row[1]) for row in rows] == [0, 20, 60] * 3
    assert all(_number(row[2]) >= 0.85 for row in rows)


def test_weeks_keep_the_bound_for_volatility() -> None:
    """Blocks of seven days at most 0.05 at every half-life; longer blocks never alarm more."""
    rows = _table("| slow part halves in | block ")
    rates = {(row[0], row[1]): _number(row[2]) for row in rows}
    assert all(max(rates[half, "7 d"], rates[half, "suited"]) <= 0.05 for half, _ in rates)
    for half, _ in rates:
        assert rates[half, "1 d"] >= rates[half, "3 d"] >= rates[half, "7 d"]


def test_limits_are_crossed_wrongly_at_most_as_often_as_said() -> None:
    """Where the truth is the limit itself, at most 0.05 of streams ever show the claim."""
    rows = [
        row
        for row in _table("| shown at 5 % | truth ")
        if float(row[0].split()[1]) == float(row[1])
    ]
    assert len(rows) == 4
    assert all(_number(row[4]) <= 0.05 for row in rows)


def test_our_p_value_keeps_its_level_where_others_do_not() -> None:
    """0.02 to 0.08 at 0.05 in every stationary market; tests of independent rows far above."""
    rows = _by_name("| share of days with an alarm | n | independent ")
    ours = [float(cell) for cell in rows["mlwb block p <= .05"][:-1]]
    assert min(ours) >= 0.02
    assert max(ours) <= 0.08
    for rule in ("chi2 p < .05", "KS p < .05", "Wasserstein/sd >= .1"):
        assert min(float(cell) for cell in rows[rule][1:]) > 0.3


def test_the_changes_of_a_bake_off_are_found() -> None:
    """Three settings, by a bet a day: at least 0.85 of months."""
    head = "| share of months, days of delay | n | "
    names = [cell.strip() for cell in TEXT.split(head, 1)[1].splitlines()[0].split("|")]
    found = dict(zip(names, _by_name(head)["mlwb martingale 1/20"], strict=False))
    for change in ("indep. +0.1", "AR .97 +0.5", "AR .99 +1"):
        assert _number(found[change]) >= 0.85


def test_readings_of_a_bake_off_are_seldom_wrong() -> None:
    """Nothing changed: never more than 0.02 fail. A random walk is as good as never answered."""
    rows = _table("| reading against 0.2 | days ")
    assert all(float(row[4]) <= 0.02 for row in rows if row[2] == "0.00" and "stuck" not in row[0])
    walk = [(row[3], float(row[6])) for row in rows if row[0] == "random walk"]
    assert all(passed == "0.00" and unjudged >= 0.98 for passed, unjudged in walk)
