"""Readings in words and colours, the same in figures, tables and the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlwb.report._style import GOOD, OTHER, QUIET

if TYPE_CHECKING:
    from mlwb.report._shapes import Judged

__all__ = ["READINGS", "plainly", "read_as", "tone"]

READINGS = {
    "pass": "shown below",
    "fail": "shown above",
    "insufficient": "undecided",
    "not_gateable": "cannot be judged",
}
_GREY = "#9aa5b1"


def read_as(row: Judged) -> str:
    """A reading in a few words; the window that could judge what this one cannot."""
    if row.reading != "not_gateable":
        return READINGS[row.reading]
    days = row.gateable_days
    return "needs a longer window" if days is None else f"needs {days} d"


def plainly(row: Judged) -> str:
    """What a fixed limit on the plain number says."""
    return "pass" if row.value < row.limit else "fail"


def tone(reading: str, *, on_paper: bool = False) -> str:
    """Colour of a reading; grey for what is not decided, dark enough to be read on paper."""
    return {"pass": GOOD, "fail": OTHER}.get(reading, QUIET if on_paper else _GREY)
