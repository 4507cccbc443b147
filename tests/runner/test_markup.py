"""Fragments made fit for a page; the attacks are those browsers are known for."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.runner._markup import Headings, clean

_ATTACKS = [
    "<script>evil()</script>",
    "<form><script>evil()</script><input></form>",
    "<img src=x onerror=evil()>",
    "<svg onload=evil()><script href='http://evil'></script></svg>",
    "<svg><a xlink:href='javascript:evil()'><text>x</text></a></svg>",
    "<svg><image href='http://evil/x.png'/><use href='http://evil#x'/></svg>",
    "<svg><foreignObject><iframe src='http://evil'></iframe></foreignObject></svg>",
    "<a href='javascript:evil()'>x</a>",
    "<a href=' \tjavascript:evil()'>x</a>",
    "<a href='data:text/html,<script>evil()</script>'>x</a>",
    "<iframe srcdoc='<script>evil()</script>'></iframe>",
    "<object data='http://evil'></object><embed src='http://evil'>",
    "<link rel=stylesheet href='http://evil/x.css'><base href='http://evil'>",
    "<meta http-equiv=refresh content='0;url=http://evil'>",
    "<style>@import 'http://evil/x.css';</style>",
    "<style>p{background:url(http://evil/x.png)}</style>",
    "<p style='background:URL( http://evil/x.png )'>x</p>",
    "<p style=\"background:url('//evil/x.png')\">x</p>",
    "<rect fill='url(http://evil/x.svg#a)'/>",
    "<img srcset='http://evil/x.png 2x' src='data:image/png;base64,AA'>",
    "<video poster='http://evil/x.png' src='http://evil/x.mp4'></video>",
    "<table background='http://evil/x.png'><tr><td>1</td></tr></table>",
    "<!-- <script>evil()</script> --><!--[if IE]><script>evil()</script><![endif]-->",
    "<IMG SRC='http://evil/x.png'>",
    "<button formaction='http://evil'>x</button>",
]


@pytest.mark.parametrize("markup", _ATTACKS)
def test_nothing_runs_and_nothing_is_loaded(markup: str) -> None:
    """Neither the payload nor the host of any attack is left."""
    assert not re.search(r"evil", clean(markup, alt="A"), re.IGNORECASE)


@given(st.text("<>/='\" abcimgsrcpton:;&#-!\n", max_size=80))
def test_cleaning_twice_changes_nothing(markup: str) -> None:
    """What was cleaned is clean: broken markup does not turn into other markup later."""
    once = clean(markup, alt="A")
    assert clean(once, alt="A") == once


def test_what_is_harmless_stays() -> None:
    """Figures, links, badges and embedded pictures are untouched."""
    markup = (
        '<figure><img alt="PSI" src="data:image/png;base64,AAAA"/><figcaption>F</figcaption>'
        '</figure><p class="pass" style="color:red">ok <a href="#x">below</a> &lt;b&gt;</p>'
        '<data class="ev" data-ev="psi.json#/overall" value="0.18">0.18</data>'
    )
    assert clean(markup, alt="A") == markup


def test_link_to_the_world_keeps_its_address_and_tells_nothing() -> None:
    """A link is not loaded; following it sends no referrer."""
    assert clean('<a href="https://example.org/x">x</a>', alt="") == (
        '<a href="https://example.org/x" rel="noopener noreferrer">x</a>'
    )


def test_picture_from_elsewhere_becomes_a_note() -> None:
    """A reader sees that something is missing, and what it was."""
    cleaned = clean('<img src="figures/psi.png" alt="PSI <b>">', alt="A")
    assert cleaned == (
        '<span class="quiet">[image left out, it is not embedded: PSI &lt;b&gt;]</span>'
    )


@pytest.mark.parametrize("given", ["", ' alt=""', ' alt=" "'])
def test_picture_without_description_gets_one(given: str) -> None:
    """No picture is silent to a reader who cannot see it."""
    cleaned = clean(f'<img{given} src="data:image/png;base64,AA">', alt="Figure: drift")
    assert 'alt="Figure: drift"' in cleaned


def test_columns_of_numbers_are_right_aligned() -> None:
    """A column is numeric when every value in it is; its header goes along, gaps do not matter."""
    rows = [
        ("gate", "measured", "share", "note"),
        ("psi", "-0.31", "99.5 %", "1 of 2"),
        ("auc", "1,204", "–", "3"),
        ("p", "1e-05", "5 min", "x"),
    ]
    cells = [
        "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in row) + "</tr>"
        for row, tag in zip(rows, ("th", "td", "td", "td"), strict=True)
    ]
    cleaned = clean(f'<table border="1">{"".join(cells)}</table>', alt="")
    assert re.findall(r'<t[hd] class="num">([^<]+)', cleaned) == [
        *("measured", "share"),
        *("-0.31", "99.5 %"),
        *("1,204", "–"),
        *("1e-05", "5 min"),
    ]
    assert cleaned.startswith('<div class="scroll" tabindex="0"><table><tr>')


def test_headings_have_ids_of_their_own() -> None:
    """Equal, foreign and empty headings can all be linked to; h1 makes room for the title."""
    headings = Headings()
    cleaned = clean(
        "<h1>PSI &amp; drift</h1><h2>PSI, drift</h2><h3>Größe</h3><h2>日本</h2><h2>content</h2>",
        alt="",
        headings=headings,
    )
    assert [(entry.level, entry.id, entry.text) for entry in headings.found] == [
        (2, "psi-drift", "PSI & drift"),
        (2, "psi-drift-2", "PSI, drift"),
        (3, "groe", "Größe"),
        (2, "section", "日本"),
        (2, "content-2", "content"),
    ]
    assert cleaned.startswith('<h2 id="psi-drift">PSI &amp; drift</h2>')
