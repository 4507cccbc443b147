"""The notebooks under nbval, as they are run: in order, on one workbench, on a small market.

A pytest plugin::

    python -m pytest -p tests.notebooks.lane --nbval-lax tests/notebooks/golden

nbval runs what stands in a notebook and cannot inject. Here the values of a profile are laid over
the ``parameters`` cell, the workbench is a fresh temporary folder, and the traffic that stage 04
reads is sent before it. Beside that, four of nbval's habits are mended: it forgets a trailing
semicolon, waits 5 s for output, lets other plugins shuffle or split the cells of a notebook, and
takes whichever kernel a user has installed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.imports import without_iri_grammar

with without_iri_grammar():
    from nbval.kernel import RunningKernel  # type: ignore[import-untyped]
    from nbval.plugin import IPyNbCell, IPyNbFile  # type: ignore[import-untyped]

pytest_plugins = ("nbval.plugin",)

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "notebooks" / "golden"
PROFILE = "ci"
OUTPUT_TIMEOUT_S = 60

_PATCHES = pytest.MonkeyPatch()
_HOMES: list[str] = []


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set up the workbench and the kernels' environment, when notebooks are to be run at all."""
    option = config.option
    if not (option.nbval or option.nbval_lax):
        return
    # One process: cells of a notebook belong together, and notebooks build on each other.
    option.dist, option.numprocesses, option.tx = "no", None, []
    option.nbval_current_env = option.nbval_kernel_name is None
    option.nbval_sanitize_with = option.nbval_sanitize_with or str(ROOT / _SANITIZE)
    home = tempfile.mkdtemp(prefix="mlwb-nbval-")
    _HOMES.append(home)
    for name, value in _environ(home).items():
        _PATCHES.setenv(name, value)
    _PATCHES.setattr(RunningKernel, "execute_cell_input", _execute_with_history)
    _PATCHES.setattr(IPyNbFile, "setup", _setup_after_traffic(IPyNbFile.setup))


_SANITIZE = "tests/notebooks/sanitize.cfg"


def _environ(home: str) -> dict[str, str]:
    return {
        "MLWB_HOME": home,
        "IPYTHONDIR": f"{home}/ipython",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    _PATCHES.undo()
    while _HOMES:
        shutil.rmtree(_HOMES.pop(), ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put cells back in order, give them time, and lay the profile over the parameters."""
    cells = [item for item in items if isinstance(item, IPyNbCell)]
    cells.sort(key=lambda item: (str(item.path), item.cell_num))
    items[:] = [item for item in items if not isinstance(item, IPyNbCell)] + cells
    for item in cells:
        item.output_timeout = OUTPUT_TIMEOUT_S
        if "parameters" in item.cell.metadata.get("tags", []):
            item.cell.source += _overlay(item.path)


def _is_stage(notebook: Path) -> bool:
    """Whether a notebook is one of the project's own, or its golden."""
    return notebook.parent in (ROOT / "notebooks", GOLDEN)


def _overlay(notebook: Path) -> str:
    """Assignments of the profile's values; none for a notebook that is no stage."""
    from mlwb.params import STAGES, load_params, params_values

    stage = notebook.stem.partition("_")[2]
    if not _is_stage(notebook) or stage not in STAGES:
        return ""
    values = params_values(load_params(stage, ROOT / "params", profile=PROFILE))
    return "".join(f"\n{name} = {value!r}" for name, value in values.items())


def _execute_with_history(self: Any, cell_input: str, allow_stdin: bool | None = None) -> Any:  # noqa: FBT001 - nbval's own signature
    return self.kc.execute(
        cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False
    )


def _setup_after_traffic(setup: Any) -> Any:
    def prepared(self: Any) -> None:
        if _is_stage(self.path) and self.path.name == "04_canary_analysis.ipynb":
            _send_traffic()
        setup(self)

    return prepared


def _send_traffic() -> None:
    """What the pipeline does between 03 and 04."""
    from dataclasses import replace

    from mlwb.core.clock import SystemClock
    from mlwb.core.home import find_home
    from mlwb.evidence import EvidenceStore
    from mlwb.params import load_params, load_policy
    from mlwb.runner import (send_traffic)
    from mlwb.stages import replay

    home = find_home(os.environ)
    champion = EvidenceStore(home.evidence).newest("offline_report").details["champion"]
    params = replace(load_params("replay", home.params, profile=PROFILE), champion=champion)
    policy = load_policy(home.params / params.run.policy)
    logs = home.outputs / "traffic"
    send_traffic(home, replay.load(params), policy, logs=logs, clock=SystemClock())
