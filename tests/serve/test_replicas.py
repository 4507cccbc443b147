"""One limit over several servers: what they tell each other, and what happens without."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import ParamsError
from mlwb.serve import ServeSettings, create_app
from mlwb.serve._limits import Limits
from mlwb.serve._rate import LocalRateLimit, Quota, RateLimit
from mlwb.serve._rate_shared import RateTable, SharedRateLimit
from mlwb.serve._redis import open_redis
from mlwb.serve._replicas import Replicas
from tests.serve.asgi_kit import call
from tests.serve.store_kit import MemoryStore

QUOTA, WINDOW_S = 20, 10.0
COST_S = WINDOW_S / QUOTA


class Fleet:
    """Servers with one store, on one clock, that speak when they are told to."""

    def __init__(self, n_servers: int = 2) -> None:
        self.clock, self._names = ManualClock(), itertools.count()
        self.store = MemoryStore(self.clock)
        self.servers = [self.joined(_own()) for _ in range(n_servers)]
        self.speak()

    def joined(self, own: RateLimit, capacity: int = 100) -> Replicas:
        """One more server."""
        return Replicas(
            self.store.of(str(next(self._names))), Limits(own, None), self.clock, capacity=capacity
        )

    def take(self, server: int, name: str = "bot") -> float:
        """Ask one of them."""
        limit = self.servers[server].limits.by_key
        assert limit is not None
        return limit.take(name, self.clock.monotonic_s())

    def spend(self, server: int) -> int:
        """Ask one until it refuses."""
        spent = 0
        while self.take(server) > 0:
            spent += 1
        return spent

    def speak(self, *servers: int) -> None:
        """Let them, or all, speak with the store, one after the other."""

        async def speak() -> None:
            for number in servers or range(len(self.servers)):
                await self.servers[number].exchange()

        asyncio.run(speak())


def _own() -> RateLimit:
    return LocalRateLimit(QUOTA, WINDOW_S, name="key", capacity=100)


def test_servers_that_have_heard_of_each_other_are_one() -> None:
    """A request of one is owed at the other; the headers say so."""
    fleet = Fleet()
    assert [fleet.take(0) for _ in range(3)] == [0.5, 1.0, 1.5]
    fleet.speak(0)
    assert fleet.take(1) == 0.5  # it was never asked about this name, so it had not heard
    fleet.speak(1)
    limit = fleet.servers[1].limits.by_key
    assert limit is not None
    taken = fleet.take(1)
    assert taken == 2.5
    assert limit.standing(taken) == Quota(15, 3)


@pytest.mark.parametrize("seed", range(3))
def test_no_request_is_refused_that_one_server_would_have_taken(seed: int) -> None:
    """Whatever arrives where, whoever speaks when: a refusal is one of all requests together.

    And what is let through too much is only what others let through unheard, and what is paid for
    while nobody speaks.
    """
    draw = np.random.default_rng(seed)
    fleet = Fleet(3)
    paid, refused, most = 0.0, 0, 0.0
    untold, unheard, spoke, silence = [0, 0, 0], [0, 0, 0], [0.0, 0.0, 0.0], 0.0
    for _ in range(1_200):
        fleet.clock.advance(float(draw.exponential(0.05)))
        now_s, server = fleet.clock.monotonic_s(), int(draw.integers(3))
        exact = max(paid, now_s) - now_s + COST_S
        if fleet.take(server) > 0:
            paid = now_s + exact
            untold[server] += 1
            unheard = [n + (other != server) for other, n in enumerate(unheard)]
            most = max(most, exact)
            assert exact <= WINDOW_S + (unheard[server] + 1e-6) * COST_S + silence
        else:
            refused += 1
            assert exact > WINDOW_S
        if draw.random() < 0.4:
            fleet.speak(server)
            silence, spoke[server] = max(silence, now_s - spoke[server]), now_s
            if untold[server]:  # who has nothing to tell hears nothing
                untold[server] = 0
                unheard[server] = sum(untold)
    assert refused > 100
    assert most > WINDOW_S
    assert silence < WINDOW_S / 3


def test_what_was_too_much_is_owed() -> None:
    """Two that spend a window each at once wait for two; over ten windows the rate holds."""
    fleet = Fleet()
    admitted = 0
    for _ in range(100):
        admitted += fleet.spend(0) + fleet.spend(1)
        fleet.speak(0, 1, 0, 1)
        fleet.clock.advance(WINDOW_S / 10)
    assert admitted <= 2 * QUOTA + 10 * QUOTA + 2
    assert fleet.take(0) < 0 or fleet.take(1) < 0


def test_without_the_store_each_server_limits_alone() -> None:
    """The same rate for each, a word in health's terms, one count a failure; nothing waits."""
    fleet = Fleet()
    fleet.store.is_away = True
    assert [fleet.spend(0), fleet.spend(1)] == [QUOTA, QUOTA]
    fleet.speak()
    fleet.speak()
    assert [(s.problem, s.failures) for s in fleet.servers] == [("unreachable", 2)] * 2
    fleet.clock.advance(WINDOW_S)
    assert [fleet.spend(0), fleet.spend(1)] == [QUOTA, QUOTA]


