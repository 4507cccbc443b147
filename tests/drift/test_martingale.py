"""Looking at every day costs nothing: the bound holds, a change is found, a state is a value."""

from __future__ import annotations

import gzip
import json
import math
from csv import DictReader
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import norm

from mlwb.core.arrays import Int2D
from mlwb.core.canonical import canonical_bytes
from mlwb.core.errors import ArtifactError, DataSchemaError, EmptyWindowError
from mlwb.drift import (
    BlockMartingale,
    Wealth,
    count_blocks,
    fit_feature_reference,
    psi_of_counts,
    suited_block_days,
    together,
)
from mlwb.drift._martingale import MAX_WATCHED, block_scores
from mlwb.drift._ranks import RankMemory, memory_of, rank_p, tie_break

ROWS = 400
DAY = st.tuples(*[st.integers(0, 300)] * 4).map(
    lambda row: np.array(row) + np.array([3600, 0, 0, 0])
)


def _days(rng: np.random.Generator, n_days: int, shift: float = 0.0, level: float = 0.5) -> Int2D:
    """Days that differ more than their rows do by chance, as remembering rows make them."""
    tilt = level * rng.normal(size=(n_days, 1)) + shift
    weights = np.exp(tilt * np.linspace(-1.0, 1.0, 6))
    return np.asarray([rng.multinomial(ROWS, row / row.sum()) for row in weights], dtype=np.int64)


def _watch(reference: Int2D, watched: Int2D, *, block_days: int = 1) -> list[BlockMartingale]:
    state = BlockMartingale.start("x", reference, block_days=block_days)
    states = []
    for place, row in enumerate(watched):
        state = state.update(len(reference) + place, row)
        states.append(state)
    return states


def test_scores_are_the_index_of_each_block_against_the_others() -> None:
    """The vectorised scores equal ``psi_of_counts`` block by block, an empty cell included."""
    bag = _days(np.random.default_rng(0), 7)
    bag[:, 2] = 0
    total = bag.sum(axis=0)
    expected = [psi_of_counts("x", total - row, row).value for row in bag]
    np.testing.assert_allclose(block_scores(bag), expected, rtol=1e-12)


def test_a_bet_pays_what_it_costs() -> None:
    """The mean pay over a uniform p is 1, with the gambler's cash as without."""
    for wealth in (Wealth(), Wealth().bet(0.3), Wealth().bet(0.01).bet(0.9)):

        def paid(root: float, wealth: Wealth = wealth) -> float:
            return 2.0 * root * wealth.bet(root * root).e_value

        mean = integrate.quad(paid, 0.0, 1.0, epsabs=1e-12)[0]
        assert mean == pytest.approx(wealth.e_value, rel=1e-9)


@given(st.lists(st.floats(1e-9, 1.0), max_size=30))
def test_wealth_is_a_mixture_over_the_day_of_change(p_values: list[float]) -> None:
    """The sum over start days j of products of bets from j on, weights 1/(j (j + 1)), to 1e-9."""
    wealth, pays = Wealth(), [0.5 / math.sqrt(p) for p in p_values]
    for p in p_values:
        wealth = wealth.bet(p)
    n = len(pays)
    begun = sum(math.prod(pays[j - 1 :]) / (j * (j + 1)) for j in range(1, n + 1))
    assert wealth.e_value == pytest.approx(begun + 1.0 / (n + 1), rel=1e-9)
    assert wealth.sr == pytest.approx(sum(math.prod(pays[j:]) for j in range(n)), rel=1e-9)
    assert wealth.log_highest >= max(0.0, wealth.log_e)


def test_ranks_of_exchangeable_scores_are_uniform() -> None:
    """Ties included: shares below each tenth within 0.02 of it over 6,000 draws."""
    rng = np.random.default_rng(1)
    drawn = [
        rank_p(rng.integers(0, 4, size=9).astype(float), tie_break(0, "x", day))
        for day in range(6_000)
    ]
    for tenth in np.arange(0.1, 1.0, 0.1):
        assert np.mean(np.array(drawn) <= tenth) == pytest.approx(tenth, abs=0.02)


