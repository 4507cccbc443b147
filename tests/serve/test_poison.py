"""No poisoned input is ever scored: the whole list, on every route that takes numbers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import NAMES, add_reference, point, write_version
from tests.serve.asgi_kit import JSON, Reply, call
from tests.serve.observe_kit import body as bars_body
from tests.serve.observe_kit import market, observing, write_observed

ROW = [1.0, 0.01, 2.0, -0.5]
INFER = "/v2/models/mlwb/infer"
NOT_JSON = ("NaN", "Infinity", "-Infinity", "nan", "0x10", "1_000", "01", "+1", ".5", "1.", "")
NOT_A_NUMBER = ("null", "true", "false", '"0.25"', '""', '"NaN"', "[]", "[0.1]", "{}", '{"a":1}')
TOO_LARGE = ("1e400", "-1e400", "1e309", "9" * 400)
OUT_OF_RANGE = ("3.5e38", "-3.5e38", "1e308", "51", "-1e-300", str(2**53))


class Form(NamedTuple):
    """A body with a place for one value."""

    path: str
    text: str
    pointer: str


def _tensor(data: str, **more: Any) -> str:
    head = json.dumps({"name": "features", "shape": [1, 4], "datatype": "FP64", **more})
    return f'{{"inputs":[{head[:-1]},"data":{data}}}]}}'


def _each(value: str) -> str:
    tensors = [
        f'{{"name":"{name}","shape":[1],"datatype":"FP64","data":[{x}]}}'
        for name, x in zip(NAMES, [*map(str, ROW[:2]), value, str(ROW[3])], strict=True)
    ]
    return f'{{"inputs":[{",".join(tensors)}]}}'


_NAMED = '{"bias":1,"mid_logret_1m":0.01,"spread_bp":@,"rsi14_z":-0.5}'
_LISTED = "[1,0.01,@,-0.5]"
FORMS = [
    *(
        form
        for path in ("/ml/predict", "/ml/predict-with-shadow")
        for form in (
            Form(path, f'{{"features":{_NAMED}}}', "#/features/spread_bp"),
            Form(path, f'{{"features":{_LISTED}}}', "#/features/2"),
            Form(path, f'{{"rows":[[1,0.01,2,0],{_LISTED}]}}', "#/rows/1/2"),
        )
    ),
    Form(INFER, _tensor(_LISTED), "#/inputs/0/data/2"),
    Form(INFER, _tensor(f"[{_LISTED}]"), "#/inputs/0/data/"),
    Form(INFER, _tensor(_LISTED, datatype="FP32"), "#/inputs/0/data/2"),
    Form(INFER, _each("@"), "#/inputs/2/data/0"),
    Form(
        f"{INFER.removesuffix('infer')}versions/v1.0.0/infer", _tensor(_LISTED), "#/inputs/0/data/2"
    ),
]


@pytest.fixture(scope="module")
def with_reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`v1.0.0` with a reference behind `latest`; nobody writes there."""
    models = tmp_path_factory.mktemp("poison") / "models"
    add_reference(write_version(models, "v1.0.0"))
    point(models, "latest", "v1.0.0")
    return models


@pytest.fixture
def watched(with_reference: Path, tmp_path: Path) -> App:
    """A server that counts drift and keeps a log, so that nothing could be scored unseen."""
    return create_app(ServeSettings(with_reference, prediction_log=tmp_path / "p.jsonl"))


def _nothing_was_scored(app: App) -> None:
    state, metrics = app.state, app.state.metrics
    assert sum(metrics.score.counts) == sum(metrics.latency_ms.counts) == 0
    assert {status for _, status in metrics.requests} <= {"client_error"}
    assert len(state.window.copy().rows) == 0
    assert state.log is None or state.log.waiting == 0
    assert state.drift.gauges.rows == 0


def _is_refused(reply: Reply, pointer: str) -> None:
    assert 400 <= reply.status < 500, reply.body
    found = reply.json()
    said = found["error"] if "error" in found else found.get("errors", [{}])[0].get("pointer", "")
    assert pointer in said, reply.body


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.path}:{form.pointer}")
def test_the_form_itself_is_scored(watched: App, form: Form) -> None:
    """With a plausible number in that place each of these bodies is answered."""
    assert call(watched, form.path, form.text.replace("@", "2.0").encode()).status == 200
    assert sum(watched.state.metrics.score.counts) >= 1


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.path}:{form.pointer}")
def test_no_poisoned_value_is_scored(watched: App, form: Form) -> None:
    """4xx with the place for anything that is no plausible number, in every form."""
    for poison in (*NOT_A_NUMBER, *TOO_LARGE, *OUT_OF_RANGE):
        if "FP32" in form.text and poison == "-1e-300":
            continue  # zero, there
        reply = call(watched, form.path, form.text.replace("@", poison).encode())
        # What is too large for a number is refused before its place is known.
        exact = form.pointer if poison in OUT_OF_RANGE else form.pointer.rpartition("/")[0]
        _is_refused(reply, "" if poison in TOO_LARGE else exact)
        assert len(poison) < 6 or poison.encode() not in reply.body
    for poison in NOT_JSON:
        assert call(watched, form.path, form.text.replace("@", poison).encode()).status in (
            400,
            422,
        )
    _nothing_was_scored(watched)


