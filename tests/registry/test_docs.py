"""docs/registry.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from mlwb.core.clock import ManualClock
from mlwb.registry import CHANNELS, REMOTE_ENV, REQUIRED_FILES, MemoryStore
from mlwb.registry._obstore import TIMEOUT_ENV
from tests.registry.places import Remote, serve

PAGE = Path(__file__).resolve().parents[2] / "docs" / "registry.md"


def test_every_file_and_channel_stands_on_the_page() -> None:
    """Each required file and each channel is named."""
    text = PAGE.read_text(encoding="utf-8")
    assert " ".join(f"`{name}`" for name in REQUIRED_FILES) in text
    for channel in CHANNELS:
        assert f"{channel} -> " in text


def test_the_layout_of_a_store_and_its_variables_stand_on_the_page(
    tmp_path: Path, clock: ManualClock, unsynced: object
) -> None:
    """Every kind of key that a registry in use has, and each variable, is named."""
    assert unsynced
    text = PAGE.read_text(encoding="utf-8")
    place = Remote(MemoryStore(), tmp_path, clock)
    serve(place.open())
    for folder in {key.split("/")[0] for key in place.store.list("")}:
        assert f"\n  {folder}/" in text
    for variable in (REMOTE_ENV, TIMEOUT_ENV):
        assert f"| `{variable}` |" in text
