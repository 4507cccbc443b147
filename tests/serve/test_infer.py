"""The Open Inference Protocol: metadata, tensors in both forms, refusals in its own words."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlwb.core.errors import ParamsError
from mlwb.core.predictionlog import read_predictions
from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import NAMES, WEIGHTS, logistic, point, rewrite, write_version
from tests.serve.asgi_kit import JSON, Reply, call
from tests.serve.server_kit import server

ROW = [1.0, 0.01, 2.0, -0.5]
ROWS = [ROW, [1.0, -0.25, 7.5, 1.0], [1.0, 0.5, 50.0, -2.0]]
SCORES = logistic(np.array(ROWS), WEIGHTS)
MODEL = "/v2/models/mlwb"
INFER = f"{MODEL}/infer"


def _whole(rows: Any = ROWS, **changes: Any) -> dict[str, Any]:
    shape = [len(rows), len(rows[0])]
    return {"name": "features", "shape": shape, "datatype": "FP64", "data": rows, **changes}


def _each(rows: list[list[float]], datatype: str = "FP64") -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": [len(rows)], "datatype": datatype, "data": list(column)}
        for name, column in zip(NAMES, zip(*rows, strict=True), strict=True)
    ]


def _infer(app: App, inputs: list[dict[str, Any]], path: str = INFER, **more: Any) -> Reply:
    return call(app, path, json.dumps({"inputs": inputs, **more}).encode())


def _scores(reply: Reply) -> list[float]:
    assert reply.status == 200, reply.body
    (output,) = reply.json()["outputs"]
    assert (output["name"], output["datatype"]) == ("probability", "FP64")
    assert output["shape"] == [len(output["data"])]
    found: list[float] = output["data"]
    return found


def _is_refusal(reply: Reply, status: int, words: str) -> None:
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json()) == {"error"}
    assert words in reply.json()["error"]


def test_the_server(app: App) -> None:
    """Name, version, the extension it speaks; alive and ready."""
    found = call(app, "/v2").json()
    assert (found["name"], found["extensions"]) == ("mlwb", ["binary_tensor_data"])
    assert call(app, "/v2/health/live").json() == {"live": True}
    reply = call(app, "/v2/health/ready")
    assert (reply.status, reply.json()) == (200, {"ready": True, "live": True})


@pytest.mark.parametrize("path", [MODEL, f"{MODEL}/versions/v1.0.0"])
def test_the_model(app: App, path: str) -> None:
    """Its version and tensors; ready."""
    assert call(app, path).json() == {
        "name": "mlwb",
        "versions": ["v1.0.0"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [{"name": "probability", "datatype": "FP64", "shape": [-1]}],
    }
    assert call(app, f"{path}/ready").json() == {"name": "mlwb", "ready": True}


def test_the_name_of_the_model(models: Path) -> None:
    """Is a setting, and must be one that fits into a path."""
    app = create_app(ServeSettings(models, model_name="btc-1m"))
    assert call(app, "/v2/models/btc-1m").json()["name"] == "btc-1m"
    assert _infer(app, [_whole()], "/v2/models/btc-1m/infer").json()["model_name"] == "btc-1m"
    _is_refusal(call(app, MODEL), 404, "no such model")
    with pytest.raises(ParamsError):
        ServeSettings(models, model_name="a/b")


@pytest.mark.parametrize("path", [INFER, f"{MODEL}/versions/v1.0.0/infer"])
@pytest.mark.parametrize(
    "inputs",
    [
        [_whole()],
        [_whole(data=[value for row in ROWS for value in row])],
        _each(ROWS),
        _each(ROWS)[::-1],
        [{**item, "shape": [3, 1]} for item in _each(ROWS)],
        [{**item, "shape": [3, 1], "data": [[v] for v in item["data"]]} for item in _each(ROWS)],
    ],
)
def test_rows_are_scored(app: App, path: str, inputs: list[dict[str, Any]]) -> None:
    """One tensor, nested or flat, or one for each feature in any order: numpy's logistic."""
    np.testing.assert_allclose(_scores(_infer(app, inputs, path)), SCORES, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_rows", [31, 32, 500])
def test_many_rows(app: App, n_rows: int) -> None:
    """Checked together they are scored as one by one, and the one that does not fit is named."""
    rng = np.random.default_rng(n_rows)
    rows = np.column_stack([np.ones(n_rows), rng.uniform(0.0, 0.5, (n_rows, 3))])
    expected = logistic(rows, WEIGHTS)
    np.testing.assert_allclose(_scores(_infer(app, [_whole(rows.tolist())])), expected, atol=1e-12)
    assert _scores(_post(app, *_binary(rows.tolist()))) == _scores(
        _infer(app, _each(rows.tolist()))
    )
    rows[n_rows - 1, 3] = 2.5
    _is_refusal(_infer(app, [_whole(rows.tolist())]), 400, f"#/inputs/0/data/{4 * n_rows - 1}")


def test_one_row_scores_as_predict_does(app: App) -> None:
    """Both surfaces share the scoring: the same bits."""
    predicted = call(app, "/ml/predict", json.dumps({"features": ROW}).encode()).json()["score"]
    assert _scores(_infer(app, [_whole([ROW])])) == [predicted]


@pytest.mark.parametrize("inputs", [[_whole(datatype="FP32")], _each(ROWS, "FP32")])
def test_single_precision(app: App, inputs: list[dict[str, Any]]) -> None:
    """FP32 values are rounded to FP32, whichever way they come."""
    rounded = np.array(ROWS, dtype=np.float32).astype(float)
    expected = logistic(rounded, WEIGHTS)
    np.testing.assert_allclose(_scores(_infer(app, inputs)), expected, rtol=0, atol=1e-12)


def test_a_limit_in_single_precision(models: Path) -> None:
    """A value on its feature's limit is answered in FP32 too, where the limit rounds outwards."""
    reply = call(create_app(ServeSettings(models)), "/ml/model/info").json()
    fields = reply["sidecar"]["features"]
    fields[1]["high"] = 0.1  # FP32 has 0.10000000149
    rewrite(models / "v1.0.0", "sidecar.json", {"features": fields})
    golden = {
        "rows": [[1.0, 0.1, 0.0, 0.0]],
        "scores": [float(logistic(np.array([[1, 0.1, 0, 0]]), WEIGHTS)[0])],
    }
    rewrite(models / "v1.0.0", "golden_predictions.json", golden)
    app = create_app(ServeSettings(models))
    on, above = [1.0, 0.1, 0.0, 0.0], [1.0, 0.1001, 0.0, 0.0]
    assert _scores(_infer(app, [_whole([on], datatype="FP32")])) == _scores(
        _infer(app, [_whole([on])])
    )
    _is_refusal(_infer(app, [_whole([above], datatype="FP32")]), 400, "#/inputs/0/data/1")


def test_the_id_comes_back(app: App) -> None:
    """In the answer only when it was given; in the header always."""
    reply = _infer(app, [_whole()], id="r-1")
    assert (reply.json()["id"], reply.headers["x-request-id"]) == ("r-1", "r-1")
    reply = call(
        app,
        INFER,
        json.dumps({"inputs": [_whole()]}).encode(),
        headers=[JSON, (b"x-request-id", b"h-1")],
    )
    assert "id" not in reply.json()
    assert reply.headers["x-request-id"] == "h-1"


def test_the_answer_names_its_model(app: App) -> None:
    """Version and feature schema: what a log needs to tell which model spoke."""
    info = call(app, "/ml/model/info").json()
    found = _infer(app, [_whole()], outputs=[{"name": "probability"}]).json()
    assert (found["model_name"], found["model_version"]) == ("mlwb", "v1.0.0")
    assert found["parameters"] == {"schema_crc32": info["sidecar"]["schema_crc32"]}


def test_parameters_of_other_servers_do_no_harm(app: App) -> None:
    """What a client adds by habit is not read."""
    parameters = {"priority": 1, "timeout": 5, "custom": "x"}
    assert len(_scores(_infer(app, [_whole()], parameters=parameters))) == 3


def _binary(rows: list[list[float]], datatype: str = "FP64", **more: Any) -> tuple[bytes, bytes]:
    raw = np.array(rows, dtype={"FP64": "<f8", "FP32": "<f4"}[datatype]).tobytes()
    tensor = _whole(rows, datatype=datatype, parameters={"binary_data_size": len(raw)})
    del tensor["data"]
    return json.dumps({"inputs": [tensor], **more}).encode(), raw


def _post(app: App, text: bytes, raw: bytes, length: bytes | None = None) -> Reply:
    header = (b"inference-header-content-length", b"%d" % len(text) if length is None else length)
    kind = (b"content-type", b"application/octet-stream")
    return call(app, INFER, text + raw, headers=[kind, header])


@pytest.mark.parametrize("datatype", ["FP64", "FP32"])
def test_binary_tensors(app: App, datatype: str) -> None:
    """Behind the JSON in, and out when asked; the numbers are those of the JSON form."""
    plain = _scores(_infer(app, [_whole(datatype=datatype)]))
    assert _scores(_post(app, *_binary(ROWS, datatype))) == plain
    reply = _post(app, *_binary(ROWS, datatype, parameters={"binary_data_output": True}))
    length = int(reply.headers["inference-header-content-length"])
    (output,) = json.loads(reply.body[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": 24}
    assert "data" not in output
    assert list(struct.unpack("<3d", reply.body[length:])) == plain


def test_an_output_has_the_last_word_on_its_form(app: App) -> None:
    """What stands with an output counts more than what stands with the request."""
    asked = {"binary_data_output": True}
    outputs = [{"name": "probability", "parameters": {"binary_data": False}}]
    reply = _infer(app, [_whole()], parameters=asked, outputs=outputs)
    assert "inference-header-content-length" not in reply.headers
    assert len(_scores(reply)) == 3


def test_mixed_tensors(app: App) -> None:
    """Some in the JSON, some behind it, in the order of the inputs."""
    inputs, raw = _each(ROWS), b""
    for place in (0, 2):
        data = struct.pack("<3d", *inputs[place].pop("data"))
        inputs[place]["parameters"] = {"binary_data_size": len(data)}
        raw += data
    reply = _post(app, json.dumps({"inputs": inputs}).encode(), raw)
    np.testing.assert_allclose(_scores(reply), SCORES, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [95, 97, "96", True, -1])
def test_a_binary_size_that_is_not_the_tensors(app: App, size: Any) -> None:
    """Refused before a number is read from the wrong place."""
    text, raw = _binary(ROWS)
    text = text.replace(
        b'"binary_data_size": 96', b'"binary_data_size": ' + json.dumps(size).encode()
    )
    _is_refusal(_post(app, text, raw), 400, "#/inputs/0/")


@pytest.mark.parametrize("change", [b"", b"x", b"-1", b"1" * 30, b"99999", b"10"])
def test_a_length_of_the_json_that_is_not_its(app: App, change: bytes) -> None:
    """Refused, whatever stands in the header."""
    assert _post(app, *_binary(ROWS), length=change or b" ").status == 400


@pytest.mark.parametrize("raw", [b"", b"\0" * 95, b"\0" * 97])
def test_bytes_that_are_not_the_tensors(app: App, raw: bytes) -> None:
    """Too few or too many."""
    text, _ = _binary(ROWS)
    assert _post(app, text, raw).status == 400


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([], "#/inputs"),
        ([_whole(name="x")], "#/inputs"),
        ([_whole(), _whole()], "#/inputs"),
        (_each(ROWS)[:3], "#/inputs"),
        ([*_each(ROWS), _each(ROWS)[0]], "#/inputs"),
        ([_whole(shape=[3])], "#/inputs/0/shape"),
        ([_whole(shape=[4, 3])], "#/inputs/0/shape"),
        ([_whole(shape=[0, 4], data=[])], "#/inputs/0/shape"),
        ([_whole(shape=[-1, 4])], "#/inputs/0/shape"),
        ([_whole(shape=[3, 4, 1])], "#/inputs/0/shape"),
        ([_whole(shape=[3, 4.0])], "#/inputs/0/shape"),
        ([_whole(shape=[True, 4])], "#/inputs/0/shape"),
        ([_whole(shape=[1025, 4], data=[])], "#/inputs/0/shape"),
        ([_whole(datatype="INT64")], "#/inputs/0/datatype"),
        ([_whole(datatype="fp64")], "#/inputs/0/datatype"),
        ([_whole(data=ROWS[:2])], "#/inputs/0/data"),
        ([_whole(data=[*ROWS[:2], ROW[:3], 1.0])], "#/inputs/0/data"),
        ([_whole(data=[[*ROW, *ROW, *ROW]])], "#/inputs/0/data"),
        (
            [_whole(parameters={"shared_memory_region": "x"})],
            "shared_memory_region is not supported",
        ),
        ([{key: value for key, value in _whole().items() if key != "data"}], "#/inputs/0/data"),
        ([_whole(extra=1)], "an unknown field"),
        ([*_each(ROWS)[:3], {**_each(ROWS)[3], "shape": [2], "data": [0, 0]}], "#/inputs/3/shape"),
    ],
)
def test_tensors_that_do_not_fit(app: App, inputs: list[dict[str, Any]], words: str) -> None:
    """400 in the protocol's form, with the place."""
    _is_refusal(_infer(app, inputs), 400, words)
    assert app.state.metrics.requests == {("v1.0.0", "client_error"): 1}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"id": "a b"}, "#/id"),
        ({"id": 7}, "#/id"),
        ({"outputs": [{"name": "x"}]}, "#/outputs/0/name"),
        ({"outputs": [{"name": "probability"}] * 2}, "#/outputs"),
        (
            {"outputs": [{"name": "probability", "parameters": {"classification": 1}}]},
            "classification is not supported",
        ),
        ({"parameters": {"sequence_id": 1}}, "sequence_id is not supported"),
        ({"parameters": {"schema_crc32": "00000000"}}, "#/parameters/schema_crc32"),
        ({"unknown": 1}, "an unknown field"),
    ],
)
def test_wishes_that_cannot_be_met(app: App, more: dict[str, Any], words: str) -> None:
    """Refused, not passed over."""
    _is_refusal(_infer(app, [_whole()], **more), 400, words)


