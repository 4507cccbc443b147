"""What a process and those it started use, by the kernel's count."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cpu_s", "n_files", "n_threads", "rss_mb", "tree"]

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [pid, *(found for child in text.split() for found in tree(int(child)))]


def cpu_s(pid: int) -> float:
    """Seconds of user and system time of a tree."""
    total = 0
    for member in tree(pid):
        text = Path(f"/proc/{member}/stat").read_text(encoding="ascii")
        parts = text.rpartition(")")[2].split()
        total += int(parts[11]) + int(parts[12])
    return total / _TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a tree; pages that its processes share are shared out among them."""
    total = 0
    for member in tree(pid):
        text = Path(f"/proc/{member}/smaps_rollup").read_text(encoding="ascii")
        found = dict(line.split()[:2] for line in text.splitlines()[1:])
        total += int(found["Rss:" if member == pid and len(tree(pid)) == 1 else "Pss:"])
    return total / 1024


def n_files(pid: int) -> int:
    """Open files and sockets of a tree."""
    return sum(len(os.listdir(f"/proc/{member}/fd")) for member in tree(pid))  # noqa: PTH208 - names are enough


def n_threads(pid: int) -> int:
    """Threads of a tree."""
    return sum(len(os.listdir(f"/proc/{member}/task")) for member in tree(pid))  # noqa: PTH208 - names are enough
