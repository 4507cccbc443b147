"""A key file with one key a role, and headers that show them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from mlwb.core.clock import SystemClock
from mlwb.serve import ROLES, KeyFile
from tests.serve.asgi_kit import JSON

__all__ = ["bearer", "shown", "write_keys"]


def write_keys(path: Path, now: datetime | None = None) -> dict[str, str]:
    """A key named after each role, by role."""
    keys = KeyFile(path)
    made = now or SystemClock().now()
    return {role: keys.add(role, [role], now=made, days=1)[1] for role in ROLES}


def shown(key: str) -> list[tuple[bytes, bytes]]:
    """Headers of a JSON request with a key."""
    return [JSON, (b"x-api-key", key.encode())]


def bearer(key: str) -> list[tuple[bytes, bytes]]:
    """The same in the other header."""
    return [JSON, (b"authorization", b"Bearer " + key.encode())]
