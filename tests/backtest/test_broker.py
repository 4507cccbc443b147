"""The broker, the backtest and a book written out at length keep the same accounts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlwb.backtest import (
    UNCAPPED,
    Book,
    Caps,
    Clip,
    Ledger,
    PaperBroker,
    Tape,
    backtest,
    cap_breaches,
    half_spread_cost,
)
from mlwb.core.arrays import Float1D
from mlwb.core.bars import ASK, BID, MID, TS
from mlwb.core.errors import EmptyWindowError, ParamsError
from tests.strategies import START, same_bits

SIZES = np.array([-2.0, -1.0, -0.3, 0.0, 0.0, 0.5, 1.0, 1.7])
DAY = 86_400


def make_tape(n: int, seed: int, *, holes: float = 0.0, gaps: bool = False) -> Tape:
    """Half-hour bars, some without a price, some a day apart, with returns of about 1 %."""
    rng = np.random.default_rng(seed)
    mid = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    mid[1:][rng.random(n - 1) < holes] = np.nan
    wait = rng.choice([60, 1_800, 90_000], n, p=[0.2, 0.75, 0.05] if gaps else [0.5, 0.5, 0.0])
    ts = (START + np.cumsum(wait)).astype(np.int64)
    return Tape(ts, mid, rng.uniform(0.0, 1e-3, n))


def online(target: Float1D, tape: Tape, caps: Caps, latency: int) -> tuple[Ledger, list[Clip]]:
    """The broker stepped over a tape."""
    broker = PaperBroker(caps, latency_bars=latency)
    columns = (tape.ts, tape.mid, tape.one_way_cost, target)
    *bars, last = zip(*(column.tolist() for column in columns), strict=True)
    steps = [broker.step(*bar) for bar in bars] + [broker.close(*last[:3])]
    done = [step for step in steps if step is not None]
    assert [step.ts for step in done] == tape.ts[:-1].tolist()
    _, position, gross, cost, net = (np.array(column) for column in zip(*done, strict=True))
    return Ledger(gross, cost, net, position), broker.clips


def literal(target: Float1D, tape: Tape, caps: Caps, latency: int) -> list[tuple[float, ...]]:
    """The rules of docs/backtest.md word for word, summing every window anew: slow and plain."""
    ts, mid, rate = tape.ts.tolist(), tape.mid.tolist(), tape.one_way_cost.tolist()
    book: list[dict[str, Any]] = []
    held, price = 0.0, mid[0]
    for i, now in enumerate(ts[:-1]):
        known = mid[i] > 0.0
        if book:
            book[-1]["gross"] = held * (mid[i] / price - 1.0) if known else 0.0
        price = mid[i] if known else price
        recent = [row for row in book if row["ts"] > now - DAY]
        lost = sum(r["gross"] - r["cost"] for r in book if r["ts"] // DAY == now // DAY)
        want = float(target[i - latency]) if i >= latency else 0.0
        size = min(abs(want), caps.position)
        size = min(size, max(0.0, caps.exposure * 1_440 - sum(abs(r["pos"]) for r in recent)))
        keep = abs(held) if held * want > 0.0 else 0.0
        if size > keep:
            spent = sum(row["traded"] for row in recent) + abs(held) - keep
            size = min(size, keep + max(0.0, caps.turnover - spent))
        if book and ts[i - 1] // DAY == now // DAY and lost <= -caps.daily_loss:
            size = 0.0
        new = math.copysign(size, want) if known else held
        trade = abs(new - held)
        book.append({"ts": now, "pos": new, "traded": trade, "cost": rate[i] * trade})
        held = new
    book[-1]["gross"] = held * (mid[-1] / price - 1.0) if mid[-1] > 0.0 else 0.0
    book[-1]["cost"] += rate[-1] * abs(held)
    return [(row["pos"], row["gross"], row["cost"]) for row in book]


def wishes(n: int, seed: int) -> Float1D:
    """Targets that often stay and sometimes jump."""
    rng = np.random.default_rng(seed + 1)
    return np.repeat(rng.choice(SIZES, n), rng.choice([1, 5], n))[:n]


@dataclass(frozen=True)
class Stream:
    """Targets, the tape they are traded on, and the rules."""

    target: Float1D
    tape: Tape
    caps: Caps
    latency: int


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Streams of any kind, under caps that bind, sometimes bind, or are not there."""
    n, seed = draw(st.integers(2, 120)), draw(st.integers(0, 10_000))
    holes, gaps = draw(st.sampled_from([0.0, 0.1])), draw(st.booleans())
    caps = Caps(
        position=draw(st.sampled_from([0.5, 1.0, math.inf])),
        exposure=draw(st.sampled_from([0.002, 0.01, math.inf])),
        turnover=draw(st.sampled_from([0.0, 1.5, 10.0, math.inf])),
        daily_loss=draw(st.sampled_from([0.005, 0.03, math.inf])),
    )
    tape = make_tape(n, seed, holes=holes, gaps=gaps)
    return Stream(wishes(n, seed), tape, caps, draw(st.integers(0, 3)))


