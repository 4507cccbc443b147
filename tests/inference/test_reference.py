"""A frozen reference is read as it was published, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlwb.core.canonical import canonical_bytes, digest_bytes
from mlwb.core.errors import ArtifactError, DigestMismatchError, IncompleteVersionError
from mlwb.drift import fit_feature_reference, references_json
from mlwb.inference import load_reference
from tests.inference.version_kit import rewrite, write_version

REFERENCE, TRAINING = "reference_distributions.json", "training_manifest.json"


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version with the reference of one feature over three days."""
    folder = write_version(tmp_path)
    ts = 60 * np.arange(3 * 1440)
    values = np.random.default_rng(1).normal(size=len(ts))
    stored = canonical_bytes(references_json([fit_feature_reference("a", values, ts)]))
    (folder / REFERENCE).write_bytes(stored)
    training = {"artifacts": {REFERENCE: digest_bytes(stored)}, "data_window": [0, 259_200]}
    (folder / TRAINING).write_bytes(canonical_bytes(training))
    rewrite(folder, TRAINING, {})
    return folder


def flip(path: Path, place: int) -> None:
    """Change one bit of a file in place."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


def test_a_published_reference_comes_with_its_digest(version: Path) -> None:
    """The digest is that of the bytes on disk; the window is that of the training."""
    found = load_reference(version)
    assert found.digest == digest_bytes((version / REFERENCE).read_bytes())
    assert (found.version, found.window, list(found.features)) == ("v1.0.0", (0, 259_200), ["a"])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_flipped_bit_blocks(version: Path, share: float) -> None:
    """Wherever one bit of the reference changes, nothing is measured against it."""
    path = version / REFERENCE
    flip(path, int(share * path.stat().st_size))
    with pytest.raises(DigestMismatchError, match="changed after it was published"):
        load_reference(version)


def test_a_new_reference_under_an_old_training_blocks(version: Path) -> None:
    """Signing the manifest anew does not help: training wrote down what it fitted."""
    rewrite(version, REFERENCE, {"comment": "refitted on what it should judge"})
    with pytest.raises(DigestMismatchError, match="not the one of its training"):
        load_reference(version)


@pytest.mark.parametrize("name", [REFERENCE, TRAINING])
def test_a_version_without_its_reference_is_refused(version: Path, name: str) -> None:
    """There is no default reference to fall back to."""
    (version / name).unlink()
    with pytest.raises(IncompleteVersionError, match=name):
        load_reference(version)


@pytest.mark.parametrize(
    "training", [{"artifacts": {}}, {"artifacts": None}, {"data_window": [1]}, {"data_window": 3}]
)
def test_a_training_that_does_not_name_it_is_refused(
    version: Path, training: dict[str, object]
) -> None:
    """An unnamed reference is nobody's."""
    rewrite(version, TRAINING, training)
    with pytest.raises(ArtifactError, match="does not name its reference"):
        load_reference(version)


def test_a_reference_that_adds_up_to_something_else_is_refused(version: Path) -> None:
    """Rightly hashed nonsense is nonsense."""
    stored = json.loads((version / REFERENCE).read_bytes())
    stored["features"][0]["counts"][0] += 1
    data = canonical_bytes(stored)
    (version / REFERENCE).write_bytes(data)
    rewrite(version, TRAINING, {"artifacts": {REFERENCE: digest_bytes(data)}})
    with pytest.raises(ArtifactError, match="add up"):
        load_reference(version)
