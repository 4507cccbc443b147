"""How well this machine's clock is kept, as its kernel says."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["HostClock", "KernelTime", "host_clock"]

_UNSYNCHRONISED = 0x0040
_NANOSECONDS = 0x2000
_ERROR = 5


class KernelTime(ctypes.Structure):
    """``struct timex`` of ``ntp_adjtime(3)``, as far as it is read here, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


@dataclass(frozen=True)
class HostClock:
    """The clock of this machine against the time servers it follows.

    Parameters
    ----------
    is_synchronised : bool
        Whether a time daemon keeps the clock; without one nothing is known of its error.
    offset_ms : float
        What the kernel still has to correct. A daemon that steers by frequency leaves it at 0.
    max_error_ms : float
        The most the clock can be wrong by, while it is synchronised.
    """

    is_synchronised: bool
    offset_ms: float
    max_error_ms: float


def host_clock(read: Callable[[KernelTime], int] | None = None) -> HostClock | None:
    """Ask the kernel; changes nothing and needs no rights.

    Parameters
    ----------
    read : callable, optional
        Fills a :class:`KernelTime` and returns the clock's state; by default ``ntp_adjtime``.

    Returns
    -------
    HostClock or None
        None where the system has no such call or refuses it.

    Notes
    -----
    A recorder's clock belongs to the machine that records: ask there, not where files are read.
    """
    call = read if read is not None else _ntp_adjtime()
    found = KernelTime(modes=0)
    state = call(found) if call is not None else -1
    if state < 0:
        return None
    per_ms = 1e6 if found.status & _NANOSECONDS else 1e3
    return HostClock(
        is_synchronised=state != _ERROR and not found.status & _UNSYNCHRONISED,
        offset_ms=found.offset / per_ms,
        max_error_ms=found.maxerror / 1e3,
    )


def _ntp_adjtime() -> Callable[[KernelTime], int] | None:
    try:
        call = ctypes.CDLL(None).ntp_adjtime
    except (OSError, TypeError, AttributeError):
        return None
    return lambda buffer: int(call(ctypes.byref(buffer)))
