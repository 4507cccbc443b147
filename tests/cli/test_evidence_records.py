"""``mlwb evidence``: finding records, giving them to other tools, putting old ones away."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlwb.cli import _evidence
from mlwb.cli._app import app
from mlwb.core.clock import ManualClock
from mlwb.core.errors import ParamsError
from mlwb.core.home import find_home
from mlwb.core.signing import PRIVATE_KEY_ENV, PUBLIC_KEY_ENV, write_key_pair
from mlwb.evidence import Context, EvidenceStore, Interval, Metric, new_record, rate
from tests.records import DETAILS

DAY_S = 86_400.0


def run(*arguments: str) -> str:
    """Output of a command that succeeds."""
    shown = CliRunner().invoke(app, ["evidence", *arguments], catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    return shown.stdout


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvidenceStore:
    """Two smoke tests a day apart and a parity, of two versions, in a home of their own."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(_evidence, "SystemClock", lambda: ManualClock(elapsed_s=180 * DAY_S))
    found = EvidenceStore(find_home({"MLWB_HOME": str(tmp_path)}).evidence)
    clock = ManualClock()
    for kind, version in (("smoke", "v1"), ("parity", "v1"), ("smoke", "v2")):
        context = Context(clock=clock, model_version=version, run=f"{int(clock.elapsed_s):08x}")
        metrics = [
            rate("error_rate", 3, 1200, ci=Interval(0.95, 0.001, 0.004)),
            Metric("p95_ms", None, unit="ms", null_reason="[too] few"),
        ]
        found.write(new_record(kind, metrics, context, details=DETAILS[kind]))
        clock.advance(DAY_S)
    return found


@pytest.mark.parametrize(
    ("filters", "n"),
    [
        ([], 3),
        (["--kind", "smoke"], 2),
        (["--version", "v1"], 2),
        (["--kind", "smoke", "--version", "v1"], 1),
        (["--since", "2026-01-02"], 2),
        (["--since", "2026-01-02T00:00:01Z"], 1),
        (["--run", "00000000"], 1),
        (["--kind", "bench"], 0),
    ],
)
def test_records_are_found_by_what_is_known_of_them(
    store: EvidenceStore, filters: list[str], n: int
) -> None:
    """Each filter narrows, together they narrow further; people see the same rows as machines."""
    rows = json.loads(run("list", *filters, "--json"))
    assert len(rows) == n
    shown = run("list", *filters)
    assert all(row["run_id"] in shown for row in rows)
    assert shown.count("_2026") == n
    assert {row["run_id"] for row in rows} <= {entry.run_id for entry in store.index()}


def test_a_record_is_shown_by_kind_or_run_id(store: EvidenceStore) -> None:
    """The newest of a kind or one by its run id; numbers with counts, or why there is none."""
    shown = run("show", "smoke")
    assert "3 of 1200" in shown
    assert "- ([too] few)" in shown
    assert "champion       v1.8.0" in shown
    first = store.index()[0].run_id
    assert json.loads(run("show", first, "--json"))["run_id"] == first
    assert "p95_ms" not in run("show", first, "--metric", "error_rate")


@pytest.mark.usefixtures("store")
def test_csv_holds_one_row_a_number(tmp_path: Path) -> None:
    """Oracle: the csv module; values, counts and intervals come back, absence stays empty."""
    rows = list(csv.DictReader(io.StringIO(run("export", "--csv", "--kind", "smoke"))))
    assert [row["metric"] for row in rows] == ["error_rate", "p95_ms"] * 2
    assert (float(rows[0]["value"]), rows[0]["k"], rows[0]["n"]) == (0.0025, "3", "1200")
    assert (rows[0]["ci_lo"], rows[1]["value"], rows[1]["null_reason"]) == (
        "0.001",
        "",
        "[too] few",
    )
    out = tmp_path / "numbers.csv"
    run("export", "--csv", "--kind", "smoke", "--out", str(out))
    assert list(csv.DictReader(out.read_text(encoding="utf-8").splitlines())) == rows


