"""The pages of docs/ show what comes out."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from mlwb.core.home import find_project

PAGES = [
    page
    for page in sorted((find_project() / "docs").glob("*.md"))
    if ">>> " in page.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page: Path) -> None:
    """Each example gives what is written below it."""
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted > 5
    assert found.failed == 0
