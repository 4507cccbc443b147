"""A served home, a bot that checks every score, and what an incident came to."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from mlwb.client import Breaker, PredictClient, Prediction
from mlwb.core.chain import Problem
from mlwb.core.clock import SystemClock
from mlwb.core.errors import ServeError
from mlwb.core.predictionlog import PredictionLine, read_all_predictions
from mlwb.features import spec_digest, specs
from mlwb.registry import Registry
from mlwb.serve import whole_audit_problems
from tests.inference.version_kit import NAMES, WEIGHTS, logistic, sidecar_for
from tests.serve.registry_kit import OTHER, promote, publish

__all__ = [
    "AWAY",
    "Bot",
    "Drill",
    "Served",
    "add_version",
    "audit_problems",
    "command",
    "flip_bytes",
    "logged",
    "served_home",
    "unlogged",
    "wait_until",
    "wrong_lines",
]

SCORES = {"v1.0.0": WEIGHTS, "v2.0.0": OTHER, "v3.0.0": WEIGHTS, "v4.0.0": OTHER}
"""Weights of each version, so that numpy says what it should have answered."""

AWAY = {"unreachable", "lost", "circuit_open"}
"""Why a bot trades on its fallback while the process is gone."""
_PAUSE_S = 0.0005


@dataclass
class Drill:
    """What one drill found: for its assertions, and for the table of `benchmarks.drills`."""

    note: Callable[[str, object], None]
    began_s: float = 0.0

    def incident(self, name: str) -> None:
        """What is drilled."""
        self.note("incident", name)

    def sees(self, *what: object) -> None:
        """What a user, an operator or a scrape is told."""
        self.note("sees", "; ".join(map(str, what)))

    def begin(self) -> None:
        """Somebody begins to recover, or the server to come back."""
        self.began_s = time.monotonic()

    def recovered(self, by: str) -> None:
        """Good answers again."""
        self.note("by", by)
        self.note("recovered_s", round(time.monotonic() - self.began_s, 2))

    def measured(self, name: str, value: object) -> None:
        """A number beside."""
        self.note(name, value)

    def lost(self, n_lines: int, why: str = "") -> None:
        """Log lines that nobody has any more."""
        self.note("lost", f"{n_lines} {why}".strip())


class Served:
    """A real ``mlwb serve`` over a home, always on the same port.

    Parameters
    ----------
    home : Path
        Holds ``artifacts/``.
    enter : sequence of str, default=()
        Command in front of it, which puts it where it sees another disk.
    program : sequence of str
        What Python runs.
    beside : Path, optional
        For its ready file and what it says; the folder above the home when not given.
    environ : str
        Settings of the server.
    """

    def __init__(
        self,
        home: Path,
        *,
        enter: Sequence[str] = (),
        program: Sequence[str] = ("-m", "mlwb"),
        beside: Path | None = None,
        **environ: str,
    ) -> None:
        self.home, self.port = home, 0
        self._command = (*enter, sys.executable, *program)
        self.environ = {
            **os.environ, "MLWB_HOME": str(home), "MLWB_DRAIN_S": "0.05", "MLWB_RELOAD_S": "0.05",
            **environ,
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_file = (beside or home.parent) / "ready.json"
        self._said = (beside or home.parent) / "server.err"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def url(self) -> str:
        """Base of all routes."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        """All it wrote to its error stream, over all its lives."""
        return self._said.read_text(encoding="utf-8")

    def launch(self) -> subprocess.Popen[bytes]:
        """Start without waiting."""
        arguments = ["serve", "--port", str(self.port), "--ready-file", str(self._ready_file)]
        with self._said.open("ab") as errors:
            self._process = subprocess.Popen(
                [*self._command, *arguments],
                env=self.environ, stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        return self._process

    def start(self) -> float:
        """Start and wait until it answers; the seconds that took."""
        began_s, process = time.monotonic(), self.launch()
        while True:
            assert process.poll() is None, self.said
            assert time.monotonic() < began_s + 30, "the server did not become ready"
            with contextlib.suppress(FileNotFoundError):
                ready = json.loads(self._ready_file.read_bytes())
                if ready["pid"] == process.pid:
                    self.port = ready["port"]
                    return time.monotonic() - began_s
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL: no word, no flush."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(15)

    def ask(
        self, path: str, body: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of one request."""
        with PredictClient(self.url, timeout_s=10.0, connect_timeout_s=5.0, api_key=key) as client:
            if body is None:
                status, answer = client.get_raw(path)
            else:
                status, answer, _ = client.post_raw(path, json.dumps(body).encode())
        return status, json.loads(answer)

    def health(self) -> dict[str, Any]:
        """``/ml/health``."""
        return self.ask("/ml/health")[1]

    def page(self) -> str:
        """``/ml/metrics``."""
        with PredictClient(self.url, timeout_s=10.0, connect_timeout_s=5.0) as client:
            return client.metrics()

    def metric(self, series: str) -> float:
        """One number of the page."""
        lines = self.page().splitlines()
        return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(series)))


