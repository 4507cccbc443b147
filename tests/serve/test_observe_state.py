"""State of observed symbols: put away, taken up, damaged, shared; never another answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.client import PredictClient
from mlwb.core.arrays import Float2D
from mlwb.core.bars import BAR_FIELDS, INTERVAL_S, MID, TS
from mlwb.core.canonical import canonical_bytes, digest, parse_json
from mlwb.core.clock import ManualClock
from mlwb.data import load_market, to_bars
from mlwb.features import spec_digest, specs
from mlwb.features.batch import compute
from mlwb.serve import ServeSettings
from mlwb.serve._bars import BarQuery
from mlwb.serve._feature_set import FeatureSet
from mlwb.serve._observer import Observer
from mlwb.serve._symbol import Saved
from tests.serve.asgi_kit import call
from tests.serve.observe_kit import (
    body,
    clock_after,
    market,
    observing,
    plain,
    served,
    write_observed,
)
from tests.serve.server_kit import server, start, wait_ready
from tests.strategies import bars as some_bars
from tests.strategies import same_bits

NAMES = ("mid_logret_5m", "spread_bp", "vol1m_log", "rsi14_z", "zscore_mid_24h", "vol_ratio")
CHOSEN = specs(NAMES)
FEATURES = FeatureSet(CHOSEN, NAMES, spec_digest(CHOSEN), "quoted", 86_400)


def observer(folder: Path, until_s: float, **more: Any) -> Observer:
    """An observer whose clock stands at a time."""
    clock = ManualClock(datetime.fromtimestamp(until_s, UTC))
    return Observer(ServeSettings(folder, observe_dir=folder / "observe", **more), clock)


def send(where: Observer, bars: Float2D, features: FeatureSet = FEATURES) -> list[float]:
    """Features after some bars."""
    rows = [
        tuple(row) for row in np.where(np.arange(len(BAR_FIELDS)) == MID, np.nan, bars).tolist()
    ]
    return where.take(BarQuery("EURUSD", rows, "", ""), features)[0].values


def crash(where: Observer) -> None:
    """What is left of a killed server: its files, and a lock that nobody holds."""
    assert where._folder is not None
    where._folder.close()


def save(where: Observer) -> None:
    """What the server does every few seconds."""
    again = where._write(where._take_changed())
    where._changed |= again


def last_ts(where: Observer) -> float:
    """Last bar as a client learns it, -inf where the symbol is not known."""
    found = where.report(None).symbols
    if not found:
        return -math.inf
    assert found[0].last_ts is not None
    return datetime.fromisoformat(found[0].last_ts).timestamp()


ACTS = st.sampled_from(["go on", "save", "restart", "crash", "send again"])


@given(bars=some_bars(700), acts=st.lists(ACTS, min_size=1, max_size=8), data=st.data())
@settings(max_examples=25)
def test_any_history_gives_the_bits_of_batch(
    tmp_path_factory: pytest.TempPathFactory, bars: Float2D, acts: list[str], data: st.DataObject
) -> None:
    """Saved, restarted, killed and sent again at any bars: every feature as in one batch."""
    folder = tmp_path_factory.mktemp("any")
    bars[:, MID] = (bars[:, 7] + bars[:, 8]) / 2.0
    expected, until_s = compute(CHOSEN, bars), float(bars[-1, TS]) + INTERVAL_S
    cuts = sorted(
        data.draw(st.lists(st.integers(0, len(bars)), min_size=len(acts), max_size=len(acts)))
    )
    where, sent = observer(folder, until_s), 0
    for act, cut in zip([*acts, "go on"], [*cuts, len(bars)], strict=True):
        sent = int(np.searchsorted(bars[:, TS], last_ts(where), side="right"))
        got = [send(where, bars[i : i + 1]) for i in range(sent, cut)]
        assert same_bits(np.array(got).reshape(-1, len(NAMES)), expected[sent:cut])
        if act == "save":
            save(where)
        elif act == "send again" and cut:
            assert same_bits(np.array(send(where, bars[max(0, cut - 50) : cut])), expected[cut - 1])
        elif act in {"restart", "crash"}:
            where.close() if act == "restart" else crash(where)
            where = observer(folder, until_s)
    crash(where)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("file", "spread"),
    [
        ("fx_bidask_1m/EURUSD_oanda_quote_1m_20140501_20140515.csv.gz", "quoted"),
        ("messy/BTCUSDC_kraken_1m_sparse_20230101_20230331.csv.gz", "estimated"),
    ],
)
def test_recorded_bars_give_the_bits_of_batch(
    real_data: Path, tmp_path: Path, file: str, spread: Any
) -> None:
    """With weekends, with more gaps than bars, with or without quotes, and a crash a day."""
    bars = to_bars(load_market([str(real_data / file)]))[:5_760]
    names = [name for name in NAMES if name != "vol1m_log"]
    chosen = specs(names, quoted=spread == "quoted")
    features = FeatureSet(
        chosen, tuple(spec.name for spec in chosen), spec_digest(chosen), spread, 86_400
    )
    expected, until_s = compute(chosen, bars), float(bars[-1, TS]) + INTERVAL_S
    where = observer(tmp_path, until_s)
    for begin in range(0, len(bars), 1_440):
        middle, end = begin + 700, begin + 1_440
        send(where, bars[begin:middle], features)
        save(where)
        send(where, bars[middle : middle + 300], features)
        crash(where)
        where = observer(tmp_path, until_s)
        got = [send(where, bars[i : i + 1], features) for i in range(middle, end)]
        assert same_bits(np.array(got).reshape(-1, len(names)), expected[middle:end])
    crash(where)


def test_the_last_bar_again_after_a_restart(tmp_path: Path) -> None:
    """The same features; they are computed from what was saved, not anew."""
    bars = market(100)
    before = observer(tmp_path, bars[-1, TS] + 60)
    first = send(before, bars)
    before.close()
    after = observer(tmp_path, bars[-1, TS] + 60)
    assert same_bits(np.array(first), np.array(send(after, bars[-1:])))


def test_bars_that_come_during_a_save_are_saved_next(tmp_path: Path) -> None:
    """The loop goes on while another thread writes; what it takes in then is not forgotten."""
    bars = market(10)
    where = observer(tmp_path, bars[-1, TS] + 60, observe_save_s=0.01)
    assert where._folder is not None
    write, begun, go_on = where._folder.write, threading.Event(), threading.Event()
    written: list[str] = []

    def slowly(symbol: str, saved: Saved) -> None:
        begun.set()
        go_on.wait(10)
        write(symbol, saved)
        written.append(symbol)

    where._folder.write = slowly  # type: ignore[method-assign]

    async def both() -> None:
        task = asyncio.create_task(where.run())
        send(where, bars[:5])
        await asyncio.to_thread(begun.wait, 10)
        send(where, bars[5:])
        go_on.set()
        while len(written) < 2:
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(both())
    crash(where)
    assert last_ts(observer(tmp_path, bars[-1, TS] + 60)) == bars[-1, TS]


def test_a_file_is_canonical_json(tmp_path: Path) -> None:
    """The bytes are those RFC 8785 gives, so equal states are equal files."""
    bars = market(20)
    where = observer(tmp_path, bars[-1, TS] + 60)
    send(where, bars)
    where.close()
    data = (tmp_path / "observe" / "EURUSD.json").read_bytes()
    assert canonical_bytes(parse_json(data)) == data


def test_nothing_new_is_not_written(tmp_path: Path) -> None:
    """A symbol without a new bar costs no write."""
    bars = market(20)
    where = observer(tmp_path, bars[-1, TS] + 60)
    send(where, bars)
    save(where)
    before = (tmp_path / "observe" / "EURUSD.json").stat()
    send(where, bars[-1:])
    save(where)
    after = (tmp_path / "observe" / "EURUSD.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def flip(data: bytes, **changes: Any) -> bytes:
    """Change keys of a file and sign for it."""
    found = {**json.loads(data), **changes}
    del found["sha256"]
    return canonical_bytes({**found, "sha256": digest(found)})


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "torn": lambda data: data[: len(data) // 2],
    "empty": lambda _data: b"",
    "a flipped byte": lambda data: data.replace(b"A", b"B", 1),
    "not an object": lambda _data: b"[1]",
    "another schema": lambda data: flip(data, schema="mlwb.observe-state/0"),
    "another symbol": lambda data: flip(data, symbol="GBPUSD"),
    "a key too many": lambda data: flip(data, more=1),
    "no bars": lambda data: flip(data, bars=""),
    "half a bar": lambda data: flip(data, bars="AAAAAAAAAAA="),
    "bars without order": lambda data: flip(data, bars=json.loads(data)["bars"] * 2),
    "no values": lambda data: flip(data, values=""),
    "a stream of its own": lambda data: flip(
        data, stream={**json.loads(data)["stream"], "last_ts": 0.0}
    ),
    "a stream cut short": lambda data: flip(data, sizes=json.loads(data)["sizes"][:-1]),
    "a stream cut elsewhere": lambda data: flip(data, sizes=json.loads(data)["sizes"][::-1]),
    "negative sizes": lambda data: flip(data, sizes=[-1, 1], states=""),
    "a stream without times": lambda data: flip(
        data, stream={"digest": json.loads(data)["stream"]["digest"]}
    ),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_set_aside(tmp_path: Path, how: str) -> None:
    """The symbol starts cold, the file is kept for whoever wants to know, nothing else stops."""
    bars = market(30)
    before = observer(tmp_path, bars[-1, TS] + 60)
    send(before, bars[:20])
    before.close()
    path = tmp_path / "observe" / "EURUSD.json"
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    spoiled = path.read_bytes()
    after = observer(tmp_path, bars[-1, TS] + 60)
    assert same_bits(np.array(send(after, bars[20:])), compute(CHOSEN, bars[20:])[-1])
    assert path.with_suffix(".rejected").read_bytes() == spoiled
    assert not path.exists()
    after.close()
    assert path.exists()


def test_saved_bars_warm_another_model(tmp_path: Path) -> None:
    """A restart with other features than were saved: computed over the saved bars."""
    bars = market(80)
    before = observer(tmp_path, bars[-1, TS] + 60)
    send(before, bars[:70])
    before.close()
    chosen = specs(["realised_vol_60m", "mid_logret_1m"])
    other = FeatureSet(
        chosen, tuple(spec.name for spec in chosen), spec_digest(chosen), "none", 86_400
    )
    after = observer(tmp_path, bars[-1, TS] + 60)
    assert same_bits(np.array(send(after, bars[70:], other)), compute(chosen, bars)[-1])


def test_two_servers_do_not_write_one_folder(tmp_path: Path) -> None:
    """The second reads what is there, says so, and takes over when the first is gone."""
    bars = market(30)
    first = observer(tmp_path, bars[-1, TS] + 60)
    send(first, bars[:10])
    save(first)
    second = observer(tmp_path, bars[-1, TS] + 60)
    assert second.report(None).saving == "in_use"
    send(second, bars[10:20])
    save(second)
    assert last_ts(observer(tmp_path, bars[-1, TS] + 60)) == bars[9, TS]
    first.close()
    save(second)
    assert second.report(None).saving == "on"
    second.close()
    third = observer(tmp_path, bars[-1, TS] + 60)
    assert last_ts(third) == bars[19, TS]
    assert same_bits(np.array(send(third, bars[20:])), compute(CHOSEN, bars)[-1])


def test_a_disk_that_refuses_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server goes on, and the state is written when the disk is back."""
    bars = market(5)
    where = observer(tmp_path, bars[-1, TS] + 60)
    send(where, bars)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mlwb.core.fsops.write_atomic", refuse)
        save(where)
    assert where.lost == 1
    save(where)
    assert (tmp_path / "observe" / "EURUSD.json").exists()


