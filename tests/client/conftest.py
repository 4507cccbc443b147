"""Tests of this room that take ``connect`` run once for each client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest

from tests.client.caller_kit import KINDS, Caller

Connect: TypeAlias = Callable[..., Caller]


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients, and closes them after the test."""
    with ExitStack() as stack:

        def made(url: str, **options: Any) -> Caller:
            return stack.enter_context(Caller(request.param, url, **options))

        yield made
