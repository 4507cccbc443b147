"""Live drift: every scored row is counted once, whatever happens to worker, disk and clock."""

from __future__ import annotations

import asyncio
import errno
import json
import math
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlwb.core.arrays import Float2D
from mlwb.core.clock import ManualClock
from mlwb.drift import (
    SCORE,
    CheckNote,
    FeatureReference,
    count_blocks,
    hours_to_blocks,
    psi_of_counts,
    read_live_hours,
)
from mlwb.drift.calibration import block_null
from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve import _count_file as count_file
from mlwb.serve import _drift as drift_module
from mlwb.serve._count_file import CountFile
from tests.inference.version_kit import (
    NAMES,
    WEIGHTS,
    add_reference,
    logistic,
    point,
    rewrite,
    sidecar_for,
    write_version,
)
from tests.serve.asgi_kit import call, running

Frozen = dict[str, FeatureReference]


@pytest.fixture
def frozen(models: Path) -> Frozen:
    """The reference of `v1.0.0`, published with it."""
    return add_reference(models / "v1.0.0")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where counts are kept."""
    return tmp_path / "artifacts" / "drift"


def _rows(n: int, seed: int = 3) -> Float2D:
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [np.ones(n), rng.uniform(-0.5, 0.5, n), rng.uniform(0, 50, n), rng.uniform(-2, 2, n)]
    )


def _send(app: App, rows: Float2D, path: str = "/ml/predict") -> None:
    body = {"features": rows[0].tolist()} if len(rows) == 1 else {"rows": rows.tolist()}
    assert call(app, path, json.dumps(body).encode()).status == 200


def _counted(app: App) -> int:
    """Rows held for the version that answers, those of other workers included."""
    drift = app.state.drift.current
    assert drift is not None
    hours = [*drift.counts.hours.values(), *drift.others.values()]
    return sum(sum(table[-1]) for table in hours)


def _report(app: App) -> dict[str, Any]:
    found: dict[str, Any] = call(app, "/ml/monitoring/drift").json()
    return found


def _gauges(app: App) -> dict[str, float]:
    text = call(app, "/ml/metrics").body.decode()
    return {
        sample.labels.get("feature", sample.name): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name.startswith(("ml_psi", "ml_drift"))
    }


@contextmanager
def _full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Half of what is written stands on disk, then there is no room."""
    write = os.write

    def refuse(descriptor: int, data: bytes) -> int:
        write(descriptor, bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        yield


def test_what_is_served_is_what_is_counted(
    models: Path, frozen: Frozen, clock: ManualClock
) -> None:
    """Oracle: `count_blocks` on the rows sent, single and in batches, and on their scores."""
    app = create_app(ServeSettings(models), clock=clock)
    rows, stamps, place = _rows(200), list[int](), 0
    for size in (1, 1, 40, 3, 1, 100, 31, 23):
        _send(app, rows[place : place + size])
        stamps += [int(clock.now().timestamp())] * size
        place += size
        clock.advance(5_000)
    drift = app.state.drift.current
    assert drift is not None
    columns = np.column_stack([rows, logistic(rows, WEIGHTS)])
    for column, name in enumerate((*NAMES, SCORE)):
        edges = frozen[name].bins.edges
        expected = count_blocks(edges, columns[:, column], np.array(stamps))
        found = hours_to_blocks(drift.counts.hours, column)
        np.testing.assert_array_equal(found.counts, expected.counts)
        np.testing.assert_array_equal(found.by_hour, expected.by_hour)


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize(
    "body",
    [
        b'{"features":[1,1e400,2,0]}',
        b'{"features":[1,NaN,2,0]}',
        b'{"features":[1,null,2,0]}',
        b'{"features":[1,0.6,2,0]}',
        b'{"rows":[[1,0.1,2,0],[1,9,2,0]]}',
        b"{",
    ],
)
def test_what_is_refused_is_not_counted(models: Path, body: bytes) -> None:
    """NaN, infinities and values out of range end before the counters, whole batches too."""
    app = create_app(ServeSettings(models))
    assert call(app, "/ml/predict", body).status in (400, 422)
    assert _counted(app) == 0


@pytest.mark.usefixtures("frozen")
def test_a_shadowed_row_is_counted_once(models: Path) -> None:
    """The candidate scores it too; its drift is not what is watched."""
    add_reference(write_version(models, "v2.0.0"))
    point(models, "candidate", "v2.0.0")
    app = create_app(ServeSettings(models))
    _send(app, _rows(1), "/ml/predict-with-shadow")
    _send(app, _rows(2), "/ml/predict-with-shadow")
    assert _counted(app) == 3


def test_a_whole_day_gives_the_index(models: Path, frozen: Frozen, clock: ManualClock) -> None:
    """NaN before three quarters of a day were seen, then PSI of the counts of 24 clock hours."""
    app = create_app(ServeSettings(models), clock=clock)
    rows = _rows(24 * 40)
    rows[:, 2] /= 2
    for hour in range(24):
        _send(app, rows[40 * hour : 40 * hour + 40])
        found = _gauges(app)
        assert math.isnan(found["spread_bp"]) == (hour < 17)
        clock.advance(3_600 if hour < 23 else 0)
    for column, name in enumerate(NAMES):
        expected = psi_of_counts(
            name,
            frozen[name].bins.counts,
            count_blocks(frozen[name].bins.edges, rows[:, column], np.zeros(960, np.int64)).total,
        )
        assert found[name] == expected.value
    assert found["spread_bp"] > 0.5 > found["rsi14_z"]
    assert found["ml_psi_rows"] == 960
    assert math.isnan(found["ml_drift_evalue"])


@pytest.mark.usefixtures("frozen")
def test_the_window_moves_on(models: Path, clock: ManualClock) -> None:
    """A row is in the day for 24 clock hours and in the week for 168."""
    app = create_app(ServeSettings(models), clock=clock)
    _send(app, _rows(1))
    for advanced, day, week in ((23, 1, 1), (1, 0, 1), (143, 0, 1), (1, 0, 0)):
        clock.advance(3_600 * advanced)
        found = _report(app)
        assert (found["rows_24h"], found["rows_7d"]) == (day, week)


@pytest.mark.usefixtures("frozen")
def test_the_page_of_the_moment(models: Path, clock: ManualClock) -> None:
    """Version, reference, rows, and for each feature both windows and what chance gives."""
    app = create_app(ServeSettings(models), clock=clock)
    assert _report(app)["features"][0]["psi_24h"] is None
    _send(app, _rows(50))
    clock.advance(2)
    found = _report(app)
    assert (found["status"], found["reason"], found["model_version"]) == ("on", "", "v1.0.0")
    assert (found["rows_24h"], found["hours_24h"], found["is_enough"]) == (50, 1, False)
    assert found["covered_share_24h"] == pytest.approx(1 / 24)
    assert [item["name"] for item in found["features"]] == [*NAMES, SCORE]
    spread = found["features"][2]
    assert spread["psi_24h"] == spread["psi_7d"] > 0
    assert spread["noise_floor_24h"] == pytest.approx(9 * (1 / 11_520 + 1 / 50))
    assert (spread["missing_24h"], spread["infinite_24h"]) == (0, 0)


def test_ten_features_stay_below_a_hundred_series(tmp_path: Path) -> None:
    """After every kind of answer and with a candidate."""
    models, names = tmp_path / "models", [f"feature_{index}" for index in range(10)]
    weights = [0.1] * 10
    for version in ("v1", "v2"):
        sidecar = sidecar_for(version, names)
        add_reference(write_version(models, version, weights=weights, sidecar=sidecar), weights)
    point(models, "latest", "v1")
    point(models, "candidate", "v2")
    app = create_app(ServeSettings(models))
    middle = [(field.low + field.high) / 2 for field in sidecar.features]
    for body in (json.dumps({"features": middle}).encode(), b"{"):
        call(app, "/ml/predict-with-shadow", body)
    text = call(app, "/ml/metrics").body.decode()
    series = [line for line in text.splitlines() if not line.startswith("#")]
    assert sum(line.startswith("ml_psi_score{") for line in series) == 11
    assert len(series) < 100


def test_a_version_without_a_reference_is_served(app: App) -> None:
    """Drift is off and says why; nothing else changes."""
    _send(app, _rows(1))
    assert _report(app) == {"status": "off", "reason": "artifact.incomplete", "lost": 0}
    assert _gauges(app)["ml_psi_rows"] == 0


@pytest.mark.usefixtures("frozen")
def test_a_changed_reference_is_not_used(models: Path) -> None:
    """A bit flipped after publication: served, not measured."""
    path = models / "v1.0.0" / "reference_distributions.json"
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    app = create_app(ServeSettings(models))
    _send(app, _rows(1))
    assert _report(app)["reason"] == "artifact.digest_mismatch"


@pytest.mark.usefixtures("frozen")
def test_a_reference_of_other_features_is_not_used(models: Path) -> None:
    """Its columns would be counted into the wrong bins."""
    sidecar = sidecar_for("v1.0.0", (*NAMES[:3], "another"))
    fields = json.loads(sidecar.to_json())
    rewrite(models / "v1.0.0", "sidecar.json", fields)
    app = create_app(ServeSettings(models))
    _send(app, _rows(1))
    assert _report(app)["reason"] == "reference_mismatch"


@pytest.mark.usefixtures("frozen")
def test_a_restart_goes_on(models: Path, kept: Path, clock: ManualClock) -> None:
    """A server that ends in order loses nothing, and the next one writes to the same file."""
    settings = ServeSettings(models, drift_dir=kept)
    for round_ in range(3):
        app = create_app(settings, clock=clock)
        assert _counted(app) == 5 * round_

        async def serve(app: App = app) -> None:
            async with running(app):
                await asyncio.to_thread(_send, app, _rows(5))

        asyncio.run(serve())
        clock.advance(1_800)
    assert [path.name for path in kept.glob("v1.0.0/*.jsonl")] == ["0.jsonl"]


@pytest.mark.usefixtures("frozen")
def test_hours_to_come_do_not_push_out_those_of_now(
    models: Path, kept: Path, clock: ManualClock
) -> None:
    """A clock that was a year ahead for ten days has left hours that nobody can have served."""
    settings = ServeSettings(models, drift_dir=kept)
    app = create_app(settings, clock=clock)
    _send(app, _rows(1))
    app.state.drift.close()
    path = kept / "v1.0.0" / "0.jsonl"
    line = json.loads(path.read_text())
    ahead = [{**line, "hour": line["hour"] + 8_760 + hour} for hour in range(240)]
    with path.open("a") as handle:
        handle.writelines(json.dumps(item) + "\n" for item in ahead)
    app = create_app(settings, clock=clock)
    for _ in range(3):
        clock.advance(3_600)
        _send(app, _rows(2))
        app.state.drift.write()
    assert _report(app)["rows_24h"] == 1 + 3 * 2
    log = read_live_hours(kept, "v1.0.0", *_key(app))
    assert len(log.hours) == 4 + 240


@pytest.mark.usefixtures("frozen")
def test_a_killed_server_loses_what_it_had_not_written(
    models: Path, kept: Path, clock: ManualClock
) -> None:
    """Kill -9 after a write and before the next, in the middle of a line: the rest is there."""
    child = os.fork()
    if child == 0:
        app = create_app(ServeSettings(models, drift_dir=kept), clock=clock)
        _send(app, _rows(7))
        app.state.drift.write()
        _send(app, _rows(2))
        with (kept / "v1.0.0" / "0.jsonl").open("ab") as handle:
            handle.write(b'{"version":"v1.0')
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    app = create_app(ServeSettings(models, drift_dir=kept), clock=clock)
    assert _counted(app) == 7
    assert _report(app)["damaged_lines"] == 1
    _send(app, _rows(1))
    app.state.drift.close()
    log = read_live_hours(kept, "v1.0.0", *_key(app))
    assert sum(sum(table[-1]) for table in log.hours.values()) == 8
    assert log.damaged == 0


def _key(app: App) -> tuple[str, tuple[int, ...]]:
    drift = app.state.drift.current
    assert drift is not None
    return drift.digest, drift.counts.shape


@pytest.mark.usefixtures("frozen")
def test_workers_show_the_whole_traffic(models: Path, kept: Path) -> None:
    """Each writes a file of its own; what one wrote the other shows; a third finds both."""
    first, second = (create_app(ServeSettings(models, drift_dir=kept)) for _ in range(2))
    _send(first, _rows(3))
    _send(second, _rows(40))
    for app in (first, second, first):
        app.state.drift.write()
    assert _counted(first) == _counted(second) == 43
    assert _report(first)["rows_24h"] == _gauges(second)["ml_psi_rows"] == 43
    first.state.drift.close()
    third = create_app(ServeSettings(models, drift_dir=kept))
    assert _counted(third) == 43
    assert sorted(path.name for path in kept.glob("v1.0.0/*.jsonl")) == ["0.jsonl", "1.jsonl"]
    for app in (second, third):
        app.state.drift.close()


@pytest.mark.usefixtures("frozen")
def test_another_version_starts_anew_and_a_rollback_goes_on(models: Path, kept: Path) -> None:
    """In the middle of an hour; a request that began on the old version counts for it."""
    add_reference(write_version(models, "v2.0.0"), seed=2)
    app = create_app(ServeSettings(models, drift_dir=kept))
    _send(app, _rows(4))
    point(models, "latest", "v2.0.0")
    app.state.refresh()
    assert _counted(app) == 0
    _send(app, _rows(2))
    rows = [tuple(row) for row in _rows(3).tolist()]
    app.state.drift.count("v1.0.0", rows, [0.5] * 3, app.state.clock.now().timestamp())
    app.state.drift.count("v0.0.0", rows, [0.5] * 3, app.state.clock.now().timestamp())
    assert _counted(app) == 2
    point(models, "latest", "v1.0.0")
    app.state.refresh()
    assert _counted(app) == 7
    app.state.drift.close()
    found = {
        version: read_live_hours(kept, version, *_key(app)) for version in ("v1.0.0", "v2.0.0")
    }
    assert sum(sum(table[-1]) for table in found["v1.0.0"].hours.values()) == 7
    assert found["v2.0.0"].foreign == 1


@pytest.mark.usefixtures("frozen")
def test_a_clock_that_steps_back_counts_where_it_says(
    models: Path, kept: Path, clock: ManualClock
) -> None:
    """Across a block, with writes in between: every row is there once, before and after."""
    app = create_app(ServeSettings(models, drift_dir=kept), clock=clock)
    for step in (25_000, -7_000, -7_000, 14_000):
        clock.advance(step)
        _send(app, _rows(2))
        app.state.drift.write()
    app.state.drift.close()
    log = read_live_hours(kept, "v1.0.0", *_key(app))
    assert [sum(table[-1]) for table in log.hours.values()] == [2, 2, 4]
    blocks = hours_to_blocks(log.hours, 0)
    assert blocks.counts.sum(axis=1).tolist() == [4, 4]


@pytest.mark.usefixtures("frozen")
def test_a_full_disk_does_not_stop_the_answers(
    models: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metric says so; when there is room again everything is written, also the torn line."""
    app = create_app(ServeSettings(models, drift_dir=kept))
    _send(app, _rows(2))
    app.state.drift.write()
    with _full_disk(monkeypatch):
        _send(app, _rows(3))
        app.state.drift.write()
        app.state.drift.write()
    assert _gauges(app)["ml_drift_write_failures_total"] >= 1
    app.state.drift.write()
    log = read_live_hours(kept, "v1.0.0", *_key(app))
    assert sum(sum(table[-1]) for table in log.hours.values()) == 5
    assert log.damaged == 0


@pytest.mark.usefixtures("frozen")
def test_a_folder_that_comes_later_takes_everything(
    models: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No place to write at the start; once there is, the rows of before are written too."""
    monkeypatch.setattr(drift_module, "_WRITE_S", 0.01)
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b"in the way")
    app = create_app(ServeSettings(models, drift_dir=kept))

    async def serve() -> None:
        async with running(app):
            await asyncio.to_thread(_send, app, _rows(2))
            while app.state.drift.lost < 3:
                await asyncio.sleep(0.01)
            kept.unlink()
            while not list(kept.glob("v1.0.0/0.jsonl")):
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(serve(), 5))
    log = read_live_hours(kept, "v1.0.0", *_key(app))
    assert sum(sum(table[-1]) for table in log.hours.values()) == 2


