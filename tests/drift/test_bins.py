"""Reference bins: where the edges lie, what is counted where, what a stored form must be."""

from __future__ import annotations

import gzip
import json
from csv import DictReader
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.arrays import Float1D
from mlwb.core.errors import ArtifactError, EmptyWindowError, ParamsError
from mlwb.drift import (
    BinnedReference,
    PsiResult,
    bin_counts,
    cells_of,
    fit_reference,
    out_of_range,
    psi,
)

ANY_FLOATS = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60)


def test_edges_are_reference_quantiles() -> None:
    """On continuous data: numpy's linear quantiles, bins of equal counts, nothing special."""
    values = np.random.default_rng(0).normal(size=1_000)
    reference = fit_reference("x", values)
    np.testing.assert_array_equal(reference.edges, np.quantile(values, np.arange(1, 10) / 10))
    assert reference.counts.tolist() == [100] * 10 + [0, 0, 0]
    assert (reference.n_bins, reference.n_obs) == (10, 1_000)


def test_bins_are_closed_on_the_right() -> None:
    """A value on an edge belongs below it; the end bins are open."""
    edges = np.array([0.0, 1.0])
    values = np.array([-1e300, 0.0, np.nextafter(0.0, 1.0), 1.0, np.nextafter(1.0, 2.0), 1e300])
    assert bin_counts(edges, values).tolist() == [2, 2, 2, 0, 0, 0]


def test_what_is_not_finite_has_its_own_cell() -> None:
    """NaN, +inf and -inf are counted, in this order, and not in the end bins."""
    values = np.array([np.nan, np.nan, np.nan, np.inf, np.inf, -np.inf, 0.5])
    assert bin_counts(np.array([0.0, 1.0]), values).tolist() == [0, 1, 0, 3, 2, 1]


@given(st.lists(st.floats(-1e6, 1e6), max_size=8, unique=True), ANY_FLOATS)
def test_counts_are_numpys(edges: list[float], values: list[float]) -> None:
    """The finite part equals numpy.digitize with right-closed bins; no row is lost."""
    cut, data = np.sort(np.array(edges)), np.array(values)
    found = bin_counts(cut, data)
    finite = data[np.isfinite(data)]
    expected = np.bincount(np.digitize(finite, cut, right=True), minlength=len(cut) + 1)
    assert found[:-3].tolist() == expected.tolist()
    assert found.sum() == len(data)


@given(ANY_FLOATS, ANY_FLOATS)
def test_counts_add(first: list[float], second: list[float]) -> None:
    """The counts of two windows together are the sum of their counts."""
    edges = np.array([-1.0, 0.0, 2.5])
    together = bin_counts(edges, np.array(first + second))
    apart = bin_counts(edges, np.array(first)) + bin_counts(edges, np.array(second))
    assert together.tolist() == apart.tolist()


@pytest.mark.parametrize("atom", [-5.0, 0.0, 0.13, 5.0], ids=["least", "zero", "inside", "most"])
def test_atom_has_a_bin_of_its_own(atom: float) -> None:
    """A value that holds 30 % of the rows shares its bin with nothing, wherever it lies."""
    rng = np.random.default_rng(1)
    values = np.where(rng.random(2_000) < 0.3, atom, rng.uniform(-4.9, 4.9, 2_000))
    reference = fit_reference("x", values)
    own = bin_counts(reference.edges, np.array([atom]))
    neighbours = bin_counts(reference.edges, values[values != atom])
    assert neighbours[own > 0].tolist() == [0]
    assert reference.counts[own > 0].tolist() == [(values == atom).sum()]


def test_jitter_around_an_atom_is_seen() -> None:
    """A tick that moves off its atom by a hair changes bins, as rounding inside an atom cannot."""
    reference = fit_reference("x", np.repeat([1.0, 2.0, 3.0], 100))
    moved = bin_counts(reference.edges, np.array([2.0, np.nextafter(2.0, 3.0)]))
    assert sorted(moved.tolist(), reverse=True)[:2] == [1, 1]


