"""`mlwb features study`: one notebook, its table, its report, its evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlwb.evidence import EvidenceStore
from tests.cli.conftest import Main
from tests.cli.test_app import mlwb


@pytest.mark.notebook
@pytest.mark.slow
def test_study_prints_what_it_wrote(tmp_path: Path) -> None:
    """Features with reading, window and knowledge; a page; two records; no model, no latest run."""
    small = ["--profile", "ci", "-p", "data.days=16", "-p", "features.names=[bias,vol1m_log]"]
    done = mlwb("features", "study", *small, "--json", home=tmp_path, timeout_s=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [row["name"] for row in told["features"]] == ["bias", "vol1m_log"]
    bias, volume = told["features"]
    assert (bias["reading"], bias["psi"], bias["rank_ic"]) == ("constant", "constant", None)
    assert volume["rank_ic"] > 0.1
    assert volume["rank_ic_p_holm"] < 0.05
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<pre>mlwb features study " in page
    kinds = [record.kind for record in EvidenceStore(tmp_path / "evidence" / "ml").records()]
    assert kinds == ["data_quality", "feature_study"]
    assert not (tmp_path / "outputs" / "latest").exists()
    assert not list((tmp_path / "artifacts").glob("models/*"))


@pytest.mark.slow
def test_a_wrong_name_stops_before_anything_starts(tmp_path: Path, main_here: Main) -> None:
    """An unknown feature is a usage error, and nothing is written."""
    code, _, errors = main_here("features", "study", "-p", "features.names=[bias,typo]")
    assert (code, "typo" in errors) == (2, True), errors
    assert not (tmp_path / "outputs").exists()
