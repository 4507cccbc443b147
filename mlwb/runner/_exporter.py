"""nbconvert with our template and nobody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbformat import NotebookNode
from traitlets import default

from mlwb.runner._page import Page

__all__ = ["ReportExporter"]


class ReportExporter(TemplateExporter):
    """Lays out a :class:`Page` with the template shipped in this package.

    Parameters
    ----------
    templates : Path
        Folder that holds ``mlwb/index.html.j2``; no other folder is searched, so that what a
        user or another package has installed cannot change a report.
    """

    output_mimetype = "text/html"

    def __init__(self, templates: Path, **kwargs: Any) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            template_name="mlwb",
            extra_template_basedirs=[str(templates)],
            template_data_paths=[],
            default_preprocessors=[],
            **kwargs,
        )
        highlight = Highlight2HTML(pygments_lexer="python3")  # type: ignore[no-untyped-call]
        self.register_filter("highlight_code", highlight)  # type: ignore[no-untyped-call]

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".html"

    def lay_out(self, node: NotebookNode, page: Page) -> str:
        """The page as HTML."""
        text, _ = self.from_notebook_node(node, resources={"report": page})
        return str(text)
