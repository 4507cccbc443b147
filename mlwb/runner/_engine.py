"""papermill with a truthful ending: what did not run is not called completed."""

from __future__ import annotations

import asyncio
import html
import math
from collections.abc import Mapping
from typing import Any

import nbformat
from jupyter_core.utils import ensure_async
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient  # type: ignore[import-untyped]
from papermill.engines import (  # type: ignore[import-untyped]
    NBClientEngine,
    NotebookExecutionManager,
    papermill_engines,
)
from papermill.exceptions import PapermillExecutionError  # type: ignore[import-untyped]
from papermill.execute import (  # type: ignore[import-untyped]
    ERROR_MARKER_TAG,
    execute_notebook,
)
from papermill.iorw import load_notebook_node  # type: ignore[import-untyped]
from papermill.parameterize import parameterize_notebook  # type: ignore[import-untyped]

from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import ParamsError
from mlwb.core.fsops import write_atomic
from mlwb.runner._inject import injected_values
from mlwb.runner._kernel import Kernel, check_same_interpreter
from mlwb.runner._session import Failure, Session, plain_text

__all__ = ["execute", "inject"]

_ENGINE = "mlwb"
_SAVE_EVERY_S = 2.0  # and never more than a tenth of the time goes into saving
_STREAM_LIMIT = 2_000_000  # characters of printed text kept a cell; a log belongs in a file
_IOPUB_TIMEOUT_S = 60
_START_TIMEOUT_S = 60.0
_LAST_WORD_S = 2.0  # for the traceback of the line that was interrupted


def inject(node: NotebookNode, parameters: Mapping[str, Any], kernel: str) -> NotebookNode:
    """The notebook with papermill's ``injected-parameters`` cell, read back and compared.

    Raises
    ------
    ParamsError
        What was injected is not what was asked for.
    """
    node = load_notebook_node(node)
    if not parameters:
        return node
    node = parameterize_notebook(node, dict(parameters), kernel_name=kernel, language="python")
    (cell,) = [c for c in node.cells if "injected-parameters" in c.metadata.tags]
    cell.id = "injected-parameters"
    if repr(injected_values(cell.source)) != repr(dict(parameters)):
        raise ParamsError("the parameters cannot be written as Python", got=cell.source[:200])
    return node


def execute(node: NotebookNode, session: Session, kernel: str) -> None:
    """Run every cell under papermill; the outcome is in ``session`` and in the saved notebook.

    Raises
    ------
    OSError
        The executed notebook cannot be written.
    RunError
        The kernel is another interpreter.
    """
    papermill_engines.register(_ENGINE, _TruthfulEngine)
    try:
        execute_notebook(
            node,
            None,
            engine_name=_ENGINE,
            kernel_name=kernel,
            progress_bar=False,
            session=session,
        )
    except PapermillExecutionError:
        # papermill reads the error outputs once more; session already knows, and knows more.
        return


def _is_code(cell: NotebookNode) -> bool:
    return bool(cell.cell_type == "code" and cell.source.strip())


