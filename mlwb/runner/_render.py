"""Render an executed notebook as one page that can be sent to anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import NotebookFailedError
from mlwb.core.fsops import write_atomic
from mlwb.core.imports import without_iri_grammar

__all__ = ["RenderedReport", "render_html"]

TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True)
class RenderedReport:
    """A written report.

    Parameters
    ----------
    path : Path
    digest : str
        ``sha256:<hex>`` of the file.
    n_bytes : int
    """

    path: Path
    digest: str
    n_bytes: int


def render_html(
    executed: Path, out: Path, *, title: str, metadata: Mapping[str, str]
) -> RenderedReport:
    """Write the report of an executed notebook: one self-contained HTML file.

    Parameters
    ----------
    executed : Path
        Notebook written by :func:`run_notebook`, also of a run that broke.
    out : Path
        Replaced atomically.
    title : str
    metadata : mapping of str to str
        Shown in the footer in this order, the first three also under the title; ``reproduce``
        is the command that repeats the run. Empty values are left out.

    Returns
    -------
    RenderedReport
        Equal input gives equal bytes.

    Raises
    ------
    NotebookFailedError
        The executed notebook cannot be read or the report cannot be written.

    Notes
    -----
    The page loads nothing and runs nothing: scripts, frames, forms and images that are not
    embedded are removed, and a content security policy says so once more. Cell tags
    ``remove-cell``, ``remove-input``, ``remove-output``, ``hide-input`` and ``hide-output`` are
    honoured; code is always folded. The output of the cell tagged ``verdict`` stands first.
    """
    with without_iri_grammar():
        from mlwb.runner._exporter import ReportExporter
        from mlwb.runner._format import parse_notebook
        from mlwb.runner._page import build_page
    _, node = parse_notebook(executed)
    page = build_page(node, title=title, metadata=metadata)
    data = ReportExporter(TEMPLATES).lay_out(node, page).encode()
    try:
        write_atomic(out, data)
    except OSError as error:
        raise NotebookFailedError(
            "the report cannot be written",
            got=f"{error.strerror or error}",
            todo=f"check {out.parent}",
        ) from error
    return RenderedReport(path=out, digest=digest_bytes(data), n_bytes=len(data))
