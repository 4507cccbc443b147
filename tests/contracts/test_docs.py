"""The pages of docs/ show what comes out, and lead on to one another."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from mlwb.core.home import find_project

PAGES = [
    page
    for page in sorted((find_project() / "docs").glob("*.md"))
    if ">>> " in page.read_text(encoding="utf-8")
]
LINKED = [find_project() / "README.md", *sorted((find_project() / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page: Path) -> None:
    """Each example gives what is written below it."""
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted > 5
    assert found.failed == 0


_LINK = re.compile(r"\]\(([^)\s:]*?)(?:#([^)\s]*))?\)")


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    """To a file of the project, and to a heading of it."""
    astray = []
    for path, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            astray.append(f"{path}#{anchor}")
    assert astray == []


def test_the_readme_leads_to_every_page() -> None:
    """A page that nobody is led to is not read."""
    readme = (find_project() / "README.md").read_text(encoding="utf-8")
    pages = [page.name for page in sorted((find_project() / "docs").glob("*.md"))]
    assert [name for name in pages if f"(docs/{name}" not in readme] == []


def test_decisions_have_one_form() -> None:
    """A number of its own in the name, a title without it, a status; numbers leave no gap."""
    pages = sorted((find_project() / "docs" / "decisions").iterdir())
    assert [page.name[:5] for page in pages] == [f"{n:04}-" for n in range(1, len(pages) + 1)]
    form = re.compile(r"# [^\d\s][^\n]+\n\nStatus: (accepted|superseded by \d{4})\n\n")
    assert [page.name for page in pages if not form.match(page.read_text(encoding="utf-8"))] == []
