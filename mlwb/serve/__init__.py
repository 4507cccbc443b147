"""The predict server: scores over HTTP, a candidate in its shadow, counters for whoever watches.

Belongs here: the ASGI application, decoding and refusing, hot reload, metrics, running it; what is
kept for it: settings, keys, logs, the audit log.
Does not belong here: choosing or changing versions (``registry``), judging a candidate
(``canary``), loading and scoring (``inference``).
"""

from mlwb.serve._audit import AuditLog
from mlwb.serve._audit_head import whole_audit_problems
from mlwb.serve._key_audit import KeyAudit, is_audited
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
    "KeyAudit",
    "KeyFile",
    "KeyRecord",
    "ServeSettings",
    "ServerReady",
    "create_app",
    "exposed",
    "is_audited",
    "run_server",
    "start_problems",
    "whole_audit_problems",
]
