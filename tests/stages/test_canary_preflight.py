"""What is in order before a canary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.signing import write_key_pair
from mlwb.gates import EvidenceView
from mlwb.params import load_policy
from mlwb.stages.canary_preflight import Seen, lock_of, measure
from tests.rollout.rollout_kit import PARAMS, place


def test_what_the_server_would_refuse_is_not_in_order(
    tmp_path: Path, unsynced: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server would refuse it, or another policy; that shows before anybody types a phrase."""
    del unsynced
    at, policy = place(tmp_path), load_policy(PARAMS / "policy.yml")
    lock = lock_of(at.params(), policy)
    seen = Seen(
        "http://127.0.0.1:1",
        (),
        lock.champion,
        lock.candidate,
        {lock.champion: lock.champion_sha256, lock.candidate: lock.candidate_sha256},
        "off",
    )

    def missing() -> list[str]:
        view = EvidenceView(model_version=lock.candidate, records=())
        found = measure(seen, view, at.params(), policy=policy, clock=ManualClock())
        return [said.partition(":")[0] for said in found.missing(live=False)]

    assert missing() == []
    seen = replace(seen, policy_sha256="sha256:another")
    assert missing() == ["policy"]
    seen = replace(seen, policy_sha256=policy.digest)
    public = write_key_pair(tmp_path / "desk.pem")
    monkeypatch.setenv("MLWB_SIGNING_PUBLIC_KEY", str(public))
    assert missing() == ["bytes"]
