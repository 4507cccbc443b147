"""One visual language, readable for everybody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlwb.report import _style
from mlwb.report._style import DARK, LIGHT

TEMPLATE = Path(__file__).resolve().parents[2] / "mlwb/runner/templates/mlwb/style.css"


def _luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a: str, b: str) -> float:
    low, high = sorted([_luminance(a), _luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", ["bg", "card"])
@pytest.mark.parametrize("ink", ["fg", "quiet", "link", "pass", "fail", "warn"])
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_has_contrast(theme: dict[str, str], ink: str, ground: str) -> None:
    """Text on its ground reaches 4.5, level AA of WCAG 2.2, by its own formula."""
    assert _contrast(theme[ink], theme[ground]) >= 4.5


@pytest.mark.parametrize("colour", _style.SERIES)
def test_series_stand_out_from_the_paper(colour: str) -> None:
    """A line in a figure has a contrast of 3 to its ground, level AA for graphics."""
    assert _contrast(colour, _style.PAPER) >= 3.0


def test_reports_and_pages_share_their_colours() -> None:
    """The report template of the runner declares the same values under the same names."""
    rules = re.findall(r":root\{([^}]*)\}", TEMPLATE.read_text(encoding="utf-8"))
    for theme, declared in zip((LIGHT, DARK), rules, strict=False):
        found = dict(re.findall(r"--([\w-]+):([^;]+)", declared))
        assert {name: found.get(name) for name in theme} == theme
