"""The frozen reference of a version, refused when it is not the published one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlwb.core.canonical import digest_bytes, parse_json
from mlwb.core.errors import ArtifactError, DigestMismatchError, EvidenceSchemaError
from mlwb.drift import FeatureReference, LossDays, parse_losses, parse_references
from mlwb.inference._files import read_verified

__all__ = ["VersionReference", "load_reference"]

_REFERENCE, _TRAINING = "reference_distributions.json", "training_manifest.json"


@dataclass(frozen=True)
class VersionReference:
    """What a version was trained on, as it was published.

    Parameters
    ----------
    version : str
        What the manifest calls the version.
    digest : str
        ``sha256:`` of ``reference_distributions.json``, as manifest and training manifest name it.
    window : tuple of int
        Unix seconds from the first training label to the last.
    features : mapping of str to FeatureReference
        By feature name, the model's scores among them.
    losses : LossDays or None
        Of the training rows that the model had not been fitted on, by day.
    """

    version: str
    digest: str
    window: tuple[int, int]
    features: Mapping[str, FeatureReference]
    losses: LossDays | None = None


def load_reference(version_dir: Path) -> VersionReference:
    """Read what a version's drift is measured against, in the one form it was published in.

    Three hashes must agree: the file's, the one of ``manifest.json``, and the one that training
    wrote down before anything was published. Whoever changes the reference changes the version.

    Parameters
    ----------
    version_dir : Path
        ``artifacts/models/<version>/`` or a link to it; resolved once.

    Returns
    -------
    VersionReference

    Raises
    ------
    ArtifactNotFoundError, IncompleteVersionError
        There is no such version, or a file of it is missing.
    DigestMismatchError
        The reference is not the published one, or not the one of the training.
    ArtifactError
        The reference cannot be read.
    """
    read, version = read_verified(version_dir, (_REFERENCE, _TRAINING))
    training = _parsed(read[_TRAINING], _TRAINING)
    try:
        trained, (first, last) = str(training["artifacts"][_REFERENCE]), training["data_window"]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{_TRAINING} of {version} does not name its reference") from error
    found = digest_bytes(read[_REFERENCE])
    if found != trained:
        raise DigestMismatchError(
            f"the reference of {version} is not the one of its training",
            expected=f"{trained[:19]}..",
            got=f"{found[:19]}..",
            todo="train a new version: a reference is replaced by promoting one, never by editing",
        )
    stored = _parsed(read[_REFERENCE], _REFERENCE)
    features, losses = parse_references(stored), parse_losses(stored)
    return VersionReference(version, found, (int(first), int(last)), features, losses)


def _parsed(data: bytes, name: str) -> Any:
    try:
        return parse_json(data)
    except EvidenceSchemaError as error:
        raise ArtifactError(f"{name} cannot be read: {error}") from error