@pytest.mark.parametrize(
    "text",
    [
        '{"inputs":[T],"inputs":[T]}',
        '{"inputs":[T],"id":"a","id":"b"}',
        '{"inputs":[T],"parameters":{"a":1,"a":1}}',
        '{"inputs":[{"name":"features","name":"features","shape":[1,4],"datatype":"FP64","data":[1,0,0,0]}]}',
    ],
)
def test_a_key_that_stands_twice(app: App, text: str) -> None:
    """Refused at every depth: nobody can tell which one was meant."""
    body = text.replace("T", json.dumps(_whole([ROW])))
    _is_refusal(call(app, INFER, body.encode()), 400, "every key once")


def test_a_quote_by_its_number_hides_no_key(app: App) -> None:
    """As many more quotes written as there were fewer read: the balance alone proves nothing."""
    once = json.dumps([_whole([ROW])])
    n_quotes = once.count('"') + 2
    for n in range(n_quotes + 1):
        made_up = "\\u0022" * n
        text = f'{{"inputs":{once},"inputs":{once},"parameters":{{"x":"{made_up}"}}}}'
        _is_refusal(call(app, INFER, text.encode()), 400, "every key once")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/other/infer",
        "/v2/models/mlwb/versions/v2.0.0/infer",
        "/v2/models/mlwb/versions/latest/infer",
        "/v2/models/other/versions/v1.0.0/infer",
    ],
)
def test_an_unknown_model(app: App, path: str) -> None:
    """404 for metadata, readiness and inference alike; nothing is scored."""
    _is_refusal(_infer(app, [_whole()], path), 404, "no such")
    for other in (path.removesuffix("/infer"), path.removesuffix("infer") + "ready"):
        _is_refusal(call(app, other), 404, "no such")
    assert sum(app.state.metrics.score.counts) == 0


