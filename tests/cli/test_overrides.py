"""Paths on the command line are whole before a notebook runs in another folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlwb.cli._run import overrides_of


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("my_trees.py:FOREST", "{here}/my_trees.py:FOREST"),
        ("sub/my_trees.py:FOREST", "{here}/sub/my_trees.py:FOREST"),
        ("/abs/my_trees.py:FOREST", "/abs/my_trees.py:FOREST"),
        ("my.trees:FOREST", "my.trees:FOREST"),
        ("my.python.trees:FOREST", "my.python.trees:FOREST"),
        ("boosting", "boosting"),
    ],
)
def test_family_in_a_file_gets_its_whole_path(given: str, whole: str) -> None:
    """Names of modules and of shipped families stay as they are."""
    found = overrides_of(None, "", [f"search.families=[logistic,{given}]"])
    assert found["search.families"] == ["logistic", whole.format(here=Path.cwd())]


@pytest.mark.parametrize(
    ("given", "whole"), [("mine.py", "{here}/mine.py"), ("my.module", "my.module")]
)
def test_file_of_features_gets_its_whole_path(given: str, whole: str) -> None:
    """As a market's file does."""
    found = overrides_of(None, "", [f"features.modules=[{given}]"])
    assert found["features.modules"] == [whole.format(here=Path.cwd())]
