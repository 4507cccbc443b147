"""Raw bars in, features and a score out: the same bits as batch, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlwb.core.bars import ASK, BID, CLOSE, TS, VOLUME
from mlwb.core.featurelog import read_features
from mlwb.core.predictionlog import read_predictions
from mlwb.features import spec_digest, specs
from mlwb.features.batch import compute
from mlwb.inference import FeatureField, schema_crc32
from mlwb.serve import App
from tests.inference.version_kit import logistic, point, sidecar_for, write_version
from tests.serve.asgi_kit import Reply, call, request, running
from tests.serve.observe_kit import (
    FEATURES,
    body,
    clock_after,
    market,
    observing,
    plain,
    served,
    write_observed,
)
from tests.strategies import same_bits

N = 1_100
"""Minutes: `rsi14_z` is warm after a thousand."""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder for versions."""
    return tmp_path / "artifacts" / "models"


def send(app: App, bars: Any, symbol: str = "EURUSD", **more: Any) -> Reply:
    """One request."""
    return call(app, "/ml/observe", body(bars, symbol, **more))


def test_features_are_those_of_batch(models: Path) -> None:
    """Bar by bar, with fields and minutes missing: the bits that training computes."""
    chosen = write_observed(models)
    rng = np.random.default_rng(3)
    bars = market(N, keep=rng.random(N) > 0.03, holes=0.02)
    app = observing(models, bars, body_limit=1 << 20)
    assert send(app, bars[:1000]).status == 200
    expected, answers = compute(chosen, bars), list[Any]()

    async def tell() -> None:
        answers.extend(
            [(await request(app, "/ml/observe", body([bar]))).json() for bar in bars[1000:]]
        )

    asyncio.run(tell())
    assert same_bits(expected[1000:], np.array([served(answer) for answer in answers]))
    ready = [answer for answer in answers if answer["ready"]]
    assert 0 < len(ready) < len(answers)
    assert all((answer["score"] is not None) is answer["ready"] for answer in answers)
    assert [answer["ts"] for answer in answers] == [plain(bar)["ts"] for bar in bars[1000:]]


def test_a_ready_bar_is_scored_like_any_row(models: Path) -> None:
    """The model's score of these features, the version and the checksum with it."""
    write_observed(models)
    bars = market(N)
    app = observing(models, bars, body_limit=1 << 20)
    answer = send(app, bars[:1002], request_id="mine").json()
    assert (answer["ready"], answer["reason"], answer["fields"]) == (True, "", [])
    assert (answer["request_id"], answer["symbol"]) == ("mine", "EURUSD")
    assert list(answer["features"]) == list(FEATURES)
    again = call(app, "/ml/predict", json.dumps({"features": answer["features"]}).encode()).json()
    assert answer["score"] == again["score"]
    assert answer["model_version"] == again["model_version"]
    live = app.state.champion.live
    assert live is not None
    assert answer["schema_crc32"] == live.schema_crc32


def test_it_warms_up_and_says_how_long(models: Path) -> None:
    """Not scored before the longest look-back, and the minutes missing count down to it."""
    write_observed(models, names=("bias", "mid_logret_5m"))
    bars = market(8)
    app = observing(models, bars)
    answers = [send(app, bars[i : i + 1]).json() for i in range(8)]
    assert [answer["minutes_missing"] for answer in answers] == [5, 4, 3, 2, 1, 0, 0, 0]
    assert [answer["reason"] for answer in answers] == ["warming"] * 5 + [""] * 3
    assert answers[0]["features"] == {"bias": 1.0, "mid_logret_5m": None}
    assert [answer["score"] is None for answer in answers] == [True] * 5 + [False] * 3


def test_a_missing_minute_is_a_gap(models: Path) -> None:
    """The features that need it are named; the others go on."""
    write_observed(models, names=("bias", "mid_logret_5m"))
    bars = np.delete(market(20), 10, axis=0)
    app = observing(models, bars)
    answer = send(app, bars[:15]).json()
    assert (answer["ready"], answer["reason"], answer["fields"]) == (
        False,
        "gap",
        ["mid_logret_5m"],
    )
    assert send(app, bars[15:16]).json()["ready"]