@pytest.mark.parametrize("is_deaf", [False, True])
def test_a_short_silence_loses_no_request_and_counts_none_twice(*, is_deaf: bool) -> None:
    """Whether the store had counted before its answer was lost or not; what came since is told."""
    fleet = Fleet()
    for _ in range(4):
        fleet.take(0)
        fleet.take(1)
    fleet.store.is_away, fleet.store.is_deaf = not is_deaf, is_deaf
    fleet.speak()
    fleet.take(0)
    fleet.speak()
    fleet.store.is_away = fleet.store.is_deaf = False
    fleet.clock.advance(0.5)
    fleet.speak()
    fleet.speak()
    assert fleet.store.paid["key:bot"] - fleet.clock.monotonic_s() == 9 * COST_S - 0.5


@pytest.mark.parametrize("forgets", [False, True])
def test_what_was_done_long_without_the_store_is_not_added_up(*, forgets: bool) -> None:
    """On return the largest debt of any server is that of all: nobody is locked out for longer.

    So a store that forgot everything learns it again.
    """
    fleet = Fleet()
    fleet.take(0)
    fleet.speak()
    fleet.store.is_away = True
    for _ in range(50):  # five windows
        fleet.clock.advance(1.0)
        fleet.spend(0)
        fleet.take(1)
        fleet.speak()
    fleet.store.is_away = False
    if forgets:
        fleet.store.forget()
        fleet.speak()
    fleet.speak()
    now_s = fleet.clock.monotonic_s()
    assert fleet.store.paid["key:bot"] - now_s == pytest.approx(WINDOW_S, abs=COST_S)
    assert [server.problem for server in fleet.servers] == ["", ""]
    assert fleet.take(1) < 0


def test_a_store_that_begins_anew_learns_what_is_owed() -> None:
    """Though no call failed: it says that it does not know the server's last batch."""
    fleet = Fleet()
    fleet.spend(0)
    fleet.speak()
    fleet.store.forget()
    fleet.clock.advance(COST_S)
    assert fleet.take(0) > 0
    fleet.speak()
    fleet.speak()
    assert fleet.store.paid["key:bot"] - fleet.clock.monotonic_s() == pytest.approx(WINDOW_S)
    assert [server.problem for server in fleet.servers] == ["", ""]


def test_a_clock_of_the_store_that_goes_back_locks_nobody_out() -> None:
    """A debt of an hour that nobody made ends after four windows."""
    fleet = Fleet(1)
    fleet.store.paid["key:bot"] = fleet.clock.monotonic_s() + 3_600.0
    fleet.take(0)
    fleet.speak()
    assert fleet.take(0) == pytest.approx(-(3 * WINDOW_S + COST_S))


def test_workers_speak_for_their_server() -> None:
    """Each tells what it let through itself; what one learns, both know at once."""
    fleet = Fleet()
    table = RateTable(2, 100)
    fleet.servers[1:] = [
        fleet.joined(SharedRateLimit(QUOTA, WINDOW_S, name="key", table=table, slot=slot))
        for slot in range(2)
    ]
    fleet.speak()
    assert fleet.spend(0) == QUOTA
    fleet.speak(0)
    assert [fleet.take(1) > 0, fleet.take(2) > 0] == [True, True]
    fleet.speak(1)
    assert [fleet.take(1) > 0, fleet.take(2) > 0] == [False, False]
    fleet.speak(2)
    owed_s = fleet.store.paid["key:bot"] - fleet.clock.monotonic_s()
    assert owed_s == pytest.approx(WINDOW_S + 2 * COST_S)


def test_ever_new_names_fill_no_memory() -> None:
    """Names told are not kept; without the store the newest few are, for when it is back."""
    fleet = Fleet(1)
    fleet.servers[0] = fleet.joined(_own(), capacity=50)
    for index in range(2_500):
        fleet.take(0, f"name-{index}")
    fleet.speak(0, 0, 0)
    assert sum(map(len, fleet.store.told)) == 2_500
    fleet.store.is_away = True
    for index in range(2_500):
        fleet.take(0, f"other-{index}")
    fleet.clock.advance(5.0)
    fleet.speak()
    fleet.store.is_away = False
    fleet.speak(0, 0)
    assert sum(map(len, fleet.store.told)) == 2_550


