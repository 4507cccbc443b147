"""What schemathesis finds in a server, for as long as you like.

    python -m benchmarks.fuzz [--seconds 60] [--seed 0]

Starts a server of its own with a small model, a candidate and a key, and sends it requests made
from its own document: valid ones, invalid ones, sequences of them. Prints what was found, and
memory and open files before and after. The exit code is 0 when nothing was found. What is left
out, and why, is in ``tests/serve/fuzz_kit.py``.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.serve.fuzz_kit import fuzz, write_market
from tests.serve.server_kit import Server, server


def _condition(running: Server, key: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=5)
    with closing(connection):
        connection.request("GET", "/ml/health/detailed", headers={"X-API-Key": key})
        process = json.load(connection.getresponse())["process"]
    return f"{process['memory_bytes'] / 1e6:.1f} MB, {process['open_files']} open files"


def main(seconds: int, seed: int) -> int:
    """Run once; what schemathesis said is printed."""
    python = str(Path(sys.prefix) / "peers" / "bin" / "python")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = folder / "artifacts" / "models"
        key = write_market(models)
        with server(models, folder, MLWB_RATE_LIMIT="0") as running:
            print("before:", _condition(running, key))
            run = fuzz(python, running.url, key, folder, seed=seed, effort={"max-time": seconds})
            print(run.stdout, run.stderr)
            print("after:", _condition(running, key))
    return run.returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    sys.exit(main(chosen.seconds, chosen.seed))