def test_a_symbol_that_gave_way_leaves_no_file(tmp_path: Path) -> None:
    """Let go in memory and on disk, so that it does not come back with the next start."""
    bars = market(2)
    until_s = float(bars[-1, TS]) + 60
    where = observer(tmp_path, until_s, observe_symbols=1)
    send(where, bars[:1])
    save(where)
    where._clock = ManualClock(datetime.fromtimestamp(until_s + 90_000, UTC))
    row = tuple(bars[1].tolist())
    where.take(BarQuery("GBPUSD", [row], "", ""), FEATURES)
    save(where)
    assert sorted(path.name for path in (tmp_path / "observe").glob("*.json")) == ["GBPUSD.json"]


def test_the_report_says_what_to_send(tmp_path: Path) -> None:
    """After a restart the last bar and the age on disk are known before the first request."""
    models = tmp_path / "models"
    write_observed(models, names=("bias", "mid_logret_5m"))
    bars = market(10)
    settings = {"observe_dir": tmp_path / "observe"}
    app = observing(models, bars, **settings)
    call(app, "/ml/observe", body(bars[:4]))
    app.state.observer.close()
    again = observing(models, bars, **settings)
    (found,) = call(again, "/ml/observe").json()["symbols"]
    assert found["last_ts"] == "2026-01-01T00:03:00Z"
    assert (found["bars"], found["warm"], found["minutes_missing"]) == (4, False, 2)
    assert isinstance(found["saved_age_s"], float)