def stopped() -> Stream:
    """The daily stop binds on whole arrays, without a budget that would step the broker."""
    caps = Caps(1.0, math.inf, math.inf, 0.005)
    return Stream(wishes(60, 1), make_tape(60, 1, holes=0.1, gaps=True), caps, 1)


@given(streams())
@example(stopped())
def test_backtest_and_broker_keep_the_same_book(stream: Stream) -> None:
    """The same stream gives the same ledger bit for bit, and the same clips."""
    target, tape, caps = stream.target, stream.tape, stream.caps
    book = backtest(target, tape, caps, latency_bars=stream.latency)
    ledger, clips = online(target, tape, caps, stream.latency)
    for name in ("position", "gross", "cost", "net"):
        assert same_bits(getattr(book.ledger, name), getattr(ledger, name)), name
    assert list(book.clips) == clips


@given(streams())
@example(stopped())
def test_the_broker_keeps_the_book_as_written_down(stream: Stream) -> None:
    """Positions, returns and costs are those of the rules followed literally."""
    ledger, _ = online(stream.target, stream.tape, stream.caps, stream.latency)
    rows = np.column_stack([ledger.position, ledger.gross, ledger.cost])
    written = literal(stream.target, stream.tape, stream.caps, stream.latency)
    np.testing.assert_allclose(rows, written, atol=1e-9)


@pytest.mark.parametrize(
    ("caps", "binds"),
    [
        (Caps(0.7, 0.7, 0.7, 1.0), False),
        (Caps(9.0, 0.7, 0.7, 1.0), False),
        (Caps(9.0, 0.699, 0.7, 1.0), True),
        (Caps(0.7, 0.7, 0.699, 1.0), True),
    ],
    ids=["position", "exposure", "over-exposure", "over-turnover"],
)
def test_a_position_that_fills_a_budget_exactly_is_within_it(caps: Caps, *, binds: bool) -> None:
    """Three days at a cap that no binary fraction hits: rounding neither cuts nor breaks it."""
    tape, target = flat_tape(4_320), np.full(4_320, 0.7)
    book = backtest(target, tape, caps, latency_bars=0)
    ledger, clips = online(target, tape, caps, 0)
    assert same_bits(book.ledger.position, ledger.position)
    assert list(book.clips) == clips
    assert bool(clips) is binds
    assert cap_breaches(ledger, book.ts, caps) == 0


@pytest.mark.realdata
@pytest.mark.parametrize(
    "caps", [UNCAPPED, Caps(1.0, 1.0, 1e6, 0.002), Caps(1.0, 1.0, 20.0, 0.002)], ids=str
)
def test_a_recorded_month_keeps_one_book(real_data: Path, caps: Caps) -> None:
    """Bid and ask of a currency with gaps, weekends and crossed books: the same bits both ways."""
    from mlwb.data import load_market, to_bars

    folder = real_data / "fx_bidask_1m"
    files = [folder / f"GBPUSD_fxcm_m1_{side}_201202.csv.gz" for side in ("bid", "ask")]
    bars = to_bars(load_market([str(file) for file in files]))[:8_000]
    spread = 1e4 * (bars[:, ASK] - bars[:, BID]) / bars[:, MID]
    cost = half_spread_cost(spread, fee_bp=1.0, slippage_bp=0.5)
    tape = Tape(bars[:, TS].astype(np.int64), bars[:, MID], cost)
    target = wishes(len(bars), 5)
    book = backtest(target, tape, caps, latency_bars=1)
    ledger, clips = online(target, tape, caps, 1)
    assert same_bits(book.ledger.net, ledger.net)
    assert same_bits(book.ledger.position, ledger.position)
    assert list(book.clips) == clips
    assert cap_breaches(ledger, book.ts, caps) == 0


