"""The whole chain: bad candidates are real, each is stopped for its reason, a lie would show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlwb.core.clock import SystemClock
from mlwb.core.errors import ParamsError, ParityError
from mlwb.core.home import Home, find_project
from mlwb.inference import Predictor
from mlwb.registry import Registry
from mlwb.runner import SCENARIOS, E2eOptions, e2e_run
from mlwb.runner._e2e_checks import answers_of
from mlwb.runner._e2e_models import Injected, publish_injected, traffic_rows
from mlwb.runner._e2e_traffic import Asked
from tests.rollout.rollout_kit import place
from tests.serve.registry_kit import begin


def test_a_bad_version_is_published_as_any_other(tmp_path: Path) -> None:
    """It verifies, loads, and answers what its golden rows say; a lying one does not load."""
    registry = begin(tmp_path / "models")
    publish_injected(registry, "v1.0.0", "bad", Injected("pushed", 0.04))
    publish_injected(registry, "v1.0.0", "lying", Injected("flipped", 1.0, is_honest=False))
    assert registry.verify("bad") == registry.verify("lying") == ()
    assert registry.candidate() == "lying"
    assert Predictor.load(registry.resolve("bad")).version == "bad"
    with pytest.raises(ParityError):
        Predictor.load(registry.resolve("lying"))


def test_rows_are_like_those_of_the_champion_and_never_equal(tmp_path: Path) -> None:
    """The same seed gives the same rows, all in range, each only once."""
    folder = begin(tmp_path / "models").resolve("v1.0.0")
    rows = traffic_rows(folder, 300)
    assert np.array_equal(rows, traffic_rows(folder, 300))
    assert len(np.unique(rows, axis=0)) == 300
    assert np.isfinite(Predictor.load(folder).predict(rows)).all()


def test_an_answer_that_is_not_the_versions_own_is_found(tmp_path: Path) -> None:
    """A score off by 1e-6, an unknown version, and a request without an answer are each counted."""
    registry = begin(tmp_path / "models")
    rows = traffic_rows(registry.resolve("v1.0.0"), 3)
    scores = Predictor.load(registry.resolve("v1.0.0")).predict(rows)
    good = [Asked(row, 200, "v1.0.0", float(score)) for row, score in enumerate(scores)]
    found = answers_of(good, rows, registry)
    assert (found.n_by_version, found.n_wrong, found.n_failed) == ({"v1.0.0": 3}, 0, 0)
    bad = [
        good[0]._replace(score=good[0].score + 1e-6),
        good[1]._replace(version="v9"),
        Asked(2, 503, "", float("nan")),
    ]
    found = answers_of(bad, rows, registry)
    assert (found.n_wrong, found.n_failed) == (2, 1)


def test_scenarios_are_chosen_by_name() -> None:
    """In their own order; a name there is not is refused before anything starts."""
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    chosen = E2eOptions(only=("wrong", "errors")).scenarios
    assert [scenario.name for scenario in chosen] == ["errors", "wrong"]
    with pytest.raises(ParamsError, match="no such scenario"):
        _ = E2eOptions(only=("ugly",)).scenarios


@pytest.mark.server
@pytest.mark.slow
def test_errors_are_stopped_and_the_champion_serves_on(tmp_path: Path) -> None:
    """Through the real commands and a real server with keys; live is refused without evidence."""
    at = place(tmp_path)
    options = replace(E2eOptions(only=("errors",)), policy="policy.yml")
    found = list(e2e_run(Home(find_project(), tmp_path), options, clock=SystemClock()))
    assert [(item.order, item.decision, item.problems) for item in found] == [
        ("live", "refused", ()),
        ("observe", "stopped", ()),
    ]
    refused, stopped = found
    assert "shadow" in refused.reason
    assert "error" in stopped.reason
    assert stopped.back_ms is not None
    assert stopped.back_ms < 1000.0
    assert stopped.asked > 0
    assert all(item.answers > 100 and item.wrong == 0 for item in found)
    assert Registry(at.registry.models_dir, clock=SystemClock()).latest() == "v1.0.0"