def test_the_bounds_hold_for_days_that_differ() -> None:
    """Of 100 quiet months at most 5 % ever reach 1/20, and a run length of a year at most 30/365.

    A rank of each day at 5 % would have alarmed in most of them.
    """
    rng = np.random.default_rng(2)
    ends = [_watch(_days(rng, 25), _days(rng, 30))[-1] for _ in range(100)]
    assert np.mean([end.alarm(0.05) for end in ends]) <= 0.05
    assert np.mean([end.alarm(0.5) for end in ends]) >= 0.10  # the wealth does move
    assert np.mean([end.sr_alarm(365.0) for end in ends]) <= 30.0 / 365.0


def test_the_mean_run_length_is_kept() -> None:
    """Until a false alarm at 20 days pass at least 20 on average; 60 quiet series."""
    rng = np.random.default_rng(3)
    lengths = []
    for _ in range(60):
        state, day = BlockMartingale.start("x", _days(rng, 20)), 20
        while not state.sr_alarm(20.0) and day < 220:
            state, day = state.update(day, _days(rng, 1)[0]), day + 1
        lengths.append(day - 20)
    assert np.mean(lengths) >= 20.0


@pytest.mark.parametrize("quiet", [0, 40])
def test_a_change_is_found(quiet: int) -> None:
    """Of 30 months after a shift of three daily spreads at least 85 % alarm.

    As well when forty quiet days went before.
    """
    rng = np.random.default_rng(4)
    reference, month = 39 + quiet, 30
    days = [np.vstack([_days(rng, reference), _days(rng, month, shift=1.5)]) for _ in range(30)]
    ends = [_watch(table[:39], table[39:])[-1] for table in days]
    assert np.mean([end.alarm(0.05) for end in ends]) >= 0.85
    assert np.mean([end.sr_alarm(365.0) for end in ends]) >= 0.85


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_memory_is_estimated_and_taken_out(share: float) -> None:
    """Ranks of a Gaussian autoregression: its share within 0.05, then uniform and uncorrelated.

    Before, neighbours are correlated as much as the share says.
    """
    rng, z = np.random.default_rng(15), [0.0]
    for _ in range(4_000):
        z.append(share * z[-1] + math.sqrt(1.0 - share**2) * rng.normal())
    assert memory_of(np.array(z)).share == pytest.approx(share, abs=0.05)
    memory, cleared = RankMemory(share), []
    for p_value in norm.sf(np.array(z)).tolist():
        cleared.append(memory.cleared(p_value))
        memory = memory.after(p_value)
    assert np.corrcoef(cleared[1:], cleared[:-1])[0, 1] == pytest.approx(0.0, abs=0.05)
    for tenth in np.arange(0.1, 1.0, 0.1):
        assert np.mean(np.array(cleared) <= tenth) == pytest.approx(tenth, abs=0.03)


def test_without_memory_a_rank_is_its_own_p_value() -> None:
    """Share 0 leaves every bit of a p value, and the bets of a watch are those of its ranks."""
    assert [RankMemory(0.0, 3.0).cleared(p) for p in (1e-9, 0.3, 1.0)] == [1e-9, 0.3, 1.0]
    days, wealth = _days(np.random.default_rng(16), 30), Wealth()
    watch = BlockMartingale.start("x", days[:20], memory=0.0)
    for day in range(20, 30):
        watch = watch.update(day, days[day])
        wealth = wealth.bet(rank_p(block_scores(days[: day + 1]), tie_break(0, "x", day)))
    assert watch.wealth == wealth
    assert 0.0 < RankMemory(0.95, -9.0).cleared(1e-15) < 1e-9


@settings(max_examples=25, deadline=None)
@given(
    st.lists(DAY, min_size=2, max_size=6),
    st.lists(st.tuples(st.integers(1, 4), DAY), max_size=8),
    st.integers(1, 3),
)
def test_a_state_is_taken_up_again_bit_for_bit(
    reference: list[Any], steps: list[tuple[int, Any]], block_days: int
) -> None:
    """Through canonical JSON after any day: the same bytes at the end as without."""
    table = np.repeat(np.array(reference), block_days, axis=0)
    straight = BlockMartingale.start("x", table, block_days=block_days, seed=7)
    resumed, day = straight, straight.last_day
    for gap, row in steps:
        day += gap
        straight = straight.update(day, row)
        stored = json.loads(canonical_bytes(resumed.to_json()))
        resumed = BlockMartingale.from_json(stored).update(day, row)
    assert canonical_bytes(resumed.to_json()) == canonical_bytes(straight.to_json())
    assert resumed.e_value == straight.e_value