@pytest.mark.parametrize("path", ["/v2/", "/v2/nothing", "/v2/models", "/v2/models/mlwb/versions"])
def test_an_unknown_route_in_the_words_of_the_protocol(app: App, path: str) -> None:
    """Refusals below /v2 all have its form."""
    _is_refusal(call(app, path), 404, "no such route")


def test_another_method(app: App) -> None:
    """405 and which one would do, on hot and on other routes."""
    for path, body, allow in ((INFER, None, "POST"), ("/v2", b"", "GET")):
        reply = call(app, path, body)
        _is_refusal(reply, 405, "expected")
        assert allow in reply.headers["allow"]


def test_a_batch_has_a_limit(models: Path) -> None:
    """The same as that of /ml/predict."""
    app = create_app(ServeSettings(models, max_rows=2))
    _is_refusal(_infer(app, [_whole()]), 400, "at most 2 rows")
    assert len(_scores(_infer(app, [_whole(ROWS[:2])]))) == 2


def test_switched_off(models: Path) -> None:
    """503 with Retry-After; not ready, alive."""
    app = create_app(ServeSettings(models, killed=True))
    reply = _infer(app, [_whole()])
    _is_refusal(reply, 503, "kill switch")
    assert int(reply.headers["retry-after"]) > 0
    for path in ("/v2/health/ready", f"{MODEL}/ready"):
        assert (call(app, path).status, call(app, path).json()["ready"]) == (503, False)
    assert call(app, "/v2/health/live").status == 200


