"""Numbers computed twice: by mlwb, and by a library that is not ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.reference.oracles import PAGE, Row, page, rows


@pytest.fixture(scope="module")
def found(oracle: Callable[[str], Any]) -> list[Row]:
    """Everything that is compared."""
    return rows(oracle)


def test_every_difference_has_a_reason(found: list[Row]) -> None:
    """A number differs from a library's for a reason that is given, or it does not differ."""
    assert [row for row in found if row.is_equal == bool(row.why)] == []


def test_the_page_is_what_is_computed(found: list[Row]) -> None:
    """docs/oracles.md says what this environment computes; rewrite it by running the module."""
    assert PAGE.read_text(encoding="utf-8") == page(found)
