"""The example bot: it never trades without a fresh score, never beyond its cap, never stops."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.client import Observation, PredictClient
from mlwb.core.home import find_project
from tests.client.scripted_kit import Drip, Scene, answer, problem, scripted
from tests.client.test_observe import _observed
from tests.serve.observe_kit import write_observed
from tests.serve.server_kit import server

DOCS = find_project() / "docs"
_CUT = Drip((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",), pause_s=0.0, ends=True)
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("paper_bot", DOCS / "paper_bot.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["paper_bot"] = module
    spec.loader.exec_module(module)
    return module


bot: Any = _loaded()


def _says(score: float, reason: str, *, is_dry_run: bool) -> Observation:
    source: Literal["model", "fallback"] = "fallback" if reason else "model"
    return Observation(score, source, reason, "v1", "id", 1.0, None, is_dry_run, symbol="X", ts="")


class _Fake:
    """Gives what it was told to, one after another."""

    def __init__(self, found: list[Observation]) -> None:
        self.found = found

    def observe(self, symbol: str, bars: Any) -> Observation:
        assert (symbol, bars["close"] > 0) == ("X", True)
        return self.found.pop(0)


_FOUND = st.builds(
    _says,
    st.floats(0, 1) | st.just(float("nan")),
    st.sampled_from(["", "", "", "timeout", "warming", "circuit_open"]),
    is_dry_run=st.booleans(),
)


@given(st.lists(_FOUND, min_size=1, max_size=40), st.floats(0.1, 5), st.floats(1e-6, 1))
def test_whatever_the_model_says(found: list[Observation], cap: float, limit: float) -> None:
    """Orders only on a score that may be traded on, before the loss limit; nothing or the cap."""
    book, lines, owned = bot.Book(cap, limit), list[str](), [0.0]
    bars = bot.made_bars(len(found), NOW, seed=3)
    may = [item.may_trade for item in found]
    for place, bar in enumerate(bars):
        stopped = book.is_stopped(bar["close"])
        bot.trade(_Fake([found[place]]), "X", iter([bar]), book, say=lines.append)
        owned.append(book.units)
        assert owned[-1] in {0.0, cap}
        if not may[place] or stopped:
            assert owned[-1] == owned[-2]
            assert "hold" in lines[-1]
    assert len(lines) == len(found)


def test_it_goes_on_when_the_server_does_not() -> None:
    """Refusals, rubbish, broken connections: a decision for each bar, trades only on scores."""
    calm, wild = _observed(score=0.2), _observed(score=0.8)
    bad: list[Scene] = [problem(500, "internal"), answer(200, b"<html>"), _CUT]
    with scripted(calm, *bad, wild, *bad, calm) as script:
        lines: list[str] = []
        with PredictClient(script.url, fallback=0.5) as client:
            bars = iter(bot.made_bars(9, NOW, seed=3))
            bot.trade(client, "X", bars, bot.Book(1.0, 1.0), say=lines.append)
    assert [re.findall(r"\((.*?)\).*: (\w+)", line)[0] for line in lines] == [
        ("model", "trade"),
        ("internal", "hold"),
        ("bad_answer", "hold"),
        ("lost", "hold"),
        ("model", "trade"),
        ("internal", "hold"),
        ("bad_answer", "hold"),
        ("lost", "hold"),
        ("model", "trade"),
    ]


def test_the_page_shows_the_rule_that_runs() -> None:
    """docs/bot.md quotes the script word for word."""
    page = (DOCS / "bot.md").read_text(encoding="utf-8")
    source = (DOCS / "paper_bot.py").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    quoted = [block for block in blocks if "def target_of" in block]
    assert len(quoted) == 1
    assert quoted[0] in source


@pytest.mark.server
def test_the_script_against_the_server(tmp_path: Path) -> None:
    """Run as its docstring says: history told, each bar decided on by the model; then a dry run."""
    models = tmp_path / "models"
    write_observed(models)
    where = {"MLWB_OBSERVE_MAX_AGE_S": "0", "MLWB_OBSERVE_DIR": "off"}
    with server(models, tmp_path, **where) as running:
        for extra in ([], ["--dry-run"]):
            command = [sys.executable, str(DOCS / "paper_bot.py"), running.url, "--bars", "8"]
            done = subprocess.run(
                [*command, *extra],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            lines = done.stdout.splitlines()
            assert len(lines) == 8
            assert all("(model)" in line for line in lines), done.stdout
            if extra:
                assert all("hold" in line for line in lines)
