"""The published interface: a document that holds, for the model that answers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mlwb.inference import FeatureField, schema_crc32
from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve._endpoints import Permission
from mlwb.serve._openapi import shared_refusals
from mlwb.serve._problems import PROBLEMS
from tests.inference.version_kit import NAMES, add_reference, point, sidecar_for, write_version
from tests.serve.asgi_kit import JSON, call


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> App:
    """One server for tests that only read; its document is made once."""
    models = tmp_path_factory.mktemp("openapi") / "models"
    write_version(models, "v1.0.0")
    point(models, "latest", "v1.0.0")
    return create_app(ServeSettings(models))


def _document(app: App) -> dict[str, Any]:
    reply = call(app, "/openapi.json")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = reply.json()
    return found


def _check(document: dict[str, Any], schema: Any, value: Any) -> None:
    """Validate with another implementation of JSON Schema; references are the document's."""
    root = {"components": document["components"], "allOf": [schema]}
    Draft202012Validator.check_schema(root)
    Draft202012Validator(root).validate(value)


def _schema(document: dict[str, Any], path: str, status: int, kind: str) -> Any:
    operation, *_ = document["paths"][path].values()
    return _response(document, operation, status)["content"][kind]["schema"]


def _response(document: dict[str, Any], operation: Any, status: int) -> Any:
    response = operation["responses"][str(status)]
    if "$ref" in response:
        return document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return response


def _is_valid(document: dict[str, Any], path: str, body: Any) -> bool:
    (operation,) = document["paths"][path].values()
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    root = {"components": document["components"], "allOf": [schema]}
    return bool(Draft202012Validator(root).is_valid(body))


def test_every_route_is_in_it(served: App) -> None:
    """Each with its permission, its summary, and every refusal by code."""
    document = _document(served)
    paths = document["paths"]
    assert {(m.upper(), path) for path, item in paths.items() for m in item} == {
        (endpoint.method, endpoint.path) for endpoint in served.endpoints
    }
    for endpoint in served.endpoints:
        operation = paths[endpoint.path][endpoint.method.lower()]
        assert operation["x-permission"] == endpoint.permission.value
        assert bool(operation["security"]) is (endpoint.permission is not Permission.OPEN)
        assert operation["summary"] == endpoint.summary
        for code in shared_refusals(endpoint):
            status, title = PROBLEMS[code]
            is_protocol = endpoint.path.startswith("/v2")
            shown = 400 if is_protocol and status == 422 else status
            response = _response(document, operation, shown)
            assert title in response["description"], (endpoint.path, code)
            if not is_protocol:
                assert f'"{code}"' in json.dumps(response["content"]), (endpoint.path, code)


def test_names_are_unique(served: App) -> None:
    """No two operations share an id, no schema is named after a private class."""
    document = _document(served)
    ids = [entry["operationId"] for item in document["paths"].values() for entry in item.values()]
    assert len(ids) == len(set(ids))
    assert all(
        re.fullmatch("[A-Za-z][A-Za-z0-9]*", name) for name in document["components"]["schemas"]
    )


def test_nothing_is_left_open(served: App) -> None:
    """Every schema says what it is, and no property of one may be anything."""
    for name, schema in _document(served)["components"]["schemas"].items():
        assert schema.get("description"), name
        for field, value in schema.get("properties", {}).items():
            assert value not in ({}, {"type": "object"}), (name, field)
            assert value.get("items") != {}, (name, field)


def test_every_reference_leads_somewhere(served: App) -> None:
    """And every pattern is one of JSON Schema, where there is no end-of-text escape."""
    document = _document(served)
    text = json.dumps(document)
    for ref in set(re.findall(r'"\$ref": "([^"]+)"', text)):
        place: Any = document
        for key in ref.removeprefix("#/").split("/"):
            place = place[key]
    assert "\\\\Z" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/ml/health",
        "/ml/health/live",
        "/ml/health/ready",
        "/ml/model/info",
        "/ml/monitoring/drift",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/ml/models",
        "/ml/monitoring/stats",
        "/ml/health/detailed",
    ],
)
def test_answers_are_as_published(served: App, path: str) -> None:
    """A real answer validates, and one without what is required does not."""
    document, reply = _document(served), call(served, path)
    schema = _schema(document, path, reply.status, "application/json")
    _check(document, schema, reply.json())
    root = {"components": document["components"], "allOf": [schema]}
    assert not Draft202012Validator(root).is_valid({})


def test_drift_is_as_published(models: Path) -> None:
    """With a reference and rows, too."""
    add_reference(models / "v1.0.0")
    app = create_app(ServeSettings(models))
    call(app, "/ml/predict", json.dumps({"features": [1, 0, 1, 1]}).encode())
    assert call(app, "/ml/monitoring/drift").json()["rows_24h"] == 1
    document = _document(app)
    for path in ("/ml/monitoring/drift", "/ml/monitoring/stats"):
        value = call(app, path).json()
        _check(document, _schema(document, path, 200, "application/json"), value)