def test_a_field_that_is_not_sent_is_unknown(models: Path) -> None:
    """A bar without quotes has no quoted spread; nothing is made up for it."""
    write_observed(models, names=("bias", "spread_bp"))
    bars = market(2)
    bars[1, [BID, ASK]] = np.nan
    app = observing(models, bars)
    assert send(app, bars[:1]).json()["ready"]
    answer = send(app, bars[1:]).json()
    assert (answer["reason"], answer["fields"], answer["score"]) == ("unknown", ["spread_bp"], None)


def test_a_market_without_quotes_goes_by_the_close(models: Path) -> None:
    """Trained without quotes, the middle is the close, also where a client sends quotes."""
    names = ("bias", "spread_bp", "mid_logret_1m")
    chosen = write_observed(models, names=names, spread="estimated")
    bars = market(70)
    bars[:, CLOSE] = bars[:, CLOSE] + 0.01
    bars[:, 3] += 0.01
    app = observing(models, bars)
    found = served(send(app, bars).json())
    as_trained = bars.copy()
    as_trained[:, 1] = bars[:, CLOSE]
    assert same_bits(compute(chosen, as_trained)[-1], np.array(found))


def test_out_of_range_is_not_scored(models: Path) -> None:
    """A value the model was not trained for is named, and the bar not scored."""
    write_observed(models, names=("bias", "vol1m_log"), low=-2.0, high=2.0)
    bars = market(1)
    bars[0, VOLUME] = 1e6
    answer = send(observing(models, bars), bars).json()
    assert (answer["reason"], answer["fields"], answer["score"]) == (
        "out_of_range",
        ["vol1m_log"],
        None,
    )


def test_an_old_bar_is_taken_in_but_not_scored(models: Path) -> None:
    """A feed that lags warms the state and trades on nothing."""
    write_observed(models, names=("bias",))
    bars = market(400)
    app = observing(models, bars, observe_max_age_s=300.0)
    answer = send(app, bars[:1]).json()
    assert (answer["reason"], answer["score"]) == ("stale", None)
    edge = len(bars) - 6  # closed exactly 300 s before the last one did
    assert send(app, bars[edge : edge + 1]).json()["ready"]


def test_a_bar_that_has_not_closed_is_refused(models: Path) -> None:
    """Nothing of the request is taken in."""
    write_observed(models, names=("bias",))
    bars = market(3)
    app = observing(models, bars[:1], observe_ahead_s=5.0)
    reply = send(app, bars[:2])
    assert (reply.status, reply.json()["code"]) == (422, "invalid_input")
    assert reply.json()["errors"][0]["pointer"] == "#/bars/1/ts"
    assert call(app, "/ml/observe").json()["symbols"] == []
    assert send(app, bars[:1]).status == 200
    late = observing(models, bars[:1], observe_ahead_s=60.0)
    assert send(late, bars[:2]).status == 200


def test_the_same_bar_again_is_the_same_answer(models: Path, tmp_path: Path) -> None:
    """Sent twice, answered alike, counted and logged as a row once."""
    write_observed(models, names=("bias", "spread_bp"))
    bars = market(3)
    logs = {"feature_log": tmp_path / "f.jsonl", "prediction_log": tmp_path / "p.jsonl"}
    app = observing(models, bars, **logs)

    async def twice() -> list[Any]:
        async with running(app):
            sent = [body(bars), body(bars[2:]), body(bars)]
            return [
                (await request(app, "/ml/observe", each, headers=headers)).json() for each in sent
            ]

    headers = [(b"content-type", b"application/json"), (b"x-request-id", b"a")]
    first, second, third = asyncio.run(twice())
    assert first == second == third
    assert first["ready"]
    assert app.state.observer.bars == 3
    (line,) = read_features(tmp_path / "f.jsonl")
    assert same_bits(np.array(line.values), np.array(served(first)))
    assert (line.symbol, line.route) == ("EURUSD", "/ml/observe")
    assert line.ts.timestamp() == bars[2, TS]
    assert len(list(read_predictions(tmp_path / "p.jsonl"))) == 3


