"""Notebooks stay thin, clean and in step with params/: they call the package and tell its results.

The rules are checked on every notebook of the project and, to show that each rule can fail, on
notebooks that break one rule each.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from mlwb.params import STAGES, read_yaml
from mlwb.runner._inject import injected_values
from tests.runner.notebook_kit import code, notebook, prose

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

_MOST_CELLS, _MOST_LINES = 14, 8
_LOGIC = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.AsyncFor,
    ast.While, ast.Try, ast.TryStar, ast.With, ast.AsyncWith,
)  # fmt: skip
_ABSOLUTE = re.compile(r"""(?:^|["'\s(])(?:/(?:home|Users|root|tmp|work|mnt|var|opt)/|[A-Z]:\\)""")
_METADATA = {"kernelspec", "language_info", "title"}
_CELL_METADATA = {"tags", "jupyter", "editable", "slideshow"}
_KEPT = {"keep_output", "nbval-check-output"}


def _tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _codes(node: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in node.cells if cell.cell_type == "code"]


def _shape(node: NotebookNode) -> Iterator[str]:
    codes = _codes(node)
    if len(codes) > _MOST_CELLS:
        yield f"{len(codes)} code cells"
    if [sorted(_tags(cell) & {"record", "judge"}) for cell in codes[-2:]] != [
        ["record"],
        ["judge"],
    ]:
        yield "the last two code cells are not record and judge"
    if sum("verdict" in _tags(cell) for cell in codes) != 1:
        yield "not exactly one verdict"
    kinds = [cell.cell_type for cell in node.cells]
    for number, pair in enumerate(zip(["start", *kinds], kinds, strict=False), 1):
        if pair[1] == "code" and pair[0] != "markdown":
            yield f"cell {number}: no question before the code"


def _sources(node: NotebookNode) -> Iterator[str]:
    for cell in _codes(node):
        if "parameters" in _tags(cell):
            continue
        if len(cell.source.splitlines()) > _MOST_LINES:
            yield f"{cell.id}: {len(cell.source.splitlines())} lines"
        for part in ast.walk(ast.parse(cell.source)):
            if isinstance(part, _LOGIC):
                yield f"{cell.id}: {type(part).__name__}"
            if isinstance(part, ast.Constant) and type(part.value) in (int, float, complex):
                yield f"{cell.id}: the number {part.value!r}"


def _hygiene(node: NotebookNode) -> Iterator[str]:
    if node.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    if extra := set(node.metadata) - _METADATA:
        yield f"notebook metadata {sorted(extra)}"
    for cell in node.cells:
        if extra := set(cell.metadata) - _CELL_METADATA:
            yield f"{cell.id}: cell metadata {sorted(extra)}"
        if _ABSOLUTE.search(cell.source):
            yield f"{cell.id}: an absolute path"
        if cell.cell_type == "code":
            yield from _results(cell)


def _results(cell: NotebookNode) -> Iterator[str]:
    has_both = bool(cell.outputs) and cell.execution_count is not None
    has_either = bool(cell.outputs) or cell.execution_count is not None
    if _tags(cell) & _KEPT:
        # nbval compares nothing, silently, when one of the two is missing.
        if not _tags(cell) >= _KEPT or not has_both:
            yield f"{cell.id}: a checked cell needs both tags, its output and its count"
    elif has_either:
        yield f"{cell.id}: holds results"


def _parameters(node: NotebookNode, expected: dict[str, Any]) -> Iterator[str]:
    cells = [cell for cell in _codes(node) if "parameters" in _tags(cell)]
    if len(cells) != 1 or cells[0] is not _codes(node)[0]:
        yield "the first code cell is not the only parameters cell"
    elif repr(injected_values(cells[0].source)) != repr(expected):
        yield "the parameters are not those of params/"


def _problems(node: NotebookNode, expected: dict[str, Any]) -> list[str]:
    checks = (_shape(node), _sources(node), _hygiene(node), _parameters(node, expected))
    return [problem for check in checks for problem in check]


def test_there_are_notebooks_and_one_a_stage() -> None:
    """Every notebook is numbered and named after a stage, and has the stage's parameter file."""
    assert NOTEBOOKS, "no notebooks found"
    for number, path in enumerate(NOTEBOOKS, 1):
        prefix, _, stage = path.stem.partition("_")
        assert prefix == f"{number:02d}"
        assert stage in STAGES
        assert (ROOT / "params" / f"{stage}.yml").is_file()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path: Path) -> None:
    """Thin, clean, in step with its parameter file."""
    node = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(node)
    stage = path.stem.partition("_")[2]
    assert _problems(node, read_yaml(ROOT / "params" / f"{stage}.yml")) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_file_is_canonical(path: Path) -> None:
    """As Jupyter writes it, so that opening and saving changes nothing; ids say where they are."""
    text = path.read_text(encoding="utf-8")
    node = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    written: str = nbformat.writes(node)  # type: ignore[no-untyped-call]
    assert text.rstrip("\n") == written.rstrip("\n")
    stage = path.stem.partition("_")[2].replace("_", "-")
    assert all(cell.id.startswith(f"{stage}-") for cell in node.cells)
    assert len({cell.id for cell in node.cells}) == len(node.cells)


