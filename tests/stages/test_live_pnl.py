"""Days of trades as evidence: on paper from a server's log, or a desk's own, each told once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.backtest import PaperBroker
from mlwb.core.bars import BAR_FIELDS, CLOSE, HIGH, LOW, MID, OPEN, TS
from mlwb.core.clock import ManualClock
from mlwb.core.errors import (
    DataSchemaError,
    EmptyWindowError,
    EvidenceMissingError,
    MlwbError,
    ParamsError,
)
from mlwb.core.predictionlog import PredictionLine
from mlwb.evidence import EvidenceStore, Record, check_record, lint
from mlwb.inference import LabelField
from mlwb.params import LivePnlParams, TrainingParams, load_params
from mlwb.stages import live_pnl
from mlwb.stages._live_fills import fill_days, read_fills
from mlwb.stages._live_paper import PaperDay, Traded, paper_day, take_answers
from mlwb.stages._paper import caps_of
from mlwb.stages.market import Prepared, Windows
from tests.inference.version_kit import point, sidecar_for, write_version
from tests.monitor.log_kit import DAY, answer, write
from tests.stages.conftest import PARAMS

FIRST = date(2026, 1, 1)
COST = 2e-4
_HASTY: dict[str, Any] = {"backtest.latency_bars": 0}
_SPAN: dict[str, Any] = {"label.horizon_s": 900}


def _training(kind: str = "direction", **given_: Any) -> TrainingParams:
    found: TrainingParams = load_params(
        "training", PARAMS, overrides={"label.kind": kind, **given_}
    )
    return found


def _market(mid: Iterable[float], *, first_s: int = DAY - 60, live: bool = True) -> Traded:
    """Minutes from an open on, at a cost of two basis points one way."""
    price = np.array(list(mid))
    bars = np.full((len(price), len(BAR_FIELDS)), np.nan)
    bars[:, TS] = first_s + 60 * np.arange(len(price))
    bars[:, [OPEN, HIGH, LOW, CLOSE, MID]] = price[:, None]
    nobody: Any = None  # no source is asked
    empty = np.empty((len(price), 0))
    prepared = Prepared(nobody, bars, (), empty, Windows(0, 0, 0, 0), ())
    return Traded(prepared, np.full(len(price), COST), live)


def _paper(market: Traded, scores: dict[int, float], params: TrainingParams) -> PaperDay:
    found = paper_day(market, scores, FIRST, version="v1", params=params)
    assert found is not None
    return found


def _minutes(scores: Iterable[float]) -> dict[int, float]:
    return {DAY // 60 + place: score for place, score in enumerate(scores)}


def test_a_score_is_filled_after_it_was_given() -> None:
    """By hand: answered in the first minute, filled when it closes, sold a minute later."""
    found = _paper(_market([100.0, 110.0, 121.0, 121.0]), _minutes([0.9]), _training())
    assert found.ledger.position.tolist() == [0.0, 1.0, 0.0]
    assert found.ledger.net == pytest.approx([0.0, 0.1 - COST, -COST])
    assert (found.trips.n_closed, found.trips.wins, found.n_scores) == (1, 1, 1)
    hasty = _training("direction", **_HASTY)
    assert _paper(_market([100.0, 110.0, 121.0, 121.0]), _minutes([0.9]), hasty).risk == found.risk


@pytest.mark.parametrize(
    "kind", ["direction", "volatility", pytest.param("triple_barrier", marks=pytest.mark.slow)]
)
def test_the_money_is_the_paper_brokers(kind: str) -> None:
    """The rule of each label, under caps and costs, stepped over the day: the same net return."""
    rng = np.random.default_rng(3)
    market = _market(100.0 * np.exp(np.cumsum(rng.normal(0, 4e-4, 2_900))), first_s=DAY - 86_400)
    scores, params = _minutes(rng.uniform(0.3, 0.7, 1_440)), _training(kind, **_SPAN)
    found = _paper(market, scores, params)
    assert len(found.ledger.net) == 1_440
    if kind != "direction":
        assert found.is_bet == (kind == "triple_barrier")
        return
    broker, caps = PaperBroker(caps_of(params), latency_bars=1), caps_of(params)
    assert caps.turnover == 20.0
    rows = range(1_439, 1_439 + 1_441)
    mid = market.prepared.bars[:, MID]
    wanted = [np.sign(score - 0.5) for score in scores.values()]
    net = [
        broker.step(DAY + 60 * place, float(mid[row]), COST, float(wish))
        for place, (row, wish) in enumerate(zip(rows, wanted, strict=False))
    ]
    last = broker.close(DAY + 86_400, float(mid[rows[-1]]), COST)
    steps = [step.net for step in net if step is not None] + [last.net]
    assert found.ledger.net.tolist() == steps


@settings(max_examples=20)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60), st.integers(0, 59))
def test_what_comes_later_changes_nothing(scores: list[float], cut: int) -> None:
    """Scores and prices after a minute leave every step before it as it was."""
    rng = np.random.default_rng(len(scores))
    mid = 100.0 * np.exp(np.cumsum(rng.normal(0, 1e-3, 62)))
    later = np.where(np.arange(62) > cut + 1, mid * 1.5, mid)
    one = _paper(_market(mid), _minutes(scores), _training())
    other = _paper(_market(later), _minutes([*scores[:cut], *[0.0] * 5]), _training())
    n = min(cut, len(scores)) + 1
    assert one.ledger.gross[:n].tolist() == other.ledger.gross[:n].tolist()


def test_answers_that_nobody_trades_one_market_by() -> None:
    """Replayed rows and batches are left out; of a minute the newest answer counts."""
    line: list[PredictionLine] = [
        answer(DAY + 5, score=0.1), answer(DAY + 50, score=0.2), answer(DAY + 20, score=0.3),
        answer(DAY + 61, request_id="replay.x"), answer(DAY + 70, request_id="b"),
        answer(DAY + 70, request_id="b", row=1), answer(DAY + 70, request_id="b", row=2),
        answer(DAY + 130, score=0.7, model_version="v2.0.0"), answer(DAY - 1), answer(DAY + 86_400),
    ]  # fmt: skip
    found = take_answers(line, DAY, DAY + 86_400)
    assert found.of("v1.0.0", FIRST) == {DAY // 60: 0.2}
    assert found.of("v2.0.0", FIRST) == {DAY // 60 + 2: 0.7}
    assert found.versions(FIRST) == ["v1.0.0", "v2.0.0"]
    assert found.left_out == {"replayed": 1, "in a batch": 3}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`v1.0.0`, of a direction label, behind `latest`."""
    models = tmp_path / "artifacts" / "models"
    sidecar = replace(sidecar_for("v1.0.0"), label=LabelField("direction", 60))
    folder = write_version(models, "v1.0.0", sidecar=sidecar)
    (folder / "training_manifest.json").write_text('{"kinship": {"symbol": "bars"}}')
    point(models, "latest", "v1.0.0")
    return tmp_path


