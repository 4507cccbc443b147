"""The nbval lane finds what it should find, and nothing else. The oracle is nbval's own verdict."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlwb.runner import (run_notebook)
from tests.runner.notebook_kit import code, prose, write

pytestmark = [pytest.mark.notebook, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PRINTED = {"output_type": "stream", "name": "stdout"}


def _lane(folder: Path, *options: str) -> tuple[dict[str, int], str]:
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "tests.notebooks.lane"]
    done = subprocess.run(
        [*command, "-c", "pyproject.toml", "-p", "no:cacheprovider", *options, folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    last = (done.stdout.strip() or done.stderr).splitlines()[-1]
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error|skipped)", last)}
    return counts, done.stdout + done.stderr


def test_papermill_s_notebooks_pass_strictly(tmp_path: Path) -> None:
    """A parameterised run re-executes equal: semicolons, figures, moments and streams included.

    Shuffling and splitting plugins are on; cells still run in order, in one kernel a notebook.
    """
    for number in (1, 2):
        source = write(
            tmp_path / "source.ipynb",
            prose("# T"),
            code("seed = 1", "parameters"),
            code("import datetime, os\nimport matplotlib.pyplot as plt\nlines = [seed]"),
            code("lines.append(len(lines)); print(lines, flush=True); print('more')"),
            code("lines.append(len(lines)); lines"),
            code("plt.plot(lines);"),
            code("datetime.datetime.now(datetime.UTC).isoformat()"),
            code("lines.append(os.environ['TZ']); lines"),
        )
        out = tmp_path / "golden" / f"{number}.ipynb"
        run = run_notebook(source, parameters={"seed": number}, out=out, title="T", timeout_s=60)
        assert run.status == "ok"
    counts, said = _lane(tmp_path / "golden", "--nbval", "-n", "2")
    assert counts == {"passed": 16}, said


def test_difference_in_checked_output_fails(tmp_path: Path) -> None:
    """Lax compares checked cells only; strict compares all; a cell that raises fails in both."""
    write(
        tmp_path / "n.ipynb",
        code("print(1)", outputs=[{**PRINTED, "text": "2\n"}]),
        code("print(3)", "nbval-check-output", outputs=[{**PRINTED, "text": "4\n"}]),
        code("print(5)", "nbval-check-output", outputs=[{**PRINTED, "text": "5\n"}]),
        code("1 / 0"),
    )
    lax, said = _lane(tmp_path, "--nbval-lax")
    assert lax == {"passed": 2, "failed": 2}, said
    assert "ZeroDivisionError" in said
    strict, said = _lane(tmp_path, "--nbval")
    assert strict == {"passed": 1, "failed": 3}, said


def test_lane_has_a_workbench_of_its_own(tmp_path: Path) -> None:
    """The checkout's outputs, artifacts and evidence are not touched, and nothing is left."""
    marker = tmp_path / "home"
    look = (
        "import os, pathlib, sys\n"
        f"pathlib.Path({str(marker)!r}).write_text(os.environ['MLWB_HOME'])\n"
        f"assert sys.prefix == {sys.prefix!r}\n"
        f"assert not pathlib.Path(os.environ['MLWB_HOME']).is_relative_to({str(ROOT)!r})"
    )
    write(tmp_path / "n.ipynb", code("seed = 1", "parameters"), code(look))
    counts, said = _lane(tmp_path, "--nbval-lax")
    assert counts == {"passed": 2}, said
    assert not Path(marker.read_text(encoding="utf-8")).exists()


def test_profile_is_laid_over_every_stage() -> None:
    """A notebook of a stage runs on the small market; other notebooks run as they are."""
    from mlwb.runner._inject import injected_values
    from tests.notebooks.lane import _overlay

    source = _overlay(ROOT / "notebooks" / "01_feature_study.ipynb")
    assert injected_values(source)["data"]["days"] < 90
    assert _overlay(ROOT / "notebooks" / "other.ipynb") == ""
    assert _overlay(ROOT / "01_feature_study.ipynb") == ""
