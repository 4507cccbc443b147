"""`mlwb features list`, `build` and `probe`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.features import feature_names
from mlwb.features.probe import Probe, Violation
from mlwb.stages import feature_table
from mlwb.stages.feature_table import FeatureTable, Probes

MODULE = """
from mlwb.core.bars import HIGH, LOW
from mlwb.features import FeatureSpec

def width(state, bar):
    return bar[HIGH] - bar[LOW]

FEATURES = (FeatureSpec("width", "price", width, (0.0,), 0, ("high", "low"), "a test"),)
"""
SMALL = ["-p", "data.days=4", "-p", "features.names=[bias,vol1m_log]"]
run = CliRunner().invoke


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with one feature, in a home of its own."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    path = tmp_path / "mine.py"
    path.write_text(MODULE)
    return str(path)


def test_list_shows_own_features_after_the_others(module: str) -> None:
    """All of the package, then those of the module, each with its digest."""
    told = json.loads(run(app, ["features", "list", "--module", module, "--json"]).stdout)
    assert [row["name"] for row in told] == [*feature_names(), "width"]
    assert len({row["digest"] for row in told}) == len(told)
    assert "width" in run(app, ["features", "list", "--module", module]).stdout


def test_build_writes_what_it_says(module: str, tmp_path: Path) -> None:
    """A module's features join those of the parameters; the file is there."""
    out = tmp_path / "table.parquet"
    done = run(app, ["features", "build", "--out", str(out), "--module", module, *SMALL, "--json"])
    told = json.loads(done.stdout)
    assert told["features"] == ["bias", "vol1m_log", "width"]
    assert out.stat().st_size > 0
    assert told["rows"] == 4 * 1_440
    assert told["n_eff"] <= told["labels"]


def test_probe_is_clean_and_says_how_far_it_looked(module: str) -> None:
    """Exit 0, every value named, the module's own among them."""
    few = ["--points", "2", "--bars", "600"]
    done = run(app, ["features", "probe", *few, "--module", module, *SMALL, "--json"])
    told = json.loads(done.stdout)
    assert (done.exit_code, told["clean"], told["bars"]) == (0, True, 600)
    assert {"width", "label", "scaler", "regime"} <= {row["what"] for row in told["probes"]}


def test_probe_that_finds_something_is_exit_3(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar, and how many bars too far it reads, for people and for machines."""
    assert module
    leak = Probe("vol1m_log", 9, 9, Violation(7, "cut", 1.0, float("nan"), 3))

    def found(table: FeatureTable, *, n_points: int, n_bars: int, seed: int) -> Probes:
        del n_points, n_bars, seed
        return Probes((leak,), (), len(table.prepared.bars))

    monkeypatch.setattr(feature_table, "probe", found)
    plain = run(app, ["features", "probe", *SMALL])
    assert plain.exit_code == 3
    assert "3 bars too far, first at 2026-01-01T00:07:00Z" in plain.stdout
    told = json.loads(run(app, ["features", "probe", *SMALL, "--json"]).stdout)
    assert told["probes"][0]["violation"]["reach"] == 3
    assert told["probes"][0]["violation"]["other"] == "nan"
