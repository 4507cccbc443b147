"""Golden notebooks: the sources, with the outputs that must not change.

Regenerate after a wanted change, then read the difference::

    MLWB_HOME=/some/empty/folder mlwb run --profile ci
    python -m tests.notebooks.golden /some/empty/folder/outputs/latest

A cell whose output is the same in every run (counts, scores, verdicts; no times, no latencies) keeps
it and is tagged ``nbval-check-output``; the lane runs all cells and compares those.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "notebooks" / "golden"
CHECKED = (
    "display(tables.quality(",
    "display(tables.stationarity(",
    "tables.windows(",
    "tables.scores(",
    "tables.parity(",
    "tables.psi(",
)
"""How the last line of a cell with a repeatable table begins."""
TAGS = ["keep_output", "nbval-check-output"]


def is_checked(cell: dict[str, Any]) -> bool:
    """Whether a cell ends in a table that every run repeats."""
    lines = "".join(cell["source"]).splitlines()
    return cell["cell_type"] == "code" and bool(lines) and lines[-1].startswith(CHECKED)


def golden(source: dict[str, Any], executed: dict[str, Any]) -> dict[str, Any]:
    """The source notebook with the outputs of its checked cells."""
    by_source = {"".join(cell["source"]): cell for cell in executed["cells"]}
    cells = []
    for cell in source["cells"]:
        kept = dict(cell)
        if is_checked(cell):
            ran = by_source["".join(cell["source"])]
            kept["outputs"] = ran["outputs"]
            kept["execution_count"] = ran["execution_count"]
            kept["metadata"] = {"tags": [*cell["metadata"].get("tags", []), *TAGS]}
        cells.append(kept)
    return {**source, "cells": cells}


def main(folder: Path) -> None:
    """Write a golden for every notebook of a finished run."""
    GOLDEN.mkdir(exist_ok=True)
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        source = json.loads(path.read_text(encoding="utf-8"))
        executed = json.loads((folder / path.name).read_text(encoding="utf-8"))
        text = json.dumps(golden(source, executed), indent=1, ensure_ascii=False, sort_keys=True)
        (GOLDEN / path.name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
