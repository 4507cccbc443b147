"""Nothing the candidate does reaches an answer: byte for byte, whatever is asked, in any order."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve._predict import PREDICT_ENDPOINTS
from tests.inference.version_kit import point, sidecar_for, write_version
from tests.serve.asgi_kit import JSON, Reply, request

ROUTES = tuple(endpoint.path for endpoint in PREDICT_ENDPOINTS)
INFER, OBSERVE = "/v2/models/mlwb/infer", "/ml/observe"
_PRICES = ("open", "high", "low", "close")
NAMES = ("bias", "mid_logret_1m", "spread_bp", "rsi14_z")
FAR = (0.9, -1.0, 0.2, 0.1)

_values = st.tuples(
    st.just(1.0), st.floats(-0.5, 0.5), st.floats(0.0, 50.0), st.floats(-2.0, 2.0)
).map(list)
_wrong = st.sampled_from(
    [b"", b"{", b"[]", b'{"features":[1,NaN,2,0]}', b'{"features":[1,0,1e400,0]}', b'{"rows":[]}',
     b'{"features":[1,0,2]}', b'{"features":[1,0,2,true]}',
     b'{"features":[1,0,2,0],"schema_crc32":"00000000"}']
)  # fmt: skip
_bodies = st.one_of(
    _values.map(lambda row: json.dumps({"features": row}).encode()),
    _values.map(lambda row: json.dumps({"features": dict(zip(NAMES, row, strict=True))}).encode()),
    st.lists(_values, min_size=1, max_size=5).map(lambda rows: json.dumps({"rows": rows}).encode()),
    _wrong,
)
_tensors = st.lists(_values, min_size=1, max_size=3).map(
    lambda rows: json.dumps(
        {
            "inputs": [
                {"name": "features", "shape": [len(rows), 4], "datatype": "FP64", "data": rows}
            ]
        }
    ).encode()
)
_bars = st.integers(0, 59).map(
    lambda minute: json.dumps(
        {
            "symbol": "X",
            "bar": {"ts": f"2026-01-01T00:{minute:02d}:00Z", **dict.fromkeys(_PRICES, 1.5)},
        }
    ).encode()
)
_asked = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(ROUTES), _bodies),
        st.tuples(st.just(INFER), _tensors | _wrong),
        st.tuples(st.just(OBSERVE), _bars | _wrong),
    ),
    min_size=1,
    max_size=6,
)


class _Acting:
    """A candidate's predictor that does something before it scores."""

    def __init__(self, predictor: Any, act: Callable[[], None]) -> None:
        self.sidecar, self._predictor, self._act = predictor.sidecar, predictor, act

    def predict_row(self, values: Any) -> float:
        self._act()
        score: float = self._predictor.predict_row(values)
        return score

    def predict(self, rows: Any) -> Any:
        self._act()
        return self._predictor.predict(rows)


def _acting(app: App, act: Callable[[], None], cost_ms: float = 0.01) -> App:
    live = app.state.candidate.live
    assert live is not None
    predictor: Any = _Acting(live.predictor, act)
    app.state.candidate.live = dataclasses.replace(live, predictor=predictor, cost_ms=cost_ms)
    return app


def _fail() -> None:
    raise RuntimeError("candidate bug")


def _hang() -> None:
    threading.Event().wait()


class _Swapping:
    """Another candidate, none, and back, with every call."""

    def __init__(self, app: App, other: App) -> None:
        self.app = app
        self._turn = [app.state.candidate.live, other.state.candidate.live, None]

    def __call__(self) -> App:
        self._turn.append(self._turn.pop(0))
        self.app.state.candidate.live = self._turn[0]
        return self.app


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Callable[[], App]]]:
    """The same champion beside every kind of candidate; the first has none."""
    models = tmp_path_factory.mktemp("home") / "models"
    write_version(models, "v1.0.0")
    point(models, "latest", "v1.0.0")
    off = create_app(ServeSettings(models))
    write_version(models, "v2.0.0", weights=FAR)
    other_names = ("bias", "mid_logret_1m", "spread_bp", "vol1m_log")
    write_version(models, "v3.0.0", sidecar=sidecar_for("v3.0.0", other_names))
    write_version(models, "v4.0.0")
    (models / "v4.0.0" / "model.onnx").write_bytes(b"rotten")

    def made(candidate: str = "v2.0.0", **changes: Any) -> App:
        return create_app(ServeSettings(models, candidate=candidate, **changes))

    left_alone = made(shadow_pause_s=3600.0)
    left_alone.state.shadow.follow("v1.0.0", "v2.0.0", 0.01)
    for _ in range(100):
        left_alone.state.shadow.breaker.record(failed=True)
    everyone = {
        "good": made(),
        "same": made("v1.0.0"),
        "failing": _acting(made(), _fail),
        "slow on the loop": _acting(made(), lambda: time.sleep(0.0001)),
        "slow on its thread": _acting(made(), lambda: time.sleep(0.002), 5.0),
        "late": made(shadow_budget_ms=0.1),
        "dead": _acting(made(shadow_queue=2, shadow_budget_ms=2.0), _hang, 5.0),
        "of other features": made("v3.0.0"),
        "rotten": made("v4.0.0"),
        "left alone": left_alone,
    }
    found: dict[str, Callable[[], App]] = {"off": lambda: off}
    found.update({name: lambda app=app: app for name, app in everyone.items()})  # type: ignore[misc]
    found["swapped"] = _Swapping(made(), made("v3.0.0"))
    yield found
    for app in everyone.values():
        app._shadow.close()