class Bot:
    """Asks without pause, trades on 0.5 while the model does not answer, and checks each score.

    Parameters
    ----------
    served : Served
        Asked.
    key : str
        Of the bot, where the server wants one.
    span : tuple
        Lowest and highest of the three features beside the bias.
    """

    def __init__(
        self,
        served: Served,
        key: str = "",
        span: tuple[Sequence[float], Sequence[float]] = ((-0.5, 0.0, -2.0), (0.5, 50.0, 2.0)),
    ) -> None:
        clock, rng = SystemClock(), random.Random(1)  # noqa: S311 - jitter
        self.answers: list[Prediction] = []
        self.wrong: list[Prediction] = []
        self._client = PredictClient(
            served.url,
            api_key=key,
            fallback=0.5,
            timeout_s=5.0,
            breaker=Breaker(clock, rng, open_s=0.02),
        )
        self._span, self._done = span, threading.Event()
        self._thread = threading.Thread(target=self._trade)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(20)
        self._client.close()

    @property
    def scored(self) -> list[Prediction]:
        """Answers the model gave."""
        return [item for item in self.answers if item.source == "model"]

    @property
    def reasons(self) -> set[str]:
        """Why it had to trade on the fallback."""
        return {item.reason for item in self.answers} - {""}

    def next_good(self, version: str = "", n: int = 1) -> None:
        """Wait for further answers of the model, of a version if one is named."""
        seen = len(self.answers)

        def is_there() -> bool:
            good = [item for item in self.answers[seen:] if item.source == "model"]
            return sum(version in ("", item.model_version) for item in good) >= n

        wait_until(is_there)

    def _trade(self) -> None:
        rng = np.random.default_rng(7)
        while not self._done.wait(_PAUSE_S):
            row = [1.0, *rng.uniform(*self._span).tolist()]
            found = self._client.predict(row)
            self.answers.append(found)
            if found.source == "model":
                weights = SCORES[found.model_version]
                if abs(found.score - float(logistic(np.array(row), weights))) > 1e-9:
                    self.wrong.append(found)


def served_home(
    home: Path, *, promoted: Sequence[str] = ("v1.0.0", "v2.0.0"), reference_days: int = 0
) -> Registry:
    """Versions over the same four features, each promoted over the one before."""
    registry = Registry(home / "artifacts" / "models", clock=SystemClock())
    for version in promoted:
        add_version(registry, version, reference_days=reference_days)
        if registry.latest() is None:
            registry.promote(
                version, decision=None, expect_current=None, reason="first", bootstrap=True
            )
        else:
            promote(registry, version)
    return registry


def add_version(registry: Registry, version: str, *, reference_days: int = 0) -> None:
    """Publish one whose features the server can compute itself; it becomes the candidate."""
    digest = spec_digest(specs(NAMES, quoted=True))
    sidecar = replace(sidecar_for(version), feature_spec_digest=digest)
    publish(registry, version, SCORES[version], sidecar=sidecar, reference_days=reference_days)


def command(
    home: Path, *arguments: str, enter: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """One ``mlwb`` command as somebody types it."""
    return subprocess.run(
        [*enter, sys.executable, "-m", "mlwb", *arguments],
        env={**os.environ, "MLWB_HOME": str(home), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def audit_problems(home: Path) -> tuple[Problem, ...]:
    """What is wrong with the audit log, by all that is remembered of it."""
    artifacts = home / "artifacts"
    return whole_audit_problems(artifacts / "audit.log", promotions=artifacts / "promotions.log")


def flip_bytes(path: Path) -> None:
    """Damage a published, read-only file where it stands, its size as it was."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    path.write_bytes(data)


def logged(home: Path) -> list[PredictionLine]:
    """All prediction lines, those set aside too; a line that is not whole raises."""
    return list(read_all_predictions(home / "artifacts" / "predictions.jsonl"))


def unlogged(bot: Bot, lines: Sequence[PredictionLine]) -> list[bool]:
    """Of each answer that the model gave, whether its line is missing."""
    there = {line.request_id for line in lines}
    return [item.request_id not in there for item in bot.scored]


def wrong_lines(bot: Bot, lines: Sequence[PredictionLine]) -> list[PredictionLine]:
    """Lines that do not say what the bot was told."""
    told = {item.request_id: (item.score, item.model_version) for item in bot.scored}
    return [
        line
        for line in lines
        if line.request_id in told and told[line.request_id] != (line.score, line.model_version)
    ]


def wait_until(holds: Callable[[], object], seconds: float = 15.0) -> None:
    """Look until something holds."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ServeError, StopIteration):
            if holds():
                return
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
