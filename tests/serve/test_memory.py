"""What a burst took, a server gives back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

BURST = """
import sys
from mlwb.serve._memory import keep_little

def pages():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1])

if sys.argv[1] == "little":
    keep_little()
block = bytearray(8 << 20)
del block
before = pages()
blocks = [bytearray(b"x") * 65_536 for _ in range(160)]
top = pages()
del blocks
print((pages() - before) / (top - before))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.parametrize(("told", "is_kept"), [("as it is", True), ("little", False)])
def test_a_burst_is_given_back(told: str, *, is_kept: bool) -> None:
    """Ten megabytes in small blocks, after one large one: gone when freed, where glibc was told."""
    done = subprocess.run(
        [sys.executable, "-c", BURST, told], capture_output=True, text=True, check=True
    )
    assert (float(done.stdout) > 0.5) is is_kept, done.stdout