def test_without_a_model(tmp_path: Path) -> None:
    """503: the model is known, and there is none."""
    app = create_app(ServeSettings(tmp_path))
    for reply in (_infer(app, [_whole()]), call(app, MODEL), call(app, f"{MODEL}/ready")):
        _is_refusal(reply, 503, "no verified version")


def test_it_follows_a_flip(models: Path) -> None:
    """The version that answers is the one there is."""
    app = create_app(ServeSettings(models))
    write_version(models, "v2.0.0", weights=(0.9, -1.0, 0.2, 0.1))
    point(models, "latest", "v2.0.0")
    app.state.refresh()
    assert call(app, MODEL).json()["versions"] == ["v2.0.0"]
    _is_refusal(_infer(app, [_whole()], f"{MODEL}/versions/v1.0.0/infer"), 404, "no such")
    assert _infer(app, [_whole()]).json()["model_version"] == "v2.0.0"


def test_it_is_counted_and_logged_like_any_other(models: Path) -> None:
    """Metrics and prediction log know no difference but the route."""
    app = create_app(ServeSettings(models, prediction_log=models / "p.jsonl"))
    _infer(app, [_whole()], id="i-1")
    assert app.state.metrics.requests == {("v1.0.0", "success"): 1}
    assert sum(app.state.metrics.score.counts) == 3
    assert app.state.log is not None
    app.state.log.write()
    lines = list(read_predictions(models / "p.jsonl"))
    assert [(line.request_id, line.row) for line in lines] == [("i-1", row) for row in range(3)]
    assert {line.route for line in lines} == {"/v2/models/{name}/infer"}


