"""Drill: the wall clock of the machine is set forward and back by hours while the server runs.

The clock of a real process is moved behind its only reader, :mod:`mlwb.core.clock`; what time
steadily passes is not moved, as on a machine whose clock is set.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.monitor._exposition import read_series
from tests.drills.drill_kit import (
    Bot,
    Drill,
    Served,
    add_version,
    audit_problems,
    logged,
    served_home,
    unlogged,
    wait_until,
    wrong_lines,
)
from tests.serve.key_kit import write_keys
from tests.serve.observe_kit import body, market

pytestmark = [pytest.mark.slow, pytest.mark.server]

_MOVED = """
import sys
from datetime import timedelta
from pathlib import Path
from mlwb.cli import main
from mlwb.core.clock import SystemClock
steady, ahead = SystemClock.now, Path(sys.argv.pop(1))
SystemClock.now = lambda clock: steady(clock) + timedelta(hours=float(ahead.read_text()))
sys.exit(main())
"""
HOUR_S = 3600
LIMIT = 80_000  # of a key, a day: less than one comes back in a second
MAY_BE_NEGATIVE = {"ml_shadow_rank_corr"}


def _durations(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Everything in seconds or milliseconds that an answer holds."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _durations(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _durations(item, name)
    elif isinstance(value, int | float) and name.endswith(("_s", "_ms")):
        yield name, value


def _remaining(served: Served, key: str, times: int = 1) -> int:
    """What a key's limit leaves it after some requests, by its headers."""
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    ) as connection:
        for _ in range(times):
            connection.request("GET", "/ml/model/info", headers={"X-API-Key": key})
            found = connection.getresponse()
            found.read()
            assert found.status == 200
        match = re.search("r=([0-9]+)", found.headers["RateLimit"])
    assert match
    return int(match[1])


def test_hours_forward_and_back(tmp_path: Path, drill: Drill) -> None:
    """Answers, limits and an open canary do not notice; keys do; no time shown is below 0."""
    drill.incident("the clock is set by hours")
    home, ahead = tmp_path / "home", tmp_path / "ahead_h"
    registry = served_home(home)
    add_version(registry, "v3.0.0")
    keys = write_keys(home / "artifacts" / "keys.json")  # of one day
    admin, bars = keys["admin"], json.loads(body(market(40)))
    ahead.write_text("0")
    served = Served(
        home,
        program=("-c", _MOVED, str(ahead)),
        MLWB_OBSERVE_MAX_AGE_S="0",
        MLWB_OBSERVE_SAVE_S="0.05",
        MLWB_LOG_HOURS="8760",
        MLWB_RATE_LIMIT=str(LIMIT),
        MLWB_RATE_WINDOW_S="86400",
    )

    def check() -> None:
        """Nothing negative anywhere, and the canary is as it was opened."""
        shown = [
            served.ask(path, key=admin)[1]
            for path in ("/ml/health/detailed", "/ml/observe", "/ml/monitoring/stats")
        ]
        assert [item for item in _durations(shown) if item[1] < 0] == []
        below = [item.text for item in read_series(served.page()) if item.value < 0]
        assert [text for text in below if text not in MAY_BE_NEGATIVE] == []
        canary = served.ask("/ml/canary", key=admin)[1]
        assert (canary["mode"], canary["percent"], canary["ended"]) == ("observe", 50, "")

    def move(hours: float) -> None:
        fsops.write_atomic(ahead, str(hours).encode())

    with served, Bot(served, keys["predict"]) as bot:
        bot.next_good("v2.0.0", 20)
        assert served.ask("/ml/observe", bars, key=keys["predict"])[0] == 200
        wait_until(lambda: served.ask("/ml/observe", key=admin)[1]["symbols"][0]["saved_age_s"])
        asked = {"mode": "observe", "percent": 50, "reason": "a drill"}
        assert served.ask("/ml/canary", asked, key=admin)[0] == 200
        assert _remaining(served, keys["read"], times=60) < LIMIT - 40
        for hours in (6, -6, 0):
            move(hours)
            bot.next_good("v2.0.0", 20)
            check()
            assert LIMIT - 70 < _remaining(served, keys["read"]) < LIMIT - 20
        assert bot.reasons == set()

        move(30)
        wait_until(lambda: "unauthorized" in bot.reasons)
        assert (served.health()["status"], served.health()["reasons"]) == ("ok", [])
        drill.sees("nothing", "beyond the life of a key: 401 unauthorized, bots on their fallback")
        drill.begin()
        move(0)
        bot.next_good("v2.0.0", 20)
        drill.recovered("set the clock right")
        check()
        assert bot.reasons == {"unauthorized"}
        assert served.stop() == 0

    lines = logged(home)
    assert (bot.wrong, wrong_lines(bot, lines), sum(unlogged(bot, lines))) == ([], [], 0)
    drill.lost(0)
    stamps = [line.ts.timestamp() for line in lines]
    assert max(stamps) - min(stamps) > 11 * HOUR_S
    assert audit_problems(home) == ()
    assert registry.doctor() == ()
