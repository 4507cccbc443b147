"""Running things headless: a notebook under papermill, its report, a server on loopback.

Belongs here: starting and ending processes, the truth about how they ended, the report page.
Does not belong here: measuring, judging, figures. Notebooks call the stages; this room calls
notebooks.
"""

from mlwb.runner._notebook import NotebookRun, raise_for_status, run_notebook
from mlwb.runner._render import RenderedReport, render_html
from mlwb.runner._server import RunningServer, server_process
from mlwb.runner._session import NotebookEvent

__all__ = [
    "NotebookEvent",
    "NotebookRun",
    "RenderedReport",
    "RunningServer",
    "raise_for_status",
    "render_html",
    "run_notebook",
    "server_process",
]
