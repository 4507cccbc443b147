"""Under a pinned key: what is not signed by it neither serves nor is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import BrokenChainError, DigestMismatchError, SignatureError
from mlwb.core.signing import Signer, write_key_pair
from mlwb.registry import REQUIRED_FILES, Registry

Decide = Callable[..., dict[str, Any]]


def _keys(folder: Path) -> Signer:
    return Signer(folder / "key", write_key_pair(folder / "key"))


@pytest.fixture
def keys(tmp_path: Path) -> Signer:
    """A pair of keys, signing and pinned."""
    return _keys(tmp_path / "keys")


@pytest.fixture
def open_as(tmp_path: Path, clock: ManualClock) -> Callable[[Signer], Registry]:
    """The same registry by a process that holds these keys."""
    return lambda signer: Registry(tmp_path / "artifacts" / "models", clock=clock, signer=signer)


def _publish(registry: Registry, version: str) -> None:
    staging = registry.stage(version)
    for name in REQUIRED_FILES:
        (staging / name).write_text(f"{name} {version}\n")
    registry.register(version, staging)


@pytest.fixture
def signed(open_as: Callable[[Signer], Registry], keys: Signer, yes: Decide) -> Registry:
    """v1 and v2 published and promoted with keys, v3 the candidate."""
    registry = open_as(keys)
    for version in ("v1", "v2", "v3"):
        _publish(registry, version)
    registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
    registry.promote("v2", decision=yes("v2"), expect_current="v1", reason="better")
    return registry


def test_signed_all_the_way(signed: Registry) -> None:
    """Manifests and log are signed by the same key, and the registry is in order."""
    assert signed.doctor() == ()
    ids = {signed.signed_by(version) for version in ("v1", "v2", "v3", "latest")}
    envelope = json.loads((signed.models_dir.parent / "promotions.sig").read_text())["envelope"]
    assert ids == {envelope["signatures"][0]["keyid"]}
    assert signed.rollback(reason="drift").latest == "v1"
    assert signed.doctor() == ()


@pytest.mark.parametrize("what", ["missing", "of another version", "by another key", "junk"])
def test_a_bad_signature_stops_promotion_and_rollback(
    what: str, signed: Registry, yes: Decide, tmp_path: Path
) -> None:
    """The bytes are as registered; without the signature they are not taken."""
    for version in ("v1", "v3"):
        path = signed.models_dir / version / "manifest.sig"
        other = (signed.models_dir / "v2" / "manifest.sig").read_bytes()
        path.unlink()
        if what == "of another version":
            path.write_bytes(other)
        elif what == "by another key":
            _sign_with(_keys(tmp_path / version), path)
        elif what == "junk":
            path.write_bytes(b"{")
    with pytest.raises(SignatureError):
        signed.promote("v3", decision=yes("v3"), expect_current="v2", reason="x")
    with pytest.raises(SignatureError):
        signed.rollback(reason="x")
    assert signed.latest() == "v2"
    assert {(p.kind, p.where) for p in signed.doctor()} == {("unsigned", "v1"), ("unsigned", "v3")}
    assert [p.kind for p in signed.verify("v3")] == ["unsigned"]


def _sign_with(signer: Signer, path: Path) -> None:
    from mlwb.core.signing import MANIFEST_TYPE

    manifest = path.with_name("manifest.json").read_bytes()
    path.write_text(json.dumps(signer.sign(MANIFEST_TYPE, manifest)))


def test_an_unsigned_version_is_signed_later(
    serving: Registry, open_as: Callable[[Signer], Registry], keys: Signer
) -> None:
    """A registry from before the key: refused, then signed, then it works."""
    registry = open_as(keys)
    with pytest.raises(SignatureError, match="mlwb registry sign"):
        registry.rollback(reason="drift")
    for version in serving.versions():
        registry.sign(version)
    assert registry.doctor() == ()
    assert registry.rollback(reason="drift").latest == "v1"


def test_a_changed_version_is_not_signed(signed: Registry) -> None:
    """A signature is no way to make changed bytes good."""
    path = signed.models_dir / "v3" / "model.onnx"
    path.chmod(0o644)
    path.write_bytes(b"?")
    with pytest.raises(DigestMismatchError):
        signed.sign("v3")


def test_a_cut_log_is_noticed(signed: Registry) -> None:
    """A log without its last lines is a good chain; the signed head says they were there."""
    log = signed.models_dir.parent / "promotions.log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-2]))
    assert "truncated" in {problem.kind for problem in signed.doctor()}
    with pytest.raises(BrokenChainError, match="was signed"):
        signed.rollback(reason="x")
    with pytest.raises(BrokenChainError, match="was signed"):
        signed.sign()


def test_a_log_chained_anew_is_noticed(
    signed: Registry, open_as: Callable[[Signer], Registry], yes: Decide
) -> None:
    """Who writes a log of their own, without the key, is not believed."""
    log = signed.models_dir.parent / "promotions.log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-2]))
    (signed.models_dir / "latest").unlink()
    (signed.models_dir / "latest").symlink_to("v1")
    forger = open_as(Signer())
    forger.promote("v3", decision=yes("v3", verdicts=[]), expect_current="v1", reason="mine")
    assert forger.doctor() == ()
    assert "truncated" in {problem.kind for problem in signed.doctor()}
    with pytest.raises(BrokenChainError):
        signed.rollback(reason="x")


def test_a_promotion_nobody_signed_is_named(
    signed: Registry, open_as: Callable[[Signer], Registry], yes: Decide
) -> None:
    """A flip appended without the key is seen by those who pin it."""
    open_as(Signer()).promote("v3", decision=yes("v3"), expect_current="v2", reason="x")
    assert [(p.kind, p.where) for p in signed.doctor()] == [("unsigned", "promotions.sig")]


def test_without_keys_nothing_is_asked(serving: Registry) -> None:
    """No key, no signature, no complaint."""
    assert serving.doctor() == ()
    assert serving.signed_by("latest") == ""
    assert not (serving.models_dir.parent / "promotions.sig").exists()
    with pytest.raises(SignatureError, match="MLWB_SIGNING_KEY"):
        serving.sign()
