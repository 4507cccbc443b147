"""The shape of the package: arrows point down, rooms keep their doors, serving stays light."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mlwb"
MODULES = sorted(PACKAGE.rglob("*.py"))
PLAIN_ROOMS = {"core", "stages", "report"}  # their modules are imported by full path
DOORS = {
    "data/fetch.py",
    "drift/battery.py",
    "drift/calibration.py",
    "drift/multivariate.py",
    "drift/planning.py",
    "drift/recent.py",
    "features/batch.py",
    "features/labels.py",
    "features/probe.py",
    "features/regimes.py",
    "registry/promotion.py",
    "serve/app.py",
}
HEAVY = [
    "pandas", "sklearn", "scipy", "numba", "statsmodels", "arch", "matplotlib", "papermill",
    "nbformat", "nbconvert", "IPython", "onnx", "skl2onnx", "pyarrow",
]  # fmt: skip
LIGHT = [
    "mlwb.serve", "mlwb.serve.app", "mlwb.client", "mlwb.inference", "mlwb.registry", "mlwb.gates",
    "mlwb.canary", "mlwb.drift", "mlwb.features", "mlwb.stats", "mlwb.evidence", "mlwb.params",
    "mlwb.monitor", "mlwb.rollout", "mlwb.stages.canary_dryrun", "mlwb.stages.canary_preflight",
    "mlwb.stages.scrape", "mlwb.stages.shadow_compare", "mlwb.stages.validation",
]  # fmt: skip


def name_of(path: Path) -> str:
    """Path below the package, with slashes."""
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    """The room a module is in; empty for the package's own modules."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imports(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Every import from the package: the parts of the module's name, the names taken."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlwb."):
            yield (node.module or "").split("."), [alias.name for alias in node.names]


def python(code: str, cwd: Path) -> str:
    """Output of a fresh interpreter that knows nothing but where the package is."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_all_import_contracts_are_kept() -> None:
    """import-linter finds no broken arrow; the contracts it checks are all there."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = [contract["name"] for contract in table["tool"]["importlinter"]["contracts"]]
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert f"Contracts: {len(names)} kept, 0 broken." in done.stdout
    assert {
        "Every import points down",
        "No cycles",
        "Measuring rooms never write evidence",
        "Gates read evidence and policy only",
        "Research meets serving only through files",
        "The serving path is light",
        "onnxruntime has one door",
        "numba has one door",
    } <= set(names)


LOADED = f"""
import importlib, sys
for name in NAMES:
    importlib.import_module(name)
    for heavy in sorted(set({HEAVY}) & set(sys.modules)):
        print(name, heavy)
"""


def test_serving_path_loads_nothing_heavy(tmp_path: Path) -> None:
    """In a fresh process none of the research libraries is loaded, not even by accident."""
    assert python(f"NAMES = {LIGHT}" + LOADED, tmp_path).splitlines() == []


def test_probe_for_heavy_modules_sees_one(tmp_path: Path) -> None:
    """The check above can fail: the door to numba does load it."""
    found = python("NAMES = ['mlwb.features.batch']" + LOADED, tmp_path).splitlines()
    assert "mlwb.features.batch numba" in found


def test_importing_does_nothing(tmp_path: Path) -> None:
    """No output, no files, no handlers, no thread, no variable of the environment read."""
    code = f"""
import logging, os, threading
class Watched(dict):
    def __missing__(self, key): raise KeyError(key)
    def __getitem__(self, key): seen.add(key); return super().__getitem__(key)
    def get(self, key, default=None): seen.add(key); return super().get(key, default)
seen = set()
os.environ = Watched()
import {", ".join(LIGHT)}
assert not [key for key in seen if key.startswith(("MLWB", "SERVE", "CANARY"))], seen
assert threading.active_count() == 1
assert not [h for n in logging.root.manager.loggerDict if n.startswith("mlwb")
            for h in logging.getLogger(n).handlers]
"""
    assert python(code, tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_rooms_are_entered_by_the_door() -> None:
    """Across rooms no private module and no private name is imported."""
    found = [
        f"{name_of(path)}: {name}"
        for path in MODULES
        for parts, names in imports(path)
        if parts[1] != room_of(path)
        for name in (*parts[2:], *names)
        if name.startswith("_")
    ]
    assert found == []


def test_rooms_do_not_import_from_their_own_door() -> None:
    """Inside a room modules are named in full; the room's `__init__` only hands out."""
    found = [
        f"{name_of(path)}: {name}"
        for path in MODULES
        for parts, names in imports(path)
        if parts[1:] == [room_of(path)]
        for name in names
        if not (PACKAGE / parts[1] / f"{name}.py").is_file()
    ]
    assert found == []


def test_modules_of_a_room_are_private_or_known_doors() -> None:
    """A plain name is a promise; only the rooms and doors that make one have it."""
    plain = {
        name_of(path)
        for path in MODULES
        if room_of(path) not in {"", *PLAIN_ROOMS} and not path.name.startswith("_")
    }
    assert plain == DOORS


def test_modules_and_functions_keep_their_budget() -> None:
    """At most 500 lines a module and 40 a function, docstring not counted."""
    over = []
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        over += [name_of(path)] if len(text.splitlines()) > 500 else []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                start = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
                if (node.end_lineno or 0) - (start or 0) > 40:
                    over.append(f"{name_of(path)}: {node.name}")
    assert over == []


def test_every_ignored_rule_has_its_reason_beside_it() -> None:
    """`noqa` names the rules, and behind a dash why they do not hold here."""
    bare = re.compile(r"[#] noqa(?!: [A-Z0-9, ]+ - \w)")
    places = (ROOT / name for name in ("mlwb", "tests", "benchmarks", "ops", "docs"))
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for place in places
        for path in sorted(place.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []
