"""One small training, shared by the tests that only read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.home import find_project
from mlwb.params import load_params

PARAMS = find_project() / "params"
Make = Callable[..., Any]


def small(stage: str, home: Path, **overrides: Any) -> Any:
    """Parameters of a stage on the ci profile, in a home of its own."""
    params = load_params(stage, PARAMS, profile="ci", overrides=overrides)
    return replace(params, run=replace(params.run, home=str(home)))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a bootstrap champion, a candidate and all evidence of training."""
    from mlwb.stages import feature_study, training

    home = tmp_path_factory.mktemp("trained")
    clock = ManualClock()
    for stage in (feature_study, training):
        name = stage.__name__.rsplit(".", 1)[1]
        params = small(name, home)
        stage.record(stage.measure(stage.load(params)), params, clock)
    return home
