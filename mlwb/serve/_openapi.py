"""The published interface: an OpenAPI 3.1 document made from the types that decode and encode.

What a prediction takes depends on the version that answers: names, order, units and ranges of
its features are in the document, and change with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from mlwb import __version__
from mlwb.serve._endpoints import Endpoint, Form, Permission
from mlwb.serve._models import Live
from mlwb.serve._problems import PROBLEMS, Problem, ProtocolError, speaks_protocol

__all__ = ["openapi_document", "shared_refusals"]

_ABOUT = """\
Scores of a model of market data, and what is known of the model and of its input.

Every refusal is an RFC 9457 problem with a stable `code`; it holds nothing of the input.
A server with keys asks for one of the role `x-permission` names, in `X-API-Key` or as a bearer
token; a server without keys answers everybody who can reach it."""
_REF = "#/components/schemas/{name}"
_JSON, _PROBLEM_JSON = "application/json", "application/problem+json"
_GUARDED = ("unauthorized", "forbidden", "rate_limited")
_WITH_BODY = ("bad_json", "slow_request", "body_too_large", "media_type", "invalid_input")
_REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "Comes back in the answer and stands in the logs; where it is absent, or is not "
    "1 to 64 letters, digits, dots, dashes and underscores, one is made up.",
    "schema": {"type": "string"},
}
_PROPER_ID = {"schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}}
_HEADERS = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
_SECURITY = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}
_TAGS = {
    "predict-with-shadow": "predict",
    "metrics": "health",
    "models": "model",
    "rollback": "model",
    "mode": "control",
    "kill": "control",
    "canary": "control",
    "audit": "control",
    "openapi.json": "interface",
    "docs": "interface",
    "v2": "open inference protocol",
}
"""Groups that are not named by their first word."""
_STATUS = {200: "The answer", 201: "Made", 202: "Taken up", 503: "The answer while it is not ready"}


def shared_refusals(endpoint: Endpoint) -> tuple[str, ...]:
    """Problem codes of a route, those that routes of its kind share among them.

    Parameters
    ----------
    endpoint : Endpoint
        Any route.

    Returns
    -------
    tuple of str
        Keys of ``PROBLEMS``, by status.
    """
    codes = {*endpoint.refusals, "internal", "bad_request", "headers_too_large", "overloaded"}
    if endpoint.permission is not Permission.OPEN:
        codes |= {code for code in _GUARDED if code in PROBLEMS}
    if endpoint.body is not None:
        codes |= set(_WITH_BODY)
    return tuple(code for code in PROBLEMS if code in codes)


def openapi_document(endpoints: Sequence[Endpoint], live: Live | None) -> dict[str, Any]:
    """The whole interface.

    Parameters
    ----------
    endpoints : sequence of Endpoint
        All routes.
    live : Live, optional
        The version that answers; without one a prediction's body has its general form.

    Returns
    -------
    dict
        An OpenAPI 3.1 document, plain JSON values.
    """
    bodies = {endpoint: _form(endpoint, live) for endpoint in endpoints}
    schemas, components = _schemas(endpoints, [form.kind for form in bodies.values()])
    paths: dict[str, dict[str, Any]] = {}
    shared: dict[str, Any] = {}
    for endpoint, form in bodies.items():
        operation = _operation(endpoint, form, schemas)
        operation["responses"] = _responses(endpoint, schemas, shared)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    version = None if live is None else live.version
    tags = dict.fromkeys(_tag(endpoint.path) for endpoint in endpoints)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mlwb predict server",
            "version": __version__,
            "description": _ABOUT,
            "x-model-version": version,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": shared,
            "parameters": {"RequestId": _REQUEST_ID},
            "headers": {"RequestId": _PROPER_ID},
            "securitySchemes": _SECURITY,
        },
    }


def _form(endpoint: Endpoint, live: Live | None) -> Form:
    if endpoint.form_of is not None and live is not None:
        return endpoint.form_of(live)
    return Form(endpoint.body)


class _Schemas:
    """Schemas by type; what has a name is referred to."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        self._places: dict[int, int] = {}
        distinct: list[Any] = []
        for kind in kinds:
            if id(kind) not in self._places:
                self._places[id(kind)] = len(distinct)
                distinct.append(kind)
        found, named = msgspec.json.schema_components(distinct, ref_template=_REF)
        self._kinds = distinct  # held, so that ids stay theirs
        plain = {name: name.lstrip("_") for name in named}
        if len(set(plain.values())) < len(plain):
            plain = {}
        self._found = [_tidy(schema, plain) for schema in found]
        self.named = {plain.get(name, name): _tidy(named[name], plain) for name in sorted(named)}

    def __getitem__(self, kind: Any) -> Any:
        parts = _parts(kind)
        if len(parts) == 1:
            return self._found[self._places[id(parts[0])]]
        return {"oneOf": [self._found[self._places[id(part)]] for part in parts]}


def _schemas(
    endpoints: Sequence[Endpoint], bodies: Sequence[Any]
) -> tuple[_Schemas, Mapping[str, Any]]:
    answers = [part for endpoint in endpoints for part in _parts(endpoint.answer)]
    kinds = [item.kind for endpoint in endpoints for item in endpoint.parameters]
    wanted = [Problem, ProtocolError, *answers, *kinds, *bodies]
    schemas = _Schemas(kind for kind in wanted if kind is not None)
    return schemas, schemas.named


