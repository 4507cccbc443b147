"""Each fault is found, with the right count, and nothing is found in a clean market."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core.errors import DataSchemaError
from mlwb.data import (
    Count,
    DefectPlan,
    Market,
    Quality,
    RawBars,
    SourceInfo,
    inject_defects,
    quality,
    simulate_market,
)
from mlwb.data._assemble import assemble

few = st.integers(0, 9)
PLANS = st.builds(
    DefectPlan,
    frozen_bars=st.sampled_from([0, 5, 72]),
    missing_bars=st.sampled_from([0, 1, 5, 80]),
    duplicates=few,
    conflicting=few,
    crossed=few,
    locked=few,
    spikes=few,
    non_finite=few,
    non_positive=few,
    ohlc_violations=few,
    swapped=few,
    off_grid=few,
    is_newest_first=st.booleans(),
)


def serious_of(plan: DefectPlan) -> dict[str, int]:
    """What a report of these faults must call serious, and nothing beside."""
    wanted = {
        "duplicates_identical": plan.duplicates,
        "duplicates_conflicting": plan.conflicting,
        "out_of_order": plan.swapped,
        "off_grid": plan.off_grid,
        "gaps": int(plan.missing_bars >= 5),
        "stale": int(plan.frozen_bars >= 5),
        "non_finite": plan.non_finite,
        "non_positive": plan.non_positive,
        "ohlc_violations": plan.ohlc_violations,
        "spikes": plan.spikes,
    }
    return {check: count for check, count in wanted.items() if count}


@settings(max_examples=60, deadline=None)
@given(plan=PLANS, seed=st.integers(0, 2**32 - 1))
def test_every_injected_fault_is_counted(plan: DefectPlan, seed: int) -> None:
    """Faults of all kinds at once, in places of chance: each count is exact, no other is named."""
    report = quality(simulate_market(days=2, seed=seed, defects=plan))
    found = {
        "frozen_bars": report.stale_longest_bars,
        "missing_bars": report.longest_gap_bars,
        "duplicates": report.duplicates_identical.k,
        "conflicting": report.duplicates_conflicting.k,
        "crossed": report.crossed.k,
        "locked": report.locked.k,
        "spikes": report.spikes.k,
        "non_finite": report.non_finite.k,
        "non_positive": report.non_positive.k,
        "ohlc_violations": report.ohlc_violations.k,
        "swapped": report.out_of_order.k,
        "off_grid": report.off_grid.k,
        "is_newest_first": report.is_newest_first,
    }
    wanted = {name: value for name, value in dataclasses.asdict(plan).items() if name in found}
    wanted["missing_bars"] = max(plan.missing_bars, int(plan.off_grid > 0))  # one bar a stamp
    assert found == wanted
    assert {item.check: item.count for item in report.serious} == serious_of(plan)
    lost = plan.missing_bars + plan.off_grid
    assert report.bars == 2880 - lost
    assert report.rows_read == 2880 - plan.missing_bars + plan.duplicates + plan.conflicting
    assert report.coverage == Count(2880 - lost, 2880)
    unusable = (
        sum((plan.frozen_bars, plan.conflicting, plan.non_finite, plan.non_positive))
        + plan.ohlc_violations
    )
    assert report.completeness == Count(report.bars - unusable, 2880)


@settings(max_examples=30, deadline=None)
@given(
    keep=st.integers(20, 300),
    lost=st.integers(1, 900),
    seed=st.integers(0, 2**32 - 1),
    calendar=st.sampled_from(["24/7", "trade-only"]),
)
def test_pages_of_any_size_are_found(keep: int, lost: int, seed: int, calendar: str) -> None:
    """Length and number of the pages, whatever the client lost, on either calendar."""
    market = simulate_market(
        days=4, seed=seed, defects=DefectPlan(page_keep=keep, page_ask=keep + lost)
    )
    report = quality(with_calendar(market, np.ones(len(market.frame), dtype=bool), calendar))
    whole, rest = divmod(4 * 1440, keep + lost)
    assert (report.page_bars, report.n_pages) == (keep, whole + int(rest >= keep))
    assert report.longest_gap_bars == lost
    assert "paging" in {item.check for item in report.serious}
    assert {item.check for item in report.serious} <= {"paging", "coverage", "gaps"}


@settings(max_examples=20, deadline=None)
@given(wrong=st.integers(1, 40), seed=st.integers(0, 2**32 - 1), is_newest_first=st.booleans())
def test_stamps_in_a_wrong_unit_are_refused_by_number(
    market: Market, wrong: int, seed: int, *, is_newest_first: bool
) -> None:
    """A stamp of 1970 among those of today is no gap of decades: the refusal counts them."""
    plan = DefectPlan(wrong_unit=wrong, is_newest_first=is_newest_first)
    found = inject_defects(market.raw, plan, np.random.default_rng(seed))
    with pytest.raises(DataSchemaError, match=f"{wrong} of 2880 stamps .* is 1970-") as refused:
        assemble(found.raw, symbol="X", source=market.source)
    row = int(str(refused.value).split("data row ")[1].split()[0])
    assert found.raw.ts_ns[row - 1] * 1000 in found.labels["wrong_unit"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("quotes", [True, False])
def test_a_clean_market_has_no_finding(seed: int, *, quotes: bool) -> None:
    """No false alarm on thirty days."""
    report = quality(simulate_market(days=30, seed=seed, quotes=quotes))
    assert report.findings == ()
    assert report.shape == "dense"
    assert report.span_days == 30.0


@pytest.mark.parametrize(
    ("plan", "check"),
    [
        (DefectPlan(frozen_bars=72), "stale"),
        (DefectPlan(missing_bars=5), "gaps"),
        (DefectPlan(duplicates=1), "duplicates_identical"),
        (DefectPlan(conflicting=1), "duplicates_conflicting"),
        (DefectPlan(spikes=1), "spikes"),
        (DefectPlan(non_finite=1), "non_finite"),
        (DefectPlan(non_positive=1), "non_positive"),
        (DefectPlan(ohlc_violations=1), "ohlc_violations"),
        (DefectPlan(swapped=1), "out_of_order"),
        (DefectPlan(off_grid=1), "off_grid"),
    ],
)
def test_one_fault_is_one_serious_finding(plan: DefectPlan, check: str) -> None:
    """Named as what it is and as nothing else."""
    report = quality(simulate_market(days=3, defects=plan))
    assert [item.check for item in report.serious] == [check]


@pytest.mark.parametrize(
    ("plan", "check"),
    [
        (DefectPlan(crossed=3), "crossed"),
        (DefectPlan(locked=3), "locked"),
        (DefectPlan(missing_bars=4), "short_gaps"),
        (DefectPlan(is_newest_first=True), "newest_first"),
    ],
)
def test_what_correct_data_may_have_is_a_note(plan: DefectPlan, check: str) -> None:
    """Said, but not serious."""
    report = quality(simulate_market(days=3, defects=plan))
    assert [item.check for item in report.findings] == [check]
    assert report.serious == ()


def test_many_crossed_quotes_are_serious() -> None:
    """Above 5 % one side is broken."""
    report = quality(simulate_market(days=1, defects=DefectPlan(crossed=100)))
    assert [item.check for item in report.serious] == ["crossed"]


def test_four_frozen_bars_are_a_quiet_moment() -> None:
    """A run becomes stale with its fifth bar."""
    report = quality(simulate_market(days=1, defects=DefectPlan(frozen_bars=4)))
    assert report.stale_runs == 0


def test_findings_name_the_worst_place(market: Market) -> None:
    """The sentence holds the minute in UTC: here the middle of two days."""
    broken = simulate_market(days=2, seed=11, defects=DefectPlan(frozen_bars=6, missing_bars=9))
    details = {item.check: item.detail for item in quality(broken).findings}
    assert "6 bars from 2026-01-02T00:00Z" in details["stale"]
    assert "9 bars from 2026-01-02T00:06Z" in details["gaps"]
    assert quality(market).findings == ()


def test_a_paging_bug_is_broken_whatever_the_calendar() -> None:
    """Pages of one length are told from the gaps of a market without trades."""
    market = simulate_market(days=14, defects=DefectPlan(page_keep=200, page_ask=1001))
    report = quality(market)
    assert report.shape == "broken"
    assert (report.page_bars, report.n_pages) == (200, 20)
    assert {"coverage", "paging", "gaps"} == {item.check for item in report.serious}
    sparse = dataclasses.replace(
        market, source=dataclasses.replace(market.source, calendar="trade-only")
    )
    assert quality(sparse).shape == "broken"


def with_calendar(market: Market, keep: np.ndarray, calendar: str) -> Market:
    """Some rows of a market, under another calendar."""
    raw = RawBars(market.raw.ts_ns[keep], market.raw.cells[keep])
    source = dataclasses.replace(market.source, calendar=calendar)
    return assemble(raw, symbol=market.symbol, source=source)


@pytest.mark.parametrize(("calendar", "shape"), [("trade-only", "sparse"), ("24/7", "broken")])
def test_minutes_missing_by_chance_are_judged_by_the_calendar(
    market: Market, calendar: str, shape: str
) -> None:
    """44 % coverage is right where bars need trades and wrong where they do not."""
    keep = np.random.default_rng(3).random(2880) < 0.44
    report = quality(with_calendar(market, keep, calendar))
    assert report.shape == shape
    assert bool(report.serious) is (shape == "broken")


def test_gaps_are_counted_in_calendar_minutes() -> None:
    """A weekend is no gap; a missing Monday hour is one of 60 minutes."""
    market = simulate_market(days=7)
    stamps = market.raw.ts_ns.astype("datetime64[ns]")
    # Thursday 2026-01-01 is closed; Friday closes at 22:00 UTC, Sunday opens at 22:00.
    keep = (stamps >= np.datetime64("2026-01-01T22:00")) & (
        (stamps < np.datetime64("2026-01-02T22:00")) | (stamps >= np.datetime64("2026-01-04T22:00"))
    )
    keep &= (stamps < np.datetime64("2026-01-05T10:00")) | (
        stamps >= np.datetime64("2026-01-05T11:00")
    )
    report = quality(with_calendar(market, keep, "fx"))
    assert (report.n_gaps, report.longest_gap_bars, report.longest_gap_s) == (1, 60, 61 * 60)
    assert report.outside_calendar == 0


def test_bars_in_closed_hours_are_said() -> None:
    """They are neither coverage nor a gap."""
    report = quality(with_calendar(simulate_market(days=7), np.ones(7 * 1440, dtype=bool), "fx"))
    assert report.outside_calendar == 7 * 1440 - report.coverage.n
    assert report.coverage.k == report.coverage.n


@pytest.mark.parametrize(("shift_ms", "is_found"), [(-1273.0, True), (500.0, True), (40.0, False)])
def test_clock_skew(market: Market, shift_ms: float, *, is_found: bool) -> None:
    """A receiver behind the exchange, or 100 ms after it, is named."""
    skew = shift_ms + np.random.default_rng(0).normal(0, 1, 1000)
    report = quality(market, clock_skew_ms=skew)
    assert report.clock_skew_median_ms == pytest.approx(shift_ms, abs=1)
    assert ["clock_skew"] * is_found == [item.check for item in report.serious]


def test_clock_skew_must_be_numbers(market: Market) -> None:
    """Nothing is measured on NaN."""
    with pytest.raises(DataSchemaError, match="finite ms"):
        quality(market, clock_skew_ms=np.array([np.nan]))


def test_an_impossible_value_is_nan_in_the_frame_and_kept_in_raw() -> None:
    """Nothing downstream can take a log of 0, and nothing that was read is lost."""
    market = simulate_market(days=1, quotes=False, defects=DefectPlan(non_positive=2, non_finite=3))
    assert market.frame["mid"].isna().sum() == 5
    assert (market.raw.cells[:, 3] == 0).sum() == 2
    flagged = market.frame.loc[market.frame["mid"].isna(), "quality"]
    assert (flagged & (Quality.NON_POSITIVE | Quality.NON_FINITE) != 0).all()


def test_the_last_of_conflicting_rows_is_kept() -> None:
    """A later row is the exchange's correction of an earlier one."""
    cells = np.full((4, 9), np.nan)
    cells[:, :5] = [[10, 11, 9, 10, v] for v in (1, 2, 3, 4)]
    ts_ns = np.array([0, 60, 60, 120]) * 10**9
    source = SourceInfo("x", (), (), "utc", "24/7", "live")
    market = assemble(RawBars(ts_ns, cells), symbol="X", source=source)
    assert market.frame["volume"].tolist() == [1, 3, 4]
    assert market.frame["quality"].tolist() == [0, Quality.CONFLICTING, 0]
    assert quality(market).duplicates_conflicting == Count(1, 4)


