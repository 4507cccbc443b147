"""PSI against numbers computed by other libraries on data anyone can regenerate.

``z(n)_i = Phi^-1((i + 0.5) / n)``. E1 was computed with optbinning's jeffrey, deepchecks and
feature-engine, E2 with feature-engine's equal-frequency PSI and optbinning, E3, E5 and E6 by hand.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy, norm

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.canonical import canonical_bytes
from mlwb.core.errors import DataSchemaError, EmptyWindowError
from mlwb.drift import (
    bin_counts,
    fit_reference,
    psi,
    psi_of_counts,
    psi_spec,
    spec_digest,
    split_missing,
)

COUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=12)


def z(n: int) -> Float1D:
    """Normal scores."""
    return np.asarray(norm.ppf((np.arange(n) + 0.5) / n), dtype=np.float64)


def counts(*values: int) -> Int1D:
    """Counts as an array."""
    return np.array(values, dtype=np.int64)


E1 = counts(60, 80, 90, 100, 100, 100, 110, 110, 120, 130)
E2_CURRENT = 0.2 + 1.1 * z(1_000)
E5 = 1.416848836091969


def test_e1_counts() -> None:
    """Three libraries agree to the last digit where no bin is empty; ours is the same number."""
    found = psi_of_counts("e1", np.full(10, 100), E1, smoothing=0.0)
    assert found.value == pytest.approx(0.03937306379949241, rel=1e-14)
    assert found.raw == found.value
    assert found.noise_floor == pytest.approx(9 * 2 / 1_000)
    smoothed = psi_of_counts("e1", np.full(10, 100), E1)
    assert smoothed.value == pytest.approx(0.038955348739932144, rel=1e-12)
    assert smoothed.raw == pytest.approx(0.03937306379949241, rel=1e-14)


@pytest.mark.parametrize(
    ("n_bins", "expected"),
    [(5, 0.03905467854726223), (10, 0.04613552329156049), (20, 0.05036907827640831)],
)
def test_e2_reference_quantiles(n_bins: int, expected: float) -> None:
    """Continuous data, reference-quantile bins: feature-engine's and optbinning's value."""
    reference = fit_reference("e2", z(2_000), n_bins=n_bins)
    assert psi(reference, E2_CURRENT, smoothing=0.0).value == pytest.approx(expected, rel=1e-12)


def test_e2_smoothed() -> None:
    """With one half added to every count, as Krichevsky and Trofimov do."""
    found = psi(fit_reference("e2", z(2_000)), E2_CURRENT)
    assert found.value == pytest.approx(0.04570509834699407, rel=1e-12)
    assert (found.n_ref, found.n_obs) == (2_000, 1_000)


def test_e3_vanished_and_new_category() -> None:
    """Libraries differ from 1.1 to infinity here; the smoothed value is 2.3949, unsmoothed inf."""
    reference, current = counts(500, 300, 200, 0), counts(480, 320, 0, 200)
    found = psi_of_counts("e3", reference, current)
    assert found.value == pytest.approx(2.3948990706359634, rel=1e-12)
    assert np.isnan(found.raw)
    assert psi_of_counts("e3", reference, current, smoothing=0.0).value == np.inf


def test_e4_one_bad_tick_hides_nothing() -> None:
    """A shift of 5 sd stays enormous beside a single value of 1e6, which hides it elsewhere."""
    reference = fit_reference("e4", z(2_000))
    shifted = np.append(z(1_000) + 5.0, 1e6)
    assert psi(reference, shifted).value > 5.0
    assert psi(reference, shifted[:-1]).value == pytest.approx(
        psi(reference, shifted).value, rel=0.01
    )
    spoiled = E2_CURRENT.copy()
    spoiled[-1] = 1e6
    assert psi(reference, spoiled).value == psi(reference, E2_CURRENT).value


def test_e5_missing_values_are_drift() -> None:
    """A fifth of the rows missing gives 1.4168; dropping them would give about 0.05."""
    current = E2_CURRENT.copy()
    current[::5] = np.nan
    found = psi(fit_reference("e5", z(2_000)), current)
    assert found.value == pytest.approx(E5, rel=1e-12)
    assert found.per_bin[10] == found.per_bin.max()


def test_e6_rare_cell() -> None:
    """A cell that grows from 0.1 % to 1 % is not clamped away: 0.0208."""
    found = psi_of_counts("e6", counts(999, 1), counts(990, 10), smoothing=0.0)
    expected = (0.990 - 0.999) * math.log(0.990 / 0.999) + (0.010 - 0.001) * math.log(10.0)
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(0.020805, abs=1e-6)


def test_e7_chance_alone_is_near_its_floor() -> None:
    """500 against 500 normal rows: about 0.036 on average, where frouros reports 1.37."""
    rng = np.random.default_rng(7)
    draws = [
        psi(fit_reference("e7", rng.normal(size=500)), rng.normal(size=500)) for _ in range(300)
    ]
    values = np.array([draw.value for draw in draws])
    assert values.mean() == pytest.approx(draws[0].noise_floor, rel=0.1)
    assert draws[0].noise_floor == pytest.approx(0.036)
    assert values.max() < 0.2


def test_p_for_independent_rows_keeps_its_level() -> None:
    """About one in twenty below 0.05 where nothing changed; smoothing errs to fewer."""
    rng = np.random.default_rng(11)
    draws = [
        psi(fit_reference("x", rng.normal(size=1_000)), rng.normal(size=500)).p_independent
        for _ in range(1_500)
    ]
    assert 0.03 < np.mean(np.array(draws) < 0.05) < 0.06


def test_p_of_e1_is_the_papers() -> None:
    """Unsmoothed E1: chi-square 19.6865 on 9 degrees; one cell tests nothing, a mean has no p."""
    found = psi_of_counts("e1", np.full(10, 100), E1, smoothing=0.0)
    assert found.n_cells == 10
    assert found.p_independent == pytest.approx(0.019948602929786757, rel=1e-9)
    assert psi_of_counts("bias", counts(50, 0), counts(20, 0)).p_independent == 1.0
    assert np.isnan(replace(found, n_cells=0).p_independent)


@given(COUNTS, st.data())
def test_missing_and_finite_add_up(reference: list[int], data: st.DataObject) -> None:
    """The two parts are the PSI to rounding, each is no less than 0, whatever is empty."""
    tails = st.lists(st.integers(0, 50), min_size=3, max_size=3)
    size = len(reference)
    current = data.draw(st.lists(st.integers(0, 500), min_size=size, max_size=size))
    a = counts(*reference, *data.draw(tails))
    b = counts(*current, *data.draw(tails))
    if a.sum() == 0 or b.sum() == 0:
        return
    split, found = split_missing(a, b), psi_of_counts("x", a, b)
    assert split.missing + split.finite == pytest.approx(found.value, abs=1e-12)
    assert min(split.missing, split.kl_ref, split.kl_obs) >= -1e-15
    if not (a + b)[-3:].any():
        assert split.missing == pytest.approx(0.0, abs=1e-30)
        assert (split.share_ref, split.share_obs) == pytest.approx((1.0, 1.0))


def test_missing_values_do_not_drown_the_shape() -> None:
    """Of E5's 1.42, the shape is about what it was without a hole; the rest is missing rows."""
    current = E2_CURRENT.copy()
    current[::5] = np.nan
    reference = fit_reference("e5", z(2_000))
    split = split_missing(reference.counts, bin_counts(reference.edges, current))
    assert split.finite == pytest.approx(0.0457, abs=0.01)
    assert split.missing > 1.3
    with pytest.raises(EmptyWindowError):
        split_missing(reference.counts, np.zeros_like(reference.counts))