def _params(home: Path, **data: Any) -> LivePnlParams:
    found: LivePnlParams = load_params("live_pnl", PARAMS)
    return replace(found, run=replace(found.run, home=str(home)), data=replace(found.data, **data))


def _bars(path: Path, days: int, *, minutes: int = 0) -> Path:
    """A file of minutes with quotes, from the midnight before the first day on."""
    n = 1_440 * days + minutes
    rng = np.random.default_rng(5)
    mid = 100.0 * np.exp(np.cumsum(rng.normal(0, 4e-4, n)))
    rows = ["ts,open,high,low,close,volume,bid,ask"]
    for place, price in enumerate(mid.tolist()):
        ts = datetime.fromtimestamp(DAY - 60 + 60 * place, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        sides = f"{price - 0.01:.4f},{price + 0.01:.4f}"
        rows.append(f"{ts},{price:.4f},{price:.4f},{price:.4f},{price:.4f},1.0,{sides}")
    path.write_text("\n".join(rows) + "\n")
    return path


def _tell(params: LivePnlParams, *, at: float = DAY + 3 * 86_400, **more: Any) -> tuple[Any, Any]:
    clock = ManualClock(datetime.fromtimestamp(at, UTC))
    inputs = live_pnl.load(params, clock, **more)
    result = live_pnl.measure(inputs)
    records: tuple[Record, ...] = live_pnl.record(inputs, result, params, clock)
    for item in records:
        check_record(item.to_json())
        assert lint(item) == ()
    return records, result


@pytest.mark.slow
def test_days_are_told_once_and_when_their_horizon_is_over(home: Path) -> None:
    """Two of three days have their bars; the third follows when they come, and none twice."""
    rng = np.random.default_rng(1)
    lines = [answer(DAY + 60 * i + 1, score=float(s)) for i, s in enumerate(rng.random(4_320))]
    write(home / "artifacts" / "predictions.jsonl", lines)
    params = _params(home, source=(str(_bars(home / "bars.csv", 2, minutes=60)),))
    records, result = _tell(params)
    assert [item.details["date"] for item in records] == ["2026-01-01", "2026-01-02"]
    assert "the market ends at 2026-01-03 00:59" in result.waiting[0][1]
    first = records[0]
    assert (first.origin, first.details["simulated"], first.model_version) == (
        "live", True, "v1.0.0",
    )  # fmt: skip
    assert first.value("scores") == 1_440
    assert first.value("net_return") == pytest.approx(
        (first.value("gross_return") or 0) - (first.value("cost_return") or 0)
    )
    rate = next(item for item in first.metrics if item.name == "win_rate")
    assert 5 <= (rate.n or 0) <= 12, "20 times equity in a day is ten round trips"
    store = EvidenceStore(home / "evidence" / "ml")
    assert (store.root / "daily" / "pnl_2026-01-01.json").is_file()
    again, _ = _tell(params, day=FIRST)
    assert again[0].run_id == first.run_id
    _bars(home / "bars.csv", 3, minutes=60)
    later, result = _tell(params, at=DAY + 3 * 86_400 + 9_000)
    assert ([item.details["date"] for item in later], result.waiting) == (["2026-01-03"], ())
    assert store.verify() == ()
    smaller, _ = _tell(params, at=DAY + 4 * 86_400, day=FIRST, book={"backtest.max_position": 0.1})
    assert smaller[0].run_id != first.run_id
    rows = (home / "bars.csv").read_text().splitlines(keepends=True)
    (home / "bars.csv").write_text("".join([rows[0], *rows[3:]]))
    late, result = _tell(params, at=DAY + 4 * 86_400, day=FIRST)
    assert late == ()
    assert "the market begins at 2026-01-01 00:02" in result.waiting[0][1]
    other = _bars(home / "other.csv", 3, minutes=60)
    with pytest.raises(DataSchemaError, match="another market"):
        _tell(_params(home, source=(str(other),)), at=DAY + 4 * 86_400, day=FIRST)


CSV = "time,symbol,side,qty,pnl,costs,equity\n"
GOOD = "2026-01-01T10:00:00Z,EURUSD,buy,2,30,10,10000\n"


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "closed.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_fills_of_a_desk_are_a_day(home: Path) -> None:
    """By hand: 20 and -30 of 10,000 with costs of 10 each; the last day is not over, and waits."""
    text = CSV + GOOD + "2026-01-01T23:30:00-01:00,EURUSD,sell,1,-20,10,10000\n"
    text += "2026-01-01T11:00:00Z,EURUSD,SHORT,1,-20,10,10000\n"
    text += "2026-01-03T01:00:00Z,EURUSD,sell,1,5,0,10000\n"
    path = _file(home, text)
    params = replace(_params(home), run=replace(_params(home).run, model_version="v1.0.0"))
    records, _ = _tell(params, at=DAY + 2 * 86_400 + 60, trades=path)
    first, second = records
    assert [item.details["date"] for item in records] == ["2026-01-01", "2026-01-02"]
    assert first.value("net_return") == pytest.approx(-10 / 10_000)
    assert first.value("cost_return") == pytest.approx(20 / 10_000)
    rate = next(item for item in first.metrics if item.name == "win_rate")
    assert (rate.k, rate.n) == (1, 2)
    assert (first.details["source"], first.details["simulated"]) == ("broker", False)
    assert second.value("net_return") == pytest.approx(-30 / 10_000)
    assert _tell(params, at=DAY + 2 * 86_400 + 90, trades=path)[0][0].run_id == first.run_id


def test_trades_of_days_to_come_are_refused(home: Path) -> None:
    """A wrong year is an error: left out, the day it belongs to would be told without it."""
    text = CSV + GOOD + GOOD.replace("2026", "2027")
    with pytest.raises(DataSchemaError, match="not closed yet"):
        _tell(_params(home), trades=_file(home, text))


def test_who_answered_is_who_traded(home: Path) -> None:
    """One version answered that day: its trades. Two, or none: somebody has to say."""
    path = _file(home, CSV + GOOD)
    with pytest.raises(ParamsError, match="none answered"):
        _tell(_params(home), trades=path)
    log = home / "artifacts" / "predictions.jsonl"
    write(log, [answer(DAY + 5)])
    assert _tell(_params(home), trades=path)[0][0].model_version == "v1.0.0"
    write(log, [answer(DAY + 5), answer(DAY + 9, model_version="v2.0.0")])
    with pytest.raises(ParamsError, match=r"v1\.0\.0, v2\.0\.0"):
        _tell(_params(home), trades=path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1 is not the header"),
        ("time,symbol,side,qty,pnl\n", "costs are 0 where"),
        ("time,symbol,side,qty,pnl,return,costs\n", "line 1"),
        ("time,symbol,side,qty,pnl,costs\n", "--equity"),
        (CSV, "no trade"),
        (CSV + GOOD + GOOD.replace("T10:00:00Z", " 10:00"), "line 3: time"),
        (CSV + GOOD.replace("2026-01-01T10", "yesterday"), "line 2: time"),
        (CSV + GOOD.replace("buy", "hold"), "line 2: side"),
        (CSV + GOOD.replace(",2,", ",0,"), "line 2: qty"),
        (CSV + GOOD.replace(",30,", ",nan,"), "line 2: pnl"),
        (CSV + GOOD.replace(",30,", ',"1,000",'), "line 2: pnl"),
        (CSV + GOOD.replace(",10,", ",-10,"), "line 2: costs"),
        (CSV + GOOD.replace("EURUSD", " "), "line 2: symbol"),
        (CSV + GOOD.replace(",10000", ","), "line 2: equity"),
        (CSV + GOOD.replace(",10000", ",0"), "line 2: equity"),
        (CSV + GOOD.replace(",10000", ""), "line 2 has more or fewer cells"),
        (CSV + GOOD.replace("\n", ",1\n"), "line 2 has more or fewer cells"),
        (CSV + GOOD.replace("2026-01-01T10:00:00Z", "0001-01-01T00:00+14:00"), "line 2: time"),
        (CSV + GOOD.replace(",30,", ",1e300,").replace(",10000", ",1e-300"), "line 2: pnl"),
        (CSV + GOOD.replace(",30,", ",1e308,"), "line 2: pnl"),
        (CSV + GOOD.replace(",10,", ",1e308,"), "line 2: pnl"),
        (CSV + '"unclosed', "no CSV"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, said: str) -> None:
    """Nothing is guessed and nothing is passed over: the file, the line, the column."""
    with pytest.raises((DataSchemaError, EmptyWindowError), match=said):
        read_fills(_file(tmp_path, text))


@given(st.lists(st.sampled_from(CSV + GOOD + '\x00\n,"é'), max_size=80).map("".join))
def test_any_text_is_trades_or_a_sentence(text: str) -> None:
    """Never another exception than our own."""
    path = Path("/dev/shm") / "mlwb-any.csv" if Path("/dev/shm").is_dir() else Path("any.csv")  # noqa: S108 - memory
    path.write_text(CSV + text, encoding="utf-8")
    try:
        days = fill_days(read_fills(path), dict.fromkeys([FIRST], "v1"))
    except MlwbError:
        return
    except KeyError:  # a day of which nobody said the version
        return
    finally:
        path.unlink()
    assert all(item.fills for item in days)


def test_nothing_to_tell_is_said(home: Path) -> None:
    """No market named, nothing answered, a day that is not over."""
    with pytest.raises(EvidenceMissingError, match="no score was answered"):
        _tell(_params(home))
    write(home / "artifacts" / "predictions.jsonl", [answer(DAY + 5)])
    with pytest.raises(ParamsError, match="--data FILE"):
        _tell(_params(home))
    with pytest.raises(ParamsError, match="not over"):
        _tell(_params(home), day=date(2026, 1, 4))
