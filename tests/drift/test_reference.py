"""A frozen reference comes back as it was written, and a damaged one is refused."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.errors import ArtifactError
from mlwb.drift import fit_feature_reference, fit_reference, parse_references, references_json


def stored() -> Any:
    """A reference of two features, as read from its file."""
    rng = np.random.default_rng(4)
    ts = 60 * np.arange(3 * 1440)
    items = [fit_feature_reference(name, rng.normal(size=len(ts)), ts) for name in ("a", "b")]
    return parse_json(canonical_bytes(references_json(items)))


def test_a_reference_survives_its_file() -> None:
    """Same names, bins, blocks and bytes after a round trip."""
    found = parse_references(stored())
    assert list(found) == ["a", "b"]
    assert canonical_bytes(references_json(list(found.values()))) == canonical_bytes(stored())


def test_the_bins_are_those_of_the_values() -> None:
    """Counting by block changes nothing about where the edges lie."""
    values, ts = np.random.default_rng(0).normal(size=500), 60 * np.arange(500)
    found = fit_feature_reference("x", values, ts, n_bins=5)
    assert found.bins.digest == fit_reference("x", values, n_bins=5).digest


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f["blocks"][0].__setitem__(0, f["blocks"][0][0] + 1),
        lambda f: f["by_hour"][3].__setitem__(0, -1),
        lambda f: f.update(digest="0" * 64),
        lambda f: f.update(block_s=3600),
        lambda f: f["starts"].__setitem__(0, 5),
        lambda f: f["starts"].reverse(),
        lambda f: f["starts"].pop(),
        lambda f: f.pop("by_hour"),
        lambda f: f.update(blocks="many"),
        lambda f: f.update(name="b"),
    ],
)
def test_a_reference_that_does_not_add_up_is_refused(damage: Any) -> None:
    """One count, stamp or digest off, or a name that stands twice: an error that names it."""
    document = copy.deepcopy(stored())
    damage(document["features"][0])
    with pytest.raises(ArtifactError, match="reference"):
        parse_references(document)


@pytest.mark.parametrize("document", [None, [], {"schema": "mlwb.reference/1", "features": []}])
def test_another_schema_is_refused(document: Any) -> None:
    """An older file or no file at all says what to do."""
    with pytest.raises(ArtifactError, match=r"mlwb\.reference/2"):
        parse_references(document)
