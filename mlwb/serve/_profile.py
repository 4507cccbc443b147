"""What a server must have before it starts; in production more than on a desk."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from mlwb.core.errors import ParamsError
from mlwb.serve._key_watch import KeyRing, KeyWatch
from mlwb.serve._settings import VARIABLES, ServeSettings

__all__ = ["check_profile", "exposed", "is_loopback", "start_problems"]


def check_profile(settings: ServeSettings, ring: KeyRing | None, now: datetime) -> None:
    """Refuse to start without protection.

    Parameters
    ----------
    settings : ServeSettings
        Of the server.
    ring : KeyRing or None
        Its keys; None without a key file.
    now : datetime
        UTC.

    Raises
    ------
    ParamsError
        With one sentence for each thing that is missing.
    """
    found = _missing(settings, ring, now)
    if found:
        raise ParamsError(
            " ".join(found).removesuffix("."),
            todo="see docs/serve-security.md",
        )


def start_problems(settings: ServeSettings, now: datetime) -> tuple[str, ...]:
    """Why a server would refuse to start, a sentence each; none when it would not.

    Parameters
    ----------
    settings : ServeSettings
        Of the server.
    now : datetime
        UTC.

    Raises
    ------
    ParamsError
        The key file is none.
    """
    return _missing(settings, KeyWatch(settings.keys_file).ring, now)


def exposed(settings: ServeSettings) -> tuple[str, ...]:
    """What others on this machine may read or change and should not, a sentence each.

    Parameters
    ----------
    settings : ServeSettings
        Of the server.
    """
    return tuple(_modes(settings))


def _missing(settings: ServeSettings, ring: KeyRing | None, now: datetime) -> tuple[str, ...]:
    production = _production(settings, ring, now) if settings.profile == "production" else ()
    return (*_everywhere(settings, ring), *production)


def _everywhere(settings: ServeSettings, ring: KeyRing | None) -> Iterator[str]:
    if ring is None and not is_loopback(settings.host):
        yield (
            f"Without keys the server listens on this machine only, and {VARIABLES['host']} is "
            f"{settings.host}: make a key with `mlwb keys add`, or use 127.0.0.1."
        )


def _production(settings: ServeSettings, ring: KeyRing | None, now: datetime) -> Iterator[str]:
    if ring is None:
        yield "In production callers show keys: make one with `mlwb keys add`."
    elif not ring.has_valid(now):
        yield "Every key is expired or revoked: make one with `mlwb keys add`."
    yield from _modes(settings)
    if "*" in settings.cors_origins:
        yield f"{VARIABLES['cors_origins']} lets every web page ask: name origins."
    for name, what in _NEEDED.items():
        if not getattr(settings, name):
            yield f"{VARIABLES[name]} is off: {what}."


def _modes(settings: ServeSettings) -> Iterator[str]:
    if settings.keys_file is not None and _mode(settings.keys_file) & _NOT_OWNER:
        yield f"{settings.keys_file.name} is open to others than its owner: chmod 600."
    if _mode(settings.models_dir) & stat.S_IWOTH:
        yield f"Everybody may write to {VARIABLES['models_dir']}: chmod o-w."


_NOT_OWNER = stat.S_IRWXG | stat.S_IRWXO
_NEEDED = {
    "kill_file": "nobody could stop predictions on the machine itself",
    "audit_log": "nobody would know who did what",
    "rate_limit": "a key could take all there is",
    "rate_limit_address": "keys could be guessed without end; 60 is plenty",
}


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "10.0.0.1", "localhost.x")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else 0
