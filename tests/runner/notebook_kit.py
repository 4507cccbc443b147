"""Small notebooks for tests, and a look at processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

__all__ = ["code", "is_alive", "notebook", "png", "prose", "read", "write"]


def prose(source: str, *tags: str) -> NotebookNode:
    """A Markdown cell."""
    cell: NotebookNode = nbformat.v4.new_markdown_cell(source)  # type: ignore[no-untyped-call]
    cell.metadata.tags = list(tags)
    return cell


def code(source: str, *tags: str, outputs: Sequence[dict[str, Any]] = ()) -> NotebookNode:
    """A code cell, with outputs as if it had run."""
    cell: NotebookNode = nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]
    cell.metadata.tags = list(tags)
    for number, output in enumerate(outputs, 1):
        needs_metadata = output["output_type"] not in ("stream", "error")
        whole = {"metadata": {}, **output} if needs_metadata else output
        cell.outputs.append(nbformat.from_dict(whole))  # type: ignore[no-untyped-call]
        cell.execution_count = number
    return cell


def notebook(*cells: NotebookNode) -> NotebookNode:
    """A notebook for the kernel python3."""
    node: NotebookNode = nbformat.v4.new_notebook(cells=list(cells))  # type: ignore[no-untyped-call]
    node.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    return node


def write(path: Path, *cells: NotebookNode) -> Path:
    """A notebook file."""
    path.write_text(nbformat.writes(notebook(*cells)), encoding="utf-8")  # type: ignore[no-untyped-call]
    return path


def read(path: Path) -> NotebookNode:
    """What stands in a notebook file, checked against Jupyter's own schema."""
    node: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(node)
    return node


def png() -> str:
    """The smallest picture, base64."""
    return (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5E"
        "rkJggg=="
    )


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"
