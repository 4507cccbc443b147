"""What a kernel says of its clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlwb.core.host_clock import HostClock, KernelTime, host_clock

NANO, UNSYNC = 0x2000, 0x0040


def kernel(state: int, *, offset: int, status: int) -> Callable[[KernelTime], int]:
    """A system call that answers so."""

    def read(found: KernelTime) -> int:
        assert found.modes == 0  # nothing is set
        found.offset, found.maxerror, found.status = offset, 1500, status
        return state

    return read


@pytest.mark.parametrize(
    ("state", "offset", "status", "expected"),
    [
        (0, -2500, 0, HostClock(is_synchronised=True, offset_ms=-2.5, max_error_ms=1.5)),
        (0, 2_500_000, NANO, HostClock(is_synchronised=True, offset_ms=2.5, max_error_ms=1.5)),
        (5, 0, UNSYNC, HostClock(is_synchronised=False, offset_ms=0.0, max_error_ms=1.5)),
        (0, 0, UNSYNC | NANO, HostClock(is_synchronised=False, offset_ms=0.0, max_error_ms=1.5)),
        (-1, 0, 0, None),
    ],
)
def test_units_and_state(state: int, offset: int, status: int, expected: HostClock | None) -> None:
    """Microseconds, or nanoseconds where the flag says so; errors and refusals are told apart."""
    assert host_clock(kernel(state, offset=offset, status=status)) == expected


def test_this_machine_can_be_asked() -> None:
    """The call itself does not fail, whatever it says."""
    found = host_clock()
    assert found is None or found.max_error_ms >= 0
