"""Several workers on one socket: started, watched, started again, stopped together.

The parent answers nothing itself. It is one loop over two pipes: one wakes it when a signal has
come, through the other workers say that they answer, or why they cannot.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from mlwb.core import errors
from mlwb.core.errors import MlwbError, ServerStartError

__all__ = ["Crew", "Word"]

_LOG = logging.getLogger("mlwb.serve")
_FIRST_PAUSE_S = 0.1
_QUICK_S = 10.0
"""A worker that ends sooner has died quickly, and the next in its slot waits twice as long."""
_MOST_QUICK = 5
_LOOK_S = 0.5
_LONGEST = 400
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Word(msgspec.Struct):
    """What a worker tells its parent, one line.

    Parameters
    ----------
    slot : int
        Its place.
    version : str
        The model version that answers.
    error, message : str
        Class and text of what kept it from starting.
    """

    slot: int
    version: str = ""
    error: str = ""
    message: str = ""


@dataclass
class _Slot:
    """A place for a worker."""

    pid: int = 0
    started_s: float = 0.0
    due_s: float = 0.0
    quick_deaths: int = 0
    is_ready: bool = False


class Crew:
    """The workers of one server.

    Parameters
    ----------
    n_workers : int
        Processes.
    work : callable
        Called in each process with its slot, whether it stands in for one that died, and a
        function that takes a :class:`Word`; returns when it was told to stop.
    ready : callable
        Called in the parent with the version once all answer.
    drain_s : float
        Seconds a worker may need to stop.
    parent : int, default=0
        Stop when this process is gone.
    """

    def __init__(
        self,
        n_workers: int,
        work: Callable[[int, bool, Callable[[Word], None]], None],
        ready: Callable[[str], None],
        *,
        drain_s: float,
        parent: int = 0,
    ) -> None:
        self._slots = [_Slot() for _ in range(n_workers)]
        self._work, self._ready, self._drain_s, self._parent = work, ready, drain_s, parent
        self._failure: MlwbError | None = None
        self._is_announced = False
        self._kill_s = 0.0
        self._words = os.pipe()
        self._unread = b""

    def run(self) -> None:
        """Until all workers have stopped.

        Raises
        ------
        MlwbError
            A worker could not start, or one place lost worker after worker.
        """
        os.set_blocking(self._words[0], False)
        try:
            with _wakeups() as woken, selectors.DefaultSelector() as selector:
                for pipe in (woken, self._words[0]):
                    selector.register(pipe, selectors.EVENT_READ)
                while not self._is_stopping or any(slot.pid for slot in self._slots):
                    self._fill()
                    selector.select(self._pause_s())
                    self._obey(woken)
                    self._listen()
                    self._reap()
        finally:
            self._bury()
            for pipe in self._words:
                os.close(pipe)
        if self._failure is not None:
            raise self._failure

    @property
    def _is_stopping(self) -> bool:
        return self._kill_s > 0

    def _fill(self) -> None:
        now_s = time.monotonic()
        for number, slot in enumerate(self._slots):
            if slot.pid == 0 and not self._is_stopping and now_s >= slot.due_s:
                slot.started_s, slot.is_ready = now_s, False
                slot.pid = os.fork() or self._child(number)

    def _child(self, number: int) -> NoReturn:
        code = 1
        try:
            os.setpgid(0, 0)  # a Ctrl-C goes to the parent, which passes it on
            signal.set_wakeup_fd(-1)
            for received in _SIGNALS:
                signal.signal(received, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._work(number, self._is_announced, self._say)
            code = 0
        except MlwbError as error:
            self._say(Word(number, error=type(error).__name__, message=str(error)))
            code = error.exit_code
        except BaseException:  # noqa: BLE001 - a child never returns into the parent's frames
            _LOG.exception("worker %d failed", number)
        finally:
            os._exit(code)

    def _say(self, word: Word) -> None:
        # Short enough for one write below PIPE_BUF: words of several workers do not mix.
        word.message = word.message[:_LONGEST]
        os.write(self._words[1], msgspec.json.encode(word) + b"\n")

    def _pause_s(self) -> float:
        waiting = [slot.due_s for slot in self._slots if slot.pid == 0]
        return max(0.0, min([_LOOK_S, *(due - time.monotonic() for due in waiting)]))

    def _obey(self, woken: int) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in os.read(woken, 4096):
                if number in _SIGNALS:
                    self._stop()
        if self._parent and os.getppid() != self._parent and not self._is_stopping:
            self._stop()
        if self._is_stopping and time.monotonic() > self._kill_s:
            self._send(signal.SIGKILL)

    def _stop(self) -> None:
        """Pass a signal on; the first lets workers drain, the second does not."""
        self._kill_s = self._kill_s or time.monotonic() + self._drain_s
        self._send(signal.SIGTERM)

    def _send(self, number: int) -> None:
        for slot in self._slots:
            if slot.pid:
                os.kill(slot.pid, number)

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._unread += os.read(self._words[0], 65_536)
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            word = msgspec.json.decode(line, type=Word)
            slot = self._slots[word.slot]
            if word.version:
                slot.is_ready = True
                self._announce(word.version)
            elif self._is_announced:
                _LOG.error("worker %d cannot start: %s", word.slot, word.message)
            elif self._failure is None:
                self._failure = _rebuilt(word)
                self._stop()

    def _announce(self, version: str) -> None:
        if self._is_announced or not all(slot.is_ready for slot in self._slots):
            return
        self._is_announced = True
        try:
            self._ready(version)
        except MlwbError as error:
            self._failure = error
            self._stop()

    def _bury(self) -> None:
        """Leave nobody behind when the loop itself broke."""
        self._send(signal.SIGKILL)
        for slot in self._slots:
            if slot.pid:
                os.waitpid(slot.pid, 0)

    def _reap(self) -> None:
        for number, slot in enumerate(self._slots):
            if slot.pid == 0:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if pid:
                slot.pid, slot.is_ready = 0, False
                if not self._is_stopping:
                    self._died(number, os.waitstatus_to_exitcode(status))

    def _died(self, number: int, code: int) -> None:
        slot, now_s = self._slots[number], time.monotonic()
        is_quick = now_s - slot.started_s < _QUICK_S
        slot.quick_deaths = slot.quick_deaths + 1 if is_quick else 0
        slot.due_s = now_s + (_FIRST_PAUSE_S * 2 ** (slot.quick_deaths - 1) if is_quick else 0.0)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        _LOG.warning("worker %d ended with %s", number, how)
        if slot.quick_deaths >= _MOST_QUICK:
            self._failure = ServerStartError(
                f"worker {number} died {_MOST_QUICK} times in a row, each within {_QUICK_S:g} s",
                got=f"{how} the last time",
                todo="read what the workers logged; the other workers were stopped",
            )
            self._stop()


@contextlib.contextmanager
def _wakeups() -> Iterator[int]:
    """A pipe end that becomes readable with the number of each signal received."""
    near, far = socket.socketpair()
    near.settimeout(0)
    far.settimeout(0)
    watched = (*_SIGNALS, signal.SIGCHLD)
    before = {number: signal.signal(number, lambda *_: None) for number in watched}
    wakeup = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
    try:
        yield near.fileno()
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        near.close()
        far.close()


def _rebuilt(word: Word) -> MlwbError:
    kind = getattr(errors, word.error, ServerStartError)
    error: MlwbError = kind(word.message)
    return error
