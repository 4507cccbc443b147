"""The steps of a call, taken by hand on a clock that moves only as far as a server makes it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.client import Breaker, Prediction, RetryPolicy
from mlwb.client._base import BaseClient
from mlwb.client._wire import Step, Steps
from mlwb.core.clock import ManualClock
from tests.client.scripted_kit import GOOD, problem

TIMEOUT_S = 0.5


@dataclass
class _World:
    """Takes steps the way a network might: in any time up to what is allowed, with any outcome."""

    draw: Any
    clock: ManualClock = field(default_factory=ManualClock)
    request: bytes = b""
    coming: list[bytes] = field(default_factory=list)
    n_requests: int = 0

    def run(self, steps: Steps[Any]) -> Any:
        try:
            step = next(steps)
            while True:
                assert step.do == "keep" or 0.0 <= step.limit_s <= TIMEOUT_S + 1e-9
                try:
                    outcome = self._take(step)
                except OSError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as done:
            return done.value

    def _take(self, step: Step) -> Any:
        if step.do == "keep":
            return None
        if step.do == "sleep":
            self.clock.advance(step.limit_s)
            return None
        share = self.draw(st.sampled_from([0.0, 0.001, 0.01, 0.3, 1.0]))
        self.clock.advance(share * step.limit_s)
        if share == 1.0:
            raise TimeoutError
        if self.draw(st.integers(0, 9)) == 0:
            raise self.draw(
                st.sampled_from([ConnectionResetError, ConnectionRefusedError, OSError])
            )
        if step.do == "open":
            return not step.is_fresh and self.draw(st.booleans())
        if step.do == "send":
            self.n_requests += 1
            reply = self.draw(
                st.sampled_from([GOOD(step.data), problem(503, "busy", "Retry-After: 0"), b""])
            )
            cut = self.draw(st.integers(0, len(reply)))
            self.coming = [reply[:cut], reply[cut:]]
            return None
        return self.coming.pop(0) if self.coming else b""


@given(st.data())
def test_a_call_never_takes_longer_than_its_deadline(data: st.DataObject) -> None:
    """Whatever a network does within the time each step allows it, the whole is within the limit.

    And there is always a prediction: the model's if a whole answer came, else the fallback's.
    """
    world = _World(data.draw)
    rng = random.Random(1)  # noqa: S311 - jitter
    client = BaseClient("http://x", timeout_s=TIMEOUT_S, fallback=0.5, clock=world.clock, rng=rng)
    for _ in range(data.draw(st.integers(1, 8))):
        start = world.clock.monotonic_s()
        found = world.run(client._predict([1.0], "", None))
        assert isinstance(found, Prediction)
        assert world.clock.monotonic_s() - start <= TIMEOUT_S + 1e-9
        assert found.latency_ms <= TIMEOUT_S * 1e3 + 1e-6
        assert (found.score == 0.25) is found.may_trade


@given(st.data())
def test_each_call_sends_at_most_what_the_policy_allows(data: st.DataObject) -> None:
    """One request a try, and one more where a kept connection was closed."""
    world = _World(data.draw)
    rng = random.Random(1)  # noqa: S311 - jitter
    client = BaseClient(
        "http://x",
        timeout_s=TIMEOUT_S,
        fallback=0.5,
        clock=world.clock,
        rng=rng,
        policy=RetryPolicy(retries=1),
        breaker=Breaker(world.clock, rng, consecutive=10**6, sample=10**6),
    )
    world.run(client._predict([1.0], "", None))
    assert world.n_requests <= 4


@pytest.mark.parametrize("size", [1, 7, 64])
def test_many_small_chunks_do_not_stretch_the_deadline(size: int) -> None:
    """What has arrived is read against the clock too: a body in a million chunks ends in time."""
    body = b"%x\r\n%b\r\n" % (size, b" " * size)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    reads: list[float] = []

    class _Ticking(ManualClock):
        def monotonic_s(self) -> float:
            self.advance(0.001)  # every look at the clock costs a millisecond
            reads.append(self.elapsed_s)
            return super().monotonic_s()

    client = BaseClient("http://x", timeout_s=TIMEOUT_S, fallback=0.5, clock=_Ticking())
    steps = client._predict([1.0], "", None)
    assert next(steps).do == "open"
    assert steps.send(False).do == "send"
    assert steps.send(None).do == "receive"
    with pytest.raises(StopIteration) as done:
        steps.send(head + body * 10_000)
    assert (
        done.value.value[0].reason == "timeout"
        if isinstance(done.value.value, tuple)
        else (done.value.value.reason == "timeout")
    )
    assert len(reads) < 600


def test_the_request_is_whole() -> None:
    """What the steps send is one request with a body of the length it says."""
    client = BaseClient("http://host:8/x", api_key="k", clock=ManualClock())
    steps = client._predict({"a": 1.0}, "id", None)
    next(steps)
    head, _, body = bytes(steps.send(False).data).partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        "POST /x/ml/predict HTTP/1.1",
        "Host: host:8",
        "Accept: application/json",
        "X-API-Key: k",
        "X-Request-Id: id",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    assert json.loads(body) == {"features": {"a": 1.0}, "request_id": "id"}
