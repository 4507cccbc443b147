"""One client for many threads or tasks, and for a process that forks."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlwb.client import AsyncPredictClient, PredictClient
from tests.client.scripted_kit import GOOD, answer, scripted

CALLS = 200


def _own_score(request: bytes) -> bytes:
    """A score that tells whose row it was."""
    asked = json.loads(request.partition(b"\r\n\r\n")[2])
    said = {
        "request_id": asked["request_id"],
        "model_version": "v1",
        "score": asked["features"][0],
    }
    return answer(200, json.dumps(said).encode())


@pytest.fixture
def _restless() -> object:
    """Threads take turns after every few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_restless")
def test_threads_get_their_own_answers() -> None:
    """Eight at once: each has the score of its row, over no more connections than threads."""
    rows = [place / CALLS for place in range(CALLS)]
    with scripted(*[_own_score] * CALLS) as script:
        with PredictClient(script.url, timeout_s=20.0) as client, ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda value: client.predict([value]).score, rows))
        assert found == rows
        assert 1 <= script.connections <= 8


def test_tasks_get_their_own_answers() -> None:
    """The same for tasks of one loop."""
    rows = [place / CALLS for place in range(CALLS)]

    async def all_at_once(url: str) -> list[float]:
        async with AsyncPredictClient(url, timeout_s=20.0) as client:
            limit = asyncio.Semaphore(8)

            async def one(value: float) -> float:
                async with limit:
                    return (await client.predict([value])).score

            return await asyncio.gather(*map(one, rows))

    with scripted(*[_own_score] * CALLS) as script:
        assert asyncio.run(all_at_once(script.url)) == rows
        assert 1 <= script.connections <= 8


def test_a_cancelled_call_leaves_no_connection_to_the_next() -> None:
    """The answer to a call nobody waits for any more is not taken for another one's."""

    async def cancelled(url: str) -> str:
        async with AsyncPredictClient(url, timeout_s=20.0) as client:
            await client.predict([0.1])
            task = asyncio.create_task(client.predict([0.2]))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return (await client.predict([0.3])).source

    with scripted(GOOD, "silence", GOOD) as script:
        assert asyncio.run(cancelled(script.url)) == "model"
    assert script.connections == 2


def test_a_client_outlives_its_loop() -> None:
    """Connections of a loop that has ended are not used by the next."""
    with scripted(GOOD, GOOD) as script:
        client = AsyncPredictClient(script.url, timeout_s=20.0)

        async def ask() -> str:
            found = await client.predict([0.1])
            await client.close()
            return found.source

        assert [asyncio.run(ask()) for _ in range(2)] == ["model", "model"]
    assert script.connections == 2


def test_a_forked_process_opens_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that talk through one connection would take each other's answers."""
    with scripted(GOOD, GOOD) as script, PredictClient(script.url) as client:
        client.predict([0.1])
        child = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: child)
        assert client.predict([0.1]).source == "model"
        assert script.connections == 2


def test_no_thread_is_left_behind() -> None:
    """Polling ends with the client."""
    before = threading.active_count()
    with scripted(*[answer(200, b"")] * 3) as script:
        client = PredictClient(script.url)
        client.start_polling(60.0)
        client.start_polling(60.0)
        client.close()
        assert not any(t.name == "mlwb-client-poll" for t in threading.enumerate())
    assert threading.active_count() <= before
