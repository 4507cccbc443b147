"""Rows of a file through a server that shadows: ``mlwb shadow run``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlwb.client import PredictClient
from mlwb.core.canonical import canonical_bytes
from mlwb.core.clock import Clock
from mlwb.core.errors import EvidenceMissingError
from mlwb.core.fsops import write_atomic
from mlwb.core.home import Home
from mlwb.evidence import Record
from mlwb.gates import Verdict
from mlwb.params import Policy, ReplayParams
from mlwb.runner._server import server_process
from mlwb.stages import shadow_compare, shadow_replay
from mlwb.stages.common import match_delta_of

__all__ = ["ShadowRun", "shadow_run", "shadow_server"]

_PATIENCE_S = 5.0
"""For the question which versions answer."""


@dataclass(frozen=True)
class ShadowRun:
    """What was sent, what came back, and what the policy says to it.

    Parameters
    ----------
    result : Result
        Rows and answers.
    record : Record
        As evidence would state it; not written to the store.
    verdict : Verdict
        Of the gate ``shadow`` on this record.
    """

    result: shadow_replay.Result
    record: Record
    verdict: Verdict


@contextmanager
def shadow_server(
    home: Home, *, champion: str, candidate: str, policy: Policy, folder: Path
) -> Iterator[str]:
    """A server of our own that shadows a candidate, for the length of the block.

    Parameters
    ----------
    home : Home
        Whose versions are served.
    champion, candidate : str
        Versions; an empty champion is the one in `latest`.
    policy : Policy
        Says what counts as agreement.
    folder : Path
        Takes its logs: replayed rows do not belong in the logs of the day.

    Yields
    ------
    str
        Its address.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environ = {
        "MLWB_PREDICTION_LOG": str(folder / "predictions.jsonl"),
        "MLWB_SHADOW_LOG": str(folder / "shadow.jsonl"),
        "MLWB_DRIFT_DIR": "off",
        "MLWB_OBSERVE_DIR": "off",
        "MLWB_FEATURE_LOG": "off",
        "MLWB_MATCH_DELTA": str(match_delta_of(policy)),
        "MLWB_CHAMPION": champion,
    }
    with server_process(home, candidate=candidate, environ=environ) as server:
        yield server.base_url


def shadow_run(
    base_url: str,
    path: Path,
    params: ReplayParams,
    *,
    policy: Policy,
    clock: Clock,
    folder: Path,
    api_key: str = "",
    progress: shadow_replay.Progress | None = None,
) -> ShadowRun:
    """Send the rows of a file to a server, compare the answers, write both down.

    Parameters
    ----------
    base_url : str
        Of a server with a candidate.
    path : Path
        Features or bars.
    params : ReplayParams
        How to read a market, and how long to wait for an answer.
    policy : Policy
        Says what counts as agreement, and judges.
    clock : Clock
        Times the replay and stamps the record.
    folder : Path
        Takes ``comparison.csv`` and ``summary.json``.
    api_key : str, default=""
        For a server with keys: one that may read and shadow.
    progress : callable, optional
        Called with rows sent and rows in all.

    Returns
    -------
    ShadowRun

    Raises
    ------
    EvidenceMissingError
        The server has no candidate.
    DataError
        The file cannot be read as rows of this model.
    ServeError
        The server does not answer, or has no model.
    """
    with PredictClient(base_url, timeout_s=_PATIENCE_S, api_key=api_key) as client:
        info = client.model_info()
    if info["candidate_version"] is None:
        raise EvidenceMissingError(
            "the server shadows no candidate", got=base_url, todo="start it with --candidate"
        )
    names = [str(field["name"]) for field in info["sidecar"]["features"]]
    rows = shadow_replay.read_rows(path, names, params)
    start_s = clock.monotonic_s()
    compared = shadow_replay.send(
        rows,
        base_url,
        timeout_s=params.traffic.timeout_ms / 1e3,
        token=secrets.token_hex(4),
        api_key=api_key,
        progress=progress,
    )
    result = shadow_replay.Result(
        rows=rows,
        compared=tuple(compared),
        champion=info["model_version"],
        candidate=info["candidate_version"],
        seconds=clock.monotonic_s() - start_s,
        match_delta=match_delta_of(policy),
    )
    record = result.to_record(params, clock)
    (verdict,) = shadow_compare.judge([record], policy, clock)
    table = shadow_replay.comparison_csv(result.compared, match_delta=result.match_delta)
    write_atomic(folder / "comparison.csv", table.encode())
    write_atomic(folder / "summary.json", canonical_bytes({"record": record, "verdict": verdict}))
    return ShadowRun(result, record, verdict)
