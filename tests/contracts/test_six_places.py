"""One name in six places: a stage is findable from any of them."""

from __future__ import annotations

import importlib
import json

import pytest

from mlwb.core.home import find_project
from mlwb.params import STAGES, load_params, params_values
from mlwb.stages.common import NOTEBOOKS

ROOT = find_project()


@pytest.mark.parametrize("stage", NOTEBOOKS)
def test_a_stage_has_notebook_params_module_and_test(stage: str) -> None:
    """Notebook, parameter file, module with four verbs, and test carry the stage's name."""
    module = importlib.import_module(f"mlwb.stages.{stage}")
    assert all(callable(getattr(module, verb)) for verb in ("load", "measure", "record", "judge"))
    assert callable(module.run)
    assert (ROOT / "notebooks" / f"{NOTEBOOKS[stage]}.ipynb").is_file()
    assert (ROOT / "params" / f"{stage}.yml").is_file()
    assert (ROOT / "tests" / "stages" / f"test_{stage}.py").is_file()
    assert stage in STAGES


@pytest.mark.parametrize("stage", NOTEBOOKS)
def test_a_notebook_opens_with_the_values_of_its_parameter_file(stage: str) -> None:
    """What JupyterLab runs by default is what params/<stage>.yml says."""
    cells = json.loads((ROOT / "notebooks" / f"{NOTEBOOKS[stage]}.ipynb").read_text())["cells"]
    (source,) = (
        "".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])
    )
    scope: dict[str, object] = {}
    exec(source, {}, scope)  # noqa: S102 - our own notebook's parameter cell, literals only
    assert scope == params_values(load_params(stage, ROOT / "params"))


def test_the_architecture_page_names_every_room_and_stage() -> None:
    """docs/architecture.md lists each package below mlwb/, and each stage."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "mlwb").glob("*/__init__.py")]
    stages = [path.stem for path in (ROOT / "mlwb" / "stages").glob("[a-z]*.py")]
    named = {*rooms, *stages} - {"common", "market"}
    assert [name for name in sorted(named) if f"| {name} |" not in text] == []
