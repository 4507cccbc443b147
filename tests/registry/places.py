"""Places a registry can be kept at, and what a test does to them behind its back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.clock import ManualClock
from mlwb.core.signing import Signer
from mlwb.registry import REQUIRED_FILES, ObjectStore, Registry, RemoteRegistry, VersionInfo
from mlwb.registry._remote_log import slot
from mlwb.registry._store import put_right

Either: TypeAlias = Registry | RemoteRegistry


class Place(ABC):
    """Somewhere a registry is kept."""

    @abstractmethod
    def open(self, **more: Any) -> Either:
        """A registry of its own at this place, as another process would have."""

    @abstractmethod
    def tamper(self, version: str, file: str) -> None:
        """Change one byte of a file of a version."""

    @abstractmethod
    def edit_log(self) -> None:
        """Change a word in the second line of the log."""

    @abstractmethod
    def move(self, channel: str, version: str) -> None:
        """Point a channel at a version, past the registry."""


class Local(Place):
    """A directory."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.models, self.clock = folder / "artifacts" / "models", clock

    def open(self, **more: Any) -> Registry:
        """A registry of its own at this place."""
        return Registry(self.models, clock=self.clock, **more)

    def tamper(self, version: str, file: str) -> None:
        """Change one byte of a file of a version."""
        path = self.models / version / file
        path.chmod(0o644)
        path.write_bytes(flipped(path.read_bytes()))

    def edit_log(self) -> None:
        """Change a word in the second line of the log."""
        log = self.models.parent / "promotions.log"
        lines = log.read_bytes().split(b"\n")
        lines[1] = lines[1].replace(b'"local"', b'"other"')
        log.write_bytes(b"\n".join(lines))

    def move(self, channel: str, version: str) -> None:
        """Point a channel at a version, past the registry."""
        (self.models / channel).unlink()
        (self.models / channel).symlink_to(version)


class Remote(Place):
    """An object store."""

    def __init__(self, store: ObjectStore, folder: Path, clock: ManualClock) -> None:
        self.store, self.folder, self.clock = store, folder, clock

    def open(self, **more: Any) -> RemoteRegistry:
        """A registry of its own at this place."""
        store = more.pop("store", self.store)
        return RemoteRegistry(store, self.folder / "scratch", clock=self.clock, **more)

    def tamper(self, version: str, file: str) -> None:
        """Change one byte of a file of a version."""
        self._change(next(key for key in self.store.list(f"models/{version}/") if file in key))

    def edit_log(self) -> None:
        """Change a word in the second line of the log."""
        stored = self.store.get(slot(2))
        assert stored is not None
        put_right(self.store, slot(2), stored.data.replace(b'"local"', b'"other"'))

    def move(self, channel: str, version: str) -> None:
        """Point a channel at a version, past the registry."""
        stored = self.store.get(f"channels/{channel}.json")
        assert stored is not None
        said = {**parse_json(stored.data), "version": version}
        put_right(self.store, f"channels/{channel}.json", canonical_bytes(said))

    def _change(self, key: str) -> None:
        stored = self.store.get(key)
        assert stored is not None
        put_right(self.store, key, flipped(stored.data))


def flipped(data: bytes) -> bytes:
    """The bytes with the last one but one changed."""
    return data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]


def fill(staging: Path, content: str) -> Path:
    """Write the files of a version into a directory."""
    for name in REQUIRED_FILES:
        (staging / name).write_text(f"{name} {content}\n")
    return staging


def publish(registry: Either, version: str) -> VersionInfo:
    """Publish a version with content of its own."""
    return registry.register(version, fill(registry.stage(version), version))


def yes(registry: Either, version: str, **changes: Any) -> dict[str, Any]:
    """A decision to promote a published version; keywords replace its details."""
    details = {
        "promote": True,
        "reasons": [],
        "model_version": version,
        "manifest_sha256": registry.show(version).sha256,
        "verdicts": [],
        **changes,
    }
    return {"kind": "decision", "run_id": f"decision-{version}", "details": details}


def serve(registry: Either) -> Either:
    """Bootstrap v1, promote v2 over it, publish v3."""
    publish(registry, "v1")
    registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
    publish(registry, "v2")
    registry.promote("v2", decision=yes(registry, "v2"), expect_current="v1", reason="better")
    publish(registry, "v3")
    return registry


def raised(job: Callable[[], object]) -> Exception | None:
    """What a job raises, None when it does not."""
    try:
        job()
    except Exception as error:  # noqa: BLE001 - whatever it is, a test looks at it
        return error
    return None


NO_KEYS = Signer()
