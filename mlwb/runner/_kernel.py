"""A kernel that is this interpreter, on sockets only this user can reach."""

from __future__ import annotations

import ast
import logging
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from mlwb.core.errors import RunError

__all__ = ["Kernel", "check_same_interpreter", "kernel_environ"]

# Socket paths are cut off at 104 (macOS) or 108 bytes; five of them are `<folder>/k-<n>`.
_LONGEST_SOCKET = 100
_GRACE_S = 1.0  # to leave when asked; every cell has ended, and ipykernel may wait for itself
_QUIET = logging.getLogger("mlwb.runner")
_QUIET.addHandler(logging.NullHandler())
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class _ThisInterpreter(KernelSpecManager):
    """``python3`` is ``sys.executable``, whatever kernels a user has installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        if kernel_name != "python3":
            return super().get_kernel_spec(kernel_name)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def kernel_environ(base: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Environment of a kernel: figures inline, clock in UTC, nobody's IPython start-up files.

    Parameters
    ----------
    base : mapping
        The caller's environment.
    folder : Path
        Private scratch folder of the run.
    """
    return {
        "PYTHONHASHSEED": "0",
        **base,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "TZ": "UTC",
        "IPYTHONDIR": str(folder / "ipython"),
    }


class Kernel:
    """One kernel process, its log and its end.

    Parameters
    ----------
    name : str
        Kernel name; ``python3`` is this interpreter.
    folder : Path
        Private scratch folder: connection file, sockets, log.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.log_path = folder / "kernel.log"
        self._group: int | None = None
        ipc = sys.platform != "win32" and len(os.fsencode(folder / "k-5")) <= _LONGEST_SOCKET
        address: dict[str, Any] = {"transport": "ipc", "ip": str(folder / "k")} if ipc else {}
        self.manager = AsyncKernelManager(
            kernel_name=name,
            kernel_spec_manager=_ThisInterpreter(),
            connection_file=str(folder / "connection.json"),
            log=_QUIET,
            **address,
        )

    @property
    def log(self) -> logging.Logger:
        """Where Jupyter's own complaints go: our logger, silent unless a handler is set."""
        return _QUIET

    async def start(self, *, cwd: Path, environ: Mapping[str, str]) -> None:
        """Start the process; what it prints to its raw stdout and stderr goes to the log."""
        with self.log_path.open("wb") as log:
            await self.manager.start_kernel(
                cwd=str(cwd), env=dict(environ), stdout=log, stderr=log, extra_arguments=_NO_HISTORY
            )
        self._group = getattr(self.manager.provisioner, "pgid", None)

    def kill(self) -> None:
        """End the process and all it started, at once; safe from any thread, safe to repeat."""
        if self._group is not None and hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signal.SIGKILL)

    async def stop(self, *, at_once: bool) -> None:
        """Shut down, by force when asked or when it does not listen, and leave nothing behind."""
        try:
            if self.manager.has_kernel and at_once:
                await self.manager.shutdown_kernel(now=True)
            elif self.manager.has_kernel:
                await self.manager.request_shutdown()
                await self.manager.finish_shutdown(waittime=_GRACE_S)
        finally:
            self.kill()
            await self.manager.cleanup_resources()

    def epitaph(self) -> str:
        """How the process ended, in words, with the last line it wrote."""
        process = getattr(self.manager.provisioner, "process", None)
        code = process.poll() if process is not None else None
        return _exit_words(code) + self.last_words()

    def last_words(self) -> str:
        """The last line it wrote to its raw stdout or stderr, as the end of a sentence."""
        with suppress(OSError):
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
            spoken = [line for line in (_ANSI.sub("", line).strip() for line in lines) if line]
            return f"; its last words: {spoken[-1][:200]}" if spoken else ""
        return ""


_NO_HISTORY = ["--HistoryManager.hist_file=:memory:"]


def _exit_words(code: int | None) -> str:
    if code is None:
        return "the kernel process ended"
    if code >= 0:
        return f"the kernel process exited with code {code}"
    name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
    hint = ", most often for lack of memory" if name == "SIGKILL" else ""
    return f"the kernel process was ended by {name}{hint}"


def check_same_interpreter(reply: Mapping[str, Any]) -> str:
    """The kernel's ``sys.prefix``, which must be ours.

    Parameters
    ----------
    reply : mapping
        Content of an ``execute_reply`` with the user expression ``prefix``.

    Raises
    ------
    RunError
        The kernel runs in another environment, so its results could not be trusted; it has
        been refused before the first cell.
    """
    said = reply.get("user_expressions", {}).get("prefix", {})
    text = said.get("data", {}).get("text/plain", "''") if said.get("status") == "ok" else "''"
    prefix = str(ast.literal_eval(text))
    if prefix != sys.prefix:
        raise RunError(
            "the kernel is not this environment, so it was refused",
            expected=sys.prefix,
            got=prefix or "a kernel that is not Python",
            todo="use the kernel `python3`, or install ipykernel in this environment",
        )
    return prefix
