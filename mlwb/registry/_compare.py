"""What differs between two versions: their training record key by key, and their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlwb.core import fsops
from mlwb.core.canonical import parse_json
from mlwb.core.errors import EvidenceSchemaError, IncompleteVersionError
from mlwb.registry._version import VersionInfo

__all__ = ["Difference", "compare", "differences"]

_TRAINING = "training_manifest.json"


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same.

    Parameters
    ----------
    where : str
        ``training`` or ``files``.
    name : str
        Dotted key of the training record, or file name.
    before, after : object
        The two values, None where there is none; digests of files.
    """

    where: str
    name: str
    before: object
    after: object


def compare(before: VersionInfo, after: VersionInfo) -> tuple[Difference, ...]:
    """What differs between two versions, training record first, each by name.

    Raises
    ------
    IncompleteVersionError
        A training record cannot be read.
    """
    digests = (
        {name: str(entry["sha256"]) for name, entry in info.files.items()}
        for info in (before, after)
    )
    return (
        *differences(_training(before), _training(after)),
        *_differences("files", *digests),
    )


def differences(before: Any, after: Any) -> tuple[Difference, ...]:
    """What differs between two training records, by dotted key.

    Parameters
    ----------
    before, after : dict
        ``training_manifest.json``, parsed.
    """
    leaves = (dict(_flat(record, "")) for record in (before, after))
    return tuple(_differences("training", *leaves))


def _differences(where: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        values = before.get(name), after.get(name)
        if values[0] != values[1]:
            yield Difference(where, name, *values)


def _training(info: VersionInfo) -> Any:
    try:
        return parse_json(fsops.read_bytes(info.path / _TRAINING))
    except (OSError, EvidenceSchemaError) as error:
        raise IncompleteVersionError(f"{info.version}/{_TRAINING} cannot be read") from error


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Leaves by dotted key; a list is a leaf."""
    if not isinstance(value, dict):
        yield prefix, value
        return
    for key, inner in value.items():
        yield from _flat(inner, f"{prefix}.{key}" if prefix else key)
