"""docs/registry.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from mlwb.registry import CHANNELS, REQUIRED_FILES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "registry.md"


def test_every_file_and_channel_stands_on_the_page() -> None:
    """Each required file and each channel is named."""
    text = PAGE.read_text(encoding="utf-8")
    assert " ".join(f"`{name}`" for name in REQUIRED_FILES) in text
    for channel in CHANNELS:
        assert f"{channel} -> " in text
