"""What one look leaves for the next, in one small file; and a bounded log of looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.errors import EvidenceSchemaError, LockHeldError, MlwbError
from mlwb.monitor._notices import Outbox
from mlwb.monitor._traffic import Traffic
from mlwb.monitor._triggers import Rules, Trigger

__all__ = ["Memory", "alone", "append_look", "read_memory", "write_memory"]

_SCHEMA = "mlwb.monitor/1"
_LONGEST_LOG = 4_194_304


@dataclass(frozen=True, kw_only=True)
class Memory:
    """State of a watch.

    Parameters
    ----------
    version : str
        The version that `latest` named; its triggers begin anew with another.
    triggers : mapping of str to Trigger
        By name.
    traffic : Traffic
        Counters of the page before.
    outbox : Outbox
        Messages that wait.
    """

    traffic: Traffic
    version: str = ""
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    outbox: Outbox = field(default_factory=Outbox)

    @classmethod
    def start(cls, rules: Rules) -> Memory:
        """Before the first look."""
        return cls(traffic=Traffic.start(rules))

    def to_json(self) -> dict[str, Any]:
        """For the file."""
        return {
            "schema": _SCHEMA,
            "version": self.version,
            "triggers": {name: vars(item) for name, item in self.triggers.items()},
            "traffic": self.traffic.to_json(),
            "outbox": self.outbox.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Memory:
        """Inverse of :meth:`to_json`.

        Raises
        ------
        EvidenceSchemaError
            It is no such state, or of another form.
        """
        try:
            if value["schema"] != _SCHEMA:
                raise EvidenceSchemaError("another form", expected=_SCHEMA, got=value["schema"])
            return cls(
                version=str(value["version"]),
                triggers={name: Trigger.from_json(o) for name, o in value["triggers"].items()},
                traffic=Traffic.from_json(value["traffic"]),
                outbox=Outbox.from_json(value["outbox"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise EvidenceSchemaError("not the state of a monitor", got=str(error)) from error


def read_memory(path: Path, rules: Rules) -> tuple[Memory, str]:
    """Go on where the file says; a missing file is a beginning, a damaged one too, and is told.

    Returns
    -------
    Memory, str
        And what was wrong with the file; empty for none.
    """
    try:
        value = parse_json(path.read_bytes())
        if not isinstance(value, Mapping):
            raise EvidenceSchemaError("not an object")
        found = Memory.from_json(value)
    except FileNotFoundError:
        return Memory.start(rules), ""
    except (MlwbError, OSError, ValueError) as error:
        return Memory.start(rules), f"{path.name} cannot be read, the watch begins anew: {error}"
    if found.traffic.alarm.limit != float(rules.limits["error_rate"].value):
        return Memory.start(rules), "the policy has another limit of errors, the watch begins anew"
    return found, ""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only monitor of a home.

    Raises
    ------
    LockHeldError
        Another one is at work.
    """
    lock = FileLock(folder / "monitor.lock", timeout=0)
    try:
        fsops.make_dirs(folder)
        lock.acquire()
    except Timeout as error:
        raise LockHeldError(
            "another monitor watches this home", todo="stop it, or read its looks.jsonl"
        ) from error
    except OSError:  # a full disk keeps nobody from rolling back; the registry has its own lock
        yield
        return
    try:
        yield
    finally:
        lock.release()


def write_memory(path: Path, memory: Memory) -> str:
    """Replace the file in one step; what went wrong, empty for nothing."""
    try:
        fsops.write_atomic(path, canonical_bytes(memory.to_json()) + b"\n", mode=0o600)
    except OSError as error:
        return f"{path.name} was not written: {error.strerror or error}"
    return ""


def append_look(path: Path, line: Mapping[str, Any]) -> str:
    """Add a line; a file of 4 MiB is set aside as ``<name>.1``, in place of the one before it."""
    try:
        if path.exists() and path.stat().st_size > _LONGEST_LOG:
            path.replace(path.with_name(f"{path.name}.1"))
        fsops.drop_torn_tail(path)
        fsops.append_line(path, canonical_bytes(line))
    except OSError as error:
        return f"{path.name} was not written: {error.strerror or error}"
    return ""
