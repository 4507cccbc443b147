"""The soak, for some seconds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.server
def test_mixed_traffic_gets_right_answers_and_leaves_nothing_open() -> None:
    """Thousands of answers over flips, failing candidates and poison, each computed again."""
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.15"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    (found,) = re.findall(r"^answers +([0-9,]+)  wrong 0$", said.stdout, re.MULTILINE)
    assert int(found.replace(",", "")) > 1_000
