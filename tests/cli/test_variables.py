"""The variables of the environment: one table, and what is not in it is told."""

from __future__ import annotations

import re
from pathlib import Path

from mlwb.cli._variables import OWN, strangers
from mlwb.core.home import find_project
from mlwb.serve import VARIABLES

ROOT = find_project()
KNOWN = OWN | set(VARIABLES.values())
PLACES = (
    "Makefile",
    ".ci/*",
    "benchmarks/**/*.py",
    "docs/*.md",
    "mlwb/**/*.py",
    "ops/**/*",
    "*.md",
)


def _names(path: Path) -> set[str]:
    return set(re.findall(r"\bMLWB_[A-Z0-9_]*[A-Z0-9]\b(?!_)", path.read_text(encoding="utf-8")))


def test_the_documented_tables() -> None:
    """What the command line reads stands in one table, what a server reads in the other."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = page.split("\n## Variables\n", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| `(MLWB_\w+)` \|", section, re.MULTILINE)) == OWN
    assert not OWN & set(VARIABLES.values())


def test_every_name_in_sources_and_pages_is_known() -> None:
    """A variable that is read, set or written about somewhere, and is in no table, is found."""
    paths = [path for place in PLACES for path in ROOT.glob(place) if path.is_file()]
    text = [path for path in paths if path.suffix not in (".png", ".pyc", ".so")]
    found = {name: path.name for path in text for name in _names(path)}
    assert {"MLWB_HOME", "MLWB_PORT", "MLWB_NOTIFY_URL"} <= found.keys()
    made_up = {"MLWB_RELAOD_S"}  # the misspelt one of an example
    assert {name: place for name, place in found.items() if name not in KNOWN | made_up} == {}


def test_strangers_are_named_with_what_is_near() -> None:
    """A slip of the hand has a nearest name; a name of somebody else's has none."""
    given = dict.fromkeys(("MLWB_HOMEE", "MLWB_PROT", "MLWB_ZZZZZZ", "MLWB_PORT", "HOME"), "x")
    assert strangers(given) == {
        "MLWB_HOMEE": "MLWB_HOME", "MLWB_PROT": "MLWB_PORT", "MLWB_ZZZZZZ": "",
    }  # fmt: skip
    assert strangers({"MLWB_HOME": "x", "PATH": "y"}) == {}
