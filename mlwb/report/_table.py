"""A table that reads the same on a page and in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

from mlwb.report._html import Html

__all__ = ["Cell", "Column", "Table", "heads"]

Cell: TypeAlias = str | Html


@dataclass(frozen=True)
class Column:
    """Heading of a column; numbers stand on the right."""

    name: str
    is_number: bool = False


def heads(*names: str) -> tuple[Column, ...]:
    """Columns; a ``>`` before the name says that numbers stand there.

    Examples
    --------
    >>> heads("feature", ">PSI")[1]
    Column(name='PSI', is_number=True)
    """
    return tuple(Column(name.removeprefix(">"), name.startswith(">")) for name in names)


@dataclass(frozen=True)
class Table:
    """Rows with a caption.

    Parameters
    ----------
    caption : str
        What the rows are, with unit and window.
    columns : tuple of Column
        Of which the first heads each row.
    rows : tuple of tuple
        One cell a column: text, which is escaped, or ready markup.
    note : str, default=""
        Sentence below the table.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def _repr_html_(self) -> str:
        note = f'<p class="quiet">{escape(self.note)}</p>' if self.note else ""
        if not self.rows:
            return f'<p class="quiet">{escape(self.caption)}</p>{note}'
        heads = "".join(
            f'<th scope="col"{_class(column)}>{escape(column.name)}</th>' for column in self.columns
        )
        body = "".join(f"<tr>{self._row(row)}</tr>" for row in self.rows)
        return (
            f"<table><caption>{escape(self.caption)}</caption><thead><tr>{heads}</tr></thead>"
            f"<tbody>{body}</tbody></table>{note}"
        )

    def _row(self, row: Sequence[Cell]) -> str:
        first, *rest = (_markup(cell) for cell in row)
        cells = "".join(
            f"<td{_class(column)}>{cell}</td>"
            for column, cell in zip(self.columns[1:], rest, strict=True)
        )
        return f'<th scope="row"{_class(self.columns[0])}>{first}</th>{cells}'

    def __repr__(self) -> str:
        if not self.rows:
            return "\n".join(filter(None, [self.caption, self.note]))
        lines = [[column.name for column in self.columns], *(map(_plain, row) for row in self.rows)]
        grid = [list(line) for line in lines]
        widths = [max(len(line[i]) for line in grid) for i in range(len(self.columns))]
        shown = [
            "  ".join(
                cell.rjust(width) if column.is_number else cell.ljust(width)
                for cell, width, column in zip(line, widths, self.columns, strict=True)
            ).rstrip()
            for line in grid
        ]
        rule = "  ".join("-" * width for width in widths)
        body = [self.caption, "", shown[0], rule, *shown[1:]]
        return "\n".join([*body, *filter(None, [self.note])])


def _class(column: Column) -> str:
    return ' class="num"' if column.is_number else ""


def _markup(cell: Cell) -> str:
    return cell.html if isinstance(cell, Html) else escape(cell)


def _plain(cell: Cell) -> str:
    return cell.plain if isinstance(cell, Html) else cell.replace("\u00a0", " ")
