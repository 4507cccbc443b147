"""``mlwb data import`` and ``simulate``: one canonical file, honest words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlwb.cli._app import app
from mlwb.core.errors import ParamsError
from mlwb.data import DefectPlan, quality, read_market, simulate_market


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def mlwb(*arguments: str) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, ["data", *arguments])


def test_a_simulated_file_is_the_simulated_market() -> None:
    """Days, seed and start as asked; the next command names the file."""
    done = mlwb(
        *("simulate", "--days", "2", "--seed", "5", "--start", "2025-05-05"),
        *("--out", "bars.parquet"),
    )
    assert done.exit_code == 0, done.output
    assert "next: mlwb run --data bars.parquet" in done.output
    found = read_market([Path("bars.parquet")]).frame
    expected = simulate_market(days=2, seed=5).frame
    assert str(found["ts"].iloc[0]) == "2025-05-05 00:00:00+00:00"
    assert len(found) == len(expected)


def test_defects_are_put_in_and_found_again() -> None:
    """What was asked for is in the file and in the words."""
    done = mlwb(
        *("simulate", "--days", "2", "--out", "bars.csv", "--defect", "duplicates=3"),
        *("--defect", "is_newest_first"),
    )
    assert done.exit_code == 0, done.output
    assert "injected: 3 duplicates" in done.output
    report = quality(read_market([Path("bars.csv")]))
    assert report.duplicates_identical.k == 3
    assert report.is_newest_first


@pytest.mark.parametrize("wrong", ["dups=3", "duplicates", "duplicates=-1", "duplicates=x"])
def test_a_defect_nobody_knows_is_refused(wrong: str) -> None:
    """With the list of those there are; nothing is written."""
    done = mlwb("simulate", "--out", "bars.csv", "--defect", wrong)
    assert isinstance(done.exception, ParamsError)
    assert all(kind in str(done.exception) for kind in vars(DefectPlan()))
    assert not Path("bars.csv").exists()


def test_a_regime_begins_on_its_day() -> None:
    """Twice the volatility from the second day on, said as it was asked for."""
    arguments = ("simulate", "--days", "4", "--out", "bars.csv")
    assert mlwb(*arguments).exit_code == 0
    usual = read_market([Path("bars.csv")]).frame["close"]
    done = mlwb(*arguments, "--regime", "2:volatility=2,spread=1.5")
    assert done.exit_code == 0, done.output
    stirred = read_market([Path("bars.csv")]).frame["close"]
    assert usual[:2880].equals(stirred[:2880])
    ratio = stirred[2880:].pct_change().std() / usual[2880:].pct_change().std()
    assert ratio == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize("wrong", ["2", "2:vol=3", "x:spread=1", "2:spread", "9:spread=2"])
def test_a_regime_that_cannot_be_is_refused(wrong: str) -> None:
    """With the words that can stand there, or the range."""
    done = mlwb("simulate", "--days", "4", "--out", "bars.csv", "--regime", wrong)
    assert isinstance(done.exception, ParamsError)
    assert not Path("bars.csv").exists()


def test_an_import_says_what_is_wrong_and_writes_clean_bars() -> None:
    """Repeats are named as serious and gone from the file."""
    mlwb("simulate", "--days", "2", "--out", "raw.csv", "--defect", "duplicates=3")
    done = mlwb("import", "raw.csv", "--out", "bars.parquet")
    assert done.exit_code == 0, done.output
    assert "! duplicates_identical: 3" in done.output
    assert "next: mlwb run --data bars.parquet" in done.output
    report = quality(read_market([Path("bars.parquet")]))
    assert (report.bars, report.serious) == (2880, ())


def test_a_strict_import_writes_nothing_from_a_bad_source() -> None:
    """Exit code 3, as with `mlwb data quality --strict`."""
    mlwb("simulate", "--days", "2", "--out", "raw.csv", "--defect", "duplicates=3")
    done = mlwb("import", "raw.csv", "--out", "bars.parquet", "--strict")
    assert done.exit_code == 3
    assert not Path("bars.parquet").exists()


def test_json_names_findings_and_digests() -> None:
    """One document for machines."""
    made = json.loads(mlwb("simulate", "--days", "1", "--out", "raw.csv", "--json").output)
    assert (made["bars"], made["serious"]) == (1440, [])
    found = json.loads(mlwb("import", "raw.csv", "--out", "bars.parquet", "--json").output)
    assert [file["path"] for file in found["files"]] == ["bars.parquet"]
    assert found["files"][0]["sha256"].startswith("sha256:")
    assert found["next"] == "mlwb run --data bars.parquet"
