"""All features at once: what is seen, what is not mistaken for drift, and how it is measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import t as t_law
from sklearn.decomposition import PCA  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import bin_counts, fit_reference, psi_of_counts
from mlwb.drift import multivariate as module
from mlwb.drift.multivariate import Sample, classifier_test, pca_test

NAMES = ("a", "b", "c")
ROWS = 288
"""Five-minute bars a day."""
SCORES = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=30).map(np.array)


def sample(values: Float2D, first_day: int = 0) -> Sample:
    """Rows on whole days from a day on."""
    return values, 86_400 * first_day + 300 * np.arange(len(values), dtype=np.int64)


def noise(days: int, rng: np.random.Generator, phi: float = 0.0) -> Float2D:
    """Three independent AR(1) series with variance 1."""
    steps = rng.normal(size=(days * ROWS + 2_000, 3)) * np.sqrt(1.0 - phi * phi)
    return np.asarray(lfilter([1.0], [1.0, -phi], steps, axis=0)[2_000:])


def together(values: Float2D, rho: float) -> Float2D:
    """The second feature correlated with the first; every feature stays standard normal."""
    out = values.copy()
    out[:, 1] = rho * values[:, 0] + np.sqrt(1.0 - rho * rho) * values[:, 1]
    return out


@settings(max_examples=30)
@given(SCORES, SCORES)
def test_area_is_sklearns_with_ties(lower: Float1D, upper: Float1D) -> None:
    """Rank statistic, ties half."""
    label = np.repeat([0, 1], [len(lower), len(upper)])
    expected = roc_auc_score(label, np.concatenate([lower, upper]))
    assert module._area(lower, upper) == pytest.approx(expected, abs=1e-12)


def test_a_shifted_feature_is_found_and_named() -> None:
    """Half a standard deviation on one of three features: beyond every window, first in rank."""
    rng = np.random.default_rng(0)
    moved = noise(2, rng) + np.array([0.0, 0.5, 0.0])
    found = classifier_test(sample(noise(22, rng)), sample(moved, 22), NAMES)
    assert found.auc > 0.57
    assert found.null.max() < 0.56
    assert found.null.mean() == pytest.approx(0.5, abs=0.02)
    assert (len(found.null), found.n_disjoint) == (21, 11)
    assert found.p_value == pytest.approx(1 / 22)
    assert found.features[0][0] == "b"
    assert found.features[0][1] > 0.6
    assert all(area < 0.56 for _, area in found.features[1:])


def test_a_broken_correlation_is_found_where_no_feature_moved() -> None:
    """Two features part; each alone is as before, to its PSI and to a classifier of its own."""
    rng = np.random.default_rng(1)
    before, after = together(noise(30, rng), 0.8), noise(5, rng)
    reference, current = sample(before), sample(after, 30)
    found, components = classifier_test(reference, current, NAMES), pca_test(reference, current)
    assert found.auc > 0.65
    assert found.p_value == pytest.approx(1 / 27)
    assert components.p_value == pytest.approx(1 / 27)
    assert components.error > components.null.max() + 0.1
    assert max(area for _, area in found.features) < 0.55
    for old, new in zip(before.T, after.T, strict=True):
        frozen = fit_reference("x", old)
        assert psi_of_counts("x", frozen.counts, bin_counts(frozen.edges, new)).value < 0.05


def test_missing_rows_are_a_cell_like_any_other() -> None:
    """A feed that loses one row in five, which the reference never did."""
    rng = np.random.default_rng(2)
    holey = noise(1, rng)
    holey[rng.random(len(holey)) < 0.2, 2] = np.nan
    found = classifier_test(sample(noise(21, rng)), sample(holey, 21), NAMES)
    assert found.p_value == pytest.approx(1 / 22)
    assert found.features[0][0] == "c"


def test_a_constant_feature_tells_nothing_apart() -> None:
    """The intercept among the features: an area of one half, until it changes."""
    rng = np.random.default_rng(13)
    before, after = noise(20, rng), noise(2, rng)
    before[:, 1] = after[:, 1] = 1.0
    reference = sample(before)
    found = classifier_test(reference, sample(after, 20), NAMES)
    assert dict(found.features)["b"] == 0.5
    assert np.isfinite(found.null).all()
    assert np.isfinite(pca_test(reference, sample(after, 20)).error)
    after[:, 1] = 2.0
    moved = classifier_test(reference, sample(after, 20), NAMES)
    assert dict(moved.features)["b"] == 1.0
    assert moved.p_value == pytest.approx(1 / 20)


def test_infinities_are_measured_too() -> None:
    """A cell for the classifier, an end of the range for the components."""
    rng = np.random.default_rng(14)
    odd = noise(2, rng)
    odd[::3, 0], odd[1::3, 0] = np.inf, -np.inf
    reference, current = sample(noise(20, rng)), sample(odd, 20)
    assert classifier_test(reference, current, NAMES).features[0][0] == "a"
    assert pca_test(reference, current).p_value == pytest.approx(1 / 20)


@pytest.mark.parametrize("width", [1, 5])
def test_rows_come_in_any_order(width: int) -> None:
    """Time is in the stamps: shuffled rows give the same areas and errors."""
    rng = np.random.default_rng(3)
    reference, current = sample(noise(21, rng)), sample(noise(width, rng), 21)
    place = rng.permutation(len(reference[0]))
    shuffled = reference[0][place], reference[1][place]
    first, second = (classifier_test(side, current, NAMES) for side in (reference, shuffled))
    assert second.auc == pytest.approx(first.auc, abs=1e-6)
    assert second.null == pytest.approx(first.null, abs=1e-6)
    assert pca_test(shuffled, current).error == pytest.approx(pca_test(reference, current).error)


def test_many_rows_are_thinned_evenly() -> None:
    """Every k-th row of both sides, one k, without a draw."""
    rng = np.random.default_rng(4)
    reference, current = sample(noise(20, rng)), sample(noise(2, rng), 20)
    first, second = ((values[::3], ts[::3]) for values, ts in (reference, current))
    limit = -(-22 * ROWS // 3)
    assert classifier_test(reference, current, NAMES, max_rows=limit).auc == pytest.approx(
        classifier_test(first, second, NAMES).auc, abs=1e-12
    )
    assert pca_test(reference, current, max_rows=limit).error == pca_test(first, second).error


def test_folds_keep_neighbours_together() -> None:
    """Each fold of each side is one run: of days in long windows, of hours in short ones."""
    rng = np.random.default_rng(5)
    long = module._hours(sample(noise(16, rng)), sample(noise(8, rng), 16), 10**6)
    fold = module._folds(long, long.is_current)
    for side in (long.is_current, ~long.is_current):
        assert (np.diff(fold[side][np.argsort(long.day[side], kind="stable")]) >= 0).all()
        assert np.unique(fold[side]).tolist() == [0, 1, 2, 3]
        assert all(len(np.unique(fold[side & (long.day == day)])) == 1 for day in long.day[side])
    short = module._hours(sample(noise(16, rng)), sample(noise(1, rng), 16), 10**6)
    assert module._folds(short, short.is_current).tolist() == (short.clock // 6).tolist()


def test_error_is_sklearns() -> None:
    """The same components and reconstruction as sklearn's PCA on the same rows."""
    rng = np.random.default_rng(6)
    before, after = together(noise(12, rng), 0.6), together(noise(2, rng), 0.2)
    low, high = np.quantile(before, [0.005, 0.995], axis=0)
    inner = np.clip(before, low, high)
    old, new = ((np.clip(x, low, high) - inner.mean(0)) / inner.std(0) for x in (before, after))
    model = PCA(n_components=0.65).fit(old)
    expected = np.linalg.norm(new - model.inverse_transform(model.transform(new)), axis=1).mean()
    found = pca_test(sample(before), sample(after, 12))
    assert found.error == pytest.approx(expected, rel=1e-9)
    assert found.n_components == model.n_components_


