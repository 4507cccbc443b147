"""Peer libraries asked from here, in the interpreter that has them."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

WORKER = Path(__file__).with_name("worker.py")


class Peers:
    """A worker process of another interpreter, or none.

    Parameters
    ----------
    python : str or None
        Interpreter of an environment with some of evidently, nannyml and river; None is no peer.
    """

    def __init__(self, python: str | None) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory()
        self.versions: dict[str, str] = {}
        if python is not None:
            self._process = subprocess.Popen(
                [python, "-W", "ignore", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self.versions = self._answer()

    def ask(self, name: str, *args: str | None, **data: np.ndarray[Any, Any]) -> Any:
        """Have one job done on arrays.

        Raises
        ------
        RuntimeError
            There is no worker, or it broke.
        """
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("no interpreter with peers was given")
        path = Path(self._folder.name) / "job.npz"
        np.savez(path, allow_pickle=False, **data)
        job = json.dumps({"name": name, "args": args, "data": str(path)})
        print(job, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline() if self._process and self._process.stdout else ""
        if not line:
            raise RuntimeError(f"the peers' worker broke; run {WORKER} with its interpreter")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.communicate()
        self._folder.cleanup()