def test_constant_feature_is_one_bin() -> None:
    """Without variation there is nothing to cut."""
    reference = fit_reference("bias", np.ones(50))
    assert (reference.n_bins, reference.counts.tolist()) == (1, [50, 0, 0, 0])


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.0, 0.5, 7.0, 1e-300]), min_size=1, max_size=80))
def test_any_sample_gives_a_reference_in_order(values: list[float]) -> None:
    """However tied or small the sample: edges rise, the end bins hold rows, no row is lost."""
    reference = fit_reference("x", np.array(values), n_bins=10)
    assert (np.diff(reference.edges) > 0).all()
    assert reference.counts[0] > 0
    assert reference.counts[-4] > 0
    assert reference.n_obs == len(values)
    assert BinnedReference.from_json(reference.to_json()).digest == reference.digest


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, -np.inf]])
def test_reference_needs_a_finite_value(values: list[float]) -> None:
    """Nothing to fit on is an error that names the feature."""
    with pytest.raises(EmptyWindowError, match="spread_bp"):
        fit_reference("spread_bp", np.array(values))


def test_missing_values_do_not_move_the_edges() -> None:
    """Edges come from the finite values; the rest is counted beside them."""
    values = np.random.default_rng(2).normal(size=500)
    clean = fit_reference("x", values)
    holey = fit_reference("x", np.concatenate([values, [np.nan, np.inf]]))
    np.testing.assert_array_equal(clean.edges, holey.edges)
    assert holey.counts[-3:].tolist() == [1, 1, 0]


def test_reference_goes_through_json() -> None:
    """Edges come back bit for bit through text, and with them the digest."""
    reference = fit_reference("x", np.random.default_rng(3).normal(size=777) / 3.0)
    text = json.dumps(reference.to_json(), allow_nan=False)
    loaded = BinnedReference.from_json(json.loads(text))
    assert loaded.edges.tobytes() == reference.edges.tobytes()
    assert (loaded.name, loaded.digest) == ("x", reference.digest)


def test_digest_sees_every_part() -> None:
    """One count, one edge, an end or the name changed is another reference."""
    stored = fit_reference("x", np.arange(100.0)).to_json()
    changed: list[dict[str, Any]] = [
        {**stored, "name": "y"},
        {**stored, "counts": [stored["counts"][0] + 1, *stored["counts"][1:]]},
        {**stored, "edges": [np.nextafter(stored["edges"][0], 0.0), *stored["edges"][1:]]},
        {**stored, "low": -1.0},
        {**stored, "high": 100.0},
    ]
    digests = {BinnedReference.from_json(item).digest for item in [stored, *changed]}
    assert len(digests) == 6


@pytest.mark.parametrize(
    "change",
    [
        {"edges": [2.0, 1.0]},
        {"edges": [1.0, 1.0]},
        {"edges": [1.0]},
        {"edges": [1.0, None]},
        {"edges": [[1.0, 2.0]]},
        {"edges": None},
        {"edges": "12"},
        {"counts": [1, 2, 3, 0, 0]},
        {"counts": [1, -2, 3, 0, 0, 0]},
        {"counts": [1, 2, 3, 0, 0, 10**30]},
        {"counts": 7},
        {"counts": None},
        {"counts": [[1, 2, 3, 0, 0, 0]]},
        {"low": 1.5},
        {"low": None},
        {"low": "-inf"},
        {"high": 2.0},
        {"high": float("nan")},
    ],
    ids=str,
)
def test_stored_form_that_is_no_reference_is_refused(change: dict[str, Any]) -> None:
    """Falling, repeated, missing or mangled edges and counts: an artifact error, never a crash."""
    stored = {"name": "x", "edges": [1.0, 2.0], "counts": [1, 2, 3, 0, 0, 0], "low": 0.0}
    stored |= {"high": 3.0, "closed": "right"}
    assert BinnedReference.from_json(stored).n_obs == 6
    with pytest.raises(ArtifactError, match="not a binned reference"):
        BinnedReference.from_json({**stored, **change})


@pytest.mark.parametrize("lost", ["name", "edges", "counts", "low", "high"])
def test_incomplete_stored_form_is_refused(lost: str) -> None:
    """A part that is missing is not made up."""
    stored: dict[str, Any] = fit_reference("x", np.arange(9.0)).to_json()
    del stored[lost]
    with pytest.raises(ArtifactError, match=lost):
        BinnedReference.from_json(stored)


