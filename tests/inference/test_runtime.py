"""The runtime of models tells nobody what it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference.version_kit import write_version

CODE = """
import sys, time
from pathlib import Path
from mlwb.inference import Predictor
Predictor.load(Path(sys.argv[1]))
print("onnxruntime" in sys.modules, len(list(Path("/proc/self/task").iterdir())))
"""
SILENCED = {"ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "XDG_CACHE_HOME"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_nothing_is_left_behind_and_nobody_is_called(tmp_path: Path) -> None:
    """A model is loaded as in production: no device number at home, no thread that sends.

    With the variable that the module sets at 0 both appear.
    """
    version = write_version(tmp_path / "models", "v1.0.0")
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in SILENCED}
    alone = {"HOME": str(home), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(version)],
        env={**kept, **alone}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("True 1", "")
    assert list(home.rglob("*")) == []