@pytest.mark.parametrize(
    "caps",
    [Caps(0.4, 9.0, 99.0, 9.0), Caps(9.0, 0.01, 99.0, 9.0), Caps(9.0, 9.0, 2.0, 9.0),
     Caps(9.0, 9.0, 99.0, 0.005)],
    ids=["position", "exposure", "turnover", "loss"],
)  # fmt: skip
def test_breaches_are_counted_from_the_ledger(caps: Caps) -> None:
    """A book kept under a cap has none of its breaches; the same wishes without caps have some."""
    tape, target = make_tape(120, 3), wishes(120, 3)
    kept = backtest(target, tape, caps, latency_bars=1)
    free = backtest(target, tape, UNCAPPED, latency_bars=1)
    assert cap_breaches(kept.ledger, kept.ts, caps) == 0
    assert cap_breaches(free.ledger, free.ts, caps) > 0
    assert cap_breaches(free.ledger, free.ts, UNCAPPED) == 0


@pytest.mark.parametrize(
    ("caps", "reasons"),
    [
        (Caps(1.0, math.inf, math.inf, math.inf), {"position"}),
        (Caps(math.inf, 0.005, math.inf, math.inf), {"exposure"}),
        (Caps(math.inf, math.inf, 3.0, math.inf), {"turnover"}),
        (Caps(math.inf, math.inf, math.inf, 0.005), {"daily_loss"}),
        (UNCAPPED, set()),
    ],
    ids=["position", "exposure", "turnover", "loss", "none"],
)
def test_every_cap_binds_and_says_so(caps: Caps, reasons: set[str]) -> None:
    """Each cap alone cuts orders on a wild stream, and is named as the reason."""
    book = backtest(wishes(120, 3), make_tape(120, 3), caps, latency_bars=1)
    assert {clip.reason for clip in book.clips} == reasons


def flat_tape(n: int, step_s: int = 60) -> Tape:
    """Bars on which nothing happens."""
    return Tape(START + step_s * np.arange(n), np.full(n, 100.0), np.full(n, 1e-4))


def positions(book: Book) -> list[float]:
    """What was held."""
    return [float(size) for size in book.ledger.position]


def test_latency_is_bars_between_decision_and_fill() -> None:
    """A wish is held that many bars later; before it there is nothing."""
    target = np.array([1.0, -1.0, 0.5, 0.0])
    held = [
        positions(backtest(target, flat_tape(4), UNCAPPED, latency_bars=lag)) for lag in range(5)
    ]
    assert held[:3] == [[1.0, -1.0, 0.5], [0.0, 1.0, -1.0], [0.0, 0.0, 1.0]]
    assert held[3] == held[4] == [0.0, 0.0, 0.0]


def test_an_order_that_reduces_is_never_blocked() -> None:
    """With the turnover used up, a position can still be cut or closed, and not opened again."""
    target = np.array([1.0, 0.4, 0.0, 1.0, 0.0])
    book = backtest(target, flat_tape(5), Caps(9.0, 9.0, 1.0, 1.0), latency_bars=0)
    assert positions(book) == [1.0, 0.4, 0.0, 0.0]
    assert book.clips == (Clip(START + 180, 1.0, 0.0, "turnover"),)


def test_the_closing_part_of_a_flip_always_passes() -> None:
    """Half of what a flip opens fits the budget: the old side is closed, half is opened."""
    target = np.array([1.0, -1.0, -1.0])
    book = backtest(target, flat_tape(3), Caps(9.0, 9.0, 2.5, 1.0), latency_bars=0)
    assert positions(book) == [1.0, -0.5]
    assert [clip.allowed for clip in book.clips] == [-0.5]


