"""The quick look, as the requirements write it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mlwb.core.errors import EmptyWindowError
from mlwb.drift import detect_drift, fit_reference, ks_test, psi
from mlwb.drift._detect import _band


def test_it_reads_as_the_requirements_write_it() -> None:
    """``results["psi"]["value"]`` and ``results["overall_drift"]``; numbers are the room's own."""
    rng = np.random.default_rng(0)
    golden, current = rng.normal(size=4_000), rng.normal(0.7, 1.0, size=2_000)
    results = detect_drift(golden, current)
    assert results["psi"]["value"] == psi(fit_reference("x", golden), current).value
    assert results["ks"]["p_value"] == ks_test(golden, current).p_value
    assert (results["psi"]["band"], results["overall_drift"]) == ("significant", True)
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def test_nothing_changed() -> None:
    """Independent rows of one distribution: no band, no drift."""
    rng = np.random.default_rng(1)
    results = detect_drift(rng.normal(size=3_000), rng.normal(size=1_000))
    assert (results["psi"]["band"], results["overall_drift"]) == ("none", False)
    assert results["psi"]["value"] < 3 * results["psi"]["noise_floor"]


def test_either_says_drift() -> None:
    """A small shift of many rows is nothing to the PSI and clear to KS; levels are the caller's."""
    rng = np.random.default_rng(2)
    golden, current = rng.normal(size=20_000), rng.normal(0.1, 1.0, size=20_000)
    results = detect_drift(golden, current)
    assert (results["psi"]["drift"], results["ks"]["drift"]) == (False, True)
    assert results["overall_drift"]
    assert not detect_drift(golden, current, ks_level=0.0)["overall_drift"]
    assert detect_drift(golden, current, psi_threshold=0.0, ks_level=0.0)["overall_drift"]


@pytest.mark.parametrize(
    ("value", "band"),
    [
        (0.0, "none"),
        (0.0999, "none"),
        (0.1, "moderate"),
        (0.25, "moderate"),
        (0.2501, "significant"),
        (np.inf, "significant"),
    ],
)
def test_bands(value: float, band: str) -> None:
    """Below 0.1, 0.1 to 0.25, above 0.25."""
    assert _band(value) == band


def test_holes_and_lists_are_taken() -> None:
    """Plain lists will do; missing values move the PSI and are left out of KS."""
    golden = list(range(100))
    results = detect_drift(golden, [*golden, *([float("nan")] * 50), 1e9])
    assert results["psi"]["band"] == "significant"
    assert results["psi"]["raw"] is None
    assert results["ks"]["statistic"] < 0.05
    assert (results["n_current"], results["n_out_of_range"]) == (151, 1)
    assert json.dumps(results, allow_nan=False)


@pytest.mark.parametrize(("golden", "current"), [([], [1.0]), ([1.0], []), ([1.0], [np.nan])])
def test_an_empty_side_is_an_error(golden: list[float], current: list[float]) -> None:
    """Nothing to compare is not the absence of drift."""
    with pytest.raises(EmptyWindowError):
        detect_drift(np.array(golden), np.array(current))
