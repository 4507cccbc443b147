"""Run one notebook with parameters and say truthfully how it ended."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import KernelDiedError, NotebookFailedError, ParamsError
from mlwb.core.imports import without_iri_grammar
from mlwb.runner._session import NotebookEvent, RunStatus, Session

__all__ = ["NotebookRun", "raise_for_status", "run_notebook"]


@dataclass(frozen=True)
class NotebookRun:
    """How a notebook run ended, told by the process that watched it.

    Parameters
    ----------
    status : {"ok", "failed", "timeout", "killed", "interrupted"}
        ``ok`` only if every code cell was executed and none raised.
    notebook : str
        File name of the source.
    executed : Path
        The executed notebook; also written when the run broke.
    seconds : float
        Wall time, kernel start and stop included.
    n_cells, n_executed : int
        Code cells there are, and those that ended well. The injected cell counts.
    failed_cell : int or None
        Code cell that ended the run, counted from 1; None when no cell was running.
    error_name, error_message : str
        Empty for ``ok``; the message is one line without absolute paths.
    source_digest, executed_digest : str
        ``sha256:<hex>`` of both files.
    interpreter : str
        ``sys.prefix`` of the kernel, equal to ours; empty when no kernel came up.
    """

    status: RunStatus
    notebook: str
    executed: Path
    seconds: float
    n_cells: int
    n_executed: int
    failed_cell: int | None
    error_name: str
    error_message: str
    source_digest: str
    executed_digest: str
    interpreter: str


def run_notebook(
    notebook: Path,
    *,
    parameters: Mapping[str, Any],
    out: Path,
    title: str,
    timeout_s: float,
    on_event: Callable[[NotebookEvent], None] | None = None,
    kernel: str = "python3",
    environ: Mapping[str, str] | None = None,
) -> NotebookRun:
    """Execute a notebook headless under papermill, in a kernel that is this interpreter.

    Parameters
    ----------
    notebook : Path
        Source; never written to. Its folder is the kernel's working directory.
    parameters : mapping
        Names assigned in the notebook's ``parameters`` cell, to plain JSON values.
    out : Path
        Executed notebook, replaced atomically at the start, every few seconds and at the end.
    title : str
        Stored in the executed notebook; the report's title.
    timeout_s : float
        For the whole run, seconds, > 0.
    on_event : callable, optional
        Told of every cell, from another thread than the caller's. What it raises ends the run.
    kernel : str, default="python3"
        ``python3`` is ``sys.executable``; another name is looked up as Jupyter does, and is
        refused unless it runs in this environment.
    environ : mapping, optional
        Variables of the kernel, laid over those of this process.

    Returns
    -------
    NotebookRun
        Also for a run that failed, timed out, lost its kernel or was interrupted (Ctrl-C while
        waiting ends the kernel and is a status, not an exception).

    Raises
    ------
    ParamsError
        A parameter the notebook does not declare, or a value it cannot be given; nothing ran.
    NotebookFailedError
        The source cannot be read or the executed notebook cannot be written.
    RunError
        The kernel belongs to another environment.
    """
    if not (math.isfinite(timeout_s) and timeout_s > 0):
        raise ParamsError("a run needs a time limit", expected="> 0 s", got=f"{timeout_s}")
    with without_iri_grammar():
        from mlwb.runner._engine import execute, inject
        from mlwb.runner._format import parse_notebook
        from mlwb.runner._inject import check_parameters
        from mlwb.runner._kernel import kernel_environ
    data, node = parse_notebook(notebook)
    check_parameters(node, parameters)
    node = inject(node, parameters, kernel)
    with tempfile.TemporaryDirectory(prefix="mlwb-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        session = Session(
            title=title,
            source=notebook.name,
            out=out,
            cwd=notebook.resolve().parent,
            environ=kernel_environ({**os.environ, **(environ or {})}, folder),
            folder=folder,
            timeout_s=timeout_s,
            on_event=on_event,
        )
        _wait(lambda: execute(node, session, kernel), session)
    return _outcome(session, digest_bytes(data))


def _wait(job: Callable[[], None], session: Session) -> None:
    # A thread of its own: Ctrl-C reaches this thread, not the middle of somebody's event loop.
    with ThreadPoolExecutor(1, thread_name_prefix="mlwb-notebook") as pool:
        future = pool.submit(job)
        try:
            future.result()
        except KeyboardInterrupt:
            session.interrupt()
            future.result()


def _outcome(session: Session, source_digest: str) -> NotebookRun:
    failure = session.failure
    return NotebookRun(
        status=failure.status if failure else "ok",
        notebook=session.source,
        executed=session.out,
        seconds=session.seconds,
        n_cells=session.n_cells,
        n_executed=session.n_executed,
        failed_cell=session.failed_cell,
        error_name=failure.name if failure else "",
        error_message=failure.message if failure else "",
        source_digest=source_digest,
        executed_digest=session.executed_digest,
        interpreter=session.interpreter,
    )


_VERBS = {
    "failed": "failed",
    "timeout": "ran out of time",
    "killed": "lost its kernel",
    "interrupted": "was interrupted",
}


def raise_for_status(run: NotebookRun) -> None:
    """Do nothing for ``ok``; otherwise say in one sentence what broke and where to look.

    Raises
    ------
    KernelDiedError
        The kernel process ended before the notebook did.
    NotebookFailedError
        A cell raised, the time ran out, or the run was interrupted.
    """
    if run.status == "ok":
        return
    where = f" in cell {run.failed_cell} of {run.n_cells}" if run.failed_cell else ""
    error = KernelDiedError if run.status == "killed" else NotebookFailedError
    raise error(
        f"{run.notebook} {_VERBS[run.status]}{where}: {run.error_name}: {run.error_message}",
        todo=f"the executed notebook is {run.executed}",
    )
