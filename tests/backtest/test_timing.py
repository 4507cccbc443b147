"""Timing is measured against the same exposure, so that the market's drift cancels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwb.backtest import (
    UNCAPPED,
    Caps,
    Tape,
    Versus,
    account,
    against_constant,
    backtest,
    timing_effect,
)
from mlwb.core.arrays import Bool1D, Float1D
from tests.strategies import START

N = 6_000


def regimes_of_volatility(seed: int, drift: float = 0.0) -> tuple[Tape, Bool1D]:
    """Minutes that are calm and wild by turns of five hours, and which they are."""
    rng = np.random.default_rng(seed)
    wild = (np.arange(N) // 300) % 2 == 1
    steps = drift + rng.normal(0.0, 1e-4, N) * np.where(wild, 4.0, 1.0)
    mid = 100.0 * np.exp(np.cumsum(steps))
    return Tape(START + 60 * np.arange(N), mid, np.full(N, 1e-5)), wild


def versus_of(target: Float1D, tape: Tape, caps: Caps = UNCAPPED) -> Versus:
    """The target's book against its mean."""
    book = backtest(target, tape, caps, latency_bars=1)
    return against_constant(book, tape, caps, latency_bars=1)


def test_both_books_have_the_same_mean_exposure() -> None:
    """Also where the daily stop cuts one of them; the overlay is their difference."""
    tape, wild = regimes_of_volatility(0)
    for caps in (UNCAPPED, Caps(1.0, 1.0, 99.0, 0.004)):
        found = versus_of(np.where(wild, 0.5, 1.0), tape, caps)
        assert found.constant.position.mean() == pytest.approx(found.timed.position.mean())
        difference = found.timed.position - found.constant.position
        np.testing.assert_array_equal(found.overlay.position, difference)
        assert found.overlay.position.mean() == pytest.approx(0.0, abs=1e-12)


def test_drift_cancels() -> None:
    """A market that only rises pays timed and constant exposure alike, before costs."""
    mid = 100.0 * np.exp(1e-4 * np.arange(N))
    tape = Tape(START + 60 * np.arange(N), mid, np.full(N, 1e-5))
    _, wild = regimes_of_volatility(0)
    found = versus_of(np.where(wild, 0.5, 1.0), tape)
    assert found.timed.gross.sum() > 0.1
    assert found.overlay.gross.sum() == pytest.approx(0.0, abs=1e-9)
    assert found.overlay.net.sum() < 0.0


def test_timing_that_knows_lowers_variance_and_is_shown() -> None:
    """Half exposure in wild stretches: the ratio of sums of squares, its interval below 1."""
    tape, wild = regimes_of_volatility(1)
    found = versus_of(np.where(wild, 0.5, 1.0), tape)
    effect = timing_effect(found, n_resamples=500, seed=1)
    squares = [float((book.net**2).sum()) for book in (found.timed, found.constant)]
    assert effect.variance_ratio == pytest.approx(squares[0] / squares[1])
    assert effect.variance_low < effect.variance_ratio < effect.variance_high < 1.0
    assert effect.tail_ratio < 1.0
    assert effect.exposure == pytest.approx(found.timed.position.mean())


def test_timing_the_wrong_way_raises_variance() -> None:
    """More exposure in wild stretches is shown to be worse."""
    tape, wild = regimes_of_volatility(2)
    effect = timing_effect(versus_of(np.where(wild, 1.0, 0.5), tape), n_resamples=500, seed=1)
    assert effect.variance_low > 1.0


def test_timing_at_random_shows_nothing() -> None:
    """Exposure that knows nothing: the interval holds a ratio at or above the even one."""
    tape, _ = regimes_of_volatility(3)
    coin = np.repeat(np.random.default_rng(0).choice([0.5, 1.0], N // 300), 300)
    effect = timing_effect(versus_of(coin, tape), n_resamples=500, seed=1)
    assert effect.variance_high > 1.0


def test_hours_are_drawn_in_pairs() -> None:
    """A book against itself has a ratio of one in every resample, and half of it a quarter."""
    tape, wild = regimes_of_volatility(4)
    book = versus_of(np.where(wild, 0.5, 1.0), tape).constant
    half = account(0.5 * book.position, tape.step_return, 0.5 * tape.one_way_cost[:-1])
    same = timing_effect(Versus(tape.ts[:-1], book, book, book), n_resamples=99, seed=1)
    assert (same.variance_low, same.variance_ratio, same.variance_high) == (1.0, 1.0, 1.0)
    less = timing_effect(Versus(tape.ts[:-1], half, book, book), n_resamples=99, seed=1)
    assert less.variance_high - less.variance_low < 1e-3
    assert less.variance_ratio == pytest.approx(0.25, abs=1e-3)


def test_nothing_held_has_no_ratio() -> None:
    """Flat books have no variance to compare."""
    flat = account(np.zeros(120), np.ones(120), np.ones(120))
    found = Versus(START + 60 * np.arange(120), flat, flat, flat)
    effect = timing_effect(found, n_resamples=99, seed=1)
    assert math.isnan(effect.variance_ratio)
    assert math.isnan(effect.tail_ratio)
    assert (effect.drawdown_timed, effect.exposure) == (0.0, 0.0)
