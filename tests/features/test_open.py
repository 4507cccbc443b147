"""Features of one's own: found without editing the package, refused where they break a rule."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlwb.core.errors import MlwbError, ParamsError, UnknownParameterError
from mlwb.features import FeatureStream, feature_names, load_features, specs
from mlwb.features._open import check_bars
from mlwb.features.batch import check_compiled, compute
from tests.strategies import same_bits, walk_bars

HEAD = """
import math
import time

import numpy as np

from mlwb.core.bars import CLOSE, HIGH, LOW, MID, OPEN, VOLUME
from mlwb.features import Bar, FeatureSpec, State, log_ratio, minute_of, window_start, window_sums

SCALE = 2.0
MEMORY = [0.0]


def halved(x):
    return x / SCALE

"""
ROW = (
    'FEATURES = (FeatureSpec("{name}", "1", step, {start}, {lookback}, {inputs}, "a test", '
    "{bounds}),)\n"
)
SUM = """
def step(state, bar):
    n, total, _, _ = window_sums(state, 0, 30, 10, minute_of(bar), halved(bar[VOLUME]))
    if n < 25.0:
        return math.nan
    return math.log1p(total / n)
"""
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a module of features and return its path."""

    def _write(
        body: str = SUM,
        *,
        name: str = "mean_volume",
        start: str = "window_start(30, 10)",
        lookback: int = 1_800,
        inputs: str = '("volume",)',
        bounds: str = "(-math.inf, math.inf)",
    ) -> str:
        path = tmp_path / f"mine_{len(list(tmp_path.iterdir()))}.py"
        row = ROW.format(name=name, start=start, lookback=lookback, inputs=inputs, bounds=bounds)
        path.write_text(HEAD + body + "\n" + row)
        return str(path)

    return _write


def test_a_feature_of_ones_own_needs_one_function_and_one_row(write: Write) -> None:
    """Named beside the others it compiles, streams and dumps like them, the same bits."""
    (mine,) = load_features([path := write()])
    chosen = specs(["rsi14_z", "mean_volume"], modules=[path])
    check_compiled([mine])
    rows = walk_bars(600, keep=np.random.default_rng(1).random(600) > 0.02)
    found = compute(chosen, rows)
    stream = FeatureStream(chosen)
    assert same_bits(found, np.array([stream.step(row) for row in rows.tolist()]))
    assert np.isfinite(found[:, 1]).any()
    assert "mean_volume" not in feature_names()
    with pytest.raises(UnknownParameterError, match="some of bias"):
        specs(["mean_volume"])


def test_a_module_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An importable module does as well as a file."""
    (tmp_path / "desk_features.py").write_text(
        HEAD
        + SUM
        + ROW.format(
            name="own",
            start="window_start(30, 10)",
            lookback=1_800,
            inputs="()",
            bounds="(0.0, 99.0)",
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert specs(["own"], modules=["desk_features"])[0].name == "own"


def test_the_digest_covers_the_source(write: Write) -> None:
    """Another helper, another constant: another feature; the same file: the same one."""
    path = write()
    (first,) = load_features([path])
    text = Path(path).read_text()
    for change in (("SCALE = 2.0", "SCALE = 3.0"), ("x / SCALE", "x / SCALE + 0.0")):
        Path(path).write_text(text.replace(*change))
        os.utime(path, (1, 1))
        assert load_features([path])[0].digest != first.digest
    Path(path).write_text(text)
    assert load_features([path])[0].digest == first.digest


@pytest.mark.slow
def test_helpers_of_the_same_name_are_kept_apart(write: Write) -> None:
    """A helper called as one of mlwb's own are called hides neither of the two."""
    body = "def advance(x):\n    return x * 3.0\n" + SUM.replace("halved(", "advance(")
    (mine,) = load_features([write(body)])
    check_compiled([mine])
    (plain,) = load_features([write(SUM.replace("halved(", "3.0 * ("))])
    rows = walk_bars(200)
    assert same_bits(compute([mine], rows), compute([plain], rows))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "rsi14_z"}, "a name that is taken"),
        ({"name": "Mean Volume"}, "small letters"),
        ({"lookback": 90}, "whole minutes"),
        ({"inputs": '("colour",)'}, "fields of a bar"),
        ({"bounds": "(1.0, 0.0)"}, "bounds in order"),
        ({"bounds": "(math.nan, 1.0)"}, "bounds in order"),
        ({"start": "()"}, "a start state of floats"),
        ({"start": "(0,)"}, "a start state of floats"),
        ({"body": "def step(state):\n    return 1.0"}, r"a step\(state, bar\)"),
        ({"body": "step = 5"}, r"a step\(state, bar\)"),
    ],
)
def test_an_incomplete_row_is_refused(
    write: Write, change: dict[str, object], message: str
) -> None:
    """Each fact of the row is checked, and the message says which one is missing."""
    with pytest.raises(ParamsError, match=message):
        load_features([write(**change)])


