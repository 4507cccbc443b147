"""What a server logged, computed again: none differs, and one that does is found."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app as cli
from mlwb.core.clock import ManualClock
from mlwb.core.errors import DataSchemaError, EmptyWindowError, EvidenceMissingError
from mlwb.core.featurelog import FeatureLine, encode_features, read_features
from mlwb.gates import Outcome
from mlwb.params import ReplayParams, load_params, load_policy
from mlwb.stages import served_features
from mlwb.stages._served import OBSERVE, bar_bodies
from mlwb.stages.common import home_of, store_of
from mlwb.stages.market import prepare
from tests.serve.asgi_kit import request, running
from tests.serve.observe_kit import FEATURES, observing, write_observed
from tests.stages.conftest import PARAMS

VERSION, DAYS, SINGLE = "v1.0.0", 3, 80
Change = Callable[[list[FeatureLine]], Sequence[FeatureLine]]


def params_of(home: Path, **overrides: object) -> ReplayParams:
    """A small synthetic market and the version."""
    given = {"data.days": DAYS, "run.model_version": VERSION, **overrides}
    params = load_params("replay", PARAMS, overrides=given)
    assert isinstance(params, ReplayParams)
    return replace(params, run=replace(params.run, home=str(home)))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose server has been sent the market's bars, the last of them one by one."""
    home = tmp_path_factory.mktemp("served")
    params = params_of(home)
    prepared = prepare(params.data, FEATURES, params.window)
    write_observed(home_of(params.run).models)
    log = home_of(params.run).artifacts / "features.jsonl"
    app = observing(home_of(params.run).models, prepared.bars, feature_log=log)

    async def send() -> None:
        async with running(app):
            for body in bar_bodies(prepared.market.symbol, prepared.bars, SINGLE):
                assert (await request(app, OBSERVE, body)).status == 200

    asyncio.run(send())
    return home


def log_of(home: Path) -> Path:
    """The feature log of a home."""
    return home_of(params_of(home).run).artifacts / "features.jsonl"


def changed(home: Path, to: Path, change: Change) -> Path:
    """A copy of the log, changed."""
    to.write_bytes(b"".join(map(encode_features, change(list(read_features(log_of(home)))))))
    return to


def test_none_differs(served: Path) -> None:
    """Every row the server scored comes out of the market with the same bits."""
    inputs = served_features.load(params_of(served))
    found = served_features.measure(inputs)
    assert (found.mismatches, found.rows_outside) == (0, 0)
    assert found.rows > SINGLE  # and those that ended a request of history
    assert found.values == found.rows * len(FEATURES)
    (record,) = served_features.record(inputs, found, ManualClock())
    assert store_of(inputs.params.run).newest("served_features") == record
    assert (record.kind, record.origin, record.model_version) == (
        "served_features",
        "simulated",
        VERSION,
    )
    assert {item.role for item in record.inputs} == {"market", "feature_log"}
    policy = load_policy(PARAMS / "policy.yml")
    verdict = served_features.judge([record], inputs.params, policy, ManualClock())
    outcomes = {check.id: check.outcome for check in verdict.checks}
    assert outcomes["parity.served_mismatches"] is Outcome.PASS
    assert verdict.outcome is Outcome.MISSING  # the rest of parity was not measured


def test_one_bit_is_found(served: Path, tmp_path: Path) -> None:
    """The value, its bar and both sides are named, and the gate says no."""

    def one(lines: list[FeatureLine]) -> list[FeatureLine]:
        values = list(lines[7].values)
        values[3] = math.nextafter(values[3], 9.0)
        return [*lines[:7], replace_values(lines[7], values), *lines[8:]]

    inputs = served_features.load(params_of(served), log=changed(served, tmp_path / "f", one))
    found = served_features.measure(inputs)
    assert found.mismatches == 1
    (difference,) = found.differences
    assert difference.feature == FEATURES[3]
    assert float(difference.served) == math.nextafter(float(difference.offline), 9.0)
    (record,) = served_features.record(inputs, found, ManualClock())
    policy = load_policy(PARAMS / "policy.yml")
    verdict = served_features.judge([record], inputs.params, policy, ManualClock())
    assert {c.id: c.outcome for c in verdict.checks}["parity.served_mismatches"] is Outcome.FAIL


def replace_values(line: FeatureLine, values: Sequence[float]) -> FeatureLine:
    """The line with other values."""
    return FeatureLine(
        line.ts, line.route, line.symbol, line.model_version, line.schema_crc32, tuple(values)
    )


