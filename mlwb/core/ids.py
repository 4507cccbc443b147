"""Names that travel: run ids and model versions."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

from mlwb.core.errors import ParamsError

__all__ = ["RUN_ID", "VERSION", "check_version", "new_run_id"]

RUN_ID = re.compile(
    r"^[a-z0-9][a-z0-9-]*_[A-Za-z0-9.+-]+_[a-z0-9][a-z0-9.-]*_[0-9]{8}T[0-9]{6}Z_[0-9a-f]{8}$"
)
VERSION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")
_RESERVED = {"latest", "candidate", "previous"}
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices, whatever the suffix."""


def new_run_id(service: str, version: str, phase: str, now: datetime, *, token: str = "") -> str:
    """``{service}_{version}_{phase}_{timestamp}_{uuid8}``.

    Parameters
    ----------
    service : str
        What measured, for example ``"mlwb"`` or ``"ml-shadow"``.
    version : str
        Model version; an underscore becomes a dash, since ``_`` separates the parts.
    phase : str
        ``"training"``, ``"canary-5pct"``.
    now : datetime
        Timezone-aware.
    token : str, default=""
        Eight hex digits; random when empty.

    Returns
    -------
    str

    Examples
    --------
    >>> new_run_id("ml-shadow", "v1.8.1", "canary-5pct",
    ...            datetime(2025, 10, 22, 14, 30, tzinfo=UTC), token="a1b2c3d4")
    'ml-shadow_v1.8.1_canary-5pct_20251022T143000Z_a1b2c3d4'
    """
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    safe = version.replace("_", "-") or "none"
    return f"{service}_{safe}_{phase}_{stamp}_{token or uuid.uuid4().hex[:8]}"


def check_version(version: str) -> str:
    """Return a model version unchanged, or say why it cannot be one.

    Raises
    ------
    ParamsError
        The name is not ``[A-Za-z0-9][A-Za-z0-9._+-]{0,63}``, or is reserved.

    Examples
    --------
    >>> check_version("v1.8.1-retrain")
    'v1.8.1-retrain'
    """
    is_reserved = version.lower() in _RESERVED or _DEVICES.fullmatch(version) is not None
    if VERSION.fullmatch(version) is None or is_reserved or version.endswith("."):
        raise ParamsError(
            "not a model version",
            expected="letters, digits and . _ + -, at most 64, and not a reserved name",
            got=repr(version[:80]),
        )
    return version