def test_one_edge_that_is_nan_is_refused() -> None:
    """A single edge cannot fall, but it can be no number."""
    with pytest.raises(ArtifactError):
        BinnedReference.from_json(
            {"name": "x", "edges": [None], "counts": [1, 1, 0, 0, 0], "low": 0.0, "high": 1.0}
        )


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=40))
def test_any_floats_give_a_reference_that_reads_back(values: list[float]) -> None:
    """Up to the largest float and down to the smallest: rising edges inside the range."""
    data = np.array(values)
    if not np.isfinite(data).any():
        return
    reference = fit_reference("x", data)
    assert BinnedReference.from_json(reference.to_json()).digest == reference.digest
    finite = data[np.isfinite(data)]
    assert (reference.low, reference.high) == (finite.min(), finite.max())
    assert out_of_range(reference, data) == (0, 0)


@given(ANY_FLOATS)
def test_rows_out_of_range_are_counted(values: list[float]) -> None:
    """Finite values beyond either end of the reference, which open end bins hide."""
    reference = fit_reference("x", np.array([-1.0, 0.0, 2.5]))
    below = sum(value < -1.0 for value in values if np.isfinite(value))
    above = sum(value > 2.5 for value in values if np.isfinite(value))
    assert out_of_range(reference, np.array(values)) == (below, above)


@pytest.mark.realdata
def test_ticks_are_not_moved_by_the_price(real_data: Path) -> None:
    """Gold, spread of a few whole ticks: nothing happens and PSI is 0; a broker's steps are seen.

    In basis points the same calm fortnight seems to drift, because the price moves every atom
    across frozen edges, and no bins can undo a division by a moving price.
    """
    path = real_data / "mt5_spread_1m" / "XAUUSD_M1_20260324_20260528.csv.gz"
    with gzip.open(path, "rt") as lines:
        rows = [
            (row["time"][:10], float(row["spread"]), float(row["close"]))
            for row in DictReader(lines)
        ]
    days = np.array([day for day, _, _ in rows])
    ticks, price = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    spread_bp = 1e4 * 0.01 * ticks / price

    def drift(values: Float1D, first: str, middle: str, last: str) -> PsiResult:
        before, after = (days >= first) & (days < middle), (days >= middle) & (days < last)
        return psi(fit_reference("spread", values[before]), values[after])

    calm, stepped = (
        ("2026-04-29", "2026-05-13", "2026-05-20"),
        ("2026-03-25", "2026-04-08", "2026-04-15"),
    )
    assert drift(ticks, *calm).value < 0.005
    assert drift(ticks, *stepped).value > 1.0
    assert drift(spread_bp, *calm).value > 1.0


def test_bins_at_the_ends_of_float64_are_read_back() -> None:
    """Edges further apart than the largest float are in order all the same."""
    counts = np.array([50, 50, 0, 0, 0])
    frozen = BinnedReference("x", np.array([-1.7e308]), counts, -1.7e308, 1.7e308)
    assert BinnedReference.from_json(frozen.to_json()).digest == frozen.digest


def test_there_is_at_least_one_bin() -> None:
    """A reference without bins is refused in a sentence."""
    with pytest.raises(ParamsError, match="no bins for x"):
        fit_reference("x", np.arange(9.0), n_bins=0)


@given(
    st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=60),
    st.integers(1, 12),
)
def test_atoms_are_the_values_above_one_share(drawn: list[float], n_bins: int) -> None:
    """Counted one by one: a value with more than one bin's share has the cell to itself."""
    values = np.asarray(drawn)
    reference = fit_reference("x", values, n_bins=n_bins)
    for value in set(drawn):
        if drawn.count(value) > len(drawn) / n_bins:
            (cell,) = cells_of(reference.edges, np.array([value]))
            assert reference.counts[cell] == drawn.count(value)


@pytest.mark.parametrize("n_edges", [0, 1, 9])
def test_many_rows_are_counted_as_few_are(n_edges: int) -> None:
    """A long sample, in parts of every length: the same counts, specials and edges included."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=5_000)
    edges = np.sort(values[:n_edges])
    values[::97], values[1::101], values[2::103] = np.nan, np.inf, -np.inf
    whole = bin_counts(edges, values)
    parts = [bin_counts(edges, part) for part in np.array_split(values, 500)]
    np.testing.assert_array_equal(whole, np.sum(parts, axis=0))