def moved(line: FeatureLine, **changes: object) -> FeatureLine:
    """The line with some fields otherwise."""
    fields = {name: getattr(line, name) for name in line.__struct_fields__}
    return FeatureLine(**{**fields, **changes})


SPOILERS: dict[str, tuple[Change, int]] = {
    "a bar the market has not": (
        lambda lines: [moved(lines[0], ts=lines[0].ts + timedelta(seconds=30))],
        len(FEATURES),
    ),
    "another schema": (lambda lines: [moved(lines[0], schema_crc32="00000000")], len(FEATURES)),
    "a value too few": (
        lambda lines: [replace_values(lines[0], lines[0].values[:-1])],
        len(FEATURES),
    ),
    "another bar's values": (
        lambda lines: [replace_values(lines[0], [0.5] * len(FEATURES))],
        len(FEATURES),
    ),
}


@pytest.mark.parametrize("how", SPOILERS)
def test_what_is_not_the_markets_counts(served: Path, tmp_path: Path, how: str) -> None:
    """A row that cannot have come from this market differs throughout."""
    change, expected = SPOILERS[how]
    log = changed(served, tmp_path / "f", change)
    found = served_features.measure(served_features.load(params_of(served), log=log))
    assert (found.rows, found.mismatches) == (1, expected)
    assert len(found.differences) == min(expected, 5)


def test_rows_of_others_are_passed_over(served: Path, tmp_path: Path) -> None:
    """Other symbols, other versions and rows that were sent are not this server's features."""
    log = changed(
        served,
        tmp_path / "f",
        lambda lines: [
            moved(lines[0], symbol="OTHER"),
            moved(lines[0], model_version="v9"),
            moved(lines[0], route="/ml/predict", symbol=""),
            lines[1],
        ],
    )
    assert served_features.measure(served_features.load(params_of(served), log=log)).rows == 1
    other = served_features.load(params_of(served), log=log, symbol="OTHER")
    assert served_features.measure(other).rows == 1


@pytest.mark.parametrize("days", [-3, 30])
def test_rows_outside_of_the_market_prove_nothing(served: Path, tmp_path: Path, days: int) -> None:
    """Before its features are warm, or after its end: said, and no evidence of nothing."""
    log = changed(
        served,
        tmp_path / "f",
        lambda lines: [moved(line, ts=line.ts + timedelta(days=days)) for line in lines],
    )
    with pytest.raises(EmptyWindowError, match="rows outside"):
        served_features.measure(served_features.load(params_of(served), log=log))


def test_what_is_missing_is_said(served: Path, tmp_path: Path) -> None:
    """No log; a market that has other features than the version."""
    with pytest.raises(EvidenceMissingError, match="no feature log"):
        served_features.load(params_of(served), log=tmp_path / "none")
    write_observed(
        home_of(params_of(served).run).models, "v2", ("bias", "spread_bp"), spread="estimated"
    )
    with pytest.raises(DataSchemaError, match="does not give the features of v2"):
        served_features.load(params_of(served, **{"run.model_version": "v2"}))


def test_the_command(served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 0 and the counts; exit 1 and the differences; JSON for machines."""
    monkeypatch.setenv("MLWB_HOME", str(served))
    given = ["features", "served", "--version", VERSION, "-p", f"data.days={DAYS}"]
    done = CliRunner().invoke(cli, given)
    assert (done.exit_code, "0 of" in done.stdout) == (0, True)
    spoilt = changed(served, tmp_path / "f", lambda lines: [replace_values(lines[0], [0.5] * 5)])
    done = CliRunner().invoke(cli, [*given, "--log", str(spoilt)])
    assert done.exit_code == 1
    assert "from the market" in done.stdout
    assert "mid_logret_5m" in done.stdout
    told = json.loads(CliRunner().invoke(cli, [*given, "--log", str(spoilt), "--json"]).stdout)
    assert told["pass"] is False
    assert told["record"]["kind"] == "served_features"


def test_bars_no_server_takes_are_left_out(served: Path) -> None:
    """A price that is missing, or beyond high and low, is not sent; the rest is, in order."""
    prepared = prepare(params_of(served).data, FEATURES, params_of(served).window)
    bars = prepared.bars[:10].copy()
    bars[2, 2] = np.nan
    bars[4, 5] = bars[4, 3] * 2
    sent = [json.loads(body) for body in bar_bodies("X", bars, 3)]
    assert [len(each.get("bars", [0])) for each in sent] == [5, 1, 1, 1]
