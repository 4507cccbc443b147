"""`mlwb train`: one notebook, its numbers, its gates, a registered candidate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlwb.cli._train import _SHOWN
from mlwb.core.clock import SystemClock
from mlwb.registry import Registry
from mlwb.report._words import METRIC_WORDS
from tests.cli.conftest import Main
from tests.cli.test_app import mlwb


@pytest.mark.notebook
@pytest.mark.slow
def test_train_registers_and_says_what_it_measured(tmp_path: Path) -> None:
    """Numbers with intervals, the gates of training, a page; a candidate, nothing promoted."""
    done = mlwb("train", "--profile", "ci", "--json", home=tmp_path, timeout_s=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    held = told["metrics"]["auc_holdout"]
    assert held["ci"][0] < held["value"] < held["ci"][1]
    assert told["metrics"]["gate_window_reuses"]["value"] == 0
    assert set(told["gates"]) == {"signal", "ablation", "wf", "pnl", "parity", "schema"}
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "volatility, 1 min ahead" in page  # what is predicted stands under the title
    assert "<pre>mlwb train --profile ci</pre>" in page
    registry = Registry(tmp_path / "artifacts" / "models", clock=SystemClock())
    assert registry.candidate() == told["model_version"] == "v1.8.1"
    again = mlwb("train", "--profile", "ci", "-p", "search.c=[0.2]", home=tmp_path, timeout_s=300)
    assert "v1.8.2 is registered" in again.stdout
    assert "other candidates measured on the held-out bars: 1" in " ".join(again.stdout.split())


@pytest.mark.slow
def test_a_wrong_strength_stops_before_anything_starts(tmp_path: Path, main_here: Main) -> None:
    """A value out of range is a usage error, and nothing is written."""
    code, _, errors = main_here("train", "-p", "search.c=[-1]")
    assert (code, "search.c" in errors) == (2, True), errors
    assert not (tmp_path / "outputs").exists()


def test_what_the_terminal_shows_has_words() -> None:
    """No number is shown by its name in the code."""
    assert set(_SHOWN) <= set(METRIC_WORDS)
