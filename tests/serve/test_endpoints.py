"""What routes say about themselves."""

from __future__ import annotations

import re
from typing import get_args

import msgspec

from mlwb.serve import App
from mlwb.serve._endpoints import Endpoint, Permission
from mlwb.serve._problems import PROBLEMS


def _endpoints(app: App) -> list[Endpoint]:
    assert len(app.endpoints) >= 8
    return list(app.endpoints)


def test_every_answer_has_a_form(app: App) -> None:
    """No route answers with an untyped object: a Struct, or a union of Structs, or no JSON."""
    for endpoint in _endpoints(app):
        for kind in get_args(endpoint.answer) or (endpoint.answer,):
            if kind is not None:
                assert issubclass(kind, msgspec.Struct), endpoint.path


def test_every_body_refuses_what_it_does_not_know(app: App) -> None:
    """A misspelt key of a request is an error, not a default."""
    for endpoint in _endpoints(app):
        if endpoint.body is not None:
            config = endpoint.body.__struct_config__
            assert config.forbid_unknown_fields, endpoint.path


def test_every_route_is_described(app: App) -> None:
    """A summary that is a phrase, codes that exist, parameters that the path or the query has."""
    for endpoint in _endpoints(app):
        assert re.fullmatch(r"[A-Z0-9`/].{8,100}[^.]", endpoint.summary), endpoint.path
        assert set(endpoint.refusals) <= set(PROBLEMS), endpoint.path
        assert endpoint.method in ("GET", "POST", "DELETE")
        assert isinstance(endpoint.permission, Permission)
        for parameter in endpoint.parameters:
            assert parameter.about, endpoint.path


def test_no_route_stands_twice(app: App) -> None:
    """One method of one path has one answer."""
    seen = [(endpoint.method, endpoint.path) for endpoint in _endpoints(app)]
    assert len(seen) == len(set(seen))
