"""papermill with a truthful ending: what did not run is not called completed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode
from papermill.engines import NBClientEngine, papermill_engines  # type: ignore[import-untyped]
from papermill.exceptions import PapermillExecutionError  # type: ignore[import-untyped]
from papermill.execute import execute_notebook  # type: ignore[import-untyped]
from papermill.iorw import load_notebook_node  # type: ignore[import-untyped]
from papermill.parameterize import parameterize_notebook  # type: ignore[import-untyped]

from mlwb.core.errors import ParamsError
from mlwb.runner._client import Client
from mlwb.runner._inject import injected_values
from mlwb.runner._kernel import Kernel
from mlwb.runner._recorder import Recorder
from mlwb.runner._session import Session

__all__ = ["execute", "inject"]

_ENGINE = "mlwb"


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
    NotebookFailedError
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


class _TruthfulEngine(NBClientEngine):  # type: ignore[misc]
    """The engine papermill is told to use; registered by name, found by no other program."""

    @classmethod
    def execute_notebook(
        cls, nb: NotebookNode, kernel_name: str, *, session: Session, **_: object
    ) -> NotebookNode:
        """Run ``nb`` in a thread of its own, with an event loop of its own."""
        recorder = Recorder(nb, session)
        recorder.notebook_start()
        asyncio.run(Client(recorder, Kernel(kernel_name, session.folder)).run())
        recorder.notebook_complete()
        return nb