def test_closer_than_usual_is_also_far() -> None:
    """Features that begin to move as one lower the error, and that is no less of a change."""
    rng = np.random.default_rng(7)
    reference = sample(together(noise(24, rng), 0.3))
    found = pca_test(reference, sample(together(noise(2, rng), 0.95), 24))
    assert found.error < found.null.min()
    assert found.p_value == pytest.approx(1 / 24)


@pytest.mark.parametrize("power", [1_000, -560])
def test_the_unit_of_a_feature_changes_nothing(power: int) -> None:
    """Also where squares of its values are beyond float64: drift must not pass for none there."""
    rng = np.random.default_rng(0)
    before, after = noise(20, rng), noise(7, rng) + 1.0
    reference, current = sample(before), sample(after, 20)
    found = pca_test(reference, current)
    scaled = pca_test(sample(np.ldexp(before, power)), sample(np.ldexp(after, power), 20))
    assert scaled.error == found.error > 0.0
    assert scaled.p_value == found.p_value


def test_one_corrupt_tick_changes_little() -> None:
    """A value of 1e9 counts as the reference's highest values do."""
    rng = np.random.default_rng(8)
    reference, current = sample(noise(20, rng)), noise(2, rng)
    spoiled = current.copy()
    spoiled[5, 0] = 1e9
    clean, odd = pca_test(reference, sample(current, 20)), pca_test(reference, sample(spoiled, 20))
    assert odd.error == pytest.approx(clean.error, abs=0.01)
    assert odd.p_value == pytest.approx(clean.p_value, abs=0.1)