def test_order_within_the_bag_does_not_matter() -> None:
    """The reference's days in another order give the same wealth."""
    days = _days(np.random.default_rng(5), 30)
    other = np.vstack([days[19::-1], days[20:]])
    first, second = (BlockMartingale.start("x", table[:20], memory=0.0) for table in (days, other))
    for place in range(20, 30):
        first, second = (each.update(place, days[place]) for each in (first, second))
    assert first.log_e == pytest.approx(second.log_e, abs=1e-12)


def test_blocks_of_days_add_up_to_blocks() -> None:
    """A watch in weeks bets once a week, as one that is given the weeks' sums."""
    days = _days(np.random.default_rng(6), 7 * 12)
    weeks = days.reshape(12, 7, -1).sum(axis=1)
    states = _watch(days[: 7 * 6], days[7 * 6 :], block_days=7)
    assert [state.n_watched for state in states[:14]] == [0] * 6 + [1] * 7 + [2]
    np.testing.assert_array_equal(states[-1].bag, weeks)


def test_a_week_without_its_last_day_ends_with_the_next() -> None:
    """A market that is closed at a week's end has the week scored when the next one begins."""
    days = _days(np.random.default_rng(7), 28)
    state = BlockMartingale.start("x", days[:21], block_days=7)
    for day in range(21, 27):
        state = state.update(day, days[day])
    assert (state.n_watched, state.update(28, days[27]).n_watched) == (0, 1)


@pytest.mark.parametrize(("decay", "expected"), [(0.0, 1), (0.55, 3), (0.97, 7)])
def test_blocks_grow_with_the_memory_of_days(decay: float, expected: int) -> None:
    """Days whose level is new each day, halves in a day or so, lasts: 1, 3 and 7 for most of 20."""
    rng, chosen = np.random.default_rng(17), []
    for _ in range(20):
        tilt = np.empty((100, 1))
        tilt[0] = rng.normal()
        for day in range(1, 100):
            tilt[day] = decay * tilt[day - 1] + math.sqrt(1.0 - decay**2) * rng.normal()
        weights = np.exp(0.5 * tilt * np.linspace(-1.0, 1.0, 6))
        days = np.asarray([rng.multinomial(ROWS, row / row.sum()) for row in weights])
        chosen.append(suited_block_days(days))
        assert suited_block_days(days[:29]) == 1
    assert np.median(chosen) == expected


