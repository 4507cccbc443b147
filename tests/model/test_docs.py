"""docs/validation.md says what the code does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from mlwb import model

PAGE = Path(__file__).resolve().parents[2] / "docs" / "validation.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_schemes_stand_with_their_defaults() -> None:
    """Each row of the table is the real signature, spans without types."""
    rows = re.findall(r"^\| `(\w+)\((.*?)\)`", TEXT, flags=re.MULTILINE)
    assert [name for name, _ in rows] == ["PurgedKFold", "WalkForward", "CombinatorialPurgedCV"]
    for name, said in rows:
        parameters = inspect.signature(getattr(model, name)).parameters.values()
        real = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
        assert said == ", ".join(real)