def test_another_servers_files_are_left_alone(tmp_path: Path) -> None:
    """A server that does not own the folder sets nothing aside."""
    bars = market(5)
    first = observer(tmp_path, bars[-1, TS] + 60)
    send(first, bars)
    save(first)
    path = tmp_path / "observe" / "EURUSD.json"
    path.write_bytes(b"{")
    second = observer(tmp_path, bars[-1, TS] + 60)
    assert (second.report(None).symbols, path.exists()) == ([], True)


def ask(url: str, sent: bytes | None = None) -> dict[str, Any]:
    """One request to a real server."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        headers = {"Content-Type": "application/json"}
        connection.request("GET" if sent is None else "POST", "/ml/observe", sent, headers)
        found: dict[str, Any] = json.load(connection.getresponse())
    return found


@pytest.mark.server
def test_killed_and_started_again(tmp_path: Path) -> None:
    """Killed between two saves: the bars since are sent again, and the answers are the same."""
    models = tmp_path / "artifacts" / "models"
    chosen = write_observed(models, names=("bias", "mid_logret_5m", "realised_vol_60m"))
    bars = market(150, keep=np.arange(150) % 37 != 5)
    environ = {"MLWB_OBSERVE_MAX_AGE_S": "0", "MLWB_OBSERVE_SAVE_S": "0.05", "MLWB_DRAIN_S": "0"}
    environ["MLWB_OBSERVE_AHEAD_S"] = "1e10"
    ready, saved = tmp_path / "ready.json", tmp_path / "artifacts" / "observe" / "EURUSD.json"
    process = start(models, ready, environ)
    try:
        url = f"http://127.0.0.1:{wait_ready(process, ready)['port']}"
        ask(url, body(bars[:100]))
        while not saved.exists():
            assert process.poll() is None
        os.kill(process.pid, signal.SIGSTOP)  # no save between here and the kill
        kept = saved.read_bytes()
    finally:
        process.kill()
        process.communicate()
    assert saved.read_bytes() == kept
    ready.unlink()
    expected = compute(chosen, bars)
    with server(models, tmp_path, **environ) as again:
        last = ask(again.url)["symbols"][0]["last_ts"]
        assert datetime.fromisoformat(last).timestamp() == bars[99, TS]
        for place in range(99, len(bars)):
            answer = ask(again.url, body(bars[place : place + 1]))
            assert same_bits(np.array(served(answer)), expected[place])
    ready.unlink()
    with server(models, tmp_path, **environ) as third:  # stopped in order: nothing is missing
        with PredictClient(third.url) as client:
            found = client.observe("EURUSD", plain(bars[-1]))
        assert (found.source, found.features) == ("model", answer["features"])


def test_the_clock_of_the_kit() -> None:
    """It stands where the last bar closes."""
    bars = market(3)
    assert clock_after(bars).now().timestamp() == bars[-1, TS] + 60.0
