"""A desk's closed trades, from a file: every line is read, or the file is refused by line."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from mlwb.core.errors import DataSchemaError, EmptyWindowError

__all__ = ["Fill", "FillDay", "fill_days", "read_fills"]

_REQUIRED = ("time", "symbol", "side", "qty", "costs")
_MONEY = ("pnl", "return")
_MOST = 1e6
"""Of equity, earned or paid by one trade: beyond it one of the two is in another unit."""
_SIDES = frozenset({"buy", "sell", "long", "short"})


@dataclass(frozen=True, kw_only=True)
class Fill:
    """One closed trade.

    Parameters
    ----------
    closed : datetime
        UTC.
    symbol : str
        What was traded.
    version : str
        The model behind it; empty where the file does not say.
    gross, cost : float
        Shares of equity; what it paid is >= 0.
    """

    closed: datetime
    symbol: str
    version: str
    gross: float
    cost: float

    @property
    def net(self) -> float:
        """Share of equity that is left."""
        return self.gross - self.cost


@dataclass(frozen=True)
class FillDay:
    """Trades of one version that were closed on one UTC day; at least one.

    Parameters
    ----------
    day : date
        UTC.
    version : str
        The model behind them.
    fills : tuple of Fill
        In the order of the file.
    """

    day: date
    version: str
    fills: tuple[Fill, ...]

    @property
    def wins(self) -> int:
        """Trades that earned more than they paid."""
        return sum(item.net > 0.0 for item in self.fills)


def read_fills(path: Path, *, equity: float | None = None) -> tuple[Fill, ...]:
    """Read a CSV of closed trades; see docs/monitoring.md for its columns.

    Parameters
    ----------
    path : Path
        UTF-8, with a header.
    equity : float, optional
        What `pnl` and `costs` are divided by where the file has no column `equity`.

    Returns
    -------
    tuple of Fill

    Raises
    ------
    DataSchemaError
        The header or a line is not as it must be; the message names the line.
    EmptyWindowError
        There is no trade.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            columns = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            money = _check_header(columns, equity, path.name)
            found = []
            for row in reader:
                line = _Line(row, f"{path.name} line {reader.line_num}")
                found.append(_fill(line, money, equity))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataSchemaError(f"{path.name} is no CSV of trades: {error}") from error
    if not found:
        raise EmptyWindowError(f"{path.name} holds no trade")
    return tuple(found)


def fill_days(fills: Sequence[Fill], versions: Mapping[date, str]) -> tuple[FillDay, ...]:
    """Trades by UTC day and version, oldest first.

    Parameters
    ----------
    fills : sequence of Fill
        In any order.
    versions : mapping of date to str
        The version behind trades that do not say.
    """
    found: dict[tuple[date, str], list[Fill]] = {}
    for fill in fills:
        day = fill.closed.date()
        found.setdefault((day, fill.version or versions[day]), []).append(fill)
    return tuple(FillDay(*key, tuple(found[key])) for key in sorted(found))


def _check_header(columns: Sequence[str], equity: float | None, name: str) -> str:
    """The column that holds the money."""
    money = [column for column in _MONEY if column in columns]
    lacking = [column for column in _REQUIRED if column not in columns]
    if lacking or len(money) != 1 or len(set(columns)) < len(columns):
        raise DataSchemaError(
            f"{name} line 1 is not the header of a file of trades",
            expected=f"{', '.join(_REQUIRED)}, and one of {' and '.join(_MONEY)}, each once",
            got=", ".join(columns)[:200],
            todo="costs are 0 where the money is net of them",
        )
    if equity is not None and not 0.0 < equity < math.inf:
        raise DataSchemaError("no equity to divide by", expected="> 0", got=str(equity))
    if money[0] == "pnl" and equity is None and "equity" not in columns:
        raise DataSchemaError(
            f"{name} gives money and no equity", todo="add a column equity, or --equity AMOUNT"
        )
    return money[0]


class _Line:
    """A line whose cells are read one by one, each with its name in what goes wrong."""

    def __init__(self, cells: Mapping[str | None, object], where: str) -> None:
        self._cells, self.where = cells, where
        if None in cells or None in cells.values():
            raise DataSchemaError(f"{where} has more or fewer cells than the header")

    def text(self, name: str) -> str:
        """A cell without the blanks around it."""
        return str(self._cells.get(name, "")).strip()

    def needed(self, name: str) -> str:
        """A cell that says something."""
        found = self.text(name)
        if not found:
            raise self.wrong(name, "a value")
        return found

    def number(self, name: str, *, least: float = -math.inf, is_open: bool = False) -> float:
        """A finite number, not below the least; above it where that is left out."""
        expected = "a number" if least == -math.inf else f"a number {'>' if is_open else '>='} 0"
        try:
            value = float(self.text(name))
        except ValueError as error:
            raise self.wrong(name, expected) from error
        if not math.isfinite(value) or value < least or (is_open and value == least):
            raise self.wrong(name, expected)
        return value

    def moment(self, name: str) -> datetime:
        """A time that says its zone, as UTC."""
        try:
            found = datetime.fromisoformat(self.text(name))
        except ValueError as error:
            raise self.wrong(name, "2026-01-31T09:30:00Z") from error
        if found.tzinfo is None:
            raise self.wrong(name, "a time with its zone: 2026-01-31T09:30:00Z")
        try:
            return found.astimezone(UTC)
        except OverflowError as error:
            raise self.wrong(name, "a year that UTC has too") from error

    def wrong(self, name: str, expected: str) -> DataSchemaError:
        """What to raise about a cell."""
        got = repr(self.text(name)[:40])
        return DataSchemaError(f"{self.where}: {name}", expected=expected, got=got)


def _fill(line: _Line, money: str, equity: float | None) -> Fill:
    side = line.needed("side").lower()
    if side not in _SIDES:
        raise line.wrong("side", ", ".join(sorted(_SIDES)))
    line.number("qty", least=0.0, is_open=True)
    gross, cost = line.number(money), line.number("costs", least=0.0)
    if money == "pnl":
        base = line.number("equity", least=0.0, is_open=True) if line.text("equity") else equity
        if base is None:
            raise line.wrong("equity", "a number > 0, or --equity AMOUNT")
        gross, cost = gross / base, cost / base
    if not max(abs(gross), cost) <= _MOST:
        raise line.wrong(money, f"at most {_MOST:,.0f} times the equity, as the costs too")
    return Fill(
        closed=line.moment("time"),
        symbol=line.needed("symbol"),
        version=line.text("version"),
        gross=gross,
        cost=cost,
    )
