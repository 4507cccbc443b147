"""Injected faults say where they are."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.core.errors import ParamsError
from mlwb.data import DefectPlan, Market, Quality, inject_defects, simulate_market
from mlwb.data._assemble import assemble

FLAG_OF = {
    "frozen_bars": Quality.STALE,
    "duplicates": Quality.DUPLICATED,
    "conflicting": Quality.CONFLICTING,
    "crossed": Quality.CROSSED,
    "locked": Quality.LOCKED,
    "spikes": Quality.SPIKE,
    "non_finite": Quality.NON_FINITE,
    "non_positive": Quality.NON_POSITIVE,
    "ohlc_violations": Quality.OHLC,
}


def test_labels_are_where_the_flags_are(market: Market) -> None:
    """For each kind the flagged minutes are exactly the labelled ones."""
    plan = DefectPlan(
        frozen_bars=7,
        duplicates=7,
        conflicting=7,
        crossed=7,
        locked=7,
        spikes=7,
        non_finite=7,
        non_positive=7,
        ohlc_violations=7,
    )
    found = inject_defects(market.raw, plan, np.random.default_rng(2))
    spoiled = assemble(found.raw, symbol="X", source=market.source).frame
    for fault, flag in FLAG_OF.items():
        flagged = spoiled.loc[(spoiled["quality"] & flag) != 0, "ts"].dt.tz_localize(None)
        labels = found.labels[fault].astype("datetime64[ns]")
        np.testing.assert_array_equal(flagged.to_numpy(), labels, err_msg=fault)


def test_the_clean_rows_stay_as_they_were(market: Market) -> None:
    """Injection copies."""
    before = market.raw.cells.copy()
    inject_defects(market.raw, DefectPlan(spikes=5), np.random.default_rng(2))
    np.testing.assert_array_equal(market.raw.cells, before)


def test_an_empty_plan_changes_nothing(market: Market) -> None:
    """No fault, same rows."""
    found = inject_defects(market.raw, DefectPlan(), np.random.default_rng(2))
    np.testing.assert_array_equal(found.raw.cells, market.raw.cells)
    assert found.decisions == ()


@pytest.mark.parametrize(
    "plan",
    [
        DefectPlan(spikes=-1),
        DefectPlan(frozen_bars=2000),
        DefectPlan(duplicates=2000),
        DefectPlan(page_keep=5, page_ask=5),
        DefectPlan(page_keep=0, page_ask=5),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(market: Market, plan: DefectPlan) -> None:
    """Too many faults, or a page that keeps everything or nothing."""
    with pytest.raises(ParamsError):
        inject_defects(market.raw, plan, np.random.default_rng(2))


def test_no_quotes_cannot_be_crossed() -> None:
    """A market of trades has no book."""
    with pytest.raises(ParamsError, match="no quotes"):
        simulate_market(days=1, quotes=False, defects=DefectPlan(crossed=1))
