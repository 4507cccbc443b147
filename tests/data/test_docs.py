"""What docs/data.md says is so."""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlwb.data import (
    CALENDARS,
    FACTS,
    PROFILES,
    Market,
    Quality,
    market_facts,
    quality,
    read_market,
    simulate_market,
)
from mlwb.data import _findings as findings
from mlwb.data._yaml_profile import read_profile
from tests.data.vendors import ticks

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
Writer = Callable[[str, str], Path]
FACTS_BEGIN = "Measured on the default market"


def first_cells(heading: str) -> list[str]:
    """First column of the table below a heading, without back-ticks."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [row.split("|")[1].strip(" `") for row in rows]


def examples() -> dict[str, str]:
    """The YAML blocks by the file name in their first line."""
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, flags=re.DOTALL)
    return dict(blocks)


def test_every_profile_has_a_row() -> None:
    """In the order of the code."""
    assert first_cells("Source profiles") == list(PROFILES)


def test_every_calendar_has_a_row() -> None:
    """In the order of the code."""
    assert first_cells("Calendars") == list(CALENDARS)


def test_every_check_has_a_row() -> None:
    """Each word that a finding can carry, in the order findings come in."""
    tree = ast.parse(inspect.getsource(findings))
    words = [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in {"_serious", "_note", "Finding"}
        and isinstance(node.args[0], ast.Constant)
    ]
    assert sorted(first_cells("Quality report")) == sorted(str(word) for word in words)


def test_every_bit_is_named_with_its_value() -> None:
    """The list of quality bits is the enumeration."""
    line = next(line for line in PAGE.splitlines() if line.startswith("Bits of the"))
    assert dict(re.findall(r"([A-Z_]{4,}) (\d+)", line)) == {
        bit.name: str(bit.value) for bit in Quality
    }


def test_the_yaml_example_reads_a_file(rows: pd.DataFrame, write: Writer) -> None:
    """The profile on the page, as printed, reads what it describes."""
    local = (rows["ts"] + pd.Timedelta(minutes=1)).dt.tz_convert("America/New_York")
    frame = pd.DataFrame({"Day": local.dt.strftime("%d/%m/%Y"), "Time": local.dt.strftime("%H:%M")})
    for source, name in (("open", "Open"), ("high", "High"), ("low", "Low"), ("close", "Last")):
        frame[name] = (rows[source] * 100).round().astype(int)
    profile = write("house.yml", examples()["house.yml"])
    found = read_market([write("ES.csv", frame.to_csv(index=False))], profile=str(profile))
    assert found.frame["ts"].tolist() == rows["ts"].tolist()
    np.testing.assert_allclose(found.frame["close"], rows["close"], rtol=1e-12)


def test_the_extending_example_is_a_profile(write: Writer) -> None:
    """The short one as well."""
    assert read_profile(write("eurusd.yml", examples()["eurusd.yml"])).point == 1e-5


def test_the_example_with_hours_reads_quotes(write: Writer) -> None:
    """Updates of one instrument of two, folded and judged by the hours on the page."""
    updates = ticks(600)
    start = np.datetime64("2026-06-01T09:00", "ns").astype(np.int64)
    shift = int(start) - int(updates["ns"].iloc[0])
    table = pd.DataFrame(
        {
            "exchange_ns": updates["ns"] + shift,
            "local_ns": updates["received"] + shift,
            "bid": updates["bid"],
            "ask": updates["ask"],
            "ric": np.where(np.arange(600) % 2, "VOD.L", "BP.L"),
        }
    )
    profile = write("lse.yml", examples()["lse.yml"])
    data = write("feed.csv", table.to_csv(index=False))
    found = read_market([data], profile=str(profile), symbol="VOD.L")
    assert found.source.calendar == "session"
    report = quality(found)
    assert report.rows_read == 300
    assert report.outside_calendar == 0
    assert report.clock_skew_median_ms == pytest.approx(5, abs=1)


def printed(column: int) -> list[list[str]]:
    """Sentence, range and one column of the table of facts."""
    table = PAGE.split(FACTS_BEGIN, 1)[1].split("\n\n", 2)[1].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return [[row[0], row[1], row[column]] for row in cells]


def assert_as_printed(market: Market, rows: list[list[str]]) -> None:
    """Every fact, its range, and its value to the digits that stand on the page."""
    found = market_facts(market)
    for fact, (about, limits, text) in zip(FACTS, rows, strict=True):
        assert about == fact.about
        low, high = (f"{limit:.{fact.digits}f}" for limit in (fact.low, fact.high))
        assert limits == ("" if math.isnan(fact.low) else f"{low} to {high}")
        value = math.nan if text == "-" else float(text)
        assert found[fact.name] == pytest.approx(value, abs=0.6 * 10**-fact.digits, nan_ok=True)


def test_the_simulated_facts_are_measured() -> None:
    """Every number of the simulated column."""
    assert_as_printed(simulate_market(), printed(2))


@pytest.mark.realdata
@pytest.mark.parametrize(("column", "symbol"), [(3, "BTCUSDT"), (4, "ETHUSDT")])
def test_the_recorded_facts_are_measured(real_data: Path, column: int, symbol: str) -> None:
    """Every number of the recorded columns."""
    path = real_data / f"crypto_spot_1m/{symbol}_1m_20250520_20250818.csv.gz"
    assert_as_printed(read_market([path]), printed(column))
