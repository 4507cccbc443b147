"""Profiles a user writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlwb.core.errors import ParamsError
from mlwb.data import read_market
from mlwb.data._yaml_profile import read_profile

Writer = Callable[[str, str], Path]


def test_a_shipped_profile_is_extended(write: Writer) -> None:
    """Only what differs is written; the file's name is the profile's."""
    path = write("eurusd.yml", "extends: mt5\npoint: 0.00001\n")
    profile = read_profile(path)
    assert (profile.name, profile.point, profile.clock) == ("eurusd", 1e-5, "new-york-close")


def test_price_scale_and_close_stamps(rows: pd.DataFrame, write: Writer) -> None:
    """Prices in hundredths, bars stamped by their end on New York's clock, tab between cells."""
    local = (rows["ts"] + pd.Timedelta(minutes=1)).dt.tz_convert("America/New_York")
    frame = pd.DataFrame({"Day": local.dt.strftime("%d/%m/%Y"), "Time": local.dt.strftime("%H:%M")})
    for name in ("open", "high", "low", "close"):
        frame[name.upper()] = (rows[name] * 100).round().astype(int)
    profile = write(
        "house.yml",
        """
about: our own store
columns: {ts: Day+Time, open: OPEN, high: HIGH, low: LOW, close: CLOSE}
time_format: "%d/%m/%Y %H:%M"
clock: new-york
stamp: close
price_scale: 0.01
""",
    )
    data = write("ES.csv", frame.to_csv(index=False, sep="\t"))
    found = read_market([data], profile=str(profile))
    assert found.frame["ts"].tolist() == rows["ts"].tolist()
    np.testing.assert_allclose(found.frame["close"], rows["close"], rtol=1e-12)
    assert found.source.profile == "house"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: reuters", "extends names no profile"),
        ("extends: mlwb\ncolour: red", "unknown key colour"),
        ("extends: mlwb\nclock: cet", "clock is not known; expected utc"),
        ("extends: mlwb\ncalendar: nyse", "calendar is not known"),
        ("extends: mlwb\nstamp: middle", "stamp is not known"),
        ("extends: mlwb\ntime_unit: hours", "time_unit is not known"),
        ("extends: mlwb\nprice_scale: cheap", "price_scale has the wrong type; expected a number"),
        ("extends: mlwb\nprice_scale: 0", "price_scale is no scale"),
        ("extends: mlwb\ninteger_price_scale: 0", "integer_price_scale is no scale"),
        ("extends: mlwb\ninteger_price_scale: 1e-320", "integer_price_scale is no scale"),
        ("extends: mlwb\ndate_in_name: true", "stamps since midnight have no unit"),
        ('extends: mlwb\ntime_format: "%Q%Y"', "time_format is none; expected such as"),
        ("extends: mlwb\npair: 1", "pair has the wrong type; expected bool"),
        ("extends: mlwb\nnames: ts", "names has the wrong type; expected a list of text"),
        ("columns: [ts, open]", "columns has the wrong type"),
        ("columns: {ts: t, open: o}", "columns make no bar"),
        ("columns: {ts: t, open: o, high: h, low: l, close: c, colour: x}", "no field colour"),
        ("", "columns make no bar"),
        ("extends: [", "is not YAML"),
    ],
)
def test_a_wrong_profile_is_refused(write: Writer, text: str, words: str) -> None:
    """Before any data is read, naming file and key."""
    with pytest.raises(ParamsError, match=words):
        read_profile(write("p.yml", text))


def test_a_missing_profile_is_refused(tmp_path: Path) -> None:
    """A path that leads nowhere is named."""
    with pytest.raises(ParamsError, match=r"absent\.yml"):
        read_profile(tmp_path / "absent.yml")
