"""Drill: the server is killed again and again, while bots ask and versions are promoted."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.core.chain import Chain
from mlwb.core.clock import SystemClock
from mlwb.features import specs
from mlwb.features.batch import compute
from tests.drills.drill_kit import (
    AWAY,
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
from tests.inference.version_kit import NAMES
from tests.serve.observe_kit import body, market
from tests.serve.registry_kit import promote

pytestmark = [pytest.mark.slow, pytest.mark.server]

KILLS = 10
BARS = market(120)


def _look(home: Path, url: str) -> dict[str, Any]:
    """One look of ``mlwb monitor --act``."""
    done = CliRunner().invoke(
        app, ["monitor", "--act", "--json", "--url", url], env={"MLWB_HOME": str(home)}
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _observe(served: Served, first: int, last: int) -> dict[str, Any]:
    """The answer to some bars, once they stand on the disk."""
    status, answer = served.ask("/ml/observe", json.loads(body(BARS[first:last])))
    assert status == 200, answer
    asked = SystemClock().now()

    def is_saved() -> bool:
        (found,) = served.ask("/ml/observe")[1]["symbols"]
        age_s, since = found["saved_age_s"], SystemClock().now() - asked
        return age_s is not None and age_s < since.total_seconds()

    wait_until(is_saved)
    return answer


def _holes(missing: list[bool], lives: list[int]) -> int:
    """Answers without a line that are followed, in the same life, by one that has it."""
    found = 0
    for first, last in zip([0, *lives], [*lives, len(missing)], strict=True):
        life = missing[first:last]
        logged_until = max((place for place, is_gone in enumerate(life) if not is_gone), default=0)
        found += sum(life[:logged_until])
    return found


def test_ten_kills(tmp_path: Path, drill: Drill) -> None:
    """Every answer right, bars go on where they stood, no hole in the log, one rollback."""
    drill.incident("the server dies again and again")
    home, took_s, lives, looks = tmp_path / "home", [], [], []
    registry = served_home(home)
    expected = compute(specs(NAMES, quoted=True), BARS)
    with Served(home, MLWB_OBSERVE_MAX_AGE_S="0", MLWB_OBSERVE_SAVE_S="0.05") as served:
        _observe(served, 0, 60)
        with Bot(served) as bot:
            for number in range(KILLS):
                answer = _observe(served, 60 + number, 61 + number)
                features = list(answer["features"].values())
                assert np.array_equal(np.array(features, dtype=float), expected[60 + number])
                bot.next_good(n=20)
                looks.append(_look(home, served.url))
                if number == 5:
                    add_version(registry, "v3.0.0")
                    promote(registry, "v3.0.0")
                served.kill()
                lives.append(len(bot.scored))
                took_s.append(served.start())
                looks.append(_look(home, served.url))
                bot.next_good()
            bot.next_good("v3.0.0", 20)
            assert served.stop() == 0
    drill.sees(f"fallback: {', '.join(sorted(bot.reasons))}", "monitor rolls back once: restarts")
    drill.measured("recovered_s", f"{statistics.median(took_s):.2f} (longest {max(took_s):.2f})")
    drill.measured("by", "start again (systemd does)")
    assert bot.wrong == []
    assert bot.reasons <= AWAY

    lines = logged(home)
    missing = unlogged(bot, lines)
    assert wrong_lines(bot, lines) == []
    assert _holes(missing, lives) == 0
    drill.lost(sum(missing), f"of {len(missing)}: the last fifth of a second before each kill")

    assert [look["outcome"] for look in looks].count("acted") == 1
    links = Chain(home / "artifacts" / "promotions.log").links()
    (why,) = [link.body["reason"] for link in links if link.body.get("action") == "rollback"]
    assert str(why).startswith("monitor: restarts")
    assert looks[-1]["outcome"] == "held"
    assert registry.latest() == "v3.0.0"
    assert registry.doctor() == ()
    assert audit_problems(home) == ()
