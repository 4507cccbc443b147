"""Notebook files: read strictly, written as Jupyter writes them."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from mlwb.core.errors import NotebookFailedError

__all__ = ["dump_notebook", "markdown_cell", "parse_notebook"]


def parse_notebook(path: Path) -> tuple[bytes, NotebookNode]:
    """Bytes of a notebook file and what they hold.

    Raises
    ------
    NotebookFailedError
        The file is not there or is no valid notebook.
    """
    try:
        data = path.read_bytes()
        node: NotebookNode = nbformat.reads(data.decode(), as_version=4)  # type: ignore[no-untyped-call]
        nbformat.validate(node)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise _unreadable(path, str(error)) from error
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise _unreadable(path, str(error)) from error
    except (AttributeError, KeyError, TypeError) as error:  # JSON, but no notebook at all
        raise _unreadable(path, "JSON of another kind") from error
    return data, node


def _unreadable(path: Path, why: str) -> NotebookFailedError:
    return NotebookFailedError(
        f"the notebook {path.name} cannot be read",
        expected="a Jupyter notebook, format 4",
        got=(why.splitlines() or ["nothing"])[0][:200],
        todo=f"check {path}",
    )


def dump_notebook(node: NotebookNode) -> bytes:
    """Notebook as file content."""
    text: str = nbformat.writes(node)  # type: ignore[no-untyped-call]
    return text.encode() + b"\n"


def markdown_cell(source: str, *, cell_id: str, tags: list[str]) -> NotebookNode:
    """A Markdown cell with a fixed id."""
    cell: NotebookNode = nbformat.v4.new_markdown_cell(  # type: ignore[no-untyped-call]
        source, id=cell_id, metadata={"tags": tags}
    )
    return cell
