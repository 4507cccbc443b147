"""No poisoned input is ever scored, on whatever route it comes."""

from __future__ import annotations

import pytest

from mlwb.serve import App
from tests.serve.asgi_kit import call
from tests.serve.test_decode import BROKEN, POISON

_FEATURES = ['{"features":[1,%s,2,-0.5]}', '{"rows":[[1,0.25,2,-0.5],[1,%s,2,-0.5]]}']
_TENSORS = [
    '{"inputs":[{"name":"features","datatype":"FP64","shape":[1,4],"data":[1,%s,2,-0.5]}]}',
    '{"inputs":[{"name":"features","datatype":"FP32","shape":[1,4],"data":[[1,%s,2,-0.5]]}]}',
]
_VERSIONED = "/v2/models/{name}/versions/{version}/infer"
FORMS: dict[str, list[str]] = {
    "/ml/predict": _FEATURES,
    "/ml/predict-with-shadow": _FEATURES,
    "/v2/models/{name}/infer": _TENSORS,
    _VERSIONED: _TENSORS,
}
# Raw bars are poisoned in ways of their own, see test_observe.py.
OWN_TESTS = {"/ml/observe"}


def test_no_route_that_scores_is_left_out(app: App) -> None:
    """A new one fails here until it is held against the list."""
    scoring = {endpoint.path for endpoint in app.endpoints if endpoint.handler is None}
    assert scoring == FORMS.keys() | OWN_TESTS


@pytest.mark.parametrize("path", FORMS)
def test_nothing_poisoned_is_scored(app: App, path: str) -> None:
    """The whole list, in every form of the route: refused, nothing counted as a score."""
    where = path.replace("{name}", "mlwb").replace("{version}", "v1.0.0")
    for form in FORMS[path]:
        good = call(app, where, (form % "0.25").encode())
        assert good.status == 200, good.body
        before = sum(app.state.metrics.score.counts)
        for name, text in {**POISON, **BROKEN}.items():
            reply = call(app, where, (form % text).encode())
            assert reply.status in (400, 422), (form, name, reply)
            assert b"score" not in reply.body.replace(b"nothing was scored", b"")
            assert b"outputs" not in reply.body
        assert sum(app.state.metrics.score.counts) == before
