"""What days of trades are told from: a server's log and a market, or a desk's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

from mlwb.core.clock import DAY_S, Clock, format_utc
from mlwb.core.errors import DataSchemaError, EvidenceMissingError, ParamsError
from mlwb.evidence import EvidenceStore
from mlwb.monitor import LIVE_PNL, Rules
from mlwb.params import DataParams, LivePnlParams, TrainingParams, load_params
from mlwb.stages._live_fills import FillDay, fill_days, read_fills
from mlwb.stages._live_paper import Answers, Traded, day_start, take_answers, traded
from mlwb.stages._served_lines import prediction_log, served_lines
from mlwb.stages.common import home_of, policy_of, store_of
from mlwb.stages.market import market_origin, prepare

__all__ = ["Inputs", "load", "told_days"]


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
        The market or the file of trades cannot be read, is of another market, or of days to come.
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


def _with_trades(
    params: LivePnlParams,
    training: TrainingParams,
    path: Path,
    equity: float | None,
    *,
    day: date | None,
    today: date,
) -> Inputs:
    every = read_fills(path, equity=equity)
    newest = max(fill.closed for fill in every)
    if newest.date() > today:
        raise DataSchemaError(
            f"{path.name} holds a trade that is not closed yet",
            expected=f"no day after {today}",
            got=format_utc(newest),
        )
    fills = [
        fill for fill in every if fill.closed.date() < today and day in (None, fill.closed.date())
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
    told = {run_id.rpartition("_pnl-")[2][:10] for run_id in told_days(store_of(params.run))}
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


def told_days(store: EvidenceStore) -> list[str]:
    """Run ids of all days told so far."""
    return [entry.run_id for entry in store.index() if entry.kind == LIVE_PNL]