def test_unready_answers_are_as_published(tmp_path: Path) -> None:
    """503 comes with the same form where the answer says why, and as a problem elsewhere."""
    app = create_app(ServeSettings(tmp_path))
    document = _document(app)
    assert document["info"]["x-model-version"] is None
    for path in ("/ml/health", "/ml/health/ready"):
        reply = call(app, path)
        assert reply.status == 503
        _check(document, _schema(document, path, 503, "application/json"), reply.json())
    reply = call(app, "/ml/model/info")
    schema = _schema(document, "/ml/model/info", 503, "application/problem+json")
    _check(document, schema, reply.json())
    with pytest.raises(Exception, match="is not one of"):
        _check(document, schema, {**reply.json(), "code": "killed"})


@pytest.mark.parametrize(
    "path",
    [
        "/ml/predict",
        "/ml/predict-with-shadow",
        "/v2/models/{name}/infer",
        "/v2/models/{name}/versions/{version}/infer",
    ],
)
@pytest.mark.parametrize("query", [b"", b"wait=1"])
def test_every_example_is_answered(served: App, path: str, query: bytes) -> None:
    """Examples are of this model: valid by the document, scored by the server, as published."""
    document = _document(served)
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert len(content["examples"]) >= 2
    for example in content["examples"].values():
        assert _is_valid(document, path, example["value"])
        place = path.format(name="mlwb", version="v1.0.0")
        reply = call(served, place, json.dumps(example["value"]).encode(), query=query)
        assert reply.status == 200
        _check(document, _schema(document, path, 200, "application/json"), reply.json())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"features": [1, 0.01, 2, 0], "rows": [[1, 0.01, 2, 0]]},
        {"features": [1, 0.01, 2]},
        {"features": [1, 0.6, 2, 0]},
        {"features": [1, None, 2, 0]},
        {"features": [1, "0.1", 2, 0]},
        {"features": [True, 0.1, 2, 0]},
        {"features": dict.fromkeys(NAMES[:3], 1)},
        {"features": {**dict.fromkeys(NAMES, 1), "extra": 1}},
        {"rows": []},
        {"features": [1, 0.01, 2, 0], "schema_crc32": "x"},
        {"features": [1, 0.01, 2, 0], "unknown": 1},
    ],
)
def test_what_the_document_refuses_the_server_refuses(served: App, body: Any) -> None:
    """The published form is the one that decodes: invalid there is 422 here, and the reverse."""
    document = _document(served)
    assert not _is_valid(document, "/ml/predict", body)
    reply = call(served, "/ml/predict", json.dumps(body).encode(), headers=[JSON])
    assert reply.status == 422
    schema = _schema(document, "/ml/predict", 422, "application/problem+json")
    _check(document, schema, reply.json())


def test_it_follows_the_model(models: Path) -> None:
    """Names, order, units and ranges are those of the version that answers, after a flip too."""
    app = create_app(ServeSettings(models))
    first = _document(app)["components"]["schemas"]["Features"]["properties"]
    assert list(first) == list(NAMES)
    assert (first["spread_bp"]["minimum"], first["spread_bp"]["maximum"]) == (0, 50)
    fields = (FeatureField("depth", "BTC", "float64", -3.5, 7.25), *sidecar_for("x").features[1:])
    write_version(models, "v2.0.0", sidecar=_with(fields))
    point(models, "latest", "v2.0.0")
    app.state.refresh()
    document = _document(app)
    assert document["info"]["x-model-version"] == "v2.0.0"
    second = document["components"]["schemas"]["Features"]["properties"]
    assert list(second) == ["depth", *NAMES[1:]]
    assert second["depth"]["x-unit"] == "BTC"
    assert (second["depth"]["minimum"], second["depth"]["maximum"]) == (-3.5, 7.25)


def _with(fields: tuple[FeatureField, ...]) -> Any:
    return replace(sidecar_for("v2.0.0"), features=fields, schema_crc32=schema_crc32(fields))


_VALIDATE = """
import json, sys
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
document = json.load(sys.stdin)
for error in OPENAPI_31_VALIDATOR.iter_errors(document):
    print(error.instance_path, str(error)[:300])
del document["info"]["title"]
assert not OPENAPI_31_VALIDATOR.is_valid(document)
print("checked")
"""


@pytest.mark.slow
def test_it_is_openapi_31(served: App, peers_python: str) -> None:
    """The meta-schema of OpenAPI 3.1, by a validator we did not write, finds nothing."""
    run = subprocess.run(
        [peers_python, "-c", _VALIDATE],
        input=call(served, "/openapi.json").body,
        capture_output=True,
        check=True,
    )
    assert run.stdout.decode().split("\n") == ["checked", ""]


def test_the_page_is_whole(served: App) -> None:
    """One small page, nothing fetched from elsewhere, nothing run but its own script."""
    reply = call(served, "/docs")
    page = reply.body.decode()
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert len(reply.body) < 60_000
    assert re.findall(r"(?:https?:)?//[a-z]", page) == []
    assert re.search(r"\son[a-z]+=|javascript:|\.innerHTML|\beval\b", page) is None
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
