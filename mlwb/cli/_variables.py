"""The variables of the environment that are read, and those somebody seems to have meant."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

__all__ = ["API_KEY", "OWN", "strangers"]

API_KEY = "MLWB_API_KEY"
"""Variable that holds the key for a running server: a command line is one that others can read."""

OWN = frozenset(
    {
        API_KEY,
        "MLWB_HOME",
        "MLWB_NOTIFY_COMMAND",
        "MLWB_NOTIFY_SECRET",
        "MLWB_NOTIFY_URL",
        "MLWB_REGISTRY",
        "MLWB_REGISTRY_TIMEOUT_S",
    }
)
"""Those that are no setting of a server; these are ``mlwb.serve.VARIABLES``."""

_PREFIX = "MLWB_"


def strangers(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that are named like ours and that nothing reads.

    Parameters
    ----------
    environ : mapping
        ``os.environ`` of the entry point.

    Returns
    -------
    dict
        Each with the known name nearest to it; empty where none is near.

    Examples
    --------
    >>> strangers({"MLWB_HOME": "/srv", "MLWB_RELAOD_S": "1", "PATH": "/bin"})
    {'MLWB_RELAOD_S': 'MLWB_RELOAD_S'}
    """
    found = sorted(name for name in environ if name.startswith(_PREFIX) and name not in OWN)
    if not found:
        return {}
    from mlwb.serve import VARIABLES  # a fifth of a second, when there is something to look up

    known = OWN.union(VARIABLES.values())
    return {
        name: next(iter(get_close_matches(name, known, n=1, cutoff=0.75)), "")
        for name in found
        if name not in known
    }
