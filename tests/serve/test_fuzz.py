"""What the document allows and what it does not, sent to a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.serve.fuzz_kit import fuzz, write_market
from tests.serve.server_kit import server

# A number of requests and no time: the same on a machine that is busy.
EFFORT = {"phases": "examples,fuzzing", "max-examples": 6}


@pytest.mark.server
@pytest.mark.slow
def test_no_request_breaks_the_server(tmp_path: Path, peers_python: str) -> None:
    """Good and bad requests: no 500, no answer but the published ones, no bad one taken."""
    models = tmp_path / "artifacts" / "models"
    key = write_market(models)
    with server(models, tmp_path, MLWB_RATE_LIMIT="0") as running:
        run = fuzz(peers_python, running.url, key, tmp_path, seed=1, effort=EFFORT)
    found = re.search(r"(\d+) generated", run.stdout)
    assert found is not None, run.stdout + run.stderr
    assert int(found[1]) > 100
    assert run.returncode == 0, run.stdout