def bars_of(cells: np.ndarray, calendar: str = "24/7") -> Market:
    """Consecutive minutes with the given cells."""
    ts_ns = np.arange(len(cells)) * 60 * 10**9
    source = SourceInfo("x", (), (), "utc", calendar, "live")
    return assemble(RawBars(ts_ns, cells), symbol="X", source=source)


@pytest.mark.parametrize(("back", "n_spikes"), [(1.0, 1), (0.8, 1), (0.5, 0), (0.0, 0)])
def test_a_jump_that_stays_is_no_spike(market: Market, back: float, n_spikes: int) -> None:
    """News moves a price and leaves it there; a bad print is taken back."""
    cells = market.raw.cells.copy()
    jump = np.ones(len(cells))
    jump[1000], jump[1001:] = 1.5, 1.5 ** (1.0 - back)
    cells[:, [0, 1, 2, 3, 5, 6]] *= jump[:, None]
    assert quality(bars_of(cells)).spikes.k == n_spikes


def test_three_equal_runs_among_many_are_no_paging(market: Market) -> None:
    """Pages are most of the runs, not a coincidence among them."""
    keep = np.ones(2880, dtype=bool)
    keep[np.cumsum([40, 41, 41, *range(50, 70)])] = False
    report = quality(with_calendar(market, keep, "24/7"))
    assert report.n_gaps == 23
    assert report.n_pages == 0


