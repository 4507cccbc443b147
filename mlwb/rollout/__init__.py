"""A candidate led through a running server's traffic: orders, looks, a state that outlives a crash.

Belongs here: giving a server orders, holding its lease, what is kept on disk until it is over.
Does not belong here: what the traffic says (``canary``), records and verdicts (``stages``), and
anything of research: it is led on the server's machine, where only what serves is installed.
"""

from mlwb.rollout._lead import rollout_abort, rollout_run
from mlwb.rollout._server import CanaryServer, ServerCanary
from mlwb.rollout._state import RolloutFiles, RolloutState
from mlwb.rollout._told import RolloutEnd, RolloutOptions, RolloutProgress

__all__ = [
    "CanaryServer",
    "RolloutEnd",
    "RolloutFiles",
    "RolloutOptions",
    "RolloutProgress",
    "RolloutState",
    "ServerCanary",
    "rollout_abort",
    "rollout_run",
]