def test_json_holds_whole_records(store: EvidenceStore, tmp_path: Path) -> None:
    """Exported records are the stored ones, as a list or one a line."""
    stored = [record.to_json() for record in store.records()]
    assert json.loads(run("export", "--json")) == stored
    out = tmp_path / "records.jsonl"
    run("export", "--json", "--out", str(out))
    assert [json.loads(line) for line in out.read_text().splitlines()] == stored


def test_an_export_needs_a_form() -> None:
    """Neither or both forms is a mistake, not a guess."""
    for forms in ([], ["--csv", "--json"]):
        shown = CliRunner().invoke(app, ["evidence", "export", *forms])
        assert "--csv or --json" in str(shown.exception)


def test_archiving_says_first_and_does_when_told(store: EvidenceStore) -> None:
    """Without --apply nothing moves; with it the old record is in an archive and still there."""
    old = store.index()[0].run_id
    assert f"would be archived: {old}" in run("archive")
    assert store.path(old).exists()
    assert json.loads(run("archive", "--json"))["old"] == [old]
    assert "nothing is past its time (regulated)" in run("archive", "--retention", "regulated")
    name = json.loads(run("archive", "--apply", "--json"))["archive"]
    assert not store.path(old).exists()
    assert json.loads(run("list", "--json"))[0]["archive"] == name
    assert "3 of 1200" in run("show", old)
    assert "every record is as it was written" in run("verify")


def test_a_head_kept_elsewhere_shows_a_cut(store: EvidenceStore) -> None:
    """What verify tells can be kept, and given back to a ledger that lost its last line."""
    told = run("verify").split()
    last = store.head()
    assert last is not None
    assert told[-1] == last.sha256
    newest = store.path(store.index()[-1].run_id)
    assert "every record is as it was written" in run("verify", "--head", told[-1])
    path = store.root / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    newest.unlink()
    done = CliRunner().invoke(app, ["evidence", "verify", "--head", told[-1]])
    assert done.exit_code == 6
    assert "the line that --head names is gone" in done.output


def test_a_machine_is_told_what_was_signed(
    store: EvidenceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that carries the signature, as `verify` tells it afterwards."""
    key = tmp_path / "signing.pem"
    monkeypatch.setenv(PRIVATE_KEY_ENV, str(key))
    monkeypatch.setenv(PUBLIC_KEY_ENV, str(write_key_pair(key)))
    last = store.head()
    assert last is not None
    found = json.loads(run("sign", "--json"))
    assert (found["seq"], found["sha256"]) == (last.seq, last.sha256)
    assert "up to its last line" in run("sign")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (["--kind", "smok"], "no such kind; expected one of data_quality,"),
        (["--since", "yesterday"], "expected 2026-01-31 or 2026-01-31T14:30:00Z, got yesterday"),
    ],
)
def test_a_filter_that_means_nothing_is_no_empty_list(filters: list[str], said: str) -> None:
    """A typo finds nothing, which is not the same as there being nothing."""
    done = CliRunner().invoke(app, ["evidence", "list", *filters])
    assert isinstance(done.exception, ParamsError)
    assert said in str(done.exception)


@pytest.mark.usefixtures("store")
def test_logs_past_their_time_go_into_the_archive(tmp_path: Path) -> None:
    """Set aside shadow logs and looks at counters; what is fresh, or still written, stays."""
    now = ManualClock(elapsed_s=180 * DAY_S).now().timestamp()
    files = {
        "shadow/predictions.jsonl": 200,
        "shadow/predictions.jsonl.1": 15,
        "shadow/predictions.jsonl.2": 13,
        "metrics/a.jsonl": 31,
        "metrics/b.jsonl": 29,
    }
    for name, age_d in files.items():
        path = tmp_path / "artifacts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}\n")
        os.utime(path, (now - age_d * DAY_S,) * 2)
    found = json.loads(run("archive", "--apply", "--json"))["files"]
    assert found == ["metrics/a.jsonl", "shadow/predictions.jsonl.1"]
    left = {name for name in files if (tmp_path / "artifacts" / name).exists()}
    assert left == set(files) - set(found)
