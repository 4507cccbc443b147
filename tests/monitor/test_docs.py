"""docs/monitoring.md says what the policy says about rolling back."""

from __future__ import annotations

import re
from pathlib import Path

from tests.monitor.monitor_kit import POLICY

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "monitoring.md").read_text("utf-8")
SECTION = TEXT.partition("## Rollback triggers\n")[2]


def test_every_setting_stands_on_the_page() -> None:
    """With the value of the policy, in its order."""
    rows = re.findall(
        r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \|$", SECTION.partition("**Settings**")[2], re.MULTILINE
    )
    said = POLICY.watch_settings["rollback"]
    found = {key: ", ".join(v) if isinstance(v, tuple) else v for key, v in said.items()}
    assert dict(rows[: len(found)]) == found


def test_every_trigger_stands_on_the_page() -> None:
    """In any order; each with what it is measured from."""
    rows = re.findall(r"^\| `(\w+)` \|", SECTION.partition("**Settings**")[0], re.MULTILINE)
    assert {f"rollback.{name}" for name in rows} == {limit.id for limit in POLICY.watch["rollback"]}