def test_a_stranger_recomputes_the_number_from_a_file(tmp_path: Path) -> None:
    """Counts of both sides and the spec are enough for plain Python, which imports none of this."""
    reference = fit_reference("e5", z(2_000))
    current = E2_CURRENT.copy()
    current[::5] = np.nan
    blocks = bin_counts(reference.edges, current)
    published = {
        "psi": psi(reference, current).value,
        "spec": psi_spec(reference.edges),
        "spec_digest": spec_digest(reference.edges),
        "reference_counts": reference.counts,
        "current_counts": blocks,
    }
    (tmp_path / "psi.json").write_bytes(canonical_bytes(published))

    read = json.loads((tmp_path / "psi.json").read_text())
    add = read["spec"]["smoothing"]
    pairs = [
        (a + add, b + add)
        for a, b in zip(read["reference_counts"], read["current_counts"], strict=True)
        if a + b > 0
    ]
    n, m = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    value = sum((b / m - a / n) * math.log((b / m) / (a / n)) for a, b in pairs)
    assert value == pytest.approx(read["psi"], rel=1e-12)
    assert read["psi"] == pytest.approx(E5, rel=1e-12)
    text = json.dumps(read["spec"], sort_keys=True, separators=(",", ":"))
    assert len(read["spec"]["edges"]) == 9
    assert json.loads(text) == psi_spec(reference.edges)


