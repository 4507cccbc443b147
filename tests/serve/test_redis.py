"""Two servers and a real Redis: one limit, and none the worse when Redis is slow, gone, back."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock
from mlwb.serve._count_store import CountStore, StoreAwayError, StoreForgotError, Told
from mlwb.serve._redis import open_redis
from tests.serve.key_kit import write_keys
from tests.serve.server_kit import Server, start, wait_ready
from tests.serve.store_kit import MemoryStore, redis_process

pytestmark = [pytest.mark.slow, pytest.mark.server]
BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()
QUOTA = 400


def test_the_script_counts_as_the_store_of_the_tests_does(
    tool: Callable[[str], str], tmp_path: Path
) -> None:
    """The same debts from the same calls.

    A batch told twice is counted once, what owes nothing is not kept, another database is another
    store, what is no number is no answer, and a store that was emptied says so.
    """
    clock = ManualClock()
    memory = MemoryStore(clock)
    calls = [
        (1, []),
        (2, [Told("key:a", 0.5, 4, 0.1, 0.0, 40.0), Told("key:b", 0.5, 0, 0.0, 7.5, 40.0)]),
        (3, [Told("key:a", 0.5, 3, 0.1, 0.0, 40.0), Told("key:b", 0.5, 1, 0.0, 2.0, 40.0)]),
        (3, [Told("key:a", 0.5, 3, 0.1, 0.0, 40.0), Told("key:b", 0.5, 1, 0.0, 9.0, 40.0)]),
        (4, [Told("key:a", 0.5, 0, 0.0, 0.0, 40.0), Told("key:c", 0.5, 500, 0.0, 0.0, 40.0)]),
        (5, [Told("key:d", 0.01, 1, 30.0, 0.0, 40.0), Told("key:d", 0.01, 0, 0.0, 0.0, 40.0)]),
    ]

    async def play(url: str) -> None:
        stores = store, other = open_redis(url), open_redis(url.replace("/0", "/7"))
        try:
            await compare(store, other)
        finally:
            for each in stores:
                await each.close()

    async def compare(store: CountStore, other: CountStore) -> None:
        for number, told in calls:
            start_s = time.monotonic()
            found, expected = await store.tell(number, told), memory.tell("one", number, told)
            clock.advance(time.monotonic() - start_s)
            assert found == pytest.approx(expected, abs=0.05)
        assert await other.tell(1, [Told("key:a", 0.5, 0, 0.0, 0.0, 40.0)]) == [0.0]
        client = store._client  # type: ignore[attr-defined]
        assert sorted(await client.keys("mlwb:limit:key:*")) == [
            b"mlwb:limit:key:" + name for name in (b"a", b"b", b"c")
        ]
        assert all([await client.ttl(key) > 0 for key in await client.keys("*")])
        await client.set("mlwb:limit:key:bad", "text")
        with pytest.raises(StoreAwayError):
            await store.tell(6, [Told("key:bad", 0.5, 1, 0.0, 0.0, 40.0)])
        await client.flushall()
        with pytest.raises(StoreForgotError):
            await store.tell(7, [Told("key:a", 0.5, 1, 0.0, 0.0, 40.0)])
        assert await store.tell(8, [Told("key:a", 0.5, 1, 0.0, 0.0, 40.0)]) == [0.5]

    with redis_process(tool, tmp_path) as redis:
        asyncio.run(play(redis.url))


@contextlib.contextmanager
def _server(models: Path, folder: Path, settings: Mapping[str, str]) -> Iterator[Server]:
    """A server that ends well, and has a word for each time its store went and came."""
    folder.mkdir()
    process = start(models, folder / "ready.json", settings)
    try:
        yield Server(process, wait_ready(process, folder / "ready.json"))
        process.terminate()
        said = process.communicate(timeout=10)[1].splitlines()
        assert process.returncode == 0
        words = ["is away", "answers again", "is away", "has forgotten", "answers again"]
        assert [word for word, line in zip(words, said, strict=True) if word in line] == words
    finally:
        process.kill()
        process.communicate()


class Traffic:
    """Requests to one server on one connection, and what came of them."""

    def __init__(self, running: Server, key: str, stack: contextlib.ExitStack) -> None:
        self.statuses: list[int] = []
        self.slowest_s = 0.0
        self._connection = http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=5)
        stack.callback(self._connection.close)
        self._headers = {"Content-Type": "application/json", "X-API-Key": key}

    def ask(self, times: int, pause_s: float = 0.0) -> list[int]:
        """That many; the statuses."""
        found = []
        for _ in range(times):
            start_s = time.monotonic()
            self._connection.request("POST", "/ml/predict", BODY, self._headers)
            response = self._connection.getresponse()
            response.read()
            self.slowest_s = max(self.slowest_s, time.monotonic() - start_s)
            found.append(response.status)
            time.sleep(pause_s)
        self.statuses += found
        return found


def _together(traffic: list[Traffic], times: int, pause_s: float = 0.0) -> None:
    threads = [threading.Thread(target=each.ask, args=(times, pause_s)) for each in traffic]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _up(running: Server) -> tuple[str, str]:
    """The gauge and health, as seen from outside."""
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=5)
    ) as connection:
        connection.request("GET", "/ml/metrics")
        text = connection.getresponse().read().decode()
        connection.request("GET", "/ml/health")
        health = json.loads(connection.getresponse().read())
    return text.partition("\nml_limit_store_up ")[2][:1], ",".join(health["reasons"])


def _within(seconds: float, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_servers_have_one_limit_with_redis_and_each_its_own_without(
    models: Path, tool: Callable[[str], str], tmp_path: Path
) -> None:
    """With Redis one quota for both, but for what they answer in a hundredth of a second.

    Stopped, killed and started again under traffic: no refusal but 429, nothing waits, each
    server limits alone within half a second, and together again within a second of its return.
    """
    keys = write_keys(models.parent / "keys.json")
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(redis_process(tool, tmp_path))
        settings = {
            "MLWB_LIMITS_URL": redis.url,
            "MLWB_RATE_LIMIT": str(QUOTA),
            "MLWB_RATE_WINDOW_S": "86400",
        }
        folders = tmp_path / "one", tmp_path / "two"
        servers = [stack.enter_context(_server(models, each, settings)) for each in folders]
        for each in servers:
            _within(2, lambda each=each: _up(each) == ("1", ""))  # type: ignore[misc]

        # Both at once, a request every two milliseconds or so: each hears of the other in time.
        both = [Traffic(each, keys["predict"], stack) for each in servers]
        _together(both, QUOTA, pause_s=0.002)
        counts = [each.statuses.count(200) for each in both]
        assert all(set(each.statuses) == {200, 429} for each in both)
        assert QUOTA <= sum(counts) <= QUOTA * 1.25
        assert min(counts) > QUOTA / 4

        # Stopped: it takes connections and answers nothing. A fresh key has a whole quota each.
        redis.process.send_signal(signal.SIGSTOP)
        alone = [Traffic(each, keys["service"], stack) for each in servers]
        _together(alone, QUOTA + 20)
        assert [each.statuses.count(200) for each in alone] == [QUOTA, QUOTA]
        for each in servers:
            _within(2, lambda each=each: _up(each) == ("0", "limits:unreachable"))  # type: ignore[misc]
        redis.process.send_signal(signal.SIGCONT)
        for each in servers:
            _within(2, lambda each=each: _up(each) == ("1", ""))  # type: ignore[misc]
        assert [each.ask(1) for each in (*both, *alone)] == [[429]] * 4

        # Killed between two requests, and another, empty one in its place.
        gone = [Traffic(each, keys["admin"], stack) for each in servers]
        killer = threading.Timer(0.05, redis.process.kill)
        killer.start()
        _together(gone, QUOTA, pause_s=0.001)
        killer.join()
        assert set(gone[0].statuses + gone[1].statuses) <= {200, 429}
        for each in servers:
            _within(2, lambda each=each: _up(each)[0] == "0")  # type: ignore[misc]
        redis.process.wait()
        stack.enter_context(redis_process(tool, tmp_path, redis.port))
        for each in servers:
            _within(2, lambda each=each: _up(each) == ("1", ""))  # type: ignore[misc]
        assert max(each.slowest_s for each in (*both, *alone, *gone)) < 1.0