class _Recorder(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps the executed notebook on disk, atomically and not too often."""

    def __init__(self, nb: NotebookNode, session: Session) -> None:
        super().__init__(nb, output_path=None, progress_bar=False)
        self.session = session
        self._saved_s, self._pause_s = float("-inf"), _SAVE_EVERY_S
        self._codes = [index for index, cell in enumerate(nb.cells) if _is_code(cell)]
        session.n_cells = len(self._codes)

    def save(self, *, at_once: bool = False, **_: object) -> None:
        """Write the notebook, unless it was written a moment ago."""
        before_s = self.session.seconds
        if not at_once and before_s - self._saved_s < self._pause_s:
            return
        data = nbformat.writes(self.nb).encode() + b"\n"
        write_atomic(self.session.out, data)
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
        if cell_index is not None and _is_code(cell):
            label = self.heading(cell_index)
            self.session.emit("cell_start", cell=self.number(cell_index), label=label)

    def cell_complete(self, cell: NotebookNode, cell_index: int | None = None, **_: object) -> None:
        """Mark a cell as ended, well or badly."""
        super().cell_complete(cell, cell_index)
        if cell_index is not None and _is_code(cell):
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
    cell = nbformat.v4.new_markdown_cell(f'<div id="{name}">{markup}{html.escape(text)}</div>')
    cell.id = name
    # papermill's own tag: its tools drop the banner when the notebook is run again.
    cell.metadata = nbformat.from_dict({"tags": [ERROR_MARKER_TAG]})
    return cell


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Runs cells until the first thing that goes wrong, whatever it is."""

    def __init__(self, recorder: _Recorder, kernel: Kernel) -> None:
        session = recorder.session
        super().__init__(
            recorder,
            km=kernel.manager,
            log=kernel.log,
            timeout_func=lambda _: session.left_s,
            startup_timeout=math.ceil(min(_START_TIMEOUT_S, session.left_s)),
            iopub_timeout=_IOPUB_TIMEOUT_S,
            coalesce_streams=True,
            force_raise_errors=True,
            skip_cells_with_tag="",
            record_timing=False,
            shell_timeout_interval=1,
        )
        self.kernel, self.session = kernel, session
        self._printed = 0

    async def run(self) -> None:
        """Start, check the interpreter, run, stop; never leaves a kernel behind."""
        try:
            failure = await self._start() or await self._run_cells()
            if failure is not None:
                self.nb_man.fail(failure)
                if failure.index >= 0:
                    self.nb_man.cell_complete(self.nb.cells[failure.index], failure.index)
        finally:
            if self.kc is not None:
                await ensure_async(self.kc.stop_channels())
            await self.kernel.stop(at_once=self.session.failure is not None)

    async def _start(self) -> Failure | None:
        try:
            await self.kernel.start(cwd=self.session.cwd, environ=self.session.environ)
            self.session.watch(self.kernel.kill)
            await self.async_start_new_kernel_client()
        except RuntimeError as error:
            late: Any = "timeout" if self.session.is_late else "killed"
            return self._gone(-1, late, f"the kernel did not start: {error}")
        try:
            asked = self.kc.execute("", silent=True, user_expressions=_WHO)
            reply = await self.async_wait_for_reply(asked)
        except DeadKernelError:
            return self._gone(-1, "killed", self.kernel.epitaph())
        self.session.interpreter = check_same_interpreter((reply or {}).get("content", {}))
        return None

    async def _run_cells(self) -> Failure | None:
        for index, cell in enumerate(self.nb.cells):
            if self.session.is_interrupted:
                return self._gone(-1, "interrupted", "")
            self._printed = 0
            self.nb_man.cell_start(cell, index)
            failure = await self._run_cell(index) if _is_code(cell) else None
            if failure is not None:
                return failure
            self.nb_man.cell_complete(self.nb.cells[index], index)
        return None

    async def _run_cell(self, index: int) -> Failure | None:
        if self.session.is_late:
            return Failure("timeout", index, "Timeout", self._deadline_words())
        try:
            await self.async_execute_cell(self.nb.cells[index], index)
        except CellTimeoutError as error:
            text = self._deadline_words() if self.session.is_late else plain_text(str(error))
            return self._gone(index, "timeout", text)
        except DeadKernelError:
            return self._gone(index, "killed", self.kernel.epitaph())
        except CellExecutionError as error:
            return Failure("failed", index, error.ename, plain_text(error.evalue))
        return None

    def _gone(self, index: int, status: Any, message: str) -> Failure:
        if self.session.is_interrupted:
            return Failure("interrupted", index, "Interrupted", "stopped by the user")
        name = {"killed": "KernelDied", "timeout": "Timeout"}[status]
        return Failure(status, index, name, plain_text(message))

    def _deadline_words(self) -> str:
        return f"the whole run may take {self.session.timeout_s:g} s"

    async def _async_handle_timeout(self, timeout: int, cell: NotebookNode | None = None) -> None:
        """Interrupt, and wait a moment for the traceback that says which line took so long."""
        await ensure_async(self.km.interrupt_kernel())
        give_up_s = self.session.seconds + _LAST_WORD_S
        while cell is not None and self.session.seconds < give_up_s:
            if any(output.output_type == "error" for output in cell.outputs):
                break
            await asyncio.sleep(0.05)
        await super()._async_handle_timeout(timeout, cell)

    def process_message(self, msg: Any, cell: NotebookNode, cell_index: int) -> Any:
        """Keep what a cell prints up to a limit, and say where it was cut."""
        if msg["msg_type"] == "stream":
            text, room = msg["content"]["text"], _STREAM_LIMIT - self._printed
            self._printed += len(text)
            if room <= 0:
                return None
            if len(text) > room:
                note = f"\n[cut here: a cell keeps {_STREAM_LIMIT:,} printed characters]\n"
                msg["content"]["text"] = text[:room] + note
        return super().process_message(msg, cell, cell_index)


_WHO = {"prefix": "__import__('sys').prefix"}


class _TruthfulEngine(NBClientEngine):  # type: ignore[misc]
    """The engine papermill is told to use; registered by name, found by no other program."""

    @classmethod
    def execute_notebook(
        cls, nb: NotebookNode, kernel_name: str, *, session: Session, **_: object
    ) -> NotebookNode:
        """Run ``nb`` in a thread of its own, with an event loop of its own."""
        recorder = _Recorder(nb, session)
        recorder.notebook_start()
        asyncio.run(_Client(recorder, Kernel(kernel_name, session.folder)).run())
        recorder.notebook_complete()
        return nb
