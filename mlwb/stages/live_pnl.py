"""Every day: what the scores a server gave would have earned, or what a desk says it earned.

One record a UTC day and version, of kind ``live_pnl``, which the triggers `win_rate` and `sharpe`
are measured from. Told again with the same numbers, a day is not written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from mlwb.core.canonical import digest, digest_file
from mlwb.core.clock import DAY_S, Clock, SystemClock
from mlwb.core.errors import (
    ArtifactNotFoundError,
    DataSchemaError,
    EvidenceMissingError,
    ParamsError,
)
from mlwb.evidence import EvidenceStore, Input, Record, metrics_digest, new_record
from mlwb.inference import LabelField, parse_sidecar
from mlwb.monitor import LIVE_PNL, Alert, Rules, money_alerts, rollback_alerts
from mlwb.params import DataParams, LabelParams, LivePnlParams, Policy, TrainingParams, load_params
from mlwb.registry import Registry
from mlwb.stages._live_fills import FillDay, fill_days, read_fills
from mlwb.stages._live_paper import (
    Answers,
    PaperDay,
    Traded,
    day_start,
    paper_day,
    take_answers,
    traded,
)
from mlwb.stages._live_records import fill_details, fill_metrics, paper_details, paper_metrics
from mlwb.stages._served_lines import prediction_log, served_lines
from mlwb.stages.common import (
    context,
    home_of,
    manifest_of,
    market_inputs,
    market_origin,
    policy_of,
    prepare,
    store_of,
)

__all__ = ["Inputs", "Result", "judge", "load", "measure", "record", "run"]


@dataclass(frozen=True)
class Inputs:
    """What the days are told from.

    Parameters
    ----------
    params : LivePnlParams
        As loaded.
    training : TrainingParams
        Costs, caps and rules of the book.
    days : tuple of date
        UTC days asked for, oldest first; all are over.
    answers : Answers
        What a server answered on them.
    damaged : int
        Lines of the log that cannot be read.
    market : Traded or None
        None where a file of trades is told.
    trades : Path or None
        The file.
    fills : tuple of FillDay
        Its trades, of days that are over.
    """

    params: LivePnlParams
    training: TrainingParams
    days: tuple[date, ...]
    answers: Answers
    damaged: int
    market: Traded | None = None
    trades: Path | None = None
    fills: tuple[FillDay, ...] = ()


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


def load(
    params: LivePnlParams,
    clock: Clock,
    *,
    day: date | None = None,
    trades: Path | None = None,
    equity: float | None = None,
    book: Mapping[str, Any] | None = None,
) -> Inputs:
    """Read the log and the market, or the file of trades.

    Parameters
    ----------
    params : LivePnlParams
        Where the bars are; whose the trades are that do not say.
    clock : Clock
        A day that is not over is not told.
    day : date, optional
        One UTC day; else those of the last ``sharpe_days`` that were not told.
    trades : Path, optional
        A desk's closed trades; see docs/monitoring.md.
    equity : float, optional
        What money in it is divided by.
    book : mapping of str to object, optional
        Costs and caps that differ from params/training.yml: ``{"backtest.max_position": 0.25}``.

    Raises
    ------
    ParamsError
        The day is not over; no market is named; nobody says whose the trades are.
    DataError
        The market or the file of trades cannot be read, or is of another market.
    EvidenceMissingError
        No score was answered on any of the days.
    """
    home = home_of(params.run)
    training: TrainingParams = load_params("training", home.params, overrides=book)
    today = clock.now().astimezone(UTC).date()
    if day is not None and day >= today:
        raise ParamsError("the day is not over", expected=f"before {today}", got=str(day))
    if trades is not None:
        return _with_trades(params, training, trades, equity, day=day, today=today)
    days = (day,) if day else _untold(params, today)
    answers, damaged = _answers(params, days)
    found = Inputs(params, training, days, answers, damaged)
    if not days:
        return found
    if not any(answers.versions(item) for item in days):
        raise EvidenceMissingError(
            f"no score was answered from {days[0]} to {days[-1]}",
            got=", ".join(f"{n} rows {why}" for why, n in answers.left_out.items() if n) or "none",
            todo="serve a version: mlwb serve; or tell a desk's trades: --trades FILE",
        )
    return replace(found, market=_market(params, training))


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


def _with_trades(
    params: LivePnlParams,
    training: TrainingParams,
    path: Path,
    equity: float | None,
    *,
    day: date | None,
    today: date,
) -> Inputs:
    fills = [
        fill
        for fill in read_fills(path, equity=equity)
        if fill.closed.date() < today and day in (None, fill.closed.date())
    ]
    unsaid = tuple(sorted({fill.closed.date() for fill in fills if not fill.version}))
    answers, damaged = _answers(params, unsaid) if unsaid else (Answers(), 0)
    versions = {item: _behind(params, answers, item) for item in unsaid}
    days = fill_days(fills, versions)
    return Inputs(
        params,
        training,
        tuple(dict.fromkeys(item.day for item in days)),
        answers,
        damaged,
        trades=path,
        fills=days,
    )


def _behind(params: LivePnlParams, answers: Answers, day: date) -> str:
    """The version behind trades of a day."""
    answered = answers.versions(day)
    if params.run.model_version:
        return params.run.model_version
    if len(answered) == 1:
        return answered[0]
    raise ParamsError(
        f"nobody says which version the trades of {day} are of",
        expected="a column `version`, --version, or one version that answered that day",
        got=", ".join(answered) or "none answered",
    )


def _untold(params: LivePnlParams, today: date) -> tuple[date, ...]:
    """Days of the window of the Sharpe ratio of which there is no record."""
    told = {run_id.rpartition("_pnl-")[2][:10] for run_id in _told(store_of(params.run))}
    n = Rules.of(policy_of(params.run)).sharpe_days
    days = [today - timedelta(days=back) for back in range(n, 0, -1)]
    return tuple(item for item in days if str(item) not in told)


def _answers(params: LivePnlParams, days: Sequence[date]) -> tuple[Answers, int]:
    if not days:
        return Answers(), 0
    n_damaged = 0

    def damaged() -> None:
        nonlocal n_damaged
        n_damaged += 1

    lines = served_lines(prediction_log(home_of(params.run)), damaged)
    found = take_answers(lines, day_start(days[0]), day_start(days[-1]) + DAY_S)
    return found, n_damaged


def _market(params: LivePnlParams, training: TrainingParams) -> Traded:
    chosen = params.data
    if not chosen.source:
        raise ParamsError(
            "no market to trade the scores on",
            expected="the file of bars that is served",
            todo="name it: --data FILE, or data.source in params/live_pnl.yml",
        )
    made = training.data
    data = DataParams(chosen.source, chosen.profile, chosen.symbol, days=made.days, seed=made.seed)
    prepared = prepare(data, ("spread_bp",), training.window)
    return traded(prepared, training, is_live=market_origin(prepared) == "replay")


def _paper(inputs: Inputs, day: date, version: str) -> PaperDay | str:
    """A day on paper, or why it cannot be told yet."""
    market = inputs.market
    if market is None:
        return "no market is named"
    try:
        label = _label(inputs, version)
    except ArtifactNotFoundError:
        return f"{version} is not in the registry any more"
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
    registry = _registry(inputs.params)
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


def _registry(params: LivePnlParams) -> Registry:
    return Registry(home_of(params.run).models, clock=SystemClock())


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
    label = _sidecar(_registry(params), found.version).kind
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


def _told(store: EvidenceStore) -> list[str]:
    """Run ids of all days told so far."""
    return [entry.run_id for entry in store.index() if entry.kind == LIVE_PNL]


def _kept(store: EvidenceStore, made: Record) -> Record:
    """The record as it stands: the one of before where it says the same of the same source."""
    about = f"_{made.model_version}_pnl-{made.details['date']}_"
    told = store.read_each(run_id for run_id in _told(store) if about in run_id)
    same = [item for item in told if item.details["source"] == made.details["source"]]
    if same and metrics_digest(same[-1]) == metrics_digest(made):
        return same[-1]
    store.write(made)
    return store.read(made.run_id)