_CLIENT = """
import json, sys
import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

client = http.InferenceServerClient(sys.argv[1])
rows = np.array(json.loads(sys.argv[2]))
found = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready("mlwb"),
    "version_ready": client.is_model_ready("mlwb", "v1.0.0"),
    "other_ready": client.is_model_ready("other"),
    "server": client.get_server_metadata(),
    "model": client.get_model_metadata("mlwb", "v1.0.0"),
}

def tensors(binary, datatype, kind, rows):
    tensor = http.InferInput("features", list(rows.shape), datatype)
    tensor.set_data_from_numpy(rows.astype(kind), binary_data=binary)
    return [tensor]

def each(binary, datatype, kind, rows):
    out = []
    for name, column in zip(json.loads(sys.argv[3]), rows.T):
        tensor = http.InferInput(name, [len(column)], datatype)
        tensor.set_data_from_numpy(np.ascontiguousarray(column).astype(kind), binary_data=binary)
        out.append(tensor)
    return out

scores = []
for make in (tensors, each):
    for datatype, kind in (("FP64", np.float64), ("FP32", np.float32)):
        for binary in (True, False):
            for outputs in (None, [http.InferRequestedOutput("probability", binary_data=binary)]):
                result = client.infer("mlwb", make(binary, datatype, kind, rows), outputs=outputs)
                scores.append((datatype, result.as_numpy("probability").tolist()))
one = client.infer("mlwb", tensors(True, "FP64", np.float64, rows[:1]), model_version="v1.0.0",
                   request_id="t-1")
found["scores"] = scores
found["one"] = [one.as_numpy("probability").tolist(), one.get_response()["id"]]
errors = {}
bad = rows.copy(); bad[1, 2] = np.nan
wide = np.hstack([rows, rows])
for name, call in {
    "nan": lambda: client.infer("mlwb", tensors(True, "FP64", np.float64, bad)),
    "shape": lambda: client.infer("mlwb", tensors(True, "FP64", np.float64, wide)),
    "type": lambda: client.infer("mlwb", tensors(True, "INT64", np.int64, rows)),
    "model": lambda: client.infer("other", tensors(True, "FP64", np.float64, rows)),
    "version": lambda: client.get_model_metadata("mlwb", "v9"),
    "output": lambda: client.infer("mlwb", tensors(True, "FP64", np.float64, rows),
                                   outputs=[http.InferRequestedOutput("x")]),
}.items():
    try:
        call()
    except InferenceServerException as error:
        errors[name] = [error.status(), error.message()]
found["errors"] = errors
print(json.dumps(found))
"""


