"""Fixtures every room may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from mlwb.core.clock import ManualClock

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)  # a red build can be repeated
settings.load_profile("ci" if os.environ.get("CI") else "default")

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded market data beside the checkout; the test skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip("recorded market data is not beside this checkout (../shared/data)")
    return REAL_DATA


@pytest.fixture
def clock() -> ManualClock:
    """A clock that starts on 2026-01-01T00:00:00Z and moves when told to."""
    return ManualClock()