def test_two_disjoint_windows_are_no_certainty() -> None:
    """Beyond all of 27 windows that are nearly copies of each other, and not below 0.05 yet."""
    rng = np.random.default_rng(12)
    moved = noise(14, rng) + np.array([0.15, 0.0, 0.0])
    found = classifier_test(sample(noise(40, rng)), sample(moved, 40), NAMES, max_rows=4_000)
    assert (len(found.null), found.n_disjoint) == (27, 2)
    assert found.auc > found.null.max()
    assert found.p_value > 0.05


@given(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=20), st.floats(0.0, 1.0))
def test_tail_is_students_for_a_new_observation(null: list[float], value: float) -> None:
    """Of disjoint windows: the two-sample t test of one value; without spread, all or nothing."""
    windows = np.array(null)
    found = module._tail(value, windows, len(windows))
    if windows.std() > 1e-6:
        pooled = np.sqrt(windows.var(ddof=1) * (1.0 + 1.0 / len(windows)))
        expected = t_law.sf((value - windows.mean()) / pooled, len(windows) - 1)
        assert found == pytest.approx(float(expected))
    if (windows == windows[0]).all() and windows.std(ddof=1) == 0.0:
        assert found == (0.0 if value > windows[0] else 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.95])
def test_no_drift_raises_few_alarms(phi: float) -> None:
    """Memory of hours, nothing changed, 80 draws: about one in twenty is beyond 19 windows."""
    rng = np.random.default_rng(9)
    alarms = np.zeros(2)
    for _ in range(80):
        values = noise(20, rng, phi)
        reference, current = sample(values[: 19 * ROWS]), sample(values[19 * ROWS :], 19)
        areas = classifier_test(reference, current, NAMES, max_rows=2_000)
        alarms += [areas.p_value <= 0.05, pca_test(reference, current).p_value <= 0.05]
    assert (alarms / 80 < 0.14).all()


@pytest.mark.parametrize(("days", "width"), [(5, 3), (3, 1), (4, 0), (0, 1)])
def test_too_few_days_are_an_error(days: int, width: int) -> None:
    """Without five windows, or a rest as long as one, nothing says what chance gives."""
    rng = np.random.default_rng(10)
    reference, current = sample(noise(days, rng)), sample(noise(width, rng), days)
    with pytest.raises(EmptyWindowError, match="too short for its own null"):
        classifier_test(reference, current, NAMES)
    with pytest.raises(EmptyWindowError, match="too short for its own null"):
        pca_test(reference, current)


def test_what_cannot_be_measured_is_an_error() -> None:
    """A feature without a value; a current day of one hour, which no other hour can be held to."""
    rng = np.random.default_rng(11)
    values, current = noise(20, rng), sample(noise(1, rng), 20)
    with pytest.raises(EmptyWindowError, match="full days"):
        classifier_test(sample(values), (current[0][:12], current[1][:12]), NAMES)
    values[:, 1] = np.nan
    with pytest.raises(EmptyWindowError, match="no finite value"):
        pca_test(sample(values), current)
