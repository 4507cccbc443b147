"""Markup that knows how to show itself, in a notebook and in a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from mlwb.gates import Outcome

__all__ = ["SYMBOLS", "Html", "escape", "mark", "word"]

SYMBOLS = {
    "PASS": "✓",
    "FAIL": "✗",
    "UNPROVEN": "?",
    "MISSING": "–",
    "STALE": "~",
    "INVALID": "!",
}
"""A sign beside every outcome, so that nothing is said by colour alone."""


@dataclass(frozen=True)
class Html:
    """A fragment of a page.

    Parameters
    ----------
    html : str
        Escaped already.
    plain : str
        The same for a terminal.
    """

    html: str
    plain: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.plain


def word(outcome: Outcome | str) -> str:
    """An outcome with its sign.

    Examples
    --------
    >>> word("PASS")
    '✓ PASS'
    """
    return f"{SYMBOLS.get(str(outcome), '')} {outcome}".strip()


def mark(outcome: Outcome | str, said: str = "") -> Html:
    """An outcome with sign, word and colour.

    Examples
    --------
    >>> mark("FAIL").html
    '<span class="fail">✗ FAIL</span>'
    """
    plain = said or word(outcome)
    return Html(f'<span class="{str(outcome).lower()}">{escape(plain)}</span>', plain)