def test_bars_sent_again_are_recognised(models: Path) -> None:
    """A catch-up that overlaps is no error: what is known is skipped, what is new taken in."""
    chosen = write_observed(models, names=("bias", "mid_logret_5m"))
    bars = market(30)
    app = observing(models, bars)
    send(app, bars[:20])
    answer = send(app, bars[5:10]).json()
    assert (answer["reason"], answer["features"], answer["score"]) == (
        "observed_before",
        None,
        None,
    )
    found = served(send(app, bars[10:25]).json())
    assert same_bits(compute(chosen, bars)[24], np.array(found))
    assert app.state.observer.bars == 25


@pytest.mark.parametrize("which", ["last", "earlier"])
def test_another_bar_for_a_known_minute_is_refused(models: Path, which: str) -> None:
    """History is not rewritten; the refusal says where it stands, and the state stays."""
    write_observed(models, names=("bias",))
    bars = market(5)
    app = observing(models, bars)
    send(app, bars)
    place = {"last": 4, "earlier": 2}[which]
    other = bars[place : place + 1].copy()
    other[0, CLOSE] = other[0, 4]
    reply = send(app, other)
    assert (reply.status, reply.json()["code"]) == (409, "bar_conflict")
    assert plain(bars[4])["ts"] in reply.json()["detail"]
    assert send(app, bars[4:]).json()["ready"]


def test_a_bar_before_the_last_that_was_not_seen_is_refused(models: Path) -> None:
    """A minute cannot be filled in afterwards: what was answered since would be another."""
    write_observed(models, names=("bias",))
    bars = market(5)
    app = observing(models, bars)
    send(app, bars[[0, 1, 4]])
    reply = send(app, bars[3:4])
    assert (reply.status, reply.json()["code"]) == (409, "bar_out_of_order")
    assert plain(bars[4])["ts"] in reply.json()["detail"]


def bar_with(**changes: Any) -> bytes:
    """A good bar with some of its fields otherwise; None leaves one out."""
    fields = {**plain(market(1)[0]), **changes}
    fields = {name: x for name, x in fields.items() if x is not None}
    return json.dumps({"symbol": "EURUSD", "bar": fields}).encode()


def raw(name: str, text: str) -> bytes:
    """A good bar with the text of one value replaced."""
    return bar_with(**{name: 123456789}).replace(b"123456789", text.encode())


POISON: dict[str, tuple[bytes, str]] = {
    "nan": (raw("close", "NaN"), ""),
    "infinity": (raw("close", "Infinity"), ""),
    "beyond float": (raw("close", "1e400"), "#/bar/close"),
    "huge": (raw("close", "1e16"), "#/bar/close"),
    "bool": (raw("close", "true"), "#/bar/close"),
    "text": (raw("close", '"1.1"'), "#/bar/close"),
    "null": (raw("close", "null"), "#/bar/close"),
    "list": (raw("close", "[1]"), "#/bar/close"),
    "zero price": (bar_with(low=0.0), "#/bar/low"),
    "negative price": (bar_with(low=-1.0), "#/bar/low"),
    "negative volume": (bar_with(volume=-1.0), "#/bar/volume"),
    "negative size": (bar_with(bid_size=-1.0), "#/bar/bid_size"),
    "high below low": (bar_with(high=1.0, low=2.0), "#/bar/low"),
    "close above high": (bar_with(close=1e9), "#/bar/close"),
    "open below low": (bar_with(open=1e-9), "#/bar/open"),
    "missing price": (bar_with(open=None), "#/bar/open"),
    "missing ts": (bar_with(ts=None), "#/bar/ts"),
    "unknown field": (bar_with(mid=1.0), "#/bar"),
    "epoch": (bar_with(ts=1767225600), "#/bar/ts"),
    "seconds": (bar_with(ts="2026-01-01T00:00:01Z"), "#/bar/ts"),
    "offset": (bar_with(ts="2026-01-01T00:00:00+00:00"), "#/bar/ts"),
    "no zone": (bar_with(ts="2026-01-01T00:00:00"), "#/bar/ts"),
    "no such day": (bar_with(ts="2026-02-30T00:00:00Z"), "#/bar/ts"),
    "before 1970": (bar_with(ts="1969-12-31T23:59:00Z"), "#/bar/ts"),
    "next century": (bar_with(ts="2126-01-01T00:00:00Z"), "#/bar/ts"),
    "no symbol": (b'{"bar": {}}', ""),
    "path for a symbol": (b'{"symbol": "../x", "bar": {}}', "#/symbol"),
    "no bars": (b'{"symbol": "EURUSD", "bars": []}', "#/bars"),
    "neither": (b'{"symbol": "EURUSD"}', ""),
    "both": (
        bar_with()[:-1] + b', "bars": [' + json.dumps(plain(market(1)[0])).encode() + b"]}",
        "",
    ),
    "twice": (bar_with().replace(b'"close"', b'"close": 1.0, "close"'), ""),
    "not json": (b"{", ""),
    "a list": (b"[]", ""),
    "another schema": (bar_with()[:-1] + b', "schema_crc32": "00000000"}', "#/schema_crc32"),
}