def test_negative_volumes_are_impossible(market: Market) -> None:
    """Counted, NaN in the frame, kept in raw."""
    cells = market.raw.cells.copy()
    cells[7, 4], cells[9, 7] = -1.0, -2.0
    found = bars_of(cells)
    assert quality(found).non_positive.k == 2
    assert found.frame.index[found.frame["volume"].isna()].tolist() == [7]
    assert found.raw.cells[7, 4] == -1.0


@pytest.mark.parametrize(("is_frozen", "longest"), [(True, 20), (False, 0)])
def test_without_volume_moving_quotes_are_life(*, is_frozen: bool, longest: int) -> None:
    """Flat bars are stale only when the quotes stand still as well."""
    cells = np.full((40, 9), np.nan)
    cells[:, :4] = np.repeat(np.arange(40.0) + 100, 4).reshape(40, 4)
    cells[10:31, :4] = 110.0
    cells[:, 5], cells[:, 6] = cells[:, 3] - 1, cells[:, 3] + 1
    if not is_frozen:
        cells[10:31:2, 6] += 0.5
    assert quality(bars_of(cells)).stale_longest_bars == longest


def test_completeness_leaves_closed_minutes_out() -> None:
    """Bars outside the calendar do not make up for those missing inside."""
    report = quality(with_calendar(simulate_market(days=7), np.ones(7 * 1440, dtype=bool), "fx"))
    assert report.completeness == report.coverage


