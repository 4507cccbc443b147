"""What switches answering off: kill switch and mode, each a file that every worker reads."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Literal, get_args

import msgspec

from mlwb.core import fsops
from mlwb.core.clock import Clock, format_utc
from mlwb.serve._file_stamp import file_stamp
from mlwb.serve._settings import ServeSettings

__all__ = ["Kill", "Mode", "ModeName", "Switches"]

ModeName = Literal["inference", "training", "maintenance"]


class Mode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the server is for at present; the form of the mode file.

    Parameters
    ----------
    mode : {"inference", "training", "maintenance"}
        Predictions are answered in the first only.
    reason : str
        What whoever set it said.
    by : str
        Name of the key that set it; ``"server"`` for the mode of a start without a file.
    since : str
        RFC 3339, UTC; empty when nobody ever set it.
    """

    mode: ModeName = "inference"
    reason: str = ""
    by: str = "server"
    since: str = ""


class Kill(msgspec.Struct, frozen=True):
    """The kill switch as it stands.

    Parameters
    ----------
    killed : bool
        Whether predictions are refused.
    sources : list of str
        What says so: ``"environment"``, ``"file"``, ``"worker"`` (told by route, and the file
        could not be written or there is none), ``"unreadable"`` (the file cannot be looked at).
    reason, by, since : str
        Of the file, where it was written by this route; empty otherwise.
    everywhere : bool
        Whether every worker over this directory sees the same.
    """

    killed: bool
    sources: list[str]
    reason: str = ""
    by: str = ""
    since: str = ""
    everywhere: bool = True


class _KillNote(msgspec.Struct, frozen=True):
    reason: str = ""
    by: str = ""
    since: str = ""


_MODES: tuple[ModeName, ...] = get_args(ModeName)
_encode = msgspec.json.Encoder().encode
_UNREADABLE = Mode("maintenance", "the mode file cannot be read", "server", "")


class Switches:
    """Kill switch and mode of one server.

    Parameters
    ----------
    settings : ServeSettings
        Names the files; without them a switch is this worker's own.
    clock : Clock
        Stamps.
    """

    __slots__ = (
        "_changing", "_clock", "_environment", "_kill_file", "_mode_file", "_sealed", "_seen",
        "_unreadable", "_worker", "mode",
    )  # fmt: skip

    def __init__(self, settings: ServeSettings, clock: Clock) -> None:
        self._clock, self._environment = clock, settings.killed
        self._kill_file = None if settings.kill_file is None else os.fspath(settings.kill_file)
        self._mode_file = settings.mode_file
        self._worker = self._unreadable = False
        self._sealed = self._environment
        self._seen: object = None
        self._changing = threading.Lock()  # a look must not put back what was just changed
        self.mode = Mode()
        self.look()

    @property
    def is_killed(self) -> bool:
        """Whether predictions are refused, as of now.

        Asks the file system each time, for a third of a microsecond: a file that another process
        made counts for the very next request.
        """
        return self._sealed or (self._kill_file is not None and os.access(self._kill_file, os.F_OK))

    @property
    def is_held(self) -> bool:
        """Whether the environment says that predictions are refused: nothing lifts that."""
        return self._environment

    @property
    def mode_number(self) -> int:
        """0 inference, 1 training, 2 maintenance."""
        return _MODES.index(self.mode.mode)

    @property
    def is_mode_unreadable(self) -> bool:
        """Whether the mode is maintenance because its file cannot be read."""
        return self.mode is _UNREADABLE

    def look(self) -> None:
        """Look at both files with care; not on the event loop."""
        with self._changing:
            self._unreadable = not self._can_ask()
            self._seal()
            self.mode = self._read_mode()

    def kill(self, *, reason: str, by: str) -> Kill:
        """Refuse predictions, here at once and elsewhere with the next request.

        A disk that takes no note takes an empty file often enough; where it does not, this
        worker refuses all the same and the answer says that others may not.
        """
        self._worker = self._sealed = True  # before a disk is asked that may hang
        with self._changing:
            if self._kill_file is not None and self._make(Path(self._kill_file), reason, by):
                self._worker = False
            self._seal()
        return self.state()

    def lift(self) -> Kill:
        """Answer predictions again, unless the environment says otherwise.

        Raises
        ------
        OSError
            The file cannot be removed; predictions stay refused.
        """
        with self._changing:
            if self._kill_file is not None:
                fsops.remove_file(Path(self._kill_file))
            self._worker = False
            self._unreadable = not self._can_ask()
            self._seal()
        return self.state()

    def state(self) -> Kill:
        """The kill switch in full; reads its file, so not on the event loop."""
        has_file = self._kill_file is not None and os.access(self._kill_file, os.F_OK)
        found = {
            "environment": self._environment,
            "file": has_file,
            "worker": self._worker,
            "unreadable": self._unreadable,
        }
        sources = [source for source, holds in found.items() if holds]
        note = _note(self._kill_file) if has_file else _KillNote()
        return Kill(
            bool(sources),
            sources,
            note.reason,
            note.by,
            note.since,
            everywhere=self._kill_file is not None and sources != ["worker"],
        )

    def set_mode(self, mode: ModeName, *, reason: str, by: str) -> Mode:
        """Write a mode and take it up; not on the event loop.

        Raises
        ------
        OSError
            The file cannot be written; the mode is as before.
        """
        found = Mode(mode, reason, by, format_utc(self._clock.now()))
        with self._changing:
            if self._mode_file is not None:
                fsops.write_atomic(self._mode_file, _encode(found) + b"\n")
                self._seen = "never"  # another worker may have written since
            self.mode = found
        return found

    def _make(self, path: Path, reason: str, by: str) -> bool:
        note = _KillNote(reason, by, format_utc(self._clock.now()))
        with contextlib.suppress(OSError):
            fsops.write_atomic(path, _encode(note) + b"\n")
            return True
        with contextlib.suppress(OSError):
            fsops.write_new(path, b"")
        return path.exists()

    def _seal(self) -> None:
        self._sealed = self._environment or self._worker or self._unreadable

    def _can_ask(self) -> bool:
        try:
            return self._kill_file is None or Path(self._kill_file).exists() in (True, False)
        except OSError:
            return False  # a switch that cannot be read counts as thrown

    def _read_mode(self) -> Mode:
        if self._mode_file is None:
            return self.mode
        try:
            stamp = file_stamp(self._mode_file)
            if stamp == self._seen:
                return self.mode
            self._seen = stamp
            return Mode() if stamp is None else _mode(self._mode_file.read_bytes())
        except OSError:
            self._seen = "never"  # look again, though the file stays what it is
            return _UNREADABLE
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _UNREADABLE


def _mode(data: bytes) -> Mode:
    return msgspec.json.decode(data, type=Mode)


def _note(path: str | None) -> _KillNote:
    try:
        return msgspec.json.decode(Path(path or "").read_bytes(), type=_KillNote)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return _KillNote()  # made by hand; that it is there is enough