@pytest.mark.usefixtures("frozen")
def test_versions_long_gone_are_let_go(
    models: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their rows are written and their files are free for others."""
    monkeypatch.setattr(drift_module, "_WRITE_S", 0.01)
    app = create_app(ServeSettings(models, drift_dir=kept))
    digest, shape = _key(app)

    async def serve() -> None:
        async with running(app):
            await asyncio.to_thread(_send, app, _rows(2))
            for version in ("v2", "v3"):
                add_reference(write_version(models, version))
                point(models, "latest", version)
                app.state.refresh()
            while (file := CountFile.take(kept / "v1.0.0")) is None or file.path.stem != "0":
                if file is not None:
                    file.close()
                await asyncio.sleep(0.01)
            file.close()

    asyncio.run(asyncio.wait_for(serve(), 5))
    log = read_live_hours(kept, "v1.0.0", digest, shape)
    assert sum(sum(table[-1]) for table in log.hours.values()) == 2


@pytest.mark.usefixtures("frozen")
def test_tidying_keeps_the_hours_of_before_a_restart(
    models: Path, kept: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is written anew with what an earlier worker had left in it."""
    monkeypatch.setattr(count_file, "_MAX_APPENDED", 1)
    for _ in range(2):
        app = create_app(ServeSettings(models, drift_dir=kept), clock=clock)
        for _ in range(3):
            _send(app, _rows(1))
            app.state.drift.write()
        app.state.drift.close()
        clock.advance(3_600)
    log = read_live_hours(kept, "v1.0.0", *_key(app))
    assert [sum(table[-1]) for table in log.hours.values()] == [3, 3]


def test_a_long_file_is_tidied(kept: Path) -> None:
    """One line an hour after many writes; an hour more than a month old is dropped."""
    file = CountFile.take(kept)
    assert file is not None
    for turn in range(500):
        file.write({turn // 60: b"%d" % turn})
    assert len(file.path.read_bytes().splitlines()) < 300
    file.write(dict.fromkeys(range(1000), b"x"))
    file.adopt(dict.fromkeys(range(1000), b"y"))
    file.write({1_000: b"z"})
    assert len(file.path.read_bytes().splitlines()) == 24 * 31
    file.close()


@pytest.mark.usefixtures("frozen")
def test_the_daily_check_is_shown(models: Path, kept: Path, clock: ManualClock) -> None:
    """Its note is read beside the counts; one about another reference is not."""
    app = create_app(ServeSettings(models, drift_dir=kept), clock=clock)
    CheckNote("v1.0.0", "sha256:other", "2026-01-02", 9.0).write(kept)
    app.state.drift.write()
    clock.advance(timedelta(seconds=2).total_seconds())
    assert _report(app)["e_value"] is None
    CheckNote("v1.0.0", _key(app)[0], "2026-01-02", 2.5).write(kept)
    app.state.drift.write()
    assert _gauges(app)["ml_drift_evalue"] == 2.5
    assert (_report(app)["e_value"], _report(app)["checked_day"]) == (2.5, "2026-01-02")


def test_what_chance_alone_gives(models: Path) -> None:
    """Beside each PSI stands what windows of the reference stay below: the law of the reports."""
    references = add_reference(models / "v1.0.0", days=24)
    app = create_app(ServeSettings(models))
    for shown in _report(app)["features"]:
        daily = references[shown["name"]].blocks.daily
        day, week = (block_null("x", daily, window_blocks=days).limit95 for days in (1, 7))
        assert shown["chance95_24h"] == pytest.approx(day, rel=1e-7)
        assert shown["chance95_7d"] == pytest.approx(week, rel=1e-7)


def test_a_short_reference_says_nothing_of_chance(models: Path) -> None:
    """Eight days hold no two weeks: null, and the day is judged all the same."""
    add_reference(models / "v1.0.0", days=8)
    (shown, *_) = _report(create_app(ServeSettings(models)))["features"]
    assert shown["chance95_7d"] is None
    assert shown["chance95_24h"] is not None