@pytest.mark.parametrize("bounds", ["(0.0, 2.0)", "(2.9, math.inf)"])
def test_bounds_that_a_value_passes_are_refused(write: Write, bounds: str) -> None:
    """The message names them and the value: a server would refuse rows of its own making."""
    with pytest.raises(ParamsError, match=r"passes the bounds of its row.*got [12]\.\d+"):
        load_features([write(bounds=bounds)])


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("return time.time()", "time"),
        ("return float(np.log(bar[MID]))", "np"),
        ("return MEMORY[0]", "MEMORY"),
        ("return float(open('x').read())", "open"),
        ("return eval('1.0')", "eval"),
        ("import random\n    return random.random()", "import inside a step"),
        ("global SCALE\n    SCALE = 3.0\n    return 1.0", "global"),
        ("return sum([x for x in bar])", "sum|a list|comprehension"),
        ("return (lambda x: x)(1.0)", "lambda"),
        ("return bar.__len__() * 1.0", "__len__"),
        ("state.append(1.0)\n    return 1.0", "append"),
        ("try:\n        return bar[MID]\n    finally:\n        pass", "try"),
        ("return float(f'{bar[MID]}')", "text"),
    ],
)
def test_a_step_may_only_calculate(write: Write, line: str, what: str) -> None:
    """Time, files, randomness, memory outside the state, other libraries: refused by name."""
    body = f"def step(state, bar):\n    {line}\n"
    with pytest.raises(ParamsError, match=f"step uses .*({what})"):
        load_features([write(body, start="(0.0,)", lookback=0)])


def test_a_helper_is_held_to_the_same_rules(write: Write) -> None:
    """What a step must not do it must not have done for it."""
    body = "def now():\n    return time.time()\n\ndef step(state, bar):\n    return now()\n"
    with pytest.raises(ParamsError, match="now uses time"):
        load_features([write(body, start="(0.0,)", lookback=0)])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("return 1", "returned 1"),
        ("return None", "returned None"),
        ("return bar[MID] > 0.0", "returned True"),
        ("return bar[MID] / 0.0", "ZeroDivisionError"),
        ("return math.log(bar[VOLUME])", "math domain error"),
        ("return math.inf", "returned inf"),
        ("state[0] = 1\n    return 1.0", "as many floats"),
        ("return math.nan", "never known"),
        ("state[0] += 1.0\n    return state[0]", "before its look-back"),
        (
            "state[0] = 0.9 * state[0] + bar[HIGH]\n    return state[0]",
            "before its look-back|fails",
        ),
    ],
)
def test_a_step_is_tried_before_it_is_taken(write: Write, line: str, message: str) -> None:
    """Wrong return, a fault on rough bars, a memory longer than declared: refused at load."""
    body = f"def step(state, bar):\n    {line}\n"
    with pytest.raises(ParamsError, match=message):
        load_features([write(body, start="(0.0,)", lookback=0)])


def test_a_step_that_numba_cannot_compile_is_refused(write: Write) -> None:
    """Plain Python that changes the type of a variable runs online and not compiled: said so."""
    body = (
        "def step(state, bar):\n    x = (1.0, 2.0) if bar[MID] > 0.0 else 3.0\n"
        "    return float(x != 3.0)\n"
    )
    (mine,) = load_features([write(body, start="(0.0,)", lookback=0)])
    with pytest.raises(ParamsError, match="numba cannot compile"):
        check_compiled([mine])


def test_a_step_whose_compiled_values_differ_is_refused(write: Write) -> None:
    """Whole numbers beyond 64 bits are exact in Python and wrap when compiled: refused."""
    body = (
        "def step(state, bar):\n    x = 3\n    for _ in range(6):\n        x = x * x\n"
        "    return float(x % 1000003)\n"
    )
    (mine,) = load_features([write(body, start="(0.0,)", lookback=0, inputs="()")])
    with pytest.raises(ParamsError, match="differs from the interpreted"):
        check_compiled([mine])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no features"),
        ("raise SystemExit(3)", "cannot be imported; got SystemExit"),
        ("FEATURES = ()", "holds no features"),
        ("FEATURES = [1]", "holds no features"),
        ("1 / 0", "cannot be imported.*ZeroDivisionError"),
        ("def (", "cannot be imported.*SyntaxError"),
    ],
)
def test_a_file_without_features_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Empty, wrong or broken files: one sentence, with the cause."""
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ParamsError, match=message):
        load_features([str(path)])


@pytest.mark.parametrize("name", ["no_such_module_anywhere", "no/such/file.py"])
def test_a_module_that_is_not_there_is_refused(name: str) -> None:
    """By name or by path."""
    with pytest.raises(MlwbError, match=r"cannot be (imported|read)"):
        load_features([name])


def test_two_modules_must_not_share_a_name(write: Write) -> None:
    """The second is refused, and the first is named."""
    first, second = write(), write()
    with pytest.raises(ParamsError, match=r"mine_1.py has a name that is taken.*mine_0.py"):
        load_features([first, second])


def test_the_rough_market_is_rough() -> None:
    """Gaps, missing fields and flat prices are in it, so that steps meet them at load."""
    bars = np.array(check_bars())
    assert (np.diff(bars[:, 0]) > 60).sum() > 10
    assert np.isnan(bars).any(axis=0)[1:].all()
    assert (np.diff(bars[:, 1]) == 0.0).sum() > 40