def _parts(kind: Any) -> tuple[Any, ...]:
    """Members of a union: msgspec describes one Struct at a time."""
    if get_origin(kind) in (Union, UnionType):
        return get_args(kind)
    return (kind,)


def _tidy(value: Any, names: Mapping[str, str]) -> Any:
    """Plain names, patterns as JSON Schema knows them, the first words of a docstring."""
    if isinstance(value, list):
        return [_tidy(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: _tidy(item, names) for key, item in value.items()}
    if isinstance(out.get("pattern"), str):
        out["pattern"] = out["pattern"].replace(r"\Z", "$")
    if isinstance(out.get("description"), str):
        out["description"] = " ".join(out["description"].split("\n\n")[0].split())
    for key in ("title", "$ref"):
        if isinstance(out.get(key), str):
            head, slash, name = out[key].rpartition("/")
            out[key] = head + slash + names.get(name, name)
    return out


def _operation(endpoint: Endpoint, form: Form, schemas: _Schemas) -> dict[str, Any]:
    name = f"{endpoint.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', endpoint.path).strip('_')}"
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": endpoint.summary,
        "tags": [_tag(endpoint.path)],
        "x-permission": endpoint.permission.value,
        "security": _security(endpoint.permission),
        "parameters": _parameters(endpoint, schemas),
    }
    if form.kind is not None:
        content: dict[str, Any] = {"schema": schemas[form.kind]}
        if form.examples:
            content["examples"] = {key: {"value": value} for key, value in form.examples.items()}
        operation["requestBody"] = {"required": True, "content": {_JSON: content}}
    return operation


def _security(permission: Permission) -> list[dict[str, list[str]]]:
    if permission is Permission.OPEN:
        return []
    return [{name: [permission.value]} for name in _SECURITY]


def _parameters(endpoint: Endpoint, schemas: _Schemas) -> list[dict[str, Any]]:
    known = {item.name: item for item in endpoint.parameters}
    in_path = re.findall(r"\{(\w+)\}", endpoint.path)
    found: list[dict[str, Any]] = [{"$ref": "#/components/parameters/RequestId"}]
    for name in [*in_path, *(name for name in known if name not in in_path)]:
        item = known.get(name)
        place = "path" if name in in_path else "query"
        found.append(
            {
                "name": name,
                "in": place,
                "required": place == "path",
                "description": item.about if item else f"The {name}.",
                "schema": schemas[item.kind] if item else {"type": "string"},
            }
        )
    return found


def _responses(endpoint: Endpoint, schemas: _Schemas, shared: dict[str, Any]) -> dict[str, Any]:
    """Answers by status; those that only refuse are written once and referred to."""
    schema = schemas[endpoint.answer] if endpoint.answer is not None else {}
    media: dict[str, Any] = {endpoint.media_type: {"schema": schema} if schema else {}}
    found: dict[str, Any] = {
        str(status): {"description": _STATUS[status], "headers": _HEADERS, "content": media}
        for status in endpoint.statuses
    }
    is_protocol = speaks_protocol(endpoint.path)
    by_status: dict[int, list[str]] = {}
    for code in shared_refusals(endpoint):
        status = PROBLEMS[code][0]
        by_status.setdefault(400 if is_protocol and status == 422 else status, []).append(code)
    for status, codes in by_status.items():
        refusal = _refusal(codes, schemas, is_protocol=is_protocol)
        if str(status) in found:
            found[str(status)] = _either(found[str(status)], refusal)
            continue
        name = "_".join(["v2" if is_protocol else "ml", str(status), *codes])
        shared[name] = refusal
        found[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return found


def _refusal(codes: Sequence[str], schemas: _Schemas, *, is_protocol: bool) -> dict[str, Any]:
    content: dict[str, Any] = {_PROBLEM_JSON: _problem(codes, schemas)}
    if is_protocol:
        content = {_JSON: {"schema": schemas[ProtocolError]}}
    description = "; ".join(PROBLEMS[code][1] for code in codes)
    return {"description": description, "headers": _HEADERS, "content": content}


def _either(answer: Mapping[str, Any], refusal: Mapping[str, Any]) -> dict[str, Any]:
    """An answer and a refusal with the same status."""
    first, second = answer["content"], refusal["content"]
    both = {**first, **second}
    if set(first) & set(second):
        both = {_JSON: {"schema": {"anyOf": [first[_JSON]["schema"], second[_JSON]["schema"]]}}}
    description = f"{answer['description']}; {refusal['description']}"
    return {**answer, "description": description, "content": both}


def _problem(codes: Sequence[str], schemas: _Schemas) -> dict[str, Any]:
    only = {"properties": {"code": {"enum": list(codes)}}}
    return {"schema": {"allOf": [schemas[Problem], only]}}


def _tag(path: str) -> str:
    words = path.strip("/").split("/")
    word = words[1] if words[0] == "ml" else words[0]
    return _TAGS.get(word, word)
