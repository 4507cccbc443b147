"""docs/evidence.md says what the code does."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from mlwb.evidence import KNOWN_NAMES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evidence.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_every_kind_stands_on_the_page() -> None:
    """Each kind is listed with the name its newest copy is found under."""
    for kind, name in KNOWN_NAMES.items():
        assert f"| `{kind}` | `{name}` |" in TEXT


def test_every_field_stands_on_the_page() -> None:
    """Oracle: the JSON Schema; each top-level field and each field of a metric is explained."""
    schema = json.loads((files("mlwb.evidence") / "schemas" / "record.json").read_bytes())
    for name in schema["properties"]:
        assert f"| `{name}` |" in TEXT, name
    row = next(line for line in TEXT.splitlines() if line.startswith("| `metrics` |"))
    for name in schema["$defs"]["metric"]["properties"]:
        assert name in row


def test_the_schema_knows_every_kind() -> None:
    """The kinds of the schema are the kinds of the code."""
    schema = json.loads((files("mlwb.evidence") / "schemas" / "record.json").read_bytes())
    assert schema["properties"]["kind"]["enum"] == list(KNOWN_NAMES)