def test_a_trade_only_source_can_have_an_outage(market: Market) -> None:
    """Seven hours without a bar are no quiet spell of a market that trades every few minutes."""
    keep = np.random.default_rng(3).random(2880) < 0.44
    keep[1000:1420] = False
    report = quality(with_calendar(market, keep, "trade-only"))
    assert report.shape == "broken"
    assert {item.check for item in report.serious} == {"coverage", "gaps"}


def test_short_pages_of_a_trade_only_source_are_broken() -> None:
    """Also where no hole is longer than a quiet spell may be."""
    market = simulate_market(days=3, defects=DefectPlan(page_keep=50, page_ask=120))
    report = quality(with_calendar(market, np.ones(len(market.frame), dtype=bool), "trade-only"))
    assert report.n_long_gaps == 0
    assert report.shape == "broken"
    assert [item.check for item in report.serious] == ["coverage", "paging"]


@pytest.mark.parametrize(("is_moving", "longest"), [(True, 0), (False, 39)])
def test_sizes_that_move_are_life(*, is_moving: bool, longest: int) -> None:
    """A quote that stands while its sizes change is no frozen feed."""
    cells = np.full((40, 9), 100.0)
    cells[:, 4] = np.nan
    cells[:, 5], cells[:, 6] = 99.0, 101.0
    if is_moving:
        cells[::3, 7] += 0.5
    assert quality(bars_of(cells)).stale_longest_bars == longest
