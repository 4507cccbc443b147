"""Names, order and digests of features."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlwb.core.bars import BAR_FIELDS
from mlwb.core.errors import UnknownParameterError
from mlwb.features import FEATURES, FeatureSpec, feature_names, spec_digest, specs

STEP = """
SHARE = {share}
TABLE = 3

def helper(x):
    return x{helper}

def elsewhere(x):
    return x{elsewhere}

def step(state, bar):
    return helper(bar[1]) * SHARE
"""
Maker = Callable[..., FeatureSpec]


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """Build a spec from source text with parts replaced."""

    def _make(share: float = 0.5, helper: str = "", elsewhere: str = "") -> FeatureSpec:
        path = tmp_path / f"steps_{len(list(tmp_path.iterdir()))}.py"
        path.write_text(STEP.format(share=share, helper=helper, elsewhere=elsewhere))
        found = importlib.util.spec_from_file_location(path.stem, path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        return FeatureSpec("made", "1", module.step, (0.0,), 0, ("mid",), "a test")

    return _make


def test_registry_names_each_feature_once() -> None:
    """Names are unique, inputs are bar fields, and the required seven come first in order."""
    assert feature_names() == tuple(spec.name for spec in FEATURES)
    assert len(set(feature_names())) == len(FEATURES)
    assert all(set(spec.inputs) <= set(BAR_FIELDS) for spec in FEATURES)
    assert all(spec.source and spec.unit for spec in FEATURES)
    assert feature_names()[:7] == (
        "bias",
        "mid_logret_1m",
        "mid_logret_5m",
        "spread_bp",
        "vol1m_log",
        "rsi14_z",
        "zscore_mid_24h",
    )


def test_specs_come_in_the_order_asked_for() -> None:
    """Column order is the caller's."""
    assert [spec.name for spec in specs(["rsi14_z", "bias"])] == ["rsi14_z", "bias"]


@pytest.mark.parametrize("names", [["rsi"], ["bias", "bias"], [""], ["bias", "nope", "rsi14_z"]])
def test_unknown_and_repeated_names_are_refused(names: list[str]) -> None:
    """The message names what is known."""
    with pytest.raises(UnknownParameterError, match=r"known and named once.*zscore_mid_24h"):
        specs(names)


def test_digest_follows_the_code(make: Maker) -> None:
    """Another constant or another helper the step uses is another digest; the rest is not."""
    base = make().digest
    assert make().digest == base
    assert make(share=0.6).digest != base
    assert make(helper=" + 0").digest != base
    assert make(elsewhere=" + 1").digest == base


def test_digest_follows_name_unit_and_start(make: Maker) -> None:
    """Name, unit and settings are part of the definition; where it was read about is not."""
    spec = make()
    assert replace(spec, name="other").digest != spec.digest
    assert replace(spec, unit="bp").digest != spec.digest
    assert replace(spec, start=(-0.0,)).digest != spec.digest
    assert replace(spec, source="elsewhere").digest == spec.digest


def test_digests_of_the_registry_differ() -> None:
    """No two features share a digest, also those that share a step function."""
    assert len({spec.digest for spec in FEATURES}) == len(FEATURES)


def test_set_digest_depends_on_order() -> None:
    """Columns swapped are another set."""
    chosen = specs(["bias", "rsi14_z"])
    assert spec_digest(chosen) != spec_digest(chosen[::-1])


def test_estimated_spread_is_another_feature() -> None:
    """Without quotes spread_bp has another digest; everything else is what it was."""
    quoted, estimated = specs(feature_names()), specs(feature_names(), quoted=False)
    changed = [a.name for a, b in zip(quoted, estimated, strict=True) if a.digest != b.digest]
    assert changed == ["spread_bp"]


def test_digest_is_the_same_in_every_process() -> None:
    """Hash randomisation and import order do not reach it."""
    code = "from mlwb.features import FEATURES, spec_digest; print(spec_digest(FEATURES))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {spec_digest(FEATURES)}
