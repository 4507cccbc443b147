"""Runs cells until the first thing that goes wrong, and says what it was."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_core.utils import ensure_async
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient  # type: ignore[import-untyped]

from mlwb.core.errors import ParamsError
from mlwb.runner._kernel import Kernel, check_same_interpreter
from mlwb.runner._recorder import Recorder, is_code
from mlwb.runner._session import Failure, plain_text

__all__ = ["Client"]

_STREAM_LIMIT = 2_000_000  # characters of printed text kept a cell; a log belongs in a file
_IOPUB_TIMEOUT_S = 60
_START_TIMEOUT_S = 60.0
_LAST_WORD_S = 2.0  # for the traceback of the line that was interrupted
_WHO = {"prefix": "__import__('sys').prefix"}


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """Runs cells until the first thing that goes wrong, whatever it is."""

    def __init__(self, recorder: Recorder, kernel: Kernel) -> None:
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
        at_once = True
        try:
            failure = await self._start() or await self._run_cells()
            at_once = failure is not None
            if failure is not None:
                self.nb_man.fail(failure)
                if failure.index >= 0:
                    self.nb_man.cell_complete(self.nb.cells[failure.index], failure.index)
        finally:
            if self.kc is not None:
                await ensure_async(self.kc.stop_channels())
            await self.kernel.stop(at_once=at_once)

    async def _start(self) -> Failure | None:
        try:
            await self.kernel.start(cwd=self.session.cwd, environ=self.session.environ)
            self.session.watch(self.kernel.kill)
            await self.async_start_new_kernel_client()
        except NoSuchKernel as error:
            raise ParamsError("there is no such kernel", got=str(error.name)) from error
        except (RuntimeError, OSError) as error:
            late: Any = "timeout" if self.session.is_late() else "killed"
            return self._gone(
                -1, late, f"the kernel did not start: {error}{self.kernel.last_words()}"
            )
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
            failure = await self._run_cell(index) if is_code(cell) else None
            if failure is not None:
                return failure
            self.nb_man.cell_complete(self.nb.cells[index], index)
        return None

    async def _run_cell(self, index: int) -> Failure | None:
        if self.session.is_late():
            return Failure("timeout", index, "Timeout", self._deadline_words())
        try:
            await self.async_execute_cell(self.nb.cells[index], index)
        except CellTimeoutError as error:
            text = self._deadline_words() if self.session.is_late() else plain_text(str(error))
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
