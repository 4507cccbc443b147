"""The predict server: scores over HTTP, a candidate in its shadow, counters for whoever watches.

Belongs here: the ASGI application, decoding and refusing, hot reload, metrics, running it.
Does not belong here: choosing or changing versions (``registry``), judging a candidate
(``canary``), loading and scoring (``inference``).
"""

from mlwb.serve._audit import AuditLog, audit_problems
from mlwb.serve._keys import ROLES, KeyFile, KeyRecord
from mlwb.serve._profile import exposed, start_problems
from mlwb.serve._run import ServerReady, run_server
from mlwb.serve._settings import VARIABLES, ServeSettings
from mlwb.serve.app import App, create_app

__all__ = [
    "ROLES",
    "VARIABLES",
    "App",
    "AuditLog",
    "KeyFile",
    "KeyRecord",
    "ServeSettings",
    "ServerReady",
    "audit_problems",
    "create_app",
    "exposed",
    "run_server",
    "start_problems",
]
