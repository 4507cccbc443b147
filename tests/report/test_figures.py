"""All figures: described, small, the same every time, and honest where there is nothing to draw."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from mlwb.canary import Judgement, Question, judge
from mlwb.model import GroupEffect, Importance
from mlwb.report import figures
from mlwb.report._figure import WIDTH
from mlwb.study import Information, Redundancy
from tests.report.conftest import Weeks, realised_losses

START = 1_735_689_600
NAMES = (
    "ablation", "agreement", "calibration", "costs", "daily", "decay", "distributions",
    "drift_panels", "eligibility", "fold_auc", "importance", "information", "latency", "losses",
    "market", "memory", "paper", "psi_bins", "psi_by_feature", "psi_rolling", "redundancy",
    "regimes", "rollout", "walk_forward",
)  # fmt: skip
HOSTILE = '"><script>alert(1)</script>'
Make = Callable[[], figures.Figure]


def _rollout(n: int) -> Judgement:
    """One question that every request answers well, under a name that tries to be markup."""
    at, never = np.arange(n), np.zeros(n, dtype=bool)
    return judge([Question(HOSTILE, at, never, 0.02, never, 0.01)], n)


@pytest.fixture
def gallery(request: pytest.FixtureRequest) -> Mapping[str, Make]:
    """Every figure on small data, with names that try to be markup where names are free."""
    rng, labels, paper, reference, shifted, make_trial, make_drift, make_panel, study = (
        request.getfixturevalue(name)
        for name in (
            "rng", "labels", "paper", "reference", "shifted", "make_trial", "make_drift",
            "make_panel", "study",
        )
    )  # fmt: skip
    n = 3_000
    ts = START + 60 * np.arange(n, dtype=np.int64)
    mid = 60_000.0 * np.exp(np.cumsum(rng.normal(0, 4e-4, n)))
    columns = np.column_stack([np.ones(n), rng.standard_t(3, n), rng.normal(size=n)])
    items = [
        Information(name, h, ic / (1 + h / 3600), ic - 0.02, ic + 0.02, n, 60)
        for name, ic in (("vol_ratio", 0.3), ("rsi14_z", -0.1), (HOSTILE, 0.0))
        for h in (60, 3600)
    ]
    matrix = np.asarray([[1.0, 0.94], [0.94, 1.0]])
    scores = rng.uniform(0.2, 0.8, n)
    trials = [make_trial("logistic", 0.1, [0.66, 0.65]), make_trial("boosting", 1.0, [0.64, 0.67])]
    drifts = [
        make_drift("rsi14_z", 0.02, (0.0, 0.05)), make_drift("spread_bp", 1.25, (0.9, 1.6)),
        make_drift("zscore_mid_24h", 0.1, (0.0, 0.4), 0.5), make_drift(HOSTILE, 0.2, None, None),
    ]  # fmt: skip
    cuts = {"start": START, "champion_end": START + 90_000, "train_end": START + 150_000,
            "end": START + 60 * n}  # fmt: skip
    return {
        "ablation": lambda: figures.ablation([GroupEffect("book", -0.02, 1.0, 1.0)]),
        "agreement": lambda: figures.agreement(scores, scores + 0.01, match_delta=0.05),
        "calibration": lambda: figures.calibration(*labels),
        "costs": lambda: figures.costs(study.costs, study.information, is_traded=True),
        "daily": lambda: figures.daily(study.daily),
        "decay": lambda: figures.decay(study.decay),
        "distributions": lambda: figures.distributions(
            columns, ("bias", HOSTILE, "z"), ("1", "bp", "1")
        ),
        "drift_panels": lambda: figures.drift_panels(
            [make_panel(name) for name in (HOSTILE, *"abcdefg")]
        ),
        "eligibility": lambda: figures.eligibility(study.eligibility, held_out_days=3.5),
        "fold_auc": lambda: figures.fold_auc(trials, limit="0.62"),
        "importance": lambda: figures.importance(
            Importance(("book", HOSTILE), np.array([[0.03, 0.01], [0.02, 0.0]]), 1.0, 1.0),
            least=0.7,
        ),
        "information": lambda: figures.information(items),
        "latency": lambda: figures.latency({"5%": rng.lognormal(size=200)}, limit_ms="80"),
        "losses": lambda: figures.losses(realised_losses(rng)),
        "market": lambda: figures.market(ts, mid, cuts=cuts, symbol=HOSTILE),
        "memory": lambda: figures.memory(study.memory),
        "paper": lambda: figures.paper(paper),
        "psi_bins": lambda: figures.psi_bins(reference, shifted),
        "psi_by_feature": lambda: figures.psi_by_feature(drifts, limit="0.3"),
        "psi_rolling": lambda: figures.psi_rolling(Weeks(np.asarray([0.05, 0.09])), limit="0.2"),
        "redundancy": lambda: figures.redundancy(Redundancy(("a", HOSTILE), matrix, np.ones(2))),
        "regimes": lambda: figures.regimes(study.regimes),
        "rollout": lambda: figures.rollout(_rollout(600)),
        "walk_forward": lambda: figures.walk_forward([START, START + 86_400], [0.66, 0.49]),
    }


@pytest.fixture(params=NAMES)
def figure(request: pytest.FixtureRequest, gallery: Mapping[str, Make]) -> figures.Figure:
    """One figure after the other."""
    return gallery[request.param]()


def test_every_figure_is_in_the_gallery(gallery: Mapping[str, Make]) -> None:
    """A new figure cannot slip past the tests of this module."""
    assert set(NAMES) == set(gallery) == set(figures.__all__) - {"MID", "Figure"}


def test_figure_is_described_small_and_safe(figure: figures.Figure) -> None:
    """Twice the CSS size, below 60 KB, no metadata, described, and names of the data stay text."""
    assert len(figure.png) < 60_000
    image = Image.open(BytesIO(figure.png))
    assert image.size == (2 * WIDTH, 2 * figure.height)
    assert image.info == {}
    assert figure.alt.startswith(figure.title)
    assert figure.subtitle
    assert repr(figure) == f"Figure: {figure.title}"
    assert "nan" not in f"{figure.title} {figure.subtitle}".lower().split()

    html = figure._repr_html_()
    assert "<script" not in html
    assert html.count("<figure") == html.count("<figcaption") == html.count("<img alt=") == 1
    assert 'src="data:image/png;base64,' in html


@pytest.mark.parametrize("name", ["market", "information", "psi_bins", "agreement", "drift_panels"])
def test_same_data_same_bytes(name: str, gallery: Mapping[str, Make]) -> None:
    """Whatever somebody told matplotlib before, and without telling it anything."""
    first = gallery[name]()
    with mpl.rc_context({"font.size": 30.0, "axes.facecolor": "red", "figure.dpi": 40.0}):
        second = gallery[name]()
        assert mpl.rcParams["font.size"] == 30.0
    assert first.png == second.png


def test_other_data_other_picture(gallery: Mapping[str, Make], labels: Any) -> None:
    """The picture follows the data."""
    y, probability = labels
    assert gallery["calibration"]().png != figures.calibration(1.0 - y, probability).png


EMPTY = np.asarray([], dtype=np.float64)
NONE = np.full(3, np.nan)
NO_TS = np.asarray([], dtype=np.int64)


@lru_cache
def _nothing() -> dict[str, figures.Figure]:
    return {
        "ablation": figures.ablation([]),
        "agreement": figures.agreement(NONE, np.ones(3), match_delta=0.05),
        "calibration": figures.calibration(EMPTY, EMPTY),
        "costs": figures.costs([], is_traded=True),
        "daily": figures.daily([]),
        "decay": figures.decay([]),
        "distributions": figures.distributions(np.empty((0, 1)), ("a",), ("1",)),
        "drift_panels": figures.drift_panels([]),
        "eligibility": figures.eligibility([], held_out_days=14.0),
        "fold_auc": figures.fold_auc([]),
        "importance": figures.importance(Importance((), np.empty((0, 0)), 0.0, 0.0), least=0.7),
        "information": figures.information([]),
        "latency": figures.latency({"smoke": NONE, "5%": EMPTY}, limit_ms=80.0),
        "losses": figures.losses(None),
        "market": figures.market(NO_TS, EMPTY, cuts={}, symbol="X"),
        "memory": figures.memory([]),
        "paper": figures.paper(None),
        "psi_by_feature": figures.psi_by_feature([], limit=0.3),
        "psi_rolling": figures.psi_rolling(Weeks(EMPTY), limit=0.2),
        "redundancy": figures.redundancy(Redundancy(("a",), np.ones((1, 1)), np.ones(1))),
        "regimes": figures.regimes([]),
        "rollout": figures.rollout(_rollout(0)),
        "walk_forward": figures.walk_forward([START], [float("nan")]),
    }


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"psi_bins"}))
def test_nothing_to_draw_says_so(name: str) -> None:
    """Empty, all NaN or not applicable: a sentence that says why, no picture and no crash."""
    figure = _nothing()[name]
    assert figure.png == b""
    assert figure.title.endswith(": not measured")
    assert figure._repr_html_().startswith('<p class="note"><strong>')


def _imported(module: str) -> Iterator[str]:
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    yield from done.stdout.split()


@pytest.mark.parametrize(
    ("module", "kept_out"),
    [
        ("mlwb.report.figures", {"matplotlib.pyplot", "scipy", "sklearn", "statsmodels"}),
        ("mlwb.report.index", {"matplotlib", "pandas", "scipy", "sklearn"}),
    ],
)
def test_imports_stay_light(module: str, kept_out: set[str]) -> None:
    """Figures never touch pyplot and its global state; the index page needs no plotting at all."""
    assert not kept_out.intersection(_imported(module))