def _good() -> NotebookNode:
    return notebook(
        prose("# T"),
        code("seed = 7", "parameters"),
        prose("What?"),
        code("study = measure(seed)\nrows[study.first]"),
        prose("Recorded?"),
        code("record(study)", "record"),
        prose("Verdict?"),
        code("judge(study)", "judge", "verdict"),
    )


def _set_source(source: str) -> Callable[[NotebookNode], None]:
    def change(node: NotebookNode) -> None:
        node.cells[3].source = source

    return change


def _set_metadata(node: NotebookNode) -> None:
    node.metadata.widgets = {}


def _set_cell_metadata(node: NotebookNode) -> None:
    node.cells[3].metadata.papermill = {}


def _set_kernel(node: NotebookNode) -> None:
    node.metadata.kernelspec.name = "my-kernel"


def _set_count(node: NotebookNode) -> None:
    node.cells[3].execution_count = 3


def _set_kept_without_output(node: NotebookNode) -> None:
    node.cells[3].metadata.tags = sorted(_KEPT)
    node.cells[3].execution_count = 3


def _set_half_kept(node: NotebookNode) -> None:
    kept = code("1", "nbval-check-output", outputs=[_PRINTED])
    node.cells[3] = kept


def _drop_question(node: NotebookNode) -> None:
    del node.cells[2]


def _drop_judge(node: NotebookNode) -> None:
    del node.cells[-2:]


def _add_cells(node: NotebookNode) -> None:
    node.cells[2:2] = [prose("And?"), code("study")] * 11


def _change_parameter(node: NotebookNode) -> None:
    node.cells[1].source = "seed = 7.0"


_PRINTED = {"output_type": "stream", "name": "stdout", "text": "1\n"}


def test_rules_accept_a_notebook_that_keeps_them() -> None:
    """No rule is broken by a small notebook with kept, checked output."""
    node = _good()
    node.cells[3] = code("study", *sorted(_KEPT), outputs=[_PRINTED])
    assert _problems(node, {"seed": 7}) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_set_source("x\n" * 9), "9 lines"),
        (_set_source("def f(): pass"), "FunctionDef"),
        (_set_source("class C: pass"), "ClassDef"),
        (_set_source("f = lambda: x"), "Lambda"),
        (_set_source("for x in y: x"), "For"),
        (_set_source("while x: x"), "While"),
        (_set_source("try:\n    x\nfinally:\n    y"), "Try"),
        (_set_source("with x: y"), "With"),
        (_set_source("f(limit=0.3)"), "the number 0.3"),
        (_set_source("rows[0]"), "the number 0"),
        (_set_source("x = -1"), "the number 1"),
        (_set_source("open('/mnt/bars.csv')"), "an absolute path"),
        (_set_source("open('C:\\\\bars.csv')"), "an absolute path"),
        (_set_metadata, "notebook metadata ['widgets']"),
        (_set_cell_metadata, "cell metadata ['papermill']"),
        (_set_kernel, "the kernel is not python3"),
        (_set_count, "holds results"),
        (_set_kept_without_output, "needs both tags"),
        (_set_half_kept, "needs both tags"),
        (_drop_question, "no question before the code"),
        (_drop_judge, "not record and judge"),
        (_add_cells, "15 code cells"),
        (_change_parameter, "not those of params/"),
    ],
)
def test_every_rule_can_fail(change: Callable[[NotebookNode], None], problem: str) -> None:
    """Each rule finds the notebook that breaks it."""
    node = _good()
    assert _problems(node, {"seed": 7}) == []
    change(node)
    assert any(problem in found for found in _problems(node, {"seed": 7}))