@pytest.mark.parametrize("name", POISON)
def test_nothing_implausible_is_taken_in(models: Path, name: str) -> None:
    """Refused with the place it stands at, nothing of it in the answer, nothing observed."""
    write_observed(models, names=("bias",))
    app = observing(models, market(1))
    sent, pointer = POISON[name]
    reply = call(app, "/ml/observe", sent)
    assert reply.status in (400, 422), reply.body
    found = reply.json()
    assert found["status"] == reply.status
    if pointer:
        assert found["errors"][0]["pointer"] == pointer
    assert call(app, "/ml/observe").json()["symbols"] == []
    assert send(app, market(1)).json()["ready"]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ts", "2026-01-01 00:00", "as 2026-01-01T00:00:00Z"),
        ("ts", "2026-01-01T00:00:30Z", "on the minute"),
        ("symbol", "BTC/USDT", "1 to 32 of A-Z a-z 0-9 . _ -"),
        ("request_id", "a b", "1 to 64 of A-Z a-z 0-9 . _ -"),
        ("schema_crc32", "CAFE", "eight digits"),
    ],
)
def test_a_wrong_form_is_told_the_right_one(
    models: Path, name: str, value: str, shown: str
) -> None:
    """The spellings people try first are answered with the one that is taken."""
    write_observed(models, names=("bias",))
    app = observing(models, market(1))
    body = json.loads(bar_with())
    (body["bar"] if name == "ts" else body)[name] = value
    assert shown in call(app, "/ml/observe", json.dumps(body).encode()).json()["detail"]


def test_bars_must_be_in_order(models: Path) -> None:
    """Within a request too; the pointer names the first that is not, and none is taken in."""
    write_observed(models, names=("bias",))
    bars = market(5)
    app = observing(models, bars)
    for order in ([0, 2, 1], [0, 0]):
        reply = send(app, bars[order])
        assert reply.status == 422
        assert reply.json()["errors"][0]["pointer"] == f"#/bars/{len(order) - 1}/ts"
    assert call(app, "/ml/observe").json()["symbols"] == []
    assert "\nml_observe_symbols " not in call(app, "/ml/metrics").body.decode()


def test_a_request_holds_so_many_bars(models: Path) -> None:
    """One more than `max_rows` is refused."""
    write_observed(models, names=("bias",))
    bars = market(5)
    app = observing(models, bars, max_rows=4)
    assert send(app, bars).json()["errors"][0]["pointer"] == "#/bars"
    assert send(app, bars[:4]).status == 200


def test_symbols_do_not_touch_each_other(models: Path) -> None:
    """Each has bars and features of its own."""
    chosen = write_observed(models, names=("mid_logret_1m", "vol1m_log"))
    left, right = market(10, seed=1), market(10, seed=2)
    app = observing(models, left)
    for i in range(10):
        a = served(send(app, left[i : i + 1], "AAA").json())
        b = served(send(app, right[i : i + 1], "BBB").json())
    assert same_bits(np.array([a, b]), np.array([compute(chosen, x)[-1] for x in (left, right)]))


