"""Messages of the figures about drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlwb.core.arrays import Int1D
from mlwb.drift import BinnedReference
from mlwb.drift.calibration import BlockNull
from mlwb.report import figures
from tests.report.conftest import Weeks, realised_losses

pytestmark = pytest.mark.usefixtures("coarse")


def test_psi_counts_what_is_shown(make_drift: Callable[..., Any]) -> None:
    """Below and above need their bound on that side; between is neither; a wide null is blind."""
    rows = [
        make_drift("calm", 0.02, (0.0, 0.05)),
        make_drift("open", 0.25, (0.1, 0.4)),
        make_drift("moved", 1.25, (0.9, 1.6)),
        make_drift("slow", 0.1, (0.0, 0.2), 0.5),
        make_drift("short", 0.01, None, None),
    ]
    assert figures.psi_by_feature(rows, limit="0.3").title == (
        "1 of 5 features is shown below 0.3; moved is shown above; open is undecided; "
        "slow and short cannot be judged in this window"
    )


def test_psi_at_the_limit_is_not_below(make_drift: Callable[..., Any]) -> None:
    """The limit is strict: an upper bound on it shows nothing."""
    title = figures.psi_by_feature([make_drift("a", 0.2, (0.1, 0.3))], limit=0.3).title
    assert title == "0 of 1 features are shown below 0.3; a is undecided"


def test_psi_lists_two_and_counts_the_rest(make_drift: Callable[..., Any]) -> None:
    """A long list stays a sentence."""
    rows = [make_drift(name, 1.0, (0.9, 1.1)) for name in "abcd"]
    assert "a, b and 2 more are shown above" in figures.psi_by_feature(rows, limit=0.3).title


def test_psi_bins_name_the_bin(
    reference: BinnedReference, shifted: Int1D, psi_of: Callable[[Int1D], float]
) -> None:
    """The value is the drift room's own; the bin named is the one that adds most."""
    title = figures.psi_bins(reference, shifted).title
    assert title.startswith(f"rsi14_z: PSI {psi_of(shifted):.3f}, ")
    assert "from the bin > 1.26, which" in title
    assert "held 10.0\u00a0% of rows" in title


def test_psi_bins_show_missing_values(reference: BinnedReference) -> None:
    """Rows without a value have a bin of their own, and are named when they are the drift."""
    current = np.zeros(reference.n_bins + 3, dtype=np.int64)
    current[reference.n_bins] = 500
    current[0] = 500
    assert "from the bin missing" in figures.psi_bins(reference, current).title


def test_psi_bins_without_rows_or_without_drift(reference: BinnedReference) -> None:
    """No rows is not measured; equal shares add nothing."""
    nothing = figures.psi_bins(reference, np.zeros_like(reference.counts))
    assert nothing.title == "Bins of rsi14_z: not measured"
    one = BinnedReference("bias", np.asarray([]), np.asarray([100, 0, 0, 0]), 1.0, 1.0)
    assert figures.psi_bins(one, one.counts).title.startswith("bias: PSI 0.000, no bin moved")


def test_rolling() -> None:
    """Range, limit, and how many windows reach it; one window is not a range."""
    values = np.asarray([0.05, 0.2, 0.09])
    assert figures.psi_rolling(Weeks(values), limit="0.2").title == (
        "Overall PSI over 3 windows of 7 days: 0.050 to 0.200, 1 at or above 0.2"
    )
    assert "none reaches 0.2" in figures.psi_rolling(Weeks(values[::2]), limit="0.2").title
    assert figures.psi_rolling(Weeks(values[:1]), limit=0.2).title == (
        "Overall PSI over one window of 7 days: 0.050, below 0.2"
    )
    assert "grey" not in figures.psi_rolling(Weeks(values), limit="0.2").subtitle
    own = BlockNull(np.linspace(0.0, 0.1, 20), 7, 40)
    assert "grey" in figures.psi_rolling(Weeks(values, own), limit="0.2").subtitle


def test_panels_show_what_tells_most_and_name_the_rest(make_panel: Callable[..., Any]) -> None:
    """Refused first, then undecided, then beyond judging; a constant is named, not drawn."""
    rows = [make_panel(f"f{n:02d}", ends=(0.0, 0.2)) for n in range(22)]
    rows += [make_panel("blind", null95=0.5), make_panel("open", ends=(0.2, 0.4))]
    rows += [make_panel("moved", ends=(0.4, 0.5))]
    found = figures.drift_panels(rows)
    order = ["moved: ", "open: ", "blind: ", "f00: "]
    assert [found.alt.index(name) for name in order] == sorted(map(found.alt.index, order))
    assert found.title.startswith("moved tells most. > 1.26: 10.0\u00a0% of rows in training, ")
    assert found.subtitle.endswith("f17, f18, f19, f20, f21.")
    assert "moved" not in found.subtitle


@pytest.mark.parametrize(
    ("hours", "p_value", "said"),
    [
        (np.eye(24)[7], 0.01, "; most from 02 to 08 h UTC"),
        (np.roll(np.arange(24) < 4, 22).astype(float), 0.01, "; most from 20 to 02 h UTC"),
        (np.ones(24), 0.01, "; at all hours"),
        (np.eye(24)[7], 0.2, "now"),
        (np.full(24, np.nan), None, "now"),
    ],
)
def test_hours_are_named_only_where_chance_does_not_explain_them(
    hours: Any, p_value: float | None, said: str, make_panel: Callable[..., Any]
) -> None:
    """Six hours with more than half of it are named; without a change, no hour moved."""
    found = figures.drift_panels([make_panel("a", hours, p_value=p_value)])
    assert found.title.endswith(said)


def test_only_days_that_cost_more_are_counted() -> None:
    """A better day than training ever had is no news of harm."""
    found = realised_losses(np.random.default_rng(0))
    cheap, dear = (replace(found.now, brier=factor * found.now.brier) for factor in (0.1, 9.0))
    assert figures.losses(replace(found, now=cheap)).title == (
        "No held-out day cost more than training's own days do"
    )
    assert figures.losses(replace(found, now=dear)).title.startswith("5 of 5 held-out days cost")
