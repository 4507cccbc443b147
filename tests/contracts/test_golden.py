"""The golden notebooks are the notebooks, and they compare something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.golden import GOLDEN, ROOT, TAGS, is_checked

NAMES = sorted(path.name for path in (ROOT / "notebooks").glob("0*.ipynb"))
WITHOUT = {"04_canary_analysis.ipynb", "05_release_review.ipynb"}
"""Their tables hold latencies, times and digests; their evidence is compared instead."""


def cells(path: Path) -> list[dict[str, Any]]:
    """Cells of a notebook."""
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_has_the_cells_of_its_notebook(name: str) -> None:
    """Whoever edits a notebook regenerates its golden."""
    sources = [
        [(cell["cell_type"], "".join(cell["source"])) for cell in cells(folder / name)]
        for folder in (ROOT / "notebooks", GOLDEN)
    ]
    assert sources[0] == sources[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_checked_cell_has_an_output_and_a_count(name: str) -> None:
    """Nbval passes a checked cell without either in silence, so neither may be missing."""
    checked = [cell for cell in cells(GOLDEN / name) if is_checked(cell)]
    assert checked or name in WITHOUT
    for cell in checked:
        assert set(TAGS) <= set(cell["metadata"]["tags"])
        assert cell["execution_count"]
        assert any("text/plain" in output.get("data", {}) for output in cell["outputs"])


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_names_no_folder_of_a_machine(name: str) -> None:
    """What is committed was made somewhere, and does not say where."""
    text = (GOLDEN / name).read_text(encoding="utf-8")
    assert str(ROOT) not in text
    assert "/tmp/" not in text  # noqa: S108 - looked for, not used