def test_symbols_are_bounded(models: Path) -> None:
    """One too many is refused; one that was silent for as long as bars count gives way."""
    write_observed(models, names=("bias",))
    bars = market(2)
    clock = clock_after(bars)
    app = observing(models, bars, observe_symbols=2)
    app.state.observer._clock = clock
    assert [send(app, bars[:1], name).status for name in ("A", "B")] == [200, 200]
    reply = send(app, bars[:1], "C")
    assert (reply.status, reply.json()["code"]) == (409, "too_many_symbols")
    clock.advance(86_000)
    send(app, bars[1:], "A")
    clock.advance(500)
    assert send(app, bars[:1], "C").status == 200
    assert [each["symbol"] for each in call(app, "/ml/observe").json()["symbols"]] == ["A", "C"]


def test_features_of_another_code_are_not_served(models: Path) -> None:
    """Refused by observe alone, with the reason where one looks for it; predict goes on."""
    write_observed(models, names=("bias", "spread_bp"), digest="sha256:" + "1" * 64)
    app = observing(models, market(1))
    reply = send(app, market(1))
    assert (reply.status, reply.json()["code"]) == (503, "observe_off")
    found = call(app, "/ml/observe").json()
    assert (found["ready"], found["reason"]) == (False, "feature_digest")
    assert call(app, "/ml/predict", b'{"features": [1.0, 1.0]}').status == 200
    assert call(app, "/ml/health/ready").status == 200


def test_the_estimate_is_not_the_quoted_spread(models: Path) -> None:
    """A model that says it was trained on quotes, with the digest of the estimate: not served."""
    chosen = specs(["spread_bp"], quoted=False)
    write_observed(models, names=("spread_bp",), digest=spec_digest(chosen))
    app = observing(models, market(1))
    assert call(app, "/ml/observe").json()["reason"] == "feature_digest"


def test_several_workers_do_not_observe(models: Path) -> None:
    """The state of a symbol lives in one process; the refusal says so."""
    write_observed(models, names=("bias",))
    reply = send(observing(models, market(1), workers=2), market(1))
    assert (reply.status, reply.json()["code"]) == (503, "observe_off")
    assert "one worker" in reply.json()["detail"]


def test_features_nobody_knows_are_not_served(models: Path) -> None:
    """A model of features that are in no module named."""
    fields = (FeatureField("mine", "1", "float64", 0.0, 1.0),)
    sidecar = replace(
        sidecar_for("v1", ["mine"]), features=fields, schema_crc32=schema_crc32(fields)
    )
    write_version(models, "v1", weights=(1.0,), sidecar=sidecar)
    point(models, "latest", "v1")
    app = observing(models, market(1))
    assert send(app, market(1)).json()["code"] == "observe_off"
    assert call(app, "/ml/observe").json()["reason"] == "unknown_features"


OWN = '''
from mlwb.core.bars import CLOSE, OPEN
from mlwb.features import FeatureSpec


def body_move(state, bar):
    """Close less open."""
    return bar[CLOSE] - bar[OPEN]


FEATURES = (FeatureSpec("body_move", "1", body_move, (0.0,), 0, ("open", "close"), "ours"),)
'''


def test_features_of_ones_own(models: Path, tmp_path: Path) -> None:
    """Named by the setting that training has too; a module that is gone stops observing only."""
    own = tmp_path / "own_observed.py"
    own.write_text(OWN)
    chosen = write_observed(models, names=("bias", "body_move"), modules=[str(own)])
    bars = market(3)
    app = observing(models, bars, feature_modules=f" {own} ")
    assert same_bits(compute(chosen, bars)[-1], np.array(served(send(app, bars).json())))
    without = observing(models, bars, feature_modules=str(tmp_path / "gone.py"))
    assert send(without, bars).json()["code"] == "observe_off"
    assert call(without, "/ml/observe").json()["reason"] == "feature_modules"
    assert call(without, "/ml/health/ready").status == 200


