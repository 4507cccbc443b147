"""The synthetic market: repeatable, like recorded ones, learnable where it says so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D
from mlwb.core.errors import ParamsError
from mlwb.data import FACTS, Fact, Market, Regime, market_facts, quality, simulate_market
from mlwb.data import _simulate as simulation
from mlwb.data import _volatility as volatility
from mlwb.stats import block_length, block_means


@pytest.fixture(scope="module")
def default() -> Market:
    """The market of a run without data."""
    return simulate_market()


def returns(market: Market) -> Float1D:
    """Log returns of mid."""
    return np.diff(np.log(market.frame["mid"].to_numpy()))


def interval_of_correlation(x: Float1D, y: Float1D, *, level: float) -> tuple[float, float]:
    """Correlation of two series with a block-bootstrap interval.

    Resampled is the correlation's linear part, so that the spread of both variances is in it.
    """
    x, y = ((side - side.mean()) / side.std() for side in (x, y))
    found = float((x * y).mean())
    parts = x * y - found * (x * x + y * y) / 2 + found
    length = block_length(parts, least=60)
    drawn = block_means(parts, block=length, n_resamples=500, rng=np.random.default_rng(1))
    return drawn.interval(level)


def test_same_seed_same_market() -> None:
    """Bit for bit, and another seed is another market."""
    one, two, other = (simulate_market(days=2, seed=seed) for seed in (5, 5, 6))
    assert one.frame.equals(two.frame)
    assert not one.frame.equals(other.frame)


def test_parts_do_not_disturb_each_other() -> None:
    """Without quotes, or with other spreads, price and volume are the same."""
    whole = simulate_market(days=2).frame
    for other in (
        simulate_market(days=2, quotes=False),
        simulate_market(days=2, regimes=[Regime(1, spread=3.0)]),
    ):
        for name in ("open", "high", "low", "close", "volume"):
            assert whole[name].equals(other.frame[name])


def test_ninety_days_from_new_year(default: Market) -> None:
    """129,600 minutes, none missing, said to be simulated."""
    assert len(default.frame) == 90 * 1440
    assert str(default.frame["ts"].iloc[0]) == "2026-01-01 00:00:00+00:00"
    assert default.source.origin == "simulated"


@pytest.fixture(scope="module")
def measured(default: Market) -> Mapping[str, float]:
    """Its facts."""
    return market_facts(default)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_the_default_market_is_like_recorded_ones(
    measured: Mapping[str, float], fact: Fact
) -> None:
    """Every fact lies in the range of recorded markets."""
    assert fact.holds(measured[fact.name]) is not False, measured[fact.name]


@pytest.mark.slow
def test_the_likeness_is_no_luck_of_one_seed() -> None:
    """The median of a dozen other markets meets nearly every range as well, and no seed few."""
    found = [market_facts(simulate_market(days=60, seed=seed)) for seed in range(100, 112)]
    medians = {fact.name: float(np.median([m[fact.name] for m in found])) for fact in FACTS}
    missed = [fact.name for fact in FACTS if fact.holds(medians[fact.name]) is False]
    assert len(missed) <= 2, missed
    assert min(sum(f.holds(m[f.name]) is not False for f in FACTS) for m in found) >= 26


def test_the_default_market_has_nothing_serious(default: Market) -> None:
    """The quality report of a clean market is clean."""
    assert quality(default).serious == ()


def test_spreads_are_whole_ticks(default: Market) -> None:
    """At least one of them, in every minute."""
    ticks = ((default.frame["ask"] - default.frame["bid"]) / 0.2).round(6)
    assert (ticks == ticks.round()).all()
    assert (ticks >= 1).all()


def auc_of_next_move(market: Market) -> tuple[float, float]:
    """Out-of-sample AUC of scikit-learn's logistic model for size and sign of the next move."""
    size, sign = np.abs(returns(market)), returns(market)
    window = np.lib.stride_tricks.sliding_window_view(size, 1440)
    trailing = np.median(window[:-1:7], axis=1)  # every seventh minute is enough
    now = np.arange(1439, len(size) - 1, 7)
    hour = np.array([np.log(size[i - 59 : i + 1].mean()) for i in now])
    volume = np.log1p(market.frame["volume"].to_numpy()[1:][now])
    x = np.column_stack([hour - np.log(trailing), size[now] * 1e4, volume, sign[now] * 1e4])
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    cut = int(0.7 * len(now))
    found = []
    for y in (size[now + 1] > trailing, sign[now + 1] > 0):
        model = LogisticRegression().fit(x[:cut], y[:cut])
        found.append(float(roc_auc_score(y[cut:], model.predict_proba(x[cut:])[:, 1])))
    return found[0], found[1]


def test_size_can_be_learnt_and_sign_cannot() -> None:
    """A plain logistic model ranks the size of the next move as on recorded BTC, not its sign."""
    size_auc, sign_auc = auc_of_next_move(simulate_market(days=40))
    assert 0.62 < size_auc < 0.70
    assert abs(sign_auc - 0.5) < 0.03


