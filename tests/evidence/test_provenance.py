"""What code and environment a record names."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from mlwb import __version__
from mlwb.evidence import code_state, environment_state


def _git(path: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(path), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    _git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("a = 1\n")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_a_clean_checkout_then_a_dirty_one(checkout: Path) -> None:
    """Commit and cleanliness are git's; a changed tracked file makes the tree dirty."""
    state = code_state(checkout)
    assert len(state.commit) == 40
    assert state.dirty is False
    assert state.package_version == __version__
    (checkout / "a.py").write_text("a = 2\n")
    assert code_state(checkout).dirty is True


def test_a_folder_inside_another_repository_is_unknown(checkout: Path) -> None:
    """A commit of a repository further up is not claimed as the code's."""
    (checkout / "inner").mkdir()
    state = code_state(checkout / "inner")
    assert (state.commit, state.dirty) == ("", None)


def test_no_git_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git nothing is claimed, and nothing fails."""
    monkeypatch.setenv("PATH", "")
    assert code_state(checkout).dirty is None


def test_environment_names_the_lock(tmp_path: Path) -> None:
    """The digest is sha256 of the lock file; a missing lock is empty, not invented."""
    (tmp_path / "requirements.lock").write_bytes(b"numpy==2.4\n")
    expected = "sha256:" + hashlib.sha256(b"numpy==2.4\n").hexdigest()
    found = environment_state(tmp_path / "requirements.lock", kernel_prefix="mlwb")
    assert (found.lock_digest, found.kernel_prefix) == (expected, "mlwb")
    assert found.python.count(".") == 2
    assert environment_state(tmp_path / "none.lock").lock_digest == ""
