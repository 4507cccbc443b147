"""What the C library keeps of memory that was freed."""

from __future__ import annotations

import ctypes

__all__ = ["keep_little"]

_TRIM_THRESHOLD = -1  # of mallopt(3)
_KEPT = 1 << 20


def keep_little() -> None:
    """Let freed memory go back to the system beyond a megabyte a thread, where glibc manages it.

    Left to itself glibc raises that limit to twice the largest block it ever saw freed: a log
    that wrote a burst of lines would hold on to as much for good, in each thread that did.
    """
    try:
        ctypes.CDLL(None).mallopt(_TRIM_THRESHOLD, _KEPT)
    except (AttributeError, OSError, TypeError):
        return  # another C library
