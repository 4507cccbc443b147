"""Run ids and version names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.errors import ParamsError
from mlwb.core.ids import RUN_ID, VERSION, check_version, new_run_id

NOW = datetime(2025, 10, 22, 14, 30, tzinfo=UTC)


@given(st.from_regex(VERSION, fullmatch=True))
def test_any_version_makes_a_run_id(version: str) -> None:
    """Whatever a version is called, the run id fits its pattern and has five parts."""
    run_id = new_run_id("ml-shadow", version, "canary-5pct", NOW)
    assert RUN_ID.fullmatch(run_id)
    assert len(run_id.split("_")) == 5


def test_run_id_is_stamped_in_utc() -> None:
    """The time is UTC whatever zone it came in; no version is said so; ids do not repeat."""
    local = NOW.astimezone(timezone(timedelta(hours=9)))
    found = new_run_id("mlwb", "", "training", local, token="0" * 8)
    assert found == "mlwb_none_training_20251022T143000Z_00000000"
    assert new_run_id("mlwb", "v1", "x", NOW) != new_run_id("mlwb", "v1", "x", NOW)


@pytest.mark.parametrize(
    "version", ["v1.8.1", "v1.8.1-retrain", "1761143400", "a", "A+b_c", "x" * 64, "0"]
)
def test_versions_in_use_are_versions(version: str) -> None:
    """Seconds, tags and suffixes all fit."""
    assert check_version(version) == version


@pytest.mark.parametrize(
    "version",
    [
        "", " ", "latest", "Latest", "candidate", "previous", "../v1", "a/b", "a\\b", ".hidden",
        "-x", "_x", "x" * 65, "v1\n", "v1 ", "v\x00", "ä", "con", "NUL", "v1.", "v1:2", "*",
        "%2e%2e", "v1%2fv2", "COM1", "lpt9", "con.txt", "Aux.1", "v1\u202e", "v1\uff0e", "~",
    ],
    ids=repr,
)  # fmt: skip
def test_names_that_could_hurt_are_no_versions(version: str) -> None:
    """Paths, reserved names, control characters, what some file systems change or refuse."""
    with pytest.raises(ParamsError, match="not a model version"):
        check_version(version)
