"""Moving latest: by decision only, one at a time, and back in an instant."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mlwb.core.chain import Problem
from mlwb.core.clock import ManualClock
from mlwb.core.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    BrokenChainError,
    DigestMismatchError,
    LockHeldError,
    MlwbError,
    ModelError,
    ParamsError,
    PromotionRefusedError,
    StaleStateError,
)
from mlwb.registry import Registry, VersionInfo, _journal

Publish = Callable[..., VersionInfo]
Decide = Callable[..., dict[str, Any]]


def _tamper(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def _log(registry: Registry) -> list[dict[str, Any]]:
    lines = (registry.models_dir.parent / "promotions.log").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_channels_after_two_promotions(serving: Registry) -> None:
    """Latest, previous and candidate say who serves, who did and who wants to."""
    status = serving.status()
    assert (status["latest"], status["previous"], status["candidate"]) == ("v2", "v1", "v3")
    assert status["versions"] == ("v1", "v2", "v3")
    assert (serving.models_dir / "latest").readlink() == Path("v2")
    assert serving.resolve("latest") == serving.models_dir / "v2"
    assert serving.show("previous").version == "v1"
    assert serving.doctor() == ()


def test_the_log_says_who_what_when_and_why(serving: Registry, yes: Decide) -> None:
    """Each promotion is an intent with decision, bytes, actor and reason, then a commit."""
    from mlwb.core.canonical import digest

    intent, commit = _log(serving)[6:8]
    assert (intent["event"], intent["action"], intent["version"]) == ("intent", "promote", "v2")
    assert intent["manifest_sha256"] == serving.show("v2").sha256
    assert intent["decision_sha256"] == digest(yes("v2"))
    assert (intent["actor"], intent["reason"]) == ("local", "better")
    assert intent["confirmations"] == ["yes-v2"]
    assert commit["event"] == "commit"
    assert serving.state().used_confirmations == {"yes-v2"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"promote": False, "reasons": ["psi FAIL: too high"]}, "psi FAIL"),
        ({"promote": "true"}, "did not pass"),
        ({"promote": 1}, "did not pass"),
        ({"promote": None}, "did not pass"),
        ({"model_version": "v2"}, "another version"),
        ({"manifest_sha256": "sha256:" + "0" * 64}, "other bytes"),
        ({"manifest_sha256": ""}, "other bytes"),
        ({"verdicts": [{"gate": "confirmation", "evidence": [{"run_id": "yes-v2"}]}]}, "used"),
    ],
)
def test_a_decision_must_be_a_yes_to_these_bytes(
    changes: dict[str, Any], said: str, serving: Registry, yes: Decide
) -> None:
    """A no, another version, other bytes or a used confirmation leaves latest alone."""
    before = len(_log(serving))
    with pytest.raises(PromotionRefusedError, match=said):
        serving.promote("v3", decision=yes("v3", **changes), expect_current="v2", reason="try")
    assert serving.latest() == "v2"
    assert len(_log(serving)) == before


@pytest.mark.parametrize(
    "decision", [None, {}, {"kind": "decision"}, {"kind": "smoke", "details": {"promote": True}}]
)
def test_no_decision_no_promotion(decision: dict[str, Any] | None, serving: Registry) -> None:
    """Nothing, an empty record or a record of another kind is no decision."""
    with pytest.raises(PromotionRefusedError):
        serving.promote("v3", decision=decision, expect_current="v2", reason="try")
    assert serving.latest() == "v2"


def test_a_decision_counts_once(serving: Registry, yes: Decide) -> None:
    """After a rollback an old yes does not promote again, confirmed or not."""
    decision = yes("v3", verdicts=[])
    serving.promote("v3", decision=decision, expect_current="v2", reason="better")
    serving.rollback(reason="drift")
    with pytest.raises(PromotionRefusedError, match="decision was used before"):
        serving.promote("v3", decision=decision, expect_current="v2", reason="again")
    serving.promote("v3", decision=yes("v3"), expect_current="v2", reason="decided again")
    assert serving.state().history == ("v1", "v2", "v3")


def test_bootstrap_is_for_empty_registries(serving: Registry) -> None:
    """Only the first latest goes without a decision."""
    with pytest.raises(PromotionRefusedError, match="empty"):
        serving.promote("v3", decision=None, expect_current="v2", reason="x", bootstrap=True)


def test_the_log_names_policy_and_evidence(serving: Registry, yes: Decide) -> None:
    """A promotion says which policy decided and how far the evidence ledger went."""
    decision = yes("v3", policy={"name": "default", "digest": "sha256:" + "a" * 64})
    head = "sha256:" + "b" * 64
    serving.promote(
        "v3", decision=decision, expect_current="v2", reason="better", evidence_head=head
    )
    intent = _log(serving)[-2]
    assert (intent["policy_sha256"], intent["evidence_head"]) == ("sha256:" + "a" * 64, head)


@pytest.mark.parametrize(
    ("made", "is_taken"),
    [
        ("2026-01-01T00:00:00Z", True),
        ("2025-12-31T23:59:59Z", False),
        ("", False),
        ("yesterday", False),
    ],
)
def test_an_old_decision_is_refused(
    made: str, serving: Registry, yes: Decide, *, is_taken: bool
) -> None:
    """Made before the oldest that counts, or nobody knows when: the gates decide again."""

    def promote() -> None:
        serving.promote(
            "v3", decision=yes("v3", now=made), expect_current="v2", reason="better",
            oldest=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip

    if is_taken:
        promote()
        return
    with pytest.raises(PromotionRefusedError, match="too old"):
        promote()
    assert serving.latest() == "v2"


def test_a_server_can_ask_whether_latest_is_audited(serving: Registry) -> None:
    """Where the log says, or where a change in progress goes: yes; moved by hand or edited: no."""
    link = serving.models_dir / "latest"
    assert serving.is_audited()
    assert serving.is_audited("candidate")
    link.unlink()
    link.symlink_to("v3")
    assert not serving.is_audited()
    serving._journal.begin("promote", "v3", manifest_sha256=serving.show("v3").sha256)
    assert serving.is_audited()
    log = serving.models_dir.parent / "promotions.log"
    log.write_bytes(log.read_bytes().replace(b"better", b"bitter"))
    assert not serving.is_audited()


@pytest.mark.parametrize("expected", [None, "v1", "v3"])
def test_latest_must_be_what_the_caller_saw(
    expected: str | None, serving: Registry, yes: Decide
) -> None:
    """A promoter who looked at another latest is refused."""
    with pytest.raises(StaleStateError, match="v2"):
        serving.promote("v3", decision=yes("v3"), expect_current=expected, reason="try")


def test_promoting_what_is_latest_is_refused(serving: Registry, yes: Decide) -> None:
    """There is nothing to do, and it is said."""
    with pytest.raises(StaleStateError, match="already"):
        serving.promote("v2", decision=yes("v2"), expect_current="v2", reason="again")


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "checksums.txt", "CHANGES.md"])
def test_a_tampered_candidate_leaves_latest_alone(
    file: str, serving: Registry, yes: Decide
) -> None:
    """One changed byte anywhere in the candidate stops its promotion."""
    decision = yes("v3")
    _tamper(serving.models_dir / "v3" / file)
    with pytest.raises(MlwbError):
        serving.promote("v3", decision=decision, expect_current="v2", reason="try")
    assert serving.latest() == "v2"
    assert serving.state().latest == "v2"


def test_a_version_that_does_not_load_is_not_promoted(serving: Registry, yes: Decide) -> None:
    """The load check runs before latest moves; when it raises nothing moved, and the log says."""
    seen = []

    def load(path: Path) -> None:
        seen.append((path.name, serving.latest()))
        raise ModelError("no such operator")

    with pytest.raises(PromotionRefusedError, match=r"does not load.*no such operator"):
        serving.promote("v3", decision=yes("v3"), expect_current="v2", reason="x", load_check=load)
    assert seen == [("v3", "v2")]
    assert serving.latest() == "v2"
    assert _log(serving)[-1]["event"] == "abort"
    assert serving.candidate() == "v3"
    assert serving.doctor() == ()
    serving.promote("v3", decision=yes("v3"), expect_current="v2", reason="y")
    assert serving.latest() == "v3"


def test_an_interrupted_load_check_promotes_nothing(serving: Registry, yes: Decide) -> None:
    """Ctrl-C during the check is passed on, with latest as before."""

    def load(path: Path) -> None:
        raise KeyboardInterrupt(path.name)

    with pytest.raises(KeyboardInterrupt):
        serving.promote("v3", decision=yes("v3"), expect_current="v2", reason="x", load_check=load)
    assert serving.latest() == "v2"
    assert serving.doctor() == ()


def test_a_failed_bootstrap_leaves_no_latest(registry: Registry, publish: Publish) -> None:
    """When the first version does not load there is no latest, as before."""
    publish("v1")

    def load(path: Path) -> None:
        raise ModelError(path.name)

    with pytest.raises(PromotionRefusedError):
        registry.promote(
            "v1", decision=None, expect_current=None, reason="x", bootstrap=True, load_check=load
        )
    assert registry.latest() is None
    assert registry.doctor() == ()


def test_rollback_goes_back_and_further_back(serving: Registry, yes: Decide) -> None:
    """Without a target it goes to the version before, never to one already rolled back from."""
    serving.promote("v3", decision=yes("v3"), expect_current="v2", reason="better")
    assert serving.rollback(reason="drift").latest == "v2"
    assert serving.previous() == "v1"
    assert serving.rollback(reason="drift").latest == "v1"
    assert serving.previous() is None
    with pytest.raises(PromotionRefusedError, match="no previous"):
        serving.rollback(reason="drift")
    assert serving.rollback("v3", reason="it was fine").latest == "v3"
    assert serving.previous() == "v1"
    assert serving.doctor() == ()


def test_rollback_takes_only_what_was_latest(serving: Registry) -> None:
    """A candidate cannot come in through the back door, nor what already is latest."""
    with pytest.raises(PromotionRefusedError, match="never was latest"):
        serving.rollback("v3", reason="x")
    with pytest.raises(PromotionRefusedError, match="already"):
        serving.rollback("v2", reason="x")
    with pytest.raises(PromotionRefusedError, match="never was latest"):
        serving.rollback("v7", reason="x")


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_reason_is_mandatory(reason: str, serving: Registry, yes: Decide) -> None:
    """Neither way moves without saying why."""
    with pytest.raises(ParamsError, match="reason"):
        serving.rollback(reason=reason)
    with pytest.raises(ParamsError, match="reason"):
        serving.promote("v3", decision=yes("v3"), expect_current="v2", reason=reason)


def test_rollback_to_a_tampered_version_is_refused(serving: Registry) -> None:
    """Integrity is the one gate of a rollback."""
    _tamper(serving.models_dir / "v1" / "sidecar.json")
    with pytest.raises(DigestMismatchError, match=r"sidecar\.json"):
        serving.rollback(reason="drift")
    assert serving.latest() == "v2"


@pytest.mark.parametrize("target", ["/etc", "../outside", "v1/../v2", ".", "latest", ".staging"])
def test_a_latest_that_points_outside_is_refused(target: str, serving: Registry) -> None:
    """Readers refuse it, promotion refuses it, doctor names it, rollback repairs it."""
    link = serving.models_dir / "latest"
    link.unlink()
    link.symlink_to(target)
    with pytest.raises(ArtifactError, match="outside"):
        serving.resolve("latest")
    assert [problem.kind for problem in serving.doctor()] == ["unaudited"]
    with pytest.raises(StaleStateError, match="by hand"):
        serving.promote("v3", decision={}, expect_current="v2", reason="x")
    serving.rollback("v2", reason="somebody moved latest")
    assert serving.latest() == "v2"
    assert serving.doctor() == ()


def test_a_latest_moved_by_hand_is_noticed(serving: Registry, yes: Decide) -> None:
    """A flip the log does not know is named, and nothing is promoted over it."""
    link = serving.models_dir / "latest"
    link.unlink()
    link.symlink_to("v3")
    assert [(p.kind, p.where) for p in serving.doctor()] == [("unaudited", "latest")]
    assert [p.kind for p in serving.recover()] == ["unaudited"]
    with pytest.raises(StaleStateError):
        serving.promote("v3", decision=yes("v3"), expect_current="v2", reason="x")


def test_dangling_latest_is_not_found(serving: Registry) -> None:
    """A link to a version that is gone is an error that says which."""
    link = serving.models_dir / "latest"
    link.unlink()
    link.symlink_to("v9")
    with pytest.raises(ArtifactNotFoundError, match="v9"):
        serving.resolve("latest")


def test_links_lost_in_a_copy_come_back(serving: Registry) -> None:
    """Archives that drop links lose no state: the log brings them back."""
    for channel in ("latest", "candidate", "previous"):
        (serving.models_dir / channel).unlink()
    assert {problem.kind for problem in serving.doctor()} == {"missing"}
    assert serving.recover() == ()
    assert serving.status()["latest"] == "v2"
    assert serving.status()["candidate"] == "v3"


def test_a_torn_log_is_recovered(serving: Registry, yes: Decide) -> None:
    """A last line cut by a crash is dropped; what was acknowledged stays."""
    log = serving.models_dir.parent / "promotions.log"
    with log.open("ab") as handle:
        handle.write(b'{"action":"promote","even')
    assert [problem.kind for problem in serving.doctor()] == ["torn"]
    serving.promote("v3", decision=yes("v3"), expect_current="v2", reason="better")
    assert serving.doctor() == ()
    assert serving.state().history == ("v1", "v2", "v3")


def test_every_edit_of_the_log_is_noticed(serving: Registry) -> None:
    """Flip bytes all over the log: doctor says so and nothing moves any more."""
    log = serving.models_dir.parent / "promotions.log"
    data = log.read_bytes()
    for place in range(0, len(data) - 1, 53):
        log.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert serving.doctor()
        with pytest.raises(BrokenChainError):
            serving.rollback(reason="x")
    log.write_bytes(data)
    assert serving.doctor() == ()


def test_a_busy_registry_says_so(serving: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits too long for the lock gets an error, and readers never wait."""
    monkeypatch.setattr(_journal, "_PATIENCE_S", 0.05)
    with FileLock(serving.models_dir.parent / ".registry.lock"):
        with pytest.raises(LockHeldError, match="somebody else"):
            serving.rollback(reason="x")
        assert serving.latest() == "v2"
        assert serving.doctor() == ()


