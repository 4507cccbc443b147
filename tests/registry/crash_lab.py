"""A laboratory for crashes: run once for real, then see everything a power failure may leave.

`pytest --log-level=INFO --log-cli-level=INFO` shows how many states each look had.
"""

from __future__ import annotations

import itertools
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mlwb.core import fsops
from tests.registry.simfs import Disk, Operation, Recorder, Tree, read_tree, write_tree

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
Action = Callable[[Path], object]
Check = Callable[[Path, bool], str]
"""Directory, and whether the action was acknowledged, to what is wrong; empty when nothing is."""


@dataclass
class Laboratory:
    """Actions, recorded and interrupted.

    Parameters
    ----------
    home : Path
        The directory actions work on; states are made real beside it.
    patch : MonkeyPatch
        Puts the recorder in place.
    """

    home: Path
    patch: pytest.MonkeyPatch
    steps: int = 0
    crashes: int = 0
    states: int = 0
    _rooms: Iterator[int] = field(default_factory=itertools.count)

    def record(
        self, action: Callable[[Path], T], home: Path, **forgetful: Any
    ) -> tuple[T, list[Operation]]:
        """What an action returns, and its file operations, its acknowledgement last."""
        recorder = Recorder(home, **forgetful)
        with self.patch.context() as patch:
            patch.setattr(fsops, "_do", recorder)
            result = action(home)
        recorder.mark()
        self.steps += len(recorder.operations)
        return result, recorder.operations

    def violations(
        self, action: Action, check: Check, *, is_coarse: bool = False, **forgetful: Any
    ) -> list[str]:
        """What is wrong in every state that a power failure during an action may leave.

        Parameters
        ----------
        action : callable
            Done once to :attr:`home`.
        check : callable
            Looks at a state, on the real disk, and may change it.
        is_coarse : bool, default=False
            Fewer states, for the fast lane.
        **forgetful
            Of :class:`Recorder`: what the protocol forgets.
        """
        before = read_tree(self.home)
        _, operations = self.record(action, self.home, **forgetful)
        return self._look(Disk(before), operations, check, is_coarse=is_coarse)

    def violations_of_repair(self, action: Action, repair: Callable[[Path], Check]) -> list[str]:
        """As :meth:`violations`, of the repair after the process was killed at each step.

        Parameters
        ----------
        action : callable
            Done once to :attr:`home`.
        repair : callable
            Done after each kill; returns what is promised from then on.
        """
        before = read_tree(self.home)
        _, operations = self.record(action, self.home)
        found = []
        for place in range(len(operations)):
            disk = Disk(before)
            for operation in operations[:place]:
                disk.apply(operation)
            room = self._room(disk.now())
            check, repairing = self.record(repair, room)
            shutil.rmtree(room)
            wrong = self._look(disk, repairing, check, is_coarse=False)
            found += [f"killed at {place}: {what}" for what in wrong]
        return found

    def _look(
        self, disk: Disk, operations: Sequence[Operation], check: Check, *, is_coarse: bool
    ) -> list[str]:
        found, seen = [], set[int]()
        for operation in (None, *operations):
            if operation is not None:
                disk.apply(operation)
            for tree in disk.after_crash(is_coarse=is_coarse):
                self.crashes += 1
                key = hash((frozenset(tree.items()), disk.is_acknowledged))
                if key not in seen:
                    seen.add(key)
                    found.append(self._checked(tree, check, is_told=disk.is_acknowledged))
        self.states += len(seen)
        wrong = [what for what in found if what]
        _LOG.info(
            "%d steps, %d crashes, %d states, %d violations",
            len(operations), self.crashes, self.states, len(wrong),
        )  # fmt: skip
        return wrong

    def _checked(self, tree: Tree, check: Check, *, is_told: bool) -> str:
        room = self._room(tree)
        try:
            return check(room, is_told)
        finally:
            shutil.rmtree(room)

    def _room(self, tree: Tree) -> Path:
        return write_tree(tree, self.home.with_name(f"room-{next(self._rooms)}"))
