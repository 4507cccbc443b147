"""The power fails anywhere: one whole latest, nothing lost that was acknowledged, repair repeats.

Every state that the model of :mod:`tests.registry.simfs` allows after a crash is made real and
given to the real registry.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.core.clock import ManualClock
from mlwb.core.errors import MlwbError
from mlwb.core.signing import Signer, write_key_pair
from mlwb.registry import REQUIRED_FILES, Registry, State
from tests.registry.crash_lab import Action, Laboratory
from tests.registry.simfs import read_tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to name descriptors")

Decide = Callable[..., dict[str, Any]]
NO_KEYS = Signer()


@dataclass(frozen=True)
class Promise:
    """What an action may change.

    Parameters
    ----------
    clock : ManualClock
        For the registry that looks.
    before, after : tuple of str
        The history of `latest`, as the log must say it.
    registers : str
        A version that must be there once the action was acknowledged.
    damaged : str
        A version that was not whole to begin with.
    signer : Signer
        For the registry that looks.
    """

    clock: ManualClock
    before: tuple[str, ...]
    after: tuple[str, ...]
    registers: str = ""
    damaged: str = ""
    signer: Signer = NO_KEYS

    def __call__(self, home: Path, is_acknowledged: bool) -> str:
        """Empty, or what is wrong with a state."""
        registry = Registry(home / "models", clock=self.clock, signer=self.signer)
        allowed = [self.after] if is_acknowledged else [self.before, self.after]
        try:
            return self._seen(registry, allowed, is_acknowledged=is_acknowledged)
        except (MlwbError, OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"

    def _seen(
        self, registry: Registry, allowed: list[tuple[str, ...]], *, is_acknowledged: bool
    ) -> str:
        """What a reader sees before any repair."""
        latest = registry.latest()
        if latest not in [history[-1] if history else None for history in allowed]:
            return f"latest is {latest}"
        listed = set(registry.versions())
        torn = [
            v
            for v in listed - {self.damaged}
            if {p.kind for p in registry.verify(v)} - {"unlisted"}
        ]
        if torn:
            return f"{torn[0]} is not whole"
        if is_acknowledged and self.registers and self.registers not in listed:
            return f"{self.registers} is lost"
        return self._repaired(registry, allowed, latest=latest)

    def _repaired(
        self, registry: Registry, allowed: list[tuple[str, ...]], *, latest: str | None
    ) -> str:
        problems = [p for p in registry.recover() if p.where.split("/")[0] != self.damaged]
        if problems:
            return f"after repair: {problems[0]}"
        state = registry.state()
        is_kept = latest in (state.latest, self.damaged)
        if state.history not in allowed or not is_kept or registry.latest() != state.latest:
            return f"{latest} became {registry.latest()}, the log says {state.history}"
        return self._repaired_again(registry, state)

    def _repaired_again(self, registry: Registry, state: State) -> str:
        tree = read_tree(registry.models_dir.parent)
        registry.recover()
        if read_tree(registry.models_dir.parent) != tree or registry.state() != state:
            return "a second repair changed something"
        return ""


def _fill(staging: Path, content: str) -> Path:
    """Write the files of a version as training does: nothing synced."""
    for name in REQUIRED_FILES:
        descriptor = fsops._do(os.open, staging / name, os.O_WRONLY | os.O_CREAT, 0o644)
        fsops._do(os.write, descriptor, f"{name} {content}\n".encode())
        os.close(descriptor)
    return staging


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    """A laboratory around the registry of the other fixtures."""
    return Laboratory(tmp_path / "artifacts", monkeypatch)


Actions = dict[str, tuple[Action, Promise]]


@pytest.fixture
def actions(serving: Registry, yes: Decide, clock: ManualClock, tmp_path: Path) -> Actions:
    """What is done to a registry, with what is promised about it."""
    decision, then = yes("v3"), serving.state().history

    def at(home: Path) -> Registry:
        return Registry(home / "models", clock=clock)

    def promote(home: Path) -> None:
        at(home).promote("v3", decision=decision, expect_current="v2", reason="better")

    def register(home: Path) -> None:
        staging = home / "models" / ".staging" / "20260101T000000Z-four"
        if not staging.exists():
            fsops.make_dirs(staging)
            _fill(staging, "four")
        at(home).register("v4", staging)

    def restore(home: Path) -> None:
        at(home).restore("v1")

    keys = Signer(tmp_path / "key", write_key_pair(tmp_path / "key"))

    def signed(home: Path) -> None:
        registry = Registry(home / "models", clock=clock, signer=keys)
        registry.promote("v3", decision=decision, expect_current="v2", reason="better")

    promise = partial(Promise, clock, then)
    return {
        "promote": (promote, promise((*then, "v3"))),
        "rollback": (lambda home: at(home).rollback(reason="drift"), promise(("v1",))),
        "register": (register, promise(then, registers="v4")),
        "backup": (lambda home: at(home).backup(), promise(then)),
        "restore": (restore, promise(then, damaged="v1")),
        "quarantine": (
            lambda home: at(home).quarantine("v2", reason="disk error"),
            promise(("v1",), damaged="v2"),
        ),
        "collect": (lambda home: at(home).collect(), promise(then)),
        "signed": (signed, replace(promise((*then, "v3")), signer=keys)),
    }


def _begin(name: str, lab: Laboratory, serving: Registry, *, signer: Signer = NO_KEYS) -> None:
    """Bring the registry to where an action makes sense."""
    home = lab.home
    if name == "restore":
        (home / "models" / "v1" / "model.onnx").unlink()
    if name == "backup":
        fsops.remove_tree(home / "backups")
    if name == "quarantine":
        (home / "models" / "v2" / "model.onnx").unlink()
        fsops.remove_tree(home / "backups")
    if name == "signed":
        for version in serving.versions():
            Registry(serving.models_dir, clock=ManualClock(), signer=signer).sign(version)
    if name == "collect":
        lab.patch.setattr("mlwb.registry._retire._KEPT", 1)
        serving.register("v4", _fill(serving.stage("v4"), "four"))
        assert serving.garbage() == ("v3",)
    if name == "register":
        staging = home / "models" / ".staging" / "20260101T000000Z-four"
        fsops.make_dirs(staging)
        _fill(staging, "four")


@pytest.mark.parametrize("name", ["rollback", "promote", "quarantine", "collect"])
def test_no_crash_breaks_a_promise(
    name: str, lab: Laboratory, actions: Actions, serving: Registry
) -> None:
    """Whatever a power failure leaves at any step of an action is repaired to before or after."""
    _begin(name, lab, serving)
    assert lab.violations(*actions[name], is_coarse=name != "rollback") == []
    assert lab.states > lab.steps / 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["promote", "rollback", "register", "backup", "restore", "quarantine", "collect", "signed"],
)
def test_no_crash_of_any_kind_breaks_a_promise(
    name: str, lab: Laboratory, actions: Actions, serving: Registry
) -> None:
    """As above, every subset of what was not durable; a promotion with its backup."""
    if name != "register":
        _begin(name, lab, serving, signer=actions[name][1].signer)
    assert lab.violations(*actions[name]) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["promote", "rollback", "quarantine", "signed"])
def test_no_crash_of_a_repair_breaks_a_promise(
    name: str, lab: Laboratory, actions: Actions, *, serving: Registry, clock: ManualClock
) -> None:
    """The process is killed at any step, then the power fails at any step of the repair."""
    _begin(name, lab, serving, signer=actions[name][1].signer)

    action, promise = actions[name]

    def repair(home: Path) -> Promise:
        registry = Registry(home / "models", clock=clock, signer=promise.signer)
        registry.recover()
        return replace(promise, after=registry.state().history)

    assert lab.violations_of_repair(action, repair) == []


def _forget_files(name: str, is_dir: bool) -> bool:
    return name == "fsync" and not is_dir


def _forget_folders(name: str, is_dir: bool) -> bool:
    return name == "fsync" and is_dir


def _forget_both(name: str, _is_dir: bool) -> bool:
    return name == "fsync"


def _remove_and_make(path: Path, target: str) -> None:
    """The link as most tools move it: gone for a moment."""
    fsops._do(Path.unlink, path, missing_ok=True)
    fsops._do(Path.symlink_to, path, target)
    fsops.fsync_dir(path.parent)


@pytest.mark.parametrize("name", ["promote", pytest.param("register", marks=pytest.mark.slow)])
@pytest.mark.parametrize("forgets", [_forget_files, _forget_folders, _forget_both])
def test_a_protocol_that_does_not_sync_is_caught(
    name: str, forgets: Callable[[str, bool], bool], lab: Laboratory, actions: Actions, *,
    serving: Registry,
) -> None:  # fmt: skip
    """Control: the same enumeration finds what forgetting either kind of fsync breaks."""
    _begin(name, lab, serving)
    found = lab.violations(*actions[name], is_coarse=True, skip=forgets)
    assert found


def test_a_link_removed_and_made_again_is_caught(
    lab: Laboratory, actions: Actions, serving: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: the enumeration finds the moment without a latest."""
    _begin("promote", lab, serving)
    monkeypatch.setattr(fsops, "replace_link", _remove_and_make)
    found = lab.violations(*actions["promote"])
    assert "latest is None" in found