def _race(models_dir: str, version: str, decision: dict[str, Any], results: Any) -> None:
    registry = Registry(Path(models_dir), clock=ManualClock(), actor=version)
    try:
        registry.promote(version, decision=decision, expect_current="v2", reason="race")
    except StaleStateError:
        results.put(("lost", version))
    else:
        results.put(("won", version))


def test_of_many_promoters_one_wins(serving: Registry, publish: Publish, yes: Decide) -> None:
    """Eight processes promote eight candidates over v2: one does, seven are told to look again."""
    versions = ["v3", *(f"v{n}" for n in range(4, 11))]
    for version in versions[1:]:
        publish(version)
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    workers = [
        fork.Process(
            target=_race,
            args=(
                str(serving.models_dir),
                version,
                yes(version, verdicts=[]),
                results,
            ),
        )
        for version in versions
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    outcomes = [results.get() for _ in versions]
    winners = [version for outcome, version in outcomes if outcome == "won"]
    assert len(winners) == 1
    assert serving.latest() == winners[0]
    assert serving.state().history == ("v1", "v2", winners[0])
    assert serving.doctor() == ()


def test_abandoned_staging_is_swept_after_an_hour(registry: Registry, clock: ManualClock) -> None:
    """What nobody finished within the hour is named, then removed; fresh work is left alone."""
    old = registry.stage("v1")
    clock.advance(3601)
    fresh = registry.stage("v1")
    assert [problem.kind for problem in registry.doctor()] == ["stale"]
    assert registry.recover() == ()
    assert not old.exists()
    assert fresh.exists()


def test_what_a_killed_process_left_half_way_is_swept(
    serving: Registry, clock: ManualClock
) -> None:
    """A file beside the log, a link beside `latest`: named, and cleared away by the next change."""
    left = serving.models_dir.parent / ".promotions.sig.0123456789ab.tmp"
    left.write_bytes(b"half")
    link = serving.models_dir / ".latest.0123456789ab.tmp"
    link.symlink_to("v1")
    long_ago = clock.now().timestamp() - 3_601
    for path in (left, link):
        os.utime(path, (long_ago, long_ago), follow_symlinks=False)
    assert {(problem.kind, problem.where) for problem in serving.doctor()} == {
        ("stale", left.name), ("stale", link.name),
    }  # fmt: skip
    assert serving.recover() == ()
    assert not left.exists()
    assert not link.is_symlink()


def test_a_directory_in_place_of_a_link_is_named(serving: Registry) -> None:
    """Doctor says so instead of stopping; once it is moved away the link comes back."""
    latest = serving.models_dir / "latest"
    latest.unlink()
    latest.mkdir()
    with pytest.raises(ArtifactError, match="'latest' is no link"):
        serving.latest()
    assert not serving.is_audited()
    assert Problem("unaudited", "latest", "'latest' is no link") in serving.doctor()
    latest.rmdir()
    assert serving.recover() == ()
    assert serving.latest() == "v2"


def test_a_directory_in_place_of_a_manifest_is_named(serving: Registry) -> None:
    """One damaged version does not keep doctor from looking at the others."""
    manifest = serving.models_dir / "v3" / "manifest.json"
    manifest.parent.chmod(0o755)
    manifest.unlink()
    manifest.mkdir()
    assert [problem.kind for problem in serving.doctor()] == ["incomplete"]
    assert serving.restore("v3").version == "v3"
    assert serving.doctor() == ()
