"""The page about drills tells each of them, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from mlwb.core.home import find_project


def test_the_page_tells_each_drill() -> None:
    """By the name under which its test runs."""
    page = (find_project() / "docs" / "drills.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| ([^|]+?) \|", page, re.MULTILINE)[1:]
    tests = Path(__file__).parent.glob("test_*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(tests))
    assert sorted(told) == sorted(re.findall(r"drill\.incident\(\"(.+)\"\)", text))
