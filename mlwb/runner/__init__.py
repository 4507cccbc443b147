"""Running things headless: notebooks and their reports, servers, the whole chain.

Belongs here: starting and ending processes, the truth about how they ended, the report page.
Does not belong here: measuring, judging, figures. Notebooks call the stages; this room calls
notebooks.
"""

from mlwb.runner._command import Options
from mlwb.runner._e2e import E2eOptions, e2e_run
from mlwb.runner._e2e_plan import SCENARIOS, Found
from mlwb.runner._finish import finish_run, past_runs
from mlwb.runner._notebook import NotebookRun, raise_for_status, run_notebook
from mlwb.runner._pipeline import STEPS, Event, Outcome, Step, run_loop
from mlwb.runner._render import RenderedReport, render_html
from mlwb.runner._server import RunningServer, server_process
from mlwb.runner._session import NotebookEvent
from mlwb.runner._shadow import ShadowRun, shadow_run, shadow_server
from mlwb.runner._smoke import SmokeOptions, smoke_run
from mlwb.runner._traffic import send_traffic

__all__ = [
    "SCENARIOS",
    "STEPS",
    "E2eOptions",
    "Event",
    "Found",
    "NotebookEvent",
    "NotebookRun",
    "Options",
    "Outcome",
    "RenderedReport",
    "RunningServer",
    "ShadowRun",
    "SmokeOptions",
    "Step",
    "e2e_run",
    "finish_run",
    "past_runs",
    "raise_for_status",
    "render_html",
    "run_loop",
    "run_notebook",
    "send_traffic",
    "server_process",
    "shadow_run",
    "shadow_server",
    "smoke_run",
]