def test_edges_are_planted_where_asked() -> None:
    """Without the volatility edge size is noise; with a direction edge the sign is not."""
    size_auc, sign_auc = auc_of_next_move(
        simulate_market(days=40, volatility_edge=False, direction_ic=0.2)
    )
    assert abs(size_auc - 0.5) < 0.04
    assert sign_auc > 0.55


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("ic", [-0.3, 0.05, 0.6])
def test_a_planted_direction_is_recovered(ic: float, seed: int) -> None:
    """The correlation asked for lies in the 99 % interval of the one measured, zeros included."""
    market = simulate_market(days=30, seed=seed, volatility_edge=False, direction_ic=ic)
    moves = returns(market)
    low, high = interval_of_correlation(moves[:-1], moves[1:], level=0.99)
    assert low < ic < high
    assert high - low < 0.06


def planted_size_ic(market: Market, edge: float) -> float:
    """Correlation of a move's size with the next one's, from the formula of the market.

    The volatility is log-normal around the calendar: ``E[s s'] = mean(c c') exp(v0 + v1)``, with
    ``v`` the autocovariances of the log; sizes are volatility times a Student shock or 0.
    """
    minutes = market.frame["ts"].to_numpy(dtype="datetime64[m]").astype(np.int64)[1:]
    factors = (volatility._MOOD, volatility._AFTERNOON, volatility._BURST)
    v0 = edge**2 * sum(sd**2 for _, sd in factors)
    v1 = edge**2 * sum(sd**2 * 0.5 ** (1 / half_life) for half_life, sd in factors)
    by_clock = np.exp(edge * volatility._calendar(minutes))
    df, moving = simulation._SHOCK_DF, 1.0 - simulation._ZERO_SHARE
    gamma = math.gamma((df + 1) / 2) / math.gamma(df / 2)
    mean_size = moving * 2 * math.sqrt(df - 2) * gamma / (math.sqrt(math.pi) * (df - 1))
    mean = mean_size * by_clock.mean() * math.exp(v0 / 2)
    square = moving * float((by_clock**2).mean()) * math.exp(2 * v0)
    both = mean_size**2 * float((by_clock[1:] * by_clock[:-1]).mean()) * math.exp(v0 + v1)
    return float((both - mean**2) / (square - mean**2))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("edge", [0.5, 1.0])
def test_a_planted_volatility_is_recovered(edge: float, seed: int) -> None:
    """The formula's correlation of sizes lies in the 99 % interval of the one measured."""
    market = simulate_market(days=60, seed=seed, volatility_edge=edge)
    size = np.abs(returns(market))
    low, high = interval_of_correlation(size[:-1], size[1:], level=0.99)
    assert low < planted_size_ic(market, edge) < high
    assert low > 0


def test_the_null_plants_nothing() -> None:
    """Without edges the 95 % intervals of sign and size cover 0 in nearly all of a dozen seeds."""
    covered = []
    for seed in range(12):
        moves = returns(simulate_market(days=10, seed=seed, volatility_edge=False))
        for series in (moves, np.abs(moves)):
            low, high = interval_of_correlation(series[:-1], series[1:], level=0.95)
            covered.append(low < 0 < high)
    assert sum(covered) >= 21  # of 24; 20 or fewer come once in 200 times


def test_a_regime_lasts_until_the_next() -> None:
    """Factors hold from their day on, are not cumulative, and leave earlier days alone."""
    schedule = [Regime(2, volatility=3.0, volume=2.0), Regime(4, spread=2.0)]
    usual, market = (simulate_market(days=6, regimes=plan).frame for plan in ((), schedule))
    day = np.arange(len(usual)) // 1440
    stirred = 2 * 3**1.1  # volume follows volatility, and its own factor comes on top
    for name, by_day in (
        ("volume", [1, 1, stirred, stirred, 1, 1]),
        ("mid", [1, 1, 3, 3, 1, 1]),
    ):
        for number, factor in enumerate(by_day):
            a, b = (frame.loc[day == number, name] for frame in (usual, market))
            if name == "mid":
                a, b = (np.log(side).diff() for side in (a, b))
            assert b.std() / a.std() == pytest.approx(factor, rel=0.01), (name, number)
    widths = [(frame["ask"] - frame["bid"])[day >= 4].mean() for frame in (usual, market)]
    assert widths[1] / widths[0] == pytest.approx(2.0, rel=0.1)


def test_start_moves_the_market() -> None:
    """Stamps begin where asked."""
    market = simulate_market(days=1, start=datetime(2024, 2, 29, tzinfo=UTC))
    assert str(market.frame["ts"].iloc[0]) == "2024-02-29 00:00:00+00:00"


@pytest.mark.parametrize(
    "wrong",
    [
        {"days": 0},
        {"days": 5000},
        {"direction_ic": 0.95},
        {"regimes": [Regime(95)]},
        {"regimes": [Regime(5), Regime(2)]},
        {"regimes": [Regime(-1)]},
        {"regimes": [Regime(1, volatility=0.0)]},
        {"regimes": [Regime(1, spread=float("nan"))]},
        {"direction_ic": float("nan")},
        {"volatility_edge": -1.0},
        {"volatility_edge": float("nan")},
        {"start": datetime(2026, 1, 1)},  # noqa: DTZ001 - the fault under test
        {"start": datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)},
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    """Each with a sentence."""
    with pytest.raises(ParamsError, match=r"out of range|no minute of UTC"):
        simulate_market(**wrong)  # type: ignore[arg-type]
