"""A table on a page and in a terminal."""

from __future__ import annotations

from mlwb.gates import Outcome
from mlwb.report._html import Html, mark, word
from mlwb.report._table import Table, heads

TABLE = Table(
    "Scores <b>",
    heads("who", ">AUC"),
    (("a & b", "0.661"), (Html("<code>x</code>", "x"), "10.000")),
    note="n > 3",
)


def test_markup_is_semantic_and_escaped() -> None:
    """Caption, scopes, numbers on the right; text is escaped, ready markup is not."""
    html = TABLE._repr_html_()
    assert html.startswith("<table><caption>Scores &lt;b&gt;</caption>")
    assert '<th scope="col" class="num">AUC</th>' in html
    assert '<th scope="row">a &amp; b</th><td class="num">0.661</td>' in html
    assert '<th scope="row"><code>x</code></th>' in html
    assert html.endswith('<p class="quiet">n &gt; 3</p>')


def test_terminal_lines_up() -> None:
    """Plain text: columns line up, numbers on the right, no markup."""
    assert repr(TABLE).splitlines() == [
        "Scores <b>", "", "who       AUC", "-----  ------", "a & b   0.661", "x      10.000",
        "n > 3",
    ]  # fmt: skip


def test_no_rows_is_a_sentence() -> None:
    """Without rows only the caption stands there, not an empty table."""
    empty = Table("Nothing found", heads("a"), ())
    assert empty._repr_html_() == '<p class="quiet">Nothing found</p>'
    assert repr(empty) == "Nothing found"


def test_every_outcome_has_a_sign_and_a_word() -> None:
    """Colour is never the only difference: signs are distinct and stand beside the word."""
    said = [word(outcome) for outcome in Outcome]
    assert len({text.split()[0] for text in said}) == len(Outcome)
    for outcome in Outcome:
        assert mark(outcome).html == f'<span class="{outcome.lower()}">{word(outcome)}</span>'
