"""A key is sent, and shown nowhere."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

from mlwb.client import AsyncPredictClient, PredictClient
from mlwb.core.errors import ParamsError, ServeError
from tests.client.conftest import Connect
from tests.client.scripted_kit import GOOD, answer, problem, scripted

KEY = "mlwb_0123456789abcdef"


def test_the_key_is_sent(connect: Connect) -> None:
    """With every request, as X-API-Key."""
    with scripted(GOOD, answer(200, b"{}")) as script:
        client = connect(script.url, api_key=KEY)
        client.predict([1.0])
        client.call("health")
    assert all(f"X-API-Key: {KEY}\r\n".encode() in request for request in script.requests)


def test_without_a_key_none_is_sent(connect: Connect) -> None:
    """No empty header either."""
    with scripted(GOOD) as script:
        connect(script.url).predict([1.0])
    assert b"X-API-Key" not in script.requests[0]


@pytest.mark.parametrize("scene", [problem(401, "unauthorized"), b"garbage", "silence", "slam"])
def test_no_error_shows_it(connect: Connect, caplog: pytest.LogCaptureFixture, scene: Any) -> None:
    """Not in the text, not in the cause, not in the variables a crash reporter would send."""
    caplog.set_level(logging.DEBUG)
    with scripted(scene) as script:
        client = connect(script.url, api_key=KEY, timeout_s=0.1)
        with pytest.raises(ServeError) as caught:
            client.predict([1.0])
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    assert "steps = " in shown  # variables are there
    assert KEY not in shown.replace(f"KEY = {KEY!r}", "")
    assert KEY not in caplog.text
    assert KEY not in repr(client.client) + str(client.client)
    assert repr(client.client).endswith(f"Client({script.url!r})")


@pytest.mark.parametrize("client", [PredictClient, AsyncPredictClient])
@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Evil: 1", f"{KEY} ", f"{KEY}\u00e9", KEY * 50])
def test_a_key_that_is_none(client: Any, key: str) -> None:
    """Refused at once, in words that do not hold it."""
    with pytest.raises(ParamsError, match="not a key") as caught:
        client("http://host", api_key=key)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", [f"http://user:{KEY}@host", f"http://{KEY}@host:x"])
def test_no_password_in_the_address(url: str) -> None:
    """It would stand in logs and in the repr."""
    with pytest.raises(ParamsError) as caught:
        PredictClient(url)
    assert KEY not in str(caught.value)
