"""Schemathesis over a real server: requests made from its own document, answers held against it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from mlwb.core.clock import SystemClock
from mlwb.serve import KeyFile
from mlwb.serve._keys import ROLES
from tests.inference.version_kit import add_reference, point
from tests.serve.observe_kit import write_observed

__all__ = ["fuzz", "write_market"]

_RUN = "from schemathesis.cli import schemathesis; schemathesis()"
# 503 is an answer where it is published: no model, a full queue, features that cannot be computed.
_CONFIG = '[checks]\nnot_a_server_error.expected-statuses = ["2xx", "4xx", "503"]\n'
# A server that was switched off refuses everything: nothing would be learnt behind it.
_SWITCHES = r"^/ml/(kill|mode)(/|$)"
# What a form cannot say is refused all the same: a percentage with a mode, tensors of this model.
_UNSAID = "positive_data_acceptance"


def write_market(models: Path) -> str:
    """A champion that can observe, a candidate, and a key that may do everything; the key."""
    for version in ("v2.0.0", "v1.0.0"):  # the last one stays behind `latest`
        write_observed(models, version, low=-10.0, high=1e3)
    add_reference(models / "v1.0.0", weights=[0.0] * 5)
    point(models, "candidate", "v2.0.0")
    keys = KeyFile(models.parent / "keys.json")
    return keys.add("fuzz", list(ROLES), now=SystemClock().now(), days=1)[1]


def fuzz(
    python: str, url: str, key: str, folder: Path, *, seed: int, effort: Mapping[str, object]
) -> subprocess.CompletedProcess[str]:
    """One run; its exit code is 0 when nothing was found.

    Parameters
    ----------
    python : str
        Interpreter that has schemathesis.
    url : str
        Of the server.
    key : str
        Sent with every request.
    folder : Path
        Where the run may write.
    seed : int
        Where chance begins.
    effort : mapping
        Options that say how much is tried: ``max-time`` in seconds, or ``phases`` and
        ``max-examples`` for the same number of requests on any machine.
    """
    config = folder / "schemathesis.toml"
    config.write_text(_CONFIG, encoding="utf-8")
    options = {
        "header": f"X-API-Key: {key}",
        "seed": seed,
        **effort,
        "exclude-path-regex": _SWITCHES,
        "exclude-checks": _UNSAID,
        "request-timeout": 5,
        "warnings": "off",
    }
    said = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    command = ["--no-color", "--config-file", str(config), "run", f"{url}/openapi.json", *said]
    return subprocess.run(
        [python, "-c", _RUN, *command, "--continue-on-failure"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