def test_thin_days_are_passed_over() -> None:
    """A day with half the rows is counted as thin and moves nothing, nor does one without rows."""
    days = _days(np.random.default_rng(8), 21)
    state = BlockMartingale.start("x", days[:20])
    thin = state.update(20, days[20] // 2).update(21, 0 * days[0])
    assert (thin.n_thin, thin.n_watched, thin.log_e) == (1, 0, 0.0)
    part = np.vstack([days[:20], days[:1] // 4])
    assert BlockMartingale.start("x", part).n_reference == 20


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full bag begins again from the reference, and what was reached before stays reached."""
    monkeypatch.setattr("mlwb.drift._martingale.MAX_WATCHED", 10)
    assert MAX_WATCHED > 10
    rng = np.random.default_rng(9)
    states = _watch(_days(rng, 39), _days(rng, 12, shift=3.0))
    assert states[8].alarm(0.05)
    assert [state.n_watched for state in states[8:]] == [9, 0, 1, 2]
    assert states[9].log_e == states[9].sr == 0.0
    assert states[9].alarm(0.05)
    assert states[9].n_restarts == 1
    np.testing.assert_array_equal(states[9].bag, states[0].bag[:39])


def test_a_short_reference_says_what_it_cannot_do() -> None:
    """Fourteen days cannot give a p value of 0.05; one day cannot rank at all."""
    days = _days(np.random.default_rng(10), 19)
    assert BlockMartingale.start("x", days[:14]).smallest_p == pytest.approx(1 / 15)
    assert BlockMartingale.start("x", days).smallest_p == pytest.approx(0.05)
    for table, block_days in ((days[:1], 1), (days[:0], 1), (days[:9], 7)):
        with pytest.raises(EmptyWindowError, match="too short"):
            BlockMartingale.start("x", table, block_days=block_days)


def test_what_is_not_a_next_day_is_refused() -> None:
    """The same day twice, an earlier one, another number of cells, halves, negative counts."""
    days = _days(np.random.default_rng(11), 10)
    state = BlockMartingale.start("x", days).update(12, days[0])
    for day in (12, 11):
        with pytest.raises(DataSchemaError, match="not after the last"):
            state.update(day, days[0])
    for row in (days[0][:-1], days[0] / 2.0, -days[0], np.vstack([days[0]])):
        with pytest.raises(DataSchemaError, match="not the counts"):
            state.update(13, row)
    with pytest.raises(DataSchemaError, match="not days"):
        BlockMartingale.start("x", days, days=np.zeros(10, dtype=np.int64))


def test_a_damaged_state_is_refused() -> None:
    """Another schema, a missing part, parts that do not fit: none becomes a watch."""
    stored = json.loads(
        canonical_bytes(_watch(*np.split(_days(np.random.default_rng(12), 20), 2))[-1].to_json())
    )
    assert BlockMartingale.from_json(stored).n_watched == 10
    broken = [
        {},
        {**stored, "schema": "mlwb.martingale/0"},
        {**stored, "bag": stored["bag"][:3]},
        {**stored, "bag": [row[1:] for row in stored["bag"]]},
        {**stored, "pending": [-1] * 6},
        {**stored, "memory": {"share": 1.5, "last": 0.0}},
        {**stored, "wealth": {"n_bets": 0, "log_e": "rich"}},
        {**stored, "wealth": {**stored["wealth"], "log_e": math.inf}},
        {key: item for key, item in stored.items() if key != "last_day"},
    ]
    for each in broken:
        with pytest.raises(ArtifactError):
            BlockMartingale.from_json(each)


def test_features_together() -> None:
    """The mean of the e-values, the changed feature named alone; no feature is an error."""
    rng = np.random.default_rng(13)
    quiet = [_watch(_days(rng, 39), _days(rng, 30))[-1] for _ in range(3)]
    changed = _watch(_days(rng, 39), _days(rng, 30, shift=1.5))[-1]
    named = [
        each.__class__(**{**vars(each), "name": f"f{i}"})
        for i, each in enumerate([*quiet, changed])
    ]
    found = together(named)
    assert found.e_value == pytest.approx(np.mean([each.e_value for each in named]))
    assert [name for name, level in found.adjusted.items() if level <= 0.05] == ["f3"]
    with pytest.raises(EmptyWindowError):
        together([])


def test_a_long_change_has_no_largest_number() -> None:
    """Wealth beyond the largest float stays a finite number, and goes through JSON."""
    wealth = Wealth()
    for _ in range(400):
        wealth = wealth.bet(1e-6)
    days = _days(np.random.default_rng(14), 20)
    state = BlockMartingale.from_json(
        json.loads(
            canonical_bytes({**BlockMartingale.start("x", days).to_json(), "wealth": wealth})
        )
    )
    assert state.log_e > 2_000.0
    assert math.isfinite(state.e_value)
    assert math.isfinite(state.sr)
    assert state.sr_alarm(365.0)


@pytest.mark.realdata
@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_recorded_returns_are_quiet_until_their_scale_changes(real_data: Path, symbol: str) -> None:
    """Six weeks of 1-minute returns after six of reference: no alarm; threefold, both.

    The change begins after two quiet weeks and is found before the end.
    """
    path = real_data / "crypto_spot_1m" / f"{symbol}_1m_20250520_20250818.csv.gz"
    with gzip.open(path, "rt") as lines:
        price = np.array([float(row["close"]) for row in DictReader(lines)])
    moves = np.diff(np.log(price))[: 84 * 1_440]
    ts = np.arange(len(moves), dtype=np.int64) * 60
    changed = np.where(ts < 56 * 86_400, moves, 3.0 * moves)
    reference = fit_feature_reference("r", moves[: 42 * 1_440], ts[: 42 * 1_440])
    for values, alarmed in ((moves, False), (changed, True)):
        found = count_blocks(reference.bins.edges, values, ts)
        end = _watch(found.daily[:42], found.daily[42:])[-1]
        assert (end.alarm(0.05), end.sr_alarm(365.0)) == (alarmed, alarmed)
