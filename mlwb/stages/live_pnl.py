"""Every day: what the scores a server gave would have earned, or what a desk says it earned.

One record a UTC day and version, of kind ``live_pnl``, which the triggers `win_rate` and `sharpe`
are measured from. Told again with the same numbers, a day is not written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from mlwb.core.canonical import digest, digest_file
from mlwb.core.clock import DAY_S, Clock
from mlwb.core.errors import (
    ArtifactNotFoundError,
    DataSchemaError,
)
from mlwb.evidence import EvidenceStore, Input, Record, metrics_digest, new_record
from mlwb.inference import LabelField, parse_sidecar
from mlwb.monitor import LIVE_PNL, Alert, money_alerts, rollback_alerts
from mlwb.params import LabelParams, LivePnlParams, Policy
from mlwb.registry import Registry
from mlwb.stages._live_fills import FillDay
from mlwb.stages._live_inputs import Inputs, load, told_days
from mlwb.stages._live_paper import (
    PaperDay,
    day_start,
    paper_day,
)
from mlwb.stages._live_records import fill_details, fill_metrics, paper_details, paper_metrics
from mlwb.stages._served_lines import prediction_log
from mlwb.stages.common import context, home_of, manifest_of, registry_of, store_of
from mlwb.stages.market import market_inputs

__all__ = ["Inputs", "Result", "judge", "load", "measure", "record", "run"]


@dataclass(frozen=True)
class Result:
    """The days that could be told.

    Parameters
    ----------
    paper : tuple of PaperDay
        On paper.
    fills : tuple of FillDay
        Of the desk.
    waiting : tuple of (date, str)
        Days that could not be told yet, each with the reason.
    """

    paper: tuple[PaperDay, ...] = ()
    fills: tuple[FillDay, ...] = ()
    waiting: tuple[tuple[date, str], ...] = ()


def measure(inputs: Inputs) -> Result:
    """Trade each day on paper, as far as its horizon is over; or take the desk's trades."""
    if inputs.trades is not None:
        return Result(fills=inputs.fills)
    paper: list[PaperDay] = []
    waiting: list[tuple[date, str]] = []
    for day in inputs.days:
        for version in inputs.answers.versions(day):
            found = _paper(inputs, day, version)
            if isinstance(found, str):
                waiting.append((day, found))
            else:
                paper.append(found)
    return Result(tuple(paper), (), tuple(dict.fromkeys(waiting)))


def record(
    inputs: Inputs, result: Result, params: LivePnlParams, clock: Clock
) -> tuple[Record, ...]:
    """Write each day; one told before with the same numbers comes back as it is."""
    store = store_of(params.run)
    return tuple(_kept(store, made) for made in _records(inputs, result, params, clock))


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> tuple[Alert, ...]:
    """Hold the days of a version, that of the last of them, against the two triggers."""
    money = money_alerts(records, records[-1].model_version, policy, now=clock.now())
    asked = rollback_alerts({}, policy, money=money)
    return tuple(item for item in asked if item.id.partition(".")[2] in money)


def run(params: LivePnlParams, policy: Policy, clock: Clock) -> tuple[Alert, ...]:
    """All four verbs."""
    inputs = load(params, clock)
    return judge(record(inputs, measure(inputs), params, clock), policy, clock)


def _paper(inputs: Inputs, day: date, version: str) -> PaperDay | str:
    """A day on paper, or why it cannot be told yet."""
    market = inputs.market
    if market is None:
        return "no market is named"
    try:
        label = _label(inputs, version)
    except ArtifactNotFoundError:
        return f"{version} is not in the registry any more"
    if market.from_s > day_start(day):
        begins = datetime.fromtimestamp(market.from_s, UTC)
        return f"the market begins at {begins:%Y-%m-%d %H:%M} UTC, within the day or after it"
    known_from = day_start(day) + DAY_S + label.horizon_s
    if market.until_s < known_from:
        until = datetime.fromtimestamp(market.until_s, UTC)
        return f"the market ends at {until:%Y-%m-%d %H:%M} UTC, before the last horizon of the day"
    params = replace(inputs.training, label=label)
    scores = inputs.answers.of(version, day)
    found = paper_day(market, scores, day, version=version, params=params)
    return found or "the market has no bars with a price"


def _label(inputs: Inputs, version: str) -> LabelParams:
    """The label of a version, with the barriers it was trained with."""
    registry = registry_of(inputs.params.run)
    sidecar = _sidecar(registry, version)
    told = manifest_of(registry, version)
    symbol = told.get("kinship", {}).get("symbol", "")
    if inputs.market and symbol not in ("", inputs.market.prepared.market.symbol):
        raise DataSchemaError(
            f"{version} was trained on another market",
            expected=symbol,
            got=inputs.market.prepared.market.symbol,
            todo="name the market it serves: --data, data.symbol",
        )
    known = {name: told["label"][name] for name in told.get("label", {})}
    trained = replace(inputs.training.label, **known)
    return replace(trained, kind=sidecar.kind, horizon_s=sidecar.horizon_s)


def _sidecar(registry: Registry, version: str) -> LabelField:
    return parse_sidecar((registry.resolve(version) / "sidecar.json").read_bytes()).label


def _records(
    inputs: Inputs, result: Result, params: LivePnlParams, clock: Clock
) -> Iterator[Record]:
    market = inputs.market
    for day in result.paper:
        if market is None:
            continue
        prepared = market.prepared
        origin = "live" if market.is_live else "simulated"
        files = (*market_inputs(prepared), _log_input(inputs, day))
        spread = "quoted" if prepared.market.has_quotes else "estimated"
        yield new_record(
            LIVE_PNL,
            paper_metrics(day),
            context(LIVE_PNL, params, clock, version=day.version, origin=origin, inputs=files),
            phase=f"pnl-{day.day}",
            details=paper_details(day, symbol=prepared.market.symbol, spread=spread),
        )
    for found in result.fills:
        yield _fills_record(inputs, found, params, clock)


def _fills_record(inputs: Inputs, found: FillDay, params: LivePnlParams, clock: Clock) -> Record:
    path, n = inputs.trades or Path(), len(found.fills)
    file = Input(role="trades", uri=path.name, sha256=digest_file(path), rows=n)
    label = _sidecar(registry_of(params.run), found.version).kind
    return new_record(
        LIVE_PNL,
        fill_metrics(found),
        context(LIVE_PNL, params, clock, version=found.version, origin="live", inputs=(file,)),
        phase=f"pnl-{found.day}",
        details=fill_details(found, label=label),
    )


def _log_input(inputs: Inputs, day: PaperDay) -> Input:
    """The prediction log by the scores that were traded: the file itself goes on growing."""
    scores = inputs.answers.of(day.version, day.day)
    name = prediction_log(home_of(inputs.params.run)).name
    return Input("prediction_log", name, digest(sorted(scores.items())), len(scores))


def _kept(store: EvidenceStore, made: Record) -> Record:
    """The record as it stands: the one of before where it says the same of the same source."""
    about = f"_{made.model_version}_pnl-{made.details['date']}_"
    told = store.read_each(run_id for run_id in told_days(store) if about in run_id)
    same = [item for item in told if item.details["source"] == made.details["source"]]
    if same and metrics_digest(same[-1]) == metrics_digest(made):
        return same[-1]
    store.write(made)
    return store.read(made.run_id)
