"""How conclusions are put: names in a sentence, a sentence on the page."""

from __future__ import annotations

from collections.abc import Iterable

from mlwb.report._html import Html, escape

__all__ = ["concluded", "listed"]

_NAMED = 3


def listed(names: Iterable[str], *, most: int = _NAMED) -> str:
    """Names in a sentence, the first few of them."""
    every = list(names)
    more = len(every) - most
    if more > 0:
        return f"{', '.join(every[:most])} and {more} more"
    return " and ".join(filter(None, [", ".join(every[:-1]), every[-1]]))


def concluded(sentence: str) -> Html:
    """A sentence as a note of the page, and as a line of a terminal."""
    sentence = sentence.strip()
    html = f'<p class="note"><strong>So:</strong> {escape(sentence)}</p>'
    return Html(html, "→ " + sentence.replace("\u00a0", " "))