def test_it_speaks_by_itself_and_hangs_up_in_the_end() -> None:
    """Soon after a request, and now and then without one."""
    fleet = Fleet(1)

    async def play() -> None:
        speaking = asyncio.create_task(fleet.servers[0].run())
        await asyncio.sleep(0)
        fleet.take(0)
        while not fleet.store.paid:
            await asyncio.sleep(0.001)
        fleet.clock.advance(1.5)
        told = len(fleet.store.told)
        while len(fleet.store.told) == told:
            await asyncio.sleep(0.001)
        speaking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await speaking

    asyncio.run(asyncio.wait_for(play(), 5))
    assert fleet.store.closed == 1


def test_one_word_when_it_goes_and_one_when_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    """However long it is away."""
    caplog.set_level(logging.WARNING, "mlwb.serve")
    fleet = Fleet(1)
    fleet.store.is_away = True
    for _ in range(3):
        fleet.speak()
    fleet.store.is_away = False
    fleet.speak()
    fleet.speak()
    away, back = (record.getMessage() for record in caplog.records)
    assert "is away, each server limits alone: gone" in away
    assert "answers again" in back


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "127.0.0.1:6379",
        "redis://h:secret/0",
        "redis://:secret@h/0?no_option=1",
        "redis://:secret@h/0?protocol=9",
    ],
)
def test_a_url_that_names_no_store_is_refused(models: Path, url: str) -> None:
    """At the start, without saying what may be a password."""
    with pytest.raises(ParamsError, match="MLWB_LIMITS_URL names no store") as found:
        create_app(ServeSettings(models, limits_url=url))
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    "answer",
    [
        b":5",
        b"+OK",
        b"*0",
        b"*2\r\n+1\r\n+1",
        b"*1\r\n+text",
        b"*1\r\n+nan",
        b"*1\r\n+inf",
        b"*1\r\n+50",
    ],
)
def test_what_is_no_answer_of_a_store_is_none(answer: bytes) -> None:
    """Another program on its port, a number nobody can owe: the server limits alone, and says so.

    An endless debt would be an endless refusal, whatever the store says later.
    """

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            is_script = b"EVALSHA" in data
            writer.write((answer if is_script else b"+OK") + b"\r\n")
        writer.close()

    async def told() -> tuple[str, Quota]:
        server = await asyncio.start_server(answered, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        store, clock = open_redis(f"redis://127.0.0.1:{port}/0"), ManualClock()
        replicas = Replicas(store, Limits(_own(), None), clock, capacity=10)
        limit = replicas.limits.by_key
        assert limit is not None
        limit.take("bot", clock.monotonic_s())
        await replicas.exchange()
        await replicas.close()
        server.close()
        return replicas.problem, limit.standing(limit.take("bot", clock.monotonic_s()))

    assert asyncio.run(told()) == ("unreachable", Quota(QUOTA - 2, 1))


def test_a_password_is_not_shown(models: Path) -> None:
    """Nor by whoever prints the settings."""
    assert "secret" not in repr(ServeSettings(models, limits_url="redis://:secret@h/0"))


def test_health_and_metrics_say_whether_the_store_answers(models: Path) -> None:
    """Only where there is one."""
    plain = call(create_app(ServeSettings(models)), "/ml/metrics").body.decode()
    assert "\nml_limit_store_up " not in plain
    app = create_app(ServeSettings(models, limits_url="redis://127.0.0.1:1/0"))
    assert "\nml_limit_store_up 1" in call(app, "/ml/metrics").body.decode()
    assert app.state.replicas is not None
    asyncio.run(app.state.replicas.exchange())
    text = call(app, "/ml/metrics").body.decode()
    assert "\nml_limit_store_up 0\n" in text
    assert "\nml_limit_store_failures_total 1\n" in text
    health = call(app, "/ml/health").json()
    assert (health["status"], health["reasons"]) == ("degraded", ["limits:unreachable"])


def test_without_the_library_it_is_said_where_it_comes_from(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server without the extra does not start, and names it; without the setting it does."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    create_app(ServeSettings(models))
    with pytest.raises(ParamsError, match=r"pip install 'mlwb\[redis\]'"):
        create_app(ServeSettings(models, limits_url="redis://127.0.0.1/0"))
