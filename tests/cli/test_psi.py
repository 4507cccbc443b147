"""`mlwb psi`: one notebook, two rules side by side, an exit code by the gates; and a plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Main
from tests.cli.test_app import mlwb


@pytest.mark.notebook
@pytest.mark.slow
def test_psi_judges_the_candidate_and_plans(tmp_path: Path) -> None:
    """A short market leaves the gates unproven: exit 1, with a table, two sentences, a page."""
    assert mlwb("train", "--profile", "ci", "-q", home=tmp_path, timeout_s=300).returncode == 0
    done = mlwb("psi", "--profile", "ci", "--json", home=tmp_path, timeout_s=300)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["gates"] == {"psi": "UNPROVEN", "drift": "UNPROVEN"}
    assert told["model_version"] == "v1.8.1"
    assert {row["reading"] for row in told["features"]} >= {"pass", "not_gateable"}
    assert [row["name"] for row in told["features"][-2:]] == ["the overall mean", "prediction"]
    assert len(told["said"]) == 2
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert "<pre>mlwb psi --profile ci</pre>" in page
    before = sorted((tmp_path / "outputs").iterdir())
    plan = mlwb("psi", "--plan", "--days", "2", "--json", home=tmp_path)
    assert plan.returncode == 0, plan.stderr
    planned = json.loads(plan.stdout)
    assert planned["days"] == 2
    assert all(0.0 <= row["passes"] <= 1.0 for row in planned["features"])
    limits = {row["name"]: row["limit"] for row in planned["features"]}
    assert limits.pop("prediction") == 0.25  # the score has a limit of its own
    assert set(limits.values()) == {0.3}
    far = mlwb("psi", "--plan", "--days", "400", home=tmp_path)
    assert far.returncode == 3
    assert "half of it, got --days 400" in far.stderr
    assert sorted((tmp_path / "outputs").iterdir()) == before  # a plan runs nothing


@pytest.mark.slow
def test_without_a_version_there_is_nothing_to_plan(tmp_path: Path, main_here: Main) -> None:
    """An empty registry has no candidate, said in a line, and nothing is run."""
    for more in (["--plan"], []):
        code, _, errors = main_here("psi", *more)
        assert (code, "no candidate to judge" in errors) == (6, True), errors
        assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_a_plan_takes_no_data(main_here: Main) -> None:
    """Data that would be passed over in silence is refused instead."""
    code, _, errors = main_here("psi", "--plan", "--data", "bars.csv")
    assert (code, "reads the frozen reference alone" in errors) == (2, True), errors
