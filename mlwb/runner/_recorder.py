"""The executed notebook on disk: what ran, what did not, and why."""

from __future__ import annotations

import html

from nbformat import NotebookNode
from papermill.engines import NotebookExecutionManager  # type: ignore[import-untyped]
from papermill.execute import ERROR_MARKER_TAG  # type: ignore[import-untyped]

from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import NotebookFailedError
from mlwb.core.fsops import write_atomic
from mlwb.runner._format import dump_notebook, markdown_cell
from mlwb.runner._session import Failure, Session

__all__ = ["Recorder", "is_code"]

_SAVE_EVERY_S = 2.0  # and never more than a tenth of the time goes into saving


def is_code(cell: NotebookNode) -> bool:
    """Whether a cell is one that runs."""
    return bool(cell.cell_type == "code" and cell.source.strip())


class Recorder(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps the executed notebook on disk, atomically and not too often."""

    def __init__(self, nb: NotebookNode, session: Session) -> None:
        super().__init__(nb, output_path=None, progress_bar=False)
        self.session = session
        self._saved_s, self._pause_s = float("-inf"), _SAVE_EVERY_S
        self._codes = [index for index, cell in enumerate(nb.cells) if is_code(cell)]
        session.n_cells = len(self._codes)

    def save(self, *, at_once: bool = False, **_: object) -> None:
        """Write the notebook, unless it was written a moment ago."""
        before_s = self.session.seconds
        if not at_once and before_s - self._saved_s < self._pause_s:
            return
        data = dump_notebook(self.nb)
        try:
            write_atomic(self.session.out, data)
        except OSError as error:
            raise NotebookFailedError(
                "the executed notebook cannot be written",
                got=f"{error.strerror or error}",
                todo=f"check {self.session.out.parent}",
            ) from error
        self.session.executed_digest = digest_bytes(data)
        self._saved_s = self.session.seconds
        self._pause_s = max(_SAVE_EVERY_S, 10 * (self._saved_s - before_s))

    def autosave_cell(self, **_: object) -> None:
        """Keep what a long cell has said so far."""
        self.save()

    def number(self, index: int) -> int:
        """Code cell number, counted from 1."""
        return self._codes.index(index) + 1

    def heading(self, index: int) -> str:
        """The heading a cell stands under."""
        for cell in reversed(self.nb.cells[:index]):
            lines = cell.source.splitlines() if cell.cell_type == "markdown" else []
            for line in reversed(lines):
                if line.startswith("#"):
                    return str(line.strip("# "))
        return ""

    def notebook_start(self, **kwargs: object) -> None:
        """Clear old results and write the notebook before a kernel is started."""
        self.nb.metadata.title = self.session.title
        super().notebook_start(**kwargs)
        self.nb.metadata.papermill.update(
            input_path=self.session.source, output_path=self.session.out.name
        )
        self.session.emit("start")

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **_: object) -> None:
        """Mark a cell as running."""
        super().cell_start(cell, cell_index)
        if cell_index is not None and is_code(cell):
            label = self.heading(cell_index)
            self.session.emit("cell_start", cell=self.number(cell_index), label=label)

    def cell_complete(self, cell: NotebookNode, cell_index: int | None = None, **_: object) -> None:
        """Mark a cell as ended, well or badly."""
        super().cell_complete(cell, cell_index)
        if cell_index is not None and is_code(cell):
            self.session.n_executed += self.session.failure is None
            label = self.heading(cell_index)
            self.session.emit("cell_end", cell=self.number(cell_index), label=label)

    def fail(self, failure: Failure) -> None:
        """Record the first failure of the run."""
        self.session.failure = failure
        if failure.index >= 0:
            self.session.failed_cell = self.number(failure.index)
            self.cell_exception(self.nb.cells[failure.index], failure.index)

    def notebook_complete(self, **_: object) -> None:
        """Write the last word: statuses, banner, summary."""
        self.end_time = self.now()
        meta = self.nb.metadata.papermill
        meta["end_time"] = self.end_time.isoformat()
        meta["duration"] = (self.end_time - self.start_time).total_seconds()
        for cell in self.nb.cells:
            if cell.metadata.papermill["status"] in (self.PENDING, self.RUNNING):
                cell.metadata.papermill["status"] = "not_run"
        failure, session = self.session.failure, self.session
        meta["exception"] = failure is not None
        self.nb.metadata.mlwb = {
            "status": failure.status if failure else "ok",
            "n_cells": session.n_cells,
            "n_executed": session.n_executed,
            "failed_cell": session.failed_cell,
            "failed_step": self.heading(failure.index) if failure and failure.index >= 0 else "",
            "error_name": failure.name if failure else "",
            "error_message": failure.message if failure else "",
        }
        if failure is not None:
            self._put_banner(failure)
        self.save(at_once=True)
        session.emit("end")

    def _put_banner(self, failure: Failure) -> None:
        where = f"in cell {self.session.failed_cell}" if self.session.failed_cell else "early"
        text = f"{failure.name}: {failure.message}"
        banner = _marker("run-failed", f"<b>This run {_ENDED[failure.status]} {where}.</b> ", text)
        if failure.index >= 0:
            self.nb.cells.insert(failure.index, _marker("failed-cell", "<b>It stopped here:</b>"))
        self.nb.cells.insert(0, banner)


_ENDED = {
    "failed": "failed",
    "timeout": "ran out of time",
    "killed": "lost its kernel",
    "interrupted": "was interrupted",
}


def _marker(name: str, markup: str, text: str = "") -> NotebookNode:
    source = f'<div id="{name}">{markup}{html.escape(text)}</div>'
    # papermill's own tag: its tools drop the banner when the notebook is run again.
    return markdown_cell(source, cell_id=name, tags=[ERROR_MARKER_TAG])
