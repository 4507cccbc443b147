"""What a server installs: a part of the one lock, and exactly what the base install needs."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.utils import canonicalize_name

from mlwb.cli._extras import RESEARCH, missing_extra
from tests.contracts.test_packaging import PROJECT
from tests.ops.prometheus_kit import OPS

ROOT = OPS.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """``ops/lock.py``."""
    spec = importlib.util.spec_from_file_location("lock", OPS / "lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_what_the_script_writes(script: ModuleType) -> None:
    """Nobody edits a lock by hand: `python ops/lock.py` writes it after the large one changed."""
    for name, text in script.locks().items():
        assert (OPS / name).read_text(encoding="utf-8") == text, name


@pytest.mark.parametrize("name", ["serving.lock", "s3.lock", "redis.lock"])
def test_every_line_is_one_of_the_large_lock(name: str, script: ModuleType) -> None:
    """Versions and hashes are those that are tested, package by package."""
    whole = script.blocks((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    part = script.blocks((OPS / name).read_text(encoding="utf-8"))
    assert part
    assert {package: whole.get(package) for package in part} == part
    assert "".join(part.values()) == (OPS / name).read_text(encoding="utf-8")
    assert all("--hash=sha256:" in text for text in part.values())


def test_nothing_of_research_is_in_it(script: ModuleType) -> None:
    """Neither what the extra names nor what it alone brings."""
    names = set(script.blocks((OPS / "serving.lock").read_text(encoding="utf-8")))
    extra = {
        package
        for name in ("s3.lock", "redis.lock")
        for package in script.blocks((OPS / name).read_text(encoding="utf-8"))
    }
    assert {"numpy", "onnxruntime", "uvicorn", "flit-core"} <= names
    assert not {"pandas", "scipy", "scikit-learn", "jupyterlab", "pytest", "pip"} & names
    assert {"obstore", "redis"} <= extra
    assert not extra & names


def test_a_closure_ends_and_is_closed(script: ModuleType) -> None:
    """What a member needs is a member; extras and markers that hold nowhere bring nothing."""
    found = script.closure(["uvicorn", "jsonschema[format-nongpl]"])
    assert {"h11", "click", "rpds-py", "webcolors"} <= found
    assert {"webcolors"} & script.closure(["jsonschema"]) == set()
    assert "colorama" not in found
    assert script.closure(["numpy; sys_platform == 'win32'"]) == set()


def test_no_place_to_fetch_from_is_named() -> None:
    """Where packages come from is the user's own setting."""
    for name in ("serving.lock", "s3.lock", "redis.lock", "install", "Dockerfile", "lock.py"):
        assert not re.search(r"\w://", (OPS / name).read_text(encoding="utf-8")), name


@pytest.mark.parametrize(
    ("words", "python", "said"),
    [
        ([], sys.executable, "usage: ops/install FOLDER"),
        (["here", "s3", "spark"], sys.executable, "s3, redis and research, not 'spark'"),
        (["here"], "/bin/false", "mlwb needs Python 3.11 or newer"),
        (["-here"], sys.executable, "begins with a -"),
    ],
)
def test_the_install_script_refuses(
    tmp_path: Path, words: list[str], python: str, said: str
) -> None:
    """With exit code 2 and what would be right, before anything is made."""
    done = subprocess.run(
        [str(OPS / "install"), *words],
        cwd=tmp_path, env={**os.environ, "PYTHON": python},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_install_script_clears_nothing_but_an_environment(tmp_path: Path) -> None:
    """Told the folder of a home, or of a checkout, it leaves that as it is."""
    (tmp_path / "a home").mkdir()
    model = tmp_path / "a home" / "model.onnx"
    model.write_bytes(b"dear")
    for folder in ("a home", "a home/model.onnx"):
        done = subprocess.run(
            [str(OPS / "install"), folder],
            cwd=tmp_path, env={**os.environ, "PYTHON": sys.executable},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, "no environment of Python" in done.stderr) == (2, True)
        assert model.read_bytes() == b"dear"


def test_make_leaves_an_installed_environment_as_it_is(tmp_path: Path) -> None:
    """`make rollback` on a machine that only serves rolls back; it does not set up research."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    done = subprocess.run(
        ["make", "--no-print-directory", "PYTHON=false", "rollback", "REASON=errors"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "-m mlwb registry rollback --reason errors\n", done.stderr
    assert '.installed"\n' in (ROOT / "ops" / "install").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_command_line_knows_what_only_research_brings(script: ModuleType) -> None:
    """Each package that mlwb imports and a server lacks is told by the name of its extra."""
    base = script.closure(PROJECT["project"]["dependencies"])
    makers = metadata.packages_distributions()
    outside = {
        name
        for path in (ROOT / "mlwb").rglob("*.py")
        for name in _imported(ast.parse(path.read_text(encoding="utf-8")))
        if name != "mlwb" and name not in sys.stdlib_module_names
    }
    missing = {
        name for name in outside if not base & {canonicalize_name(it) for it in makers[name]}
    }
    assert missing - {"obstore", "redis"} == RESEARCH  # these two tell it themselves
    for name in RESEARCH:
        told = missing_extra(ModuleNotFoundError("no", name=f"{name}.inner"))
        assert told is not None
        assert told.exit_code == 2
        assert "mlwb[research]" in str(told)
    for fault in ("mlwb.gone", "uvicorn", None):
        assert missing_extra(ModuleNotFoundError("no", name=fault)) is None


def _imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names
