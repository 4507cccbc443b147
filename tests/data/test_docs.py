"""What docs/data.md says is so."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlwb.core.arrays import Float1D
from mlwb.data import (
    CALENDARS,
    PROFILES,
    Market,
    Quality,
    quality,
    read_market,
    simulate_market,
)
from mlwb.data import _findings as findings
from mlwb.data._yaml_profile import read_profile
from tests.data.vendors import ticks

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
Writer = Callable[[str, str], Path]
FACTS = "Measured on the default market"


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


def acf(values: Float1D, lag: int) -> float:
    """Autocorrelation at a lag."""
    centred = values - values.mean()
    return float((centred[lag:] * centred[:-lag]).mean() / (centred * centred).mean())


def excess_kurtosis(values: Float1D) -> float:
    """Fourth standardised moment minus 3."""
    centred = values - values.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2 - 3)


def facts(market: Market) -> list[list[float]]:
    """The rows of the table of facts, without spreads."""
    frame = market.frame
    log_mid = np.log(frame["mid"].to_numpy())
    moves = np.diff(log_mid)
    size = np.abs(moves)
    log_volume = np.log(np.maximum(frame["volume"].to_numpy()[1:], 1e-6))
    n_days = len(moves) // 1440
    daily = np.log(np.sqrt((moves[: n_days * 1440].reshape(n_days, 1440) ** 2).sum(axis=1)))
    return [
        [1e4 * float(moves.std())],
        [excess_kurtosis(np.diff(log_mid[::step])) for step in (1, 5, 60)],
        [acf(size, lag) for lag in (1, 5, 15, 60, 240, 1440)],
        [acf(moves, 1)],
        [100 * float((moves == 0).mean())],
        [acf(log_volume, 1), float(np.corrcoef(log_volume, size)[0, 1])],
        [float(daily.std())],
    ]


def printed(column: int) -> list[list[str]]:
    """A column of the table of facts."""
    table = PAGE.split(FACTS, 1)[1].split("\n\n", 2)[1].splitlines()[2:]
    return [line.split("|")[column].strip().split(" / ") for line in table]


def assert_as_printed(found: list[list[float]], cells: list[list[str]]) -> None:
    """Equal to the digits that stand on the page."""
    for values, texts in zip(found, cells, strict=True):
        for value, text in zip(values, texts, strict=True):
            digits = len(text.partition(".")[2])
            assert value == pytest.approx(float(text), abs=0.6 * 10**-digits)


def test_the_simulated_facts_are_measured() -> None:
    """Every number of the simulated column, spreads included."""
    market = simulate_market()
    spread = market.frame["ask"] - market.frame["bid"]
    ticks = (spread / 0.2).round()
    median_bp = float((1e4 * spread / market.frame["mid"]).median())
    commonest = 100 * float(ticks.value_counts(normalize=True).iloc[0])
    found = [*facts(market), [median_bp, float(ticks.nunique()), commonest]]
    assert_as_printed(found, printed(2))


@pytest.mark.realdata
@pytest.mark.parametrize(("column", "symbol"), [(3, "BTCUSDT"), (4, "ETHUSDT")])
def test_the_recorded_facts_are_measured(real_data: Path, column: int, symbol: str) -> None:
    """Every number of the recorded columns."""
    path = real_data / f"crypto_spot_1m/{symbol}_1m_20250520_20250818.csv.gz"
    assert_as_printed(facts(read_market([path])), printed(column)[:-1])
