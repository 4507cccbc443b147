"""`mlwb shadow`: rows of a file through a real server, and the server's own log."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EvidenceMissingError, MlwbError, ServeError
from mlwb.core.predictionlog import PredictionLine, ShadowOutcome, encode_line
from mlwb.evidence import EvidenceStore
from mlwb.serve import KeyFile
from tests.inference.version_kit import NAMES, logistic, point, write_version
from tests.serve.server_kit import server

WEIGHTS, FAR = (0.1, 1.5, -0.4, 0.8), (0.9, -1.0, 0.2, 0.1)
N_ROWS = 320
run = CliRunner().invoke


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`v1.0.0` in `latest`, the same model as `v1.0.1`, another as `v2.0.0`; rows in a file."""
    models = tmp_path / "artifacts" / "models"
    for version, weights in (("v1.0.0", WEIGHTS), ("v1.0.1", WEIGHTS), ("v2.0.0", FAR)):
        write_version(models, version, weights=weights)
    point(models, "latest", "v1.0.0")
    rng = np.random.default_rng(2)
    low, high = [1.0, -0.5, 0.0, -2.0], [1.0, 0.5, 50.0, 2.0]
    with (tmp_path / "rows.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(NAMES)
        writer.writerows(rng.uniform(low, high, (N_ROWS, 4)).tolist())
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    return tmp_path


def _rows(home: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.loadtxt(home / "rows.csv", delimiter=",", skiprows=1)


@pytest.mark.server
@pytest.mark.slow
def test_a_model_beside_itself(home: Path) -> None:
    """A/A over HTTP: everything matches, no difference at all, rank correlation one; exit 0."""
    out = home / "aa"
    asked = ["--csv", str(home / "rows.csv"), "--candidate", "v1.0.1", "--out", str(out), "--json"]
    done = run(app, ["shadow", "run", *asked])
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)["record"]
    values = {metric["name"]: metric["value"] for metric in record["metrics"]}
    assert values["match_rate"] == values["rank_corr"] == 1.0
    assert values["error_rate"] == values["max_abs_delta"] == values["mean_abs_delta"] == 0.0
    assert (record["origin"], record["model_version"]) == ("replay", "v1.0.1")
    with (out / "comparison.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    expected = logistic(_rows(home), WEIGHTS)
    for side in ("champion_score", "candidate_score"):
        assert [float(row[side]) for row in rows] == pytest.approx(expected.tolist(), abs=1e-12)
    assert not (home / "artifacts" / "shadow").exists(), "a replay in the log of the day"
    compared = run(
        app, ["shadow", "compare", "--candidate", "v1.0.1", "--log", str(out / "shadow.jsonl")]
    )
    assert compared.exit_code == 0, compared.output
    assert f"matched                   {N_ROWS} of {N_ROWS}, 100.00%" in compared.stdout
    assert "shadow.covered_h: shadow is replay, this limit takes live" in compared.stdout


@pytest.mark.server
@pytest.mark.slow
def test_another_model_is_told_from_the_champion(home: Path) -> None:
    """Numbers are numpy's of the two graphs; the gate says no: exit 1, with a picture."""
    done = run(app, ["shadow", "run", "--csv", str(home / "rows.csv"), "--candidate", "v2.0.0"])
    assert done.exit_code == 1, done.output
    delta = np.abs(logistic(_rows(home), FAR) - logistic(_rows(home), WEIGHTS))
    matched = int((delta <= 0.05).sum())
    assert f"{matched} of {N_ROWS}, {matched / N_ROWS:.2%}" in done.stdout
    assert f"mean {delta.mean():.4g}, median {np.median(delta):.4g}" in done.stdout
    assert "█" in done.stdout
    assert "FAIL      shadow.match_rate" in done.stdout
    (folder,) = (home / "outputs").glob("shadow_*")
    summary = json.loads((folder / "summary.json").read_bytes())
    assert summary["verdict"]["outcome"] == "FAIL"


@pytest.mark.server
@pytest.mark.slow
def test_rows_into_a_running_server_with_keys(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its key, at its pace; no row of it is taken for one of the day."""
    keys = KeyFile(home / "keys.json")
    _, key = keys.add("replay", ["read", "service"], now=SystemClock().now(), days=1)
    environ = {
        "CANARY_MODEL_VERSION": "v1.0.1",
        "MLWB_KEYS_FILE": str(home / "keys.json"),
        "MLWB_RATE_LIMIT": str(N_ROWS // 2),
        "MLWB_RATE_WINDOW_S": "1",
    }
    with server(home / "artifacts" / "models", home, **environ) as running:
        asked = ["shadow", "run", "--csv", str(home / "rows.csv"), "--url", running.url, "--json"]
        monkeypatch.setenv("MLWB_API_KEY", key)
        done = run(app, asked)
        assert done.exit_code == 0, done.output
        monkeypatch.delenv("MLWB_API_KEY")
        with pytest.raises(ServeError):
            run(app, asked, catch_exceptions=False)
    values = {m["name"]: m["value"] for m in json.loads(done.stdout)["record"]["metrics"]}
    assert (values["requests"], values["match_rate"], values["error_rate"]) == (N_ROWS, 1.0, 0.0)
    with pytest.raises(EvidenceMissingError, match=f"got {N_ROWS} replayed"):
        run(app, ["shadow", "compare", "--candidate", "v1.0.1"], catch_exceptions=False)


def _log(home: Path, n: int, **changes: float) -> None:
    now, lines = SystemClock().now(), []
    for index in range(n):
        score, delta = 0.2 + 0.6 * index / n, changes.get("delta", 0.0)
        outcome = ShadowOutcome("v2.0.0", score + delta, delta, delta <= 0.05, 0.05)
        stamp = now - timedelta(minutes=n - index)
        line = PredictionLine(
            stamp, f"r{index}", "/ml/predict-with-shadow", "v1.0.0", "0" * 8, score, 0.2,
            shadow=outcome,
        )  # fmt: skip
        lines.append(encode_line(line))
    path = home / "artifacts" / "shadow" / "predictions.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("minutes", "delta", "code"), [(25 * 60, 0.01, 0), (23 * 60, 0.01, 1), (25 * 60, 0.06, 1)]
)
def test_the_log_of_the_day(home: Path, minutes: int, delta: float, code: int) -> None:
    """A day of agreement passes as live evidence; too short or too far off is exit 1."""
    _log(home, minutes, delta=delta)
    done = run(app, ["shadow", "compare", "--candidate", "v2.0.0", "--record", "--strict"])
    assert done.exit_code == code, done.output
    (record,) = (
        EvidenceStore(home / "evidence" / "ml").records()
        or EvidenceStore(home / "evidence").records()
    )
    assert (record.kind, record.origin, record.value("requests")) == ("shadow", "live", minutes)
    assert record.run_id in done.stdout
    assert ("GATE shadow: PASS" in done.stdout) is (code == 0)


def test_only_looking_writes_nothing(home: Path) -> None:
    """Without --record there is no evidence; JSON has record and verdict."""
    _log(home, 400)
    done = run(app, ["shadow", "compare", "--candidate", "v2.0.0", "--json"])
    told = json.loads(done.stdout)
    assert (told["written"], told["verdict"]["gate"]) == (False, "shadow")
    assert not (home / "evidence").exists()


def test_nothing_to_compare(home: Path) -> None:
    """No candidate, no row, no such server: one sentence each, and an exit code of its own."""
    with pytest.raises(EvidenceMissingError, match="no candidate"):
        run(app, ["shadow", "run", "--csv", str(home / "rows.csv")], catch_exceptions=False)
    with pytest.raises(EvidenceMissingError, match="no row was compared"):
        run(app, ["shadow", "compare", "--candidate", "v2.0.0"], catch_exceptions=False)
    nowhere = ["--csv", str(home / "rows.csv"), "--url", "http://127.0.0.1:9"]
    with pytest.raises(MlwbError):
        run(app, ["shadow", "run", *nowhere], catch_exceptions=False)
