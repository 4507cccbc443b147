"""Servers started for the replay: one answers from the candidate, one shadows it."""

from __future__ import annotations

from pathlib import Path

from mlwb.core.clock import Clock
from mlwb.core.home import Home
from mlwb.params import Policy
from mlwb.runner._server import server_process
from mlwb.stages import replay
from mlwb.stages.common import match_delta_of

__all__ = ["send_traffic"]


def send_traffic(
    home: Home,
    inputs: replay.Inputs,
    policy: Policy,
    *,
    logs: Path,
    clock: Clock,
    cold: bool = False,
    progress: replay.Progress | None = None,
) -> Path:
    """Smoke a server that answers from the candidate, then shadow it behind the champion.

    Parameters
    ----------
    home : Home
        Whose versions are served.
    inputs : Inputs
        What is sent.
    policy : Policy
        Abort limits and what counts as agreement.
    logs : Path
        Folder of the servers' prediction logs: replayed rows do not belong in the production log.
    clock : Clock
        Stamps the traffic log.
    cold : bool, default=False
        Smoke requests each on a connection of their own.
    progress : callable, optional
        Called with test, sent and planned requests.

    Returns
    -------
    Path
        The traffic log.

    Raises
    ------
    ServerStartError
        A server did not come up.
    """
    settings = {
        "MLWB_PREDICTION_LOG": str(logs / "predictions.jsonl"),
        "MLWB_SHADOW_LOG": str(logs / "shadow.jsonl"),
        "MLWB_DRIFT_DIR": "off",  # replayed bars are no live traffic
        "MLWB_OBSERVE_DIR": "off",
        "MLWB_FEATURE_LOG": "off",
        "MLWB_MATCH_DELTA": str(match_delta_of(policy)),
    }
    logs.mkdir(parents=True, exist_ok=True)
    features = logs / "features.jsonl"
    observing = {
        "MLWB_CHAMPION": inputs.candidate,
        "MLWB_FEATURE_LOG": str(features),
        "MLWB_FEATURE_MODULES": ",".join(inputs.params.features.modules),
        "MLWB_OBSERVE_MAX_AGE_S": "0",  # recorded bars may be of any time
        "MLWB_OBSERVE_AHEAD_S": "1e10",
    }
    with server_process(home, environ={**settings, **observing}) as server:
        smoked = replay.smoke(inputs, server.base_url, cold=cold, progress=progress)
        unserved = replay.observe(inputs, server.base_url)
    served = None if unserved else replay.served_of(inputs, features)
    champion = {**settings, "MLWB_CHAMPION": inputs.champion}
    with server_process(home, candidate=inputs.candidate, environ=champion) as server:
        return replay.run(
            inputs,
            server.base_url,
            policy,
            smoked=smoked,
            served=served,
            unserved=unserved,
            clock=clock,
            cold=cold,
            progress=progress,
        )