def test_the_spec_tells_definitions_apart() -> None:
    """Other edges or another smoothing are another number; the same ones the same digest."""
    edges = [0.0, 1.0]
    digests = {
        spec_digest(edges),
        spec_digest(np.array(edges)),
        spec_digest([0.0, np.nextafter(1.0, 2.0)]),
        spec_digest(edges, smoothing=0.0),
    }
    assert len(digests) == 3


@given(COUNTS, st.data())
def test_psi_is_a_symmetric_divergence(reference: list[int], data: st.DataObject) -> None:
    """Never negative, the same both ways, 0 against itself, the sum of its parts; scipy agrees."""
    size = len(reference)
    current = data.draw(st.lists(st.integers(0, 500), min_size=size, max_size=size))
    a, b = counts(*reference), counts(*current)
    if a.sum() == 0 or b.sum() == 0:
        return
    found = psi_of_counts("x", a, b)
    assert found.value >= 0.0
    assert (found.per_bin >= 0.0).all()
    assert found.value == pytest.approx(found.per_bin.sum())
    assert psi_of_counts("x", b, a).value == pytest.approx(found.value)
    assert psi_of_counts("x", a, a).value == 0.0
    used = (a + b) > 0
    p, q = a[used] + 0.5, b[used] + 0.5
    assert found.value == pytest.approx(entropy(p, q) + entropy(q, p), abs=1e-12)


@given(COUNTS)
def test_cells_nobody_used_do_not_count(reference: list[int]) -> None:
    """Empty cells on both sides change neither value nor noise floor."""
    a = counts(*reference)
    if a.sum() == 0:
        return
    b = a[::-1].copy()
    plain, padded = psi_of_counts("x", a, b), psi_of_counts("x", *(np.append(v, 0) for v in (a, b)))
    assert padded.value == pytest.approx(plain.value, rel=1e-14)
    assert padded.noise_floor == plain.noise_floor


def test_noise_floor_is_the_mean_without_drift() -> None:
    """For independent rows the stated floor is what chance gives on average (2,000 draws)."""
    rng = np.random.default_rng(0)
    p = np.full(10, 0.1)
    draws = [
        psi_of_counts("x", rng.multinomial(5_000, p), rng.multinomial(1_000, p))
        for _ in range(2_000)
    ]
    assert np.mean([d.value for d in draws]) == pytest.approx(draws[0].noise_floor, rel=0.05)


@pytest.mark.parametrize(("reference", "current"), [([0, 0], [1, 2]), ([1, 2], [0, 0])])
def test_empty_side_is_an_error(reference: list[int], current: list[int]) -> None:
    """Nothing to compare is not a PSI of 0."""
    with pytest.raises(EmptyWindowError, match="no rows to compare for x"):
        psi_of_counts("x", counts(*reference), counts(*current))


def test_empty_window_is_an_error() -> None:
    """The same through the values."""
    with pytest.raises(EmptyWindowError):
        psi(fit_reference("x", z(100)), np.empty(0))


@pytest.mark.parametrize(
    "current",
    [[5, 5, 0], [-5, 6, 4, 0], [2**62, 2**62, 2**62, 0]],
    ids=["other cells", "negative", "too many"],
)
def test_what_is_no_count_of_the_cells_has_no_psi(current: list[int]) -> None:
    """Counts of other bins, below zero or beyond whole numbers are refused, not averaged."""
    with pytest.raises(DataSchemaError, match="not two counts of the same cells of x"):
        psi_of_counts("x", np.array([5, 5, 0, 0]), np.array(current))


def test_two_samples_are_told_how() -> None:
    """The first thing anybody types, psi(a, b), is answered with what to type instead."""
    values: Any = np.arange(10.0)
    with pytest.raises(DataSchemaError, match=r"psi\(fit_reference\(name, values\), current\)"):
        psi(values, values)