@pytest.mark.server
def test_a_client_we_did_not_write(models: Path, tmp_path: Path, peers_python: str) -> None:
    """The client of Triton against a real server: metadata, every form of tensor, refusals."""
    with server(models, tmp_path) as running:
        address = running.url.removeprefix("http://")
        run = subprocess.run(
            [peers_python, "-c", _CLIENT, address, json.dumps(ROWS), json.dumps(NAMES)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    flags = ("live", "ready", "model_ready", "version_ready", "other_ready")
    assert [found[name] for name in flags] == [True, True, True, True, False]
    assert found["server"]["extensions"] == ["binary_tensor_data"]
    assert found["model"]["inputs"] == [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}]
    rounded = logistic(np.array(ROWS, dtype=np.float32).astype(float), WEIGHTS)
    assert len(found["scores"]) == 16
    for datatype, scores in found["scores"]:
        expected = SCORES if datatype == "FP64" else rounded
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)
    assert found["one"] == [[pytest.approx(SCORES[0], abs=1e-12)], "t-1"]
    statuses = {name: status for name, (status, _) in found["errors"].items()}
    assert statuses == {
        "nan": "400", "shape": "400", "type": "400", "output": "400", "model": "404",
        "version": "404",
    }  # fmt: skip
    assert "#/inputs/0/data/6" in found["errors"]["nan"][1]
