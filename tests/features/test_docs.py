"""What docs/features.md says is so."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mlwb.core.home import find_project
from mlwb.features import feature_names, load_features, specs
from mlwb.features.batch import check_compiled, compute
from mlwb.features.labels import LABEL_KINDS
from tests.strategies import walk_bars

PAGE = (find_project() / "docs" / "features.md").read_text(encoding="utf-8")


def test_the_page_names_every_feature_and_label() -> None:
    """Each feature of the package has a row, each label kind too, and no row is left over."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    named = [name for line in rows for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(named) == sorted([*feature_names(), *LABEL_KINDS])


@pytest.mark.slow
def test_the_file_on_the_page_works(tmp_path: Path) -> None:
    """Saved as it stands it is loaded, compiled, computed, and known where it should be."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "my_features.py"
    path.write_text(code)
    mine = load_features([str(path)])
    check_compiled(mine)
    chosen = specs(["bias", *(spec.name for spec in mine)], modules=[str(path)])
    found = compute(chosen, walk_bars(200))
    assert np.isfinite(found[60:]).all()
    assert np.abs(found[:, 1]).max() <= 1.0
    assert f"features.names=[bias,vol1m_log,{','.join(spec.name for spec in mine)}]" in PAGE
