"""Where a drill says what it found."""

from __future__ import annotations

import pytest

from tests.drills.drill_kit import Drill


@pytest.fixture
def drill(request: pytest.FixtureRequest) -> Drill:
    """Keeps what a drill found in the test report (``--junitxml``)."""
    return Drill(lambda name, value: request.node.user_properties.append((name, value)))
