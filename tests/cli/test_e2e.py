"""``mlwb e2e`` shows every act, and its exit code is whether all came out as they had to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mlwb import runner
from mlwb.cli._app import app
from mlwb.runner import Found

RIGHT = Found(
    scenario="errors",
    about="some",
    version="injected-errors",
    is_injected=True,
    order="observe",
    expected="stopped",
    expected_reason="error",
    decision="stopped",
    reason="5%: candidate error in 6 of 52",
    is_right=True,
    problems=(),
    requests=1444,
    asked=69,
    seconds=9.7,
    back_ms=11.4,
    answers=6371,
    latest="v1",
)
WRONG = replace(RIGHT, is_right=False, problems=("latest is v2, not v1",), wrong=3)


def _run(monkeypatch: pytest.MonkeyPatch, *found: Found, args: tuple[str, ...] = ()) -> Any:
    def played(*_: object, **__: object) -> Iterator[Found]:
        yield from found

    monkeypatch.setattr(runner, "e2e_run", played)
    return CliRunner().invoke(app, ["e2e", *args])


def test_all_right_is_exit_0(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table names the reason, the requests and how long the share took to be 0."""
    done = _run(monkeypatch, RIGHT)
    assert done.exit_code == 0, done.output
    for said in ("errors*", "stopped", "69 of 1,444", "11 ms", "1 of 1 as expected", "0 wrong"):
        assert said in done.output


def test_one_that_came_out_otherwise_is_exit_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong stands below the table, and in the JSON."""
    done = _run(monkeypatch, RIGHT, WRONG)
    assert done.exit_code == 1
    assert "latest is v2, not v1" in done.output
    told = json.loads(_run(monkeypatch, RIGHT, WRONG, args=("--json",)).stdout)
    assert (told["pass"], told["home"]) == (False, None)
    assert [act["is_right"] for act in told["acts"]] == [True, False]


def test_a_home_of_its_own_is_gone_unless_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With --keep the JSON names it; one that was named stays anyway."""
    kept = json.loads(_run(monkeypatch, RIGHT, args=("--json", "--keep")).stdout)["home"]
    assert Path(kept).is_dir()
    Path(kept).rmdir()
    args = ("--json", "--home", str(tmp_path))
    assert json.loads(_run(monkeypatch, RIGHT, args=args).stdout)["home"] == str(tmp_path.resolve())
    assert tmp_path.is_dir()


def test_a_scenario_that_there_is_not_is_refused() -> None:
    """Before a home is made or anything is started."""
    done = CliRunner().invoke(app, ["e2e", "--only", "ugly"])
    assert done.exit_code != 0
    assert "no such scenario" in str(done.exception)