@pytest.mark.parametrize("path", ["/ml/predict", "/ml/predict-with-shadow"])
@pytest.mark.parametrize(
    ("features", "pointer"),
    [
        (dict.fromkeys(NAMES[:3], 0.0), "#/features/"),
        ({**dict(zip(NAMES, ROW, strict=True)), "extra": 0.0}, "#/features"),
        ({name.upper(): x for name, x in zip(NAMES, ROW, strict=True)}, "#/features"),
        (ROW[:3], "#/features"),
        ([*ROW, 0.0], "#/features"),
        ([*ROW[1:], ROW[0]], "#/features/0"),
        ([], "#/features"),
        ("text", "#/features"),
        (None, "#/features"),
    ],
)
def test_no_other_set_of_features_is_scored(
    watched: App, path: str, features: Any, pointer: str
) -> None:
    """Missing, unknown, too few, too many, in another order."""
    _is_refused(call(watched, path, json.dumps({"features": features}).encode()), pointer)
    _nothing_was_scored(watched)


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/ml/predict", {"features": ROW, "schema_crc32": "00000000"}, "#/schema_crc32"),
        ("/ml/predict-with-shadow", {"rows": [ROW], "schema_crc32": "00000000"}, "#/schema_crc32"),
        (
            INFER,
            {**json.loads(_tensor(json.dumps(ROW))), "parameters": {"schema_crc32": "00000000"}},
            "#/parameters/schema_crc32",
        ),
    ],
)
def test_no_other_schema_is_scored(
    watched: App, path: str, body: dict[str, Any], pointer: str
) -> None:
    """A client built for other features is told so, however well its numbers fit."""
    _is_refused(call(watched, path, json.dumps(body).encode()), pointer)
    _nothing_was_scored(watched)


@pytest.mark.parametrize("datatype", ["FP64", "FP32"])
@pytest.mark.parametrize(
    "bits", [float("nan"), float("inf"), -float("inf"), 51.0, 3.0e38, -1e-30, "signalling"]
)
def test_no_poisoned_bits_are_scored(watched: App, datatype: str, bits: Any) -> None:
    """Binary tensors hold any pattern of bits; the same ranges stand before the model."""
    kind = {"FP64": "<f8", "FP32": "<f4"}[datatype]
    values = np.array(ROW, dtype=kind)
    if bits == "signalling":
        values.view({"FP64": "<u8", "FP32": "<u4"}[datatype])[2] = {
            "FP64": 0x7FF0000000000001,
            "FP32": 0x7F800001,
        }[datatype]
    else:
        values[2] = bits
    raw = values.tobytes()
    tensor = {"name": "features", "shape": [1, 4], "datatype": datatype}
    text = json.dumps(
        {"inputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}]}
    ).encode()
    header = (b"inference-header-content-length", b"%d" % len(text))
    _is_refused(call(watched, INFER, text + raw, headers=[JSON, header]), "#/inputs/0/data/2")
    _nothing_was_scored(watched)


def test_the_same_bits_are_scored_when_they_are_plausible(watched: App) -> None:
    """The control of the test above."""
    raw = struct.pack("<4d", *ROW)
    tensor = {"name": "features", "shape": [1, 4], "datatype": "FP64"}
    text = json.dumps(
        {"inputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}]}
    ).encode()
    header = (b"inference-header-content-length", b"%d" % len(text))
    assert call(watched, INFER, text + raw, headers=[JSON, header]).status == 200


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume", "bid", "ask"])
def test_no_poisoned_bar_is_observed(tmp_path: Path, field: str) -> None:
    """Raw bars: refused with the place, and the symbol is as if they had never been sent."""
    models, bars = tmp_path / "models", market(2)
    write_observed(models)
    app = observing(models, bars)
    text = json.loads(bars_body(bars[:1]))
    text["bar"][field] = "@"
    body = json.dumps(text)
    for poison in (*NOT_A_NUMBER, *TOO_LARGE, "-1.0", "1e19"):
        reply = call(app, "/ml/observe", body.replace('"@"', poison).encode())
        _is_refused(reply, "" if poison in TOO_LARGE else "#/bar/")
    for poison in NOT_JSON:
        assert call(app, "/ml/observe", body.replace('"@"', poison).encode()).status in (400, 422)
    _nothing_was_scored(app)
    assert call(app, "/ml/observe").json()["symbols"] == []
