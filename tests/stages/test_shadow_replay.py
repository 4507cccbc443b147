"""Rows of a file: read whole or refused, sent, compared, written down."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import DataSchemaError, EmptyWindowError
from mlwb.core.home import find_project
from mlwb.data import simulate_market, write_market
from mlwb.evidence import check_record
from mlwb.params import ReplayParams, load_params
from mlwb.stages import shadow_replay
from mlwb.stages._exchange import exchange
from mlwb.stages._traffic_log import SHADOW
from mlwb.stages.shadow_replay import Compared, Result, Rows, comparison_csv, read_rows

NAMES = ("bias", "spread_bp")
PARAMS: ReplayParams = load_params("replay", find_project() / "params")


def _file(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_features_by_name(tmp_path: Path) -> None:
    """In the model's order, other columns passed over, every digit kept; blanks are skipped."""
    path = _file(tmp_path, "when, spread_bp,bias\nx,0.1,1\ny,,1\nz,nan,1\nw,3e-17,1\n")
    found = read_rows(path, NAMES, PARAMS)
    assert found.values.tolist() == [[1.0, 0.1], [1.0, 3e-17]]
    assert (found.labels, found.skipped, found.origin) == (("2", "5"), 2, "replay")
    (source,) = found.inputs
    assert (source.uri, source.rows) == ("rows.csv", 4)


def test_compressed_and_marked(tmp_path: Path) -> None:
    """Gzip, and the mark that spreadsheets put first."""
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress("\ufeffbias,spread_bp\n1,2\n".encode()))
    assert read_rows(path, NAMES, PARAMS).values.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bias,spread\n1,2\n", "none for spread_bp"),
        ("bias,spread_bp\n1,2\n1,wide\n", "line 3 of rows.csv"),
    ],
)
def test_half_a_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """A missing feature and a cell that is no number are named."""
    with pytest.raises(DataSchemaError, match=said):
        read_rows(_file(tmp_path, text), NAMES, PARAMS)


def test_nothing_to_send(tmp_path: Path) -> None:
    """A file without one whole row is refused."""
    with pytest.raises(EmptyWindowError, match="1 incomplete"):
        read_rows(_file(tmp_path, "bias,spread_bp\n1,\n"), NAMES, PARAMS)


def test_bars_become_features(tmp_path: Path) -> None:
    """A file without any feature is read as a market; rows begin where all features are known."""
    market = simulate_market(days=3, seed=3)
    path = tmp_path / "bars.csv"
    write_market(market, path)
    data = replace(PARAMS.data, source=(str(path),), profile="auto")
    names = ("bias", "mid_logret_5m")
    found = read_rows(path, names, replace(PARAMS, data=data))
    assert found.values.shape == (len(found.labels), 2)
    assert np.isfinite(found.values).all()
    assert found.skipped >= 5
    assert found.origin == "replay"


def _sent(score: float | None, shadow: float | None, error: str = "") -> Compared:
    status = 0 if score is None else 200
    item = exchange(SHADOW, (status, b"", 1.25), None, shadowed=True)
    item = replace(item, status=status, score=score, shadow_score=shadow, version="v1")
    return Compared("7", "replay.x.0", item, error)


def test_every_row_stands_in_the_table() -> None:
    """Differences and matches where both answered, empty cells and the reason where not."""
    compared = [
        _sent(0.5, 0.53),
        _sent(0.5, 0.6),
        _sent(0.5, None, "model"),
        _sent(None, None, "x"),
    ]
    rows = list(csv.DictReader(io.StringIO(comparison_csv(compared, match_delta=0.05))))
    assert [row["match"] for row in rows] == ["1", "0", "", ""]
    assert [row["error"] for row in rows] == ["", "", "model", "x"]
    assert float(rows[0]["delta"]) == pytest.approx(0.03)
    assert [row["status"] for row in rows] == ["200", "200", "200", "0"]


def test_a_replay_as_a_record() -> None:
    """Lawful, of the origin of its rows; an answer that did not come is no shadow error."""
    compared = tuple([_sent(0.1 * i, 0.1 * i) for i in range(8)] + [_sent(None, None, "no_answer")])
    rows = Rows(np.ones((9, 2)), tuple("123456789"), 1, (), "simulated")
    result = Result(rows, compared, "v1.0.0", "v2.0.0", 7.2, 0.05)
    record = result.to_record(PARAMS, ManualClock())
    check_record(record.to_json())
    assert (record.origin, record.model_version, record.value("match_rate")) == (
        "simulated",
        "v2.0.0",
        1.0,
    )
    assert record.value("requests") == 9
    assert record.value("covered_h") == pytest.approx(0.002)
    assert record.details["errors"] == {"no_answer": 1}
    assert shadow_replay.read_rows is read_rows
