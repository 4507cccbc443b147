"""Orders through the command a person types, each a process of its own, and what it said."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlwb.core.canonical import parse_json
from mlwb.core.errors import EvidenceSchemaError, ServerStartError
from mlwb.core.home import Home
from mlwb.rollout import RolloutFiles
from mlwb.runner._e2e_plan import Decision, Order
from mlwb.runner._server import inherited

__all__ = ["Orders", "Told"]

_LOOK_S = 0.1
_WHO = "e2e"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Told:
    """What came of an order.

    Parameters
    ----------
    decision : Decision
        What.
    reason : str
        Why, as the command said it.
    requests, asked : int, default=0
        Of a canary: all, and those the candidate was asked.
    back_ms : float or None
        From the decision to stop until the server said that the share is 0.
    """

    decision: Decision
    reason: str
    requests: int = 0
    asked: int = 0
    back_ms: float | None = None


@dataclass(frozen=True)
class _Said:
    """How a command ended."""

    code: int
    out: str
    errors: str

    @property
    def json(self) -> Any:
        """What it printed; None where that is no JSON."""
        try:
            return parse_json(self.out.encode())
        except EvidenceSchemaError:
            return None

    @property
    def complaint(self) -> str:
        """What it said on the error stream, on one line."""
        return " ".join((self.errors or self.out).split())[:400]


@dataclass(frozen=True)
class Orders:
    """Gives orders in a home.

    Parameters
    ----------
    home : Home
        Whose commands they are.
    policy : str
        By which they judge.
    rollout : sequence of str
        Overrides of the rollout.
    url, key : str
        The server, and an administrator's key; empty before there is one.
    tell : callable, optional
        Told how far a canary is.
    """

    home: Home
    policy: str
    rollout: Sequence[str] = ()
    url: str = ""
    key: str = field(default="", repr=False)
    tell: Tell = lambda _: None

    def give(self, order: Order, version: str) -> Told:
        """One order about a candidate."""
        if order in ("observe", "live"):
            return self._canary(is_live=order == "live")
        return {"measure": self._measure, "promote": self._promote, "rollback": self._roll_back}[
            order
        ](version)

    def run(self) -> _Said:
        """The loop before everything: a champion, a candidate, and evidence about it."""
        return self._command("run", "--policy", self.policy, "--quiet", "--json")

    def make_key(self) -> str:
        """A key of an administrator for a day.

        Raises
        ------
        ServerStartError
            The home gives none.
        """
        said = self._command("keys", "add", _WHO, "--role", "admin", "--days", "1", "--json")
        if said.code:
            raise ServerStartError("no key could be made", got=said.complaint)
        return str(said.json["key"])

    def _canary(self, *, is_live: bool) -> Told:
        where = ["--url", self.url, "--policy", self.policy, "--json"]
        where += [part for said in self.rollout for part in ("-p", said)]
        typed, mode = "", ["--observe-only"]
        if is_live:
            found = self._command("canary", "preflight", *where).json
            typed, mode = str((found or {}).get("phrase", "")) + "\n", ["--live", "--by", _WHO]
        said = self._command("canary", "run", *mode, *where, typed=typed)
        found = said.json
        if found is None:
            return Told(Decision.REFUSED, said.complaint)
        counts = {
            name: sum(int(m["n"] or 0) for m in found["record"]["metrics"] if m["name"] == name)
            for name in ("error_rate", "shadow_error_rate")
        }
        verdict = found["verdict"]
        gate = f"gate canary {verdict['outcome']}: {verdict['reason']}".rstrip(": ")
        return Told(
            Decision.STOPPED if found["aborted"] else Decision.COMPLETED,
            found["aborted"] or gate,
            counts["error_rate"],
            counts["shadow_error_rate"],
            found["back_ms"],
        )

    def _measure(self, version: str) -> Told:
        """Evidence that a live canary asks for: of the observing one's log, and the features'."""
        of = ["--policy", self.policy, "--json"]
        shadow = self._command("shadow", "compare", "--record", "--candidate", version, *of)
        psi = self._command("psi", "--version", version, *of)
        bad = [said for said in (shadow, psi) if said.code]
        if bad:
            return Told(Decision.REFUSED, bad[0].complaint)
        return Told(Decision.COMPLETED, "shadow and PSI are measured")

    def _promote(self, version: str) -> Told:
        decided = self._command("gate", "decide", "--policy", self.policy, "--version", version)
        if decided.code:
            return Told(Decision.REFUSED, decided.complaint)
        said = self._command("registry", "promote", version, "--policy", self.policy)
        if said.code:
            return Told(Decision.REFUSED, said.complaint)
        return Told(Decision.PROMOTED, " ".join(said.out.split()))

    def _roll_back(self, version: str) -> Told:
        said = self._command("registry", "rollback", "--reason", f"end of the proof of {version}")
        decision = Decision.REFUSED if said.code else Decision.ROLLED_BACK
        return Told(decision, said.complaint if said.code else " ".join(said.out.split()))

    def _command(self, *args: str, typed: str = "") -> _Said:
        files = RolloutFiles(self.home)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and options
                [sys.executable, "-m", "mlwb", *args],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=errors,
                cwd=self.home.project,
                env={**inherited(), "MLWB_HOME": str(self.home.root), "MLWB_API_KEY": self.key},
            )
            try:
                if process.stdin is not None:
                    process.stdin.write(typed.encode())
                    process.stdin.close()
                while process.poll() is None:
                    time.sleep(_LOOK_S)
                    self._tell(files, args)
            finally:
                process.terminate()
                process.wait()
            return _Said(process.returncode, _read(out), _read(errors))

    def _tell(self, files: RolloutFiles, args: Sequence[str]) -> None:
        state = files.read() if args[:2] == ("canary", "run") else None
        if state is not None and not state.finished:
            self.tell(f"{state.phase}, {state.observed} observed")


def _read(handle: Any) -> str:
    handle.seek(0)
    return bytes(handle.read()).decode(errors="replace")