async def _ask(app: Callable[[], App], asked: list[tuple[str, bytes]]) -> list[Reply]:
    headers = (JSON, (b"x-request-id", b"same"))
    replies = []
    for path, body in asked:
        asked_app = app()
        replies.append(await request(asked_app, path, body, headers=headers))
        await asyncio.sleep(0)
        asked_app.state.settle()
    return replies


@settings(max_examples=20, deadline=None)
@given(asked=_asked)
def test_every_answer_is_that_of_a_server_without_a_candidate(
    apps: dict[str, Callable[[], App]], asked: list[tuple[str, bytes]]
) -> None:
    """Status, headers, body; beside a good, slow, dead, missing, swapped, ... candidate."""
    replies = {name: asyncio.run(_ask(app, asked)) for name, app in apps.items()}
    expected = replies.pop("off")
    for name, found in replies.items():
        assert found == expected, name


@settings(max_examples=25, deadline=None)
@given(body=_bodies)
def test_both_routes_answer_with_the_same_bytes(
    apps: dict[str, Callable[[], App]], body: bytes
) -> None:
    """Being shadowed is not seen in an answer."""
    for name, app in apps.items():
        replies = asyncio.run(_ask(app, [(path, body) for path in ROUTES]))
        assert replies.count(replies[0]) == len(ROUTES), name


def test_the_variants_are_what_they_are_called(apps: dict[str, Callable[[], App]]) -> None:
    """After some traffic each has met its fault; otherwise the tests above prove nothing."""
    (app, *_) = apps.values()
    scoring = {e.path for e in app().endpoints if e.method == "POST" and e.handler is None}
    assert {*ROUTES, OBSERVE} == {path for path in scoring if not path.startswith("/v2/")}
    tensor = b'{"inputs":[{"name":"features","shape":[1,4],"datatype":"FP64","data":[1,0,2,0]}]}'
    assert asyncio.run(_ask(app, [(INFER, tensor)]))[0].status == 200
    body = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()
    path = "/ml/predict-with-shadow"
    for each in apps.values():
        asyncio.run(_ask(each, [(path, body)] * 4))
        time.sleep(0.005)
    metrics = {name: app().state.metrics for name, app in apps.items()}
    assert metrics["good"].mismatch >= 4
    assert metrics["same"].match >= 4
    for name in ("failing", "of other features"):
        assert metrics[name].errors >= 1
        assert metrics[name].success == 0
    assert metrics["slow on the loop"].success >= 1
    assert apps["dead"]().state.metrics.success == 0
    assert apps["rotten"]().state.candidate.live is None
    assert metrics["left alone"].skipped >= 4
    assert metrics["off"].success == metrics["off"].errors == metrics["off"].skipped == 0


class _Listening(uvicorn.Server):
    """Runs in a thread until told otherwise."""

    def install_signal_handlers(self) -> None:
        """None: this is not the main thread."""


@pytest.mark.server
def test_the_answer_is_on_the_wire_before_the_candidate_is_asked(models: Path) -> None:
    """Over a socket: the candidate does not return until the client has read its whole answer.

    It runs on the event loop here, so were the answer still to be sent, nobody would read it.
    """
    import http.client

    write_version(models, "v2.0.0", weights=FAR)
    answered, in_time = threading.Event(), list[bool]()
    app = create_app(ServeSettings(models, candidate="v2.0.0"))
    _acting(app, lambda: in_time.append(answered.wait(10)))
    config = uvicorn.Config(app, port=0, loop="uvloop", http="httptools", log_config=None)
    server = _Listening(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    body = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]})
    for turn in range(1, 4):
        answered.clear()
        connection.request(
            "POST", "/ml/predict-with-shadow", body, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        assert (answer.status, set(json.loads(answer.read()))) == (
            200,
            {"request_id", "model_version", "score"},
        )
        answered.set()
        while len(in_time) < turn and time.monotonic() < deadline + 10:
            time.sleep(0.001)
    connection.close()
    server.should_exit = True
    thread.join(10)
    assert in_time == [True] * 3
