"""The one home of colours and fonts: pages and figures speak the same visual language.

The report template of the runner uses the same names and values; a test compares them.
"""

from __future__ import annotations

__all__ = [
    "BAND",
    "DARK",
    "FAIL",
    "FONT",
    "GOOD",
    "INK",
    "LIGHT",
    "LINE",
    "MONO",
    "OTHER",
    "PAPER",
    "QUIET",
    "SERIES",
    "css_variables",
]

FONT = (
    'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","Liberation Sans",'
    "Arial,sans-serif"
)
MONO = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace'

LIGHT = {
    "bg": "#fff",
    "fg": "#1b1f24",
    "quiet": "#586271",
    "line": "#dfe3e8",
    "card": "#f5f7f9",
    "link": "#0b5cad",
    "pass": "#17693f",
    "fail": "#a8231b",
    "warn": "#7d4f00",
    "fail-bg": "#fdf0ef",
}
"""Every pair of text and ground has a contrast of at least 4.5."""

DARK = {
    "bg": "#14171b",
    "fg": "#e4e7eb",
    "quiet": "#9ba6b4",
    "line": "#2d343c",
    "card": "#1c2127",
    "link": "#83b9ff",
    "pass": "#63c795",
    "fail": "#ff938a",
    "warn": "#e3b355",
    "fail-bg": "#2c1a1a",
}

PAPER, INK, QUIET, LINE = "#ffffff", LIGHT["fg"], LIGHT["quiet"], LIGHT["line"]
"""Figures have a ground of their own, so that they read on light and dark pages alike."""
BAND = "#e9edf2"
GOOD, OTHER, FAIL = "#0b5cad", "#c8590a", LIGHT["fail"]
"""Blue and orange stay apart for every kind of colour vision; red only marks a limit."""
SERIES = ("#0b5cad", "#c8590a", "#4a9aa8", "#7b4ba6")
"""At most four series a figure; each also has a marker or a label of its own."""


def css_variables(values: dict[str, str]) -> str:
    """Declarations of custom properties.

    Examples
    --------
    >>> css_variables({"bg": "#fff"})
    '--bg:#fff'
    """
    return ";".join(f"--{name}:{value}" for name, value in values.items())