def test_another_model_is_warm_at_once(models: Path) -> None:
    """After a reload the new features are computed over the bars that are kept."""
    write_observed(models, "v1", names=("bias", "mid_logret_1m"))
    bars = market(1_600)
    app = observing(models, bars, body_limit=1 << 20, max_rows=2_000)
    send(app, bars[:1_599])
    chosen = write_observed(models, "v2", names=("zscore_mid_24h", "realised_vol_60m", "rsi14_z"))
    app.state.refresh()
    answer = send(app, bars[1_599:]).json()
    assert (answer["model_version"], answer["ready"]) == ("v2", True)
    assert same_bits(compute(chosen, bars)[-1], np.array(served(answer)))


def test_memory_is_bounded(models: Path) -> None:
    """A day of bars and an hour, however long a symbol is observed."""
    write_observed(models, names=("bias",))
    bars = market(4_000)
    app = observing(models, bars, body_limit=1 << 20, max_rows=4_000)
    send(app, bars)
    (found,) = call(app, "/ml/observe").json()["symbols"]
    assert 1_441 <= found["bars"] <= 1_501
    assert (found["warm"], found["minutes_missing"]) == (True, 0)
    assert found["last_ts"] == plain(bars[-1])["ts"]


@pytest.mark.parametrize("why", ["killed", "no_model"])
def test_what_stops_predictions_stops_observing(models: Path, why: str) -> None:
    """The same word, and nothing is taken in."""
    if why == "killed":
        write_observed(models, names=("bias",))
    app = observing(models, market(1), killed=why == "killed")
    reply = send(app, market(1))
    assert (reply.status, reply.json()["code"]) == (503, why)
    assert app.state.observer.bars == 0


def test_a_method_it_has_not(models: Path) -> None:
    """405, as for any route."""
    write_observed(models, names=("bias",))
    app = observing(models, market(1))
    assert call(app, "/ml/observe", b"{}", method="PUT").status == 405


def test_scores_are_counted_as_any(models: Path) -> None:
    """Requests, latency and scores; a bar that is not scored is a request only."""
    write_observed(models, names=("bias", "mid_logret_1m"))
    bars = market(3)
    app = observing(models, bars)
    for i in range(3):
        send(app, bars[i : i + 1])
    send(app, bars[:0:-1])
    text = call(app, "/ml/metrics").body.decode()
    assert 'ml_predict_requests_total{model_version="v1.0.0",status="success"} 3' in text
    assert 'ml_predict_requests_total{model_version="v1.0.0",status="client_error"} 1' in text
    assert "ml_prediction_score_count 2" in text
    assert "ml_observe_bars_total 3" in text
    assert "ml_observe_symbols 1" in text


def test_predicted_rows_are_sampled(models: Path, tmp_path: Path) -> None:
    """The share asked for, none by default, exact to the bit and without the caller's ids."""
    write_observed(models, names=("bias", "mid_logret_1m"))
    rows = [[1.0, 0.1 * i] for i in range(400)]
    for share, low, high in ((0.0, 0, 0), (0.5, 140, 260), (1.0, 400, 400)):
        path = tmp_path / f"{share}.jsonl"
        app = observing(models, market(1), feature_log=path, feature_log_share=share)

        async def ask(app: App = app) -> Reply:
            async with running(app):
                sent = json.dumps({"rows": rows, "request_id": "secret"}).encode()
                return await request(app, "/ml/predict", sent)

        assert asyncio.run(ask()).status == 200
        lines = list(read_features(path))
        assert low <= len(lines) <= high
        assert {line.values for line in lines} <= {tuple(row) for row in rows}
        assert not path.exists() or b"secret" not in path.read_bytes()


def test_scores_are_the_models(models: Path) -> None:
    """By numpy alone, from the features of the answer."""
    write_observed(models, names=("bias", "mid_logret_1m"))
    bars = market(2)
    answer = send(observing(models, bars), bars).json()
    expected = logistic(np.array([served(answer)]), [0.1e-9, 1.5e-9])[0]
    assert math.isclose(answer["score"], expected, rel_tol=0.0, abs_tol=1e-12)
