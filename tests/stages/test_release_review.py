"""The review decides on evidence and policy, and can be repeated from files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import EvidenceError, EvidenceMissingError
from mlwb.params import load_policy
from mlwb.stages import release_review
from mlwb.stages.common import store_of
from tests.stages.conftest import PARAMS, small


def test_missing_evidence_blocks_and_the_decision_can_be_repeated(
    trained: Path, tmp_path: Path
) -> None:
    """With training evidence alone promotion is blocked, and replaying says the same."""
    home = tmp_path / "home"
    shutil.copytree(trained, home, symlinks=True)
    params = small("release_review", home)
    policy = load_policy(PARAMS / "policy.yml")
    decision = release_review.run(params, policy, ManualClock())
    assert not decision.promote
    assert any("canary" in reason for reason in decision.reasons)
    store = store_of(params.run)
    assert release_review.judge([store.newest("decision")], policy, store).is_equal


def test_edited_evidence_is_noticed(trained: Path, tmp_path: Path) -> None:
    """A digit changed in a record stops the review or its replay."""
    home = tmp_path / "home"
    shutil.copytree(trained, home, symlinks=True)
    params = small("release_review", home)
    policy = load_policy(PARAMS / "policy.yml")
    release_review.run(params, policy, ManualClock())
    store = store_of(params.run)
    path = store.path(store.newest("parity").run_id)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"n_rows"', b'"n_rowz"'))
    with pytest.raises(EvidenceError):
        release_review.run(params, policy, ManualClock())


def test_nothing_to_review_is_said_plainly(tmp_path: Path) -> None:
    """Before the first training there is no candidate."""
    with pytest.raises(EvidenceMissingError, match="mlwb run"):
        release_review.load(small("release_review", tmp_path))
