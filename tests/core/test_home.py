"""Where things live, whatever the working directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlwb.core import home as home_module
from mlwb.core.errors import ParamsError
from mlwb.core.home import Home, find_home, find_project

PROJECT = Path(__file__).resolve().parents[2]


def test_project_is_the_checkout_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package's own checkout, also when called from elsewhere."""
    monkeypatch.chdir(tmp_path)
    assert find_project() == PROJECT
    assert find_home({}) == Home(project=PROJECT, root=PROJECT)


def test_home_variable_moves_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLWB_HOME moves outputs, artifacts and evidence; notebooks and params stay."""
    monkeypatch.chdir(tmp_path)
    home = find_home({"MLWB_HOME": str(tmp_path / "here")})
    assert home.outputs == tmp_path / "here" / "outputs"
    assert home.models == tmp_path / "here" / "artifacts" / "models"
    assert home.evidence == tmp_path / "here" / "evidence" / "ml"
    assert (home.notebooks, home.params) == (PROJECT / "notebooks", PROJECT / "params")


def test_relative_and_tilde_homes_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later change of directory does not move the home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_home({"MLWB_HOME": "runs"}).root == tmp_path / "runs"
    assert find_home({"MLWB_HOME": "~/runs"}).root == tmp_path / "runs"
    assert find_home({"MLWB_HOME": ""}).root == PROJECT


def test_only_the_given_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process environment is the caller's to hand in."""
    monkeypatch.setenv("MLWB_HOME", "/nowhere")
    assert find_home({}).root == PROJECT


def test_wheel_finds_the_checkout_above_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed elsewhere, the checkout is looked for upwards; without one it is an error."""
    monkeypatch.setattr(home_module, "__file__", str(tmp_path / "site" / "mlwb" / "core" / "h.py"))
    checkout = tmp_path / "work"
    (checkout / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(checkout / "a" / "b")
    with pytest.raises(ParamsError, match="no workbench here"):
        find_project()
    (checkout / "notebooks").mkdir()
    (checkout / "params").mkdir()
    assert find_project() == checkout