def test_turnover_comes_back_after_a_day() -> None:
    """An order 24 hours old no longer counts, one a second younger does."""
    for step_s, last in ((43_200, -1.0), (43_199, 0.0)):
        target = np.array([1.0, 1.0, -1.0, -1.0])
        caps = Caps(9.0, 9.0, 2.0, 1.0)
        assert positions(backtest(target, flat_tape(4, step_s), caps, latency_bars=0))[2] == last


def test_a_loss_stops_the_day_and_not_the_next() -> None:
    """After -2 % the book is flat until midnight UTC, then trades again."""
    ts = START + 21_600 * np.arange(7)
    tape = Tape(ts, np.array([100.0, 98.0, 97.0, 96.0, 95.0, 94.0, 93.0]), np.zeros(7))
    book = backtest(np.ones(7), tape, Caps(1.0, 1.0, 9.0, 0.02), latency_bars=0)
    assert positions(book) == [1.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    assert book.clips == (Clip(START + 21_600, 1.0, 0.0, "daily_loss"),)


def test_a_bar_without_a_price_fills_nothing() -> None:
    """The position is held over it and earns what the next price shows."""
    mid = np.array([100.0, np.nan, 110.0, 110.0])
    tape = Tape(START + 60 * np.arange(4), mid, np.zeros(4))
    book = backtest(np.array([1.0, 0.0, 0.0, 0.0]), tape, UNCAPPED, latency_bars=0)
    assert positions(book) == [1.0, 1.0, 0.0]
    np.testing.assert_allclose(book.ledger.gross, [0.0, 0.1, 0.0])


def test_a_stop_waits_for_a_price() -> None:
    """A loss booked at a bar without a price cannot be stopped before the next one."""
    mid = np.array([100.0, np.nan, 100.0, 100.0])
    tape = Tape(START + 60 * np.arange(4), mid, np.full(4, 0.01))
    caps, target = Caps(1.0, 1.0, 9.0, 0.005), np.ones(4)
    book = backtest(target, tape, caps, latency_bars=0)
    ledger, clips = online(target, tape, caps, 0)
    assert positions(book) == ledger.position.tolist() == [1.0, 1.0, 0.0]
    assert list(book.clips) == clips == [Clip(START + 120, 1.0, 0.0, "daily_loss")]


@pytest.mark.parametrize(
    ("column", "row", "value"),
    [("mid", 0, np.nan), ("one_way_cost", 2, np.nan), ("one_way_cost", 2, -1e-9), ("ts", 2, 0)],
)
def test_a_tape_that_cannot_be_traded_is_refused(column: str, row: int, value: float) -> None:
    """No first price, an unknown or negative cost, or time that goes back."""
    tape = flat_tape(4)
    columns = {name: getattr(tape, name).copy() for name in ("ts", "mid", "one_way_cost")}
    columns[column][row] = value
    with pytest.raises(EmptyWindowError):
        Tape(**columns)


def test_a_broker_refuses_what_a_tape_refuses() -> None:
    """No first price, no second bar, time that goes back, an order before its decision."""
    with pytest.raises(EmptyWindowError, match="no price"):
        PaperBroker(UNCAPPED, latency_bars=1).step(START, math.nan, 0.0, 0.0)
    with pytest.raises(EmptyWindowError, match="two bars"):
        PaperBroker(UNCAPPED, latency_bars=1).close(START, 100.0, 0.0)
    broker = PaperBroker(UNCAPPED, latency_bars=1)
    broker.step(START, 100.0, 0.0, 0.0)
    with pytest.raises(EmptyWindowError, match="back in time"):
        broker.step(START, 100.0, 0.0, 0.0)
    with pytest.raises(ParamsError):
        PaperBroker(UNCAPPED, latency_bars=-1)
    with pytest.raises(ParamsError):
        backtest(np.zeros(4), flat_tape(4), UNCAPPED, latency_bars=-1)


def test_a_target_is_needed_for_every_bar() -> None:
    """One too few, or one that is not a number, is an error."""
    for target in (np.zeros(3), np.array([0.0, np.nan, 0.0, 0.0])):
        with pytest.raises(EmptyWindowError, match="every bar"):
            backtest(target, flat_tape(4), UNCAPPED, latency_bars=0)
