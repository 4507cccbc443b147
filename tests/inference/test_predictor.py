"""The predictor: verified files in, probabilities out."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core.arrays import AnyArray
from mlwb.core.canonical import digest_file
from mlwb.core.clock import ManualClock, SystemClock
from mlwb.core.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    DegenerateModelError,
    DigestMismatchError,
    IncompleteVersionError,
    ModelError,
    ParityError,
    SignatureError,
)
from mlwb.core.signing import MANIFEST_TYPE, Signer, write_key_pair
from mlwb.inference import Predictor, latency
from tests.inference.version_kit import (
    NAMES,
    WEIGHTS,
    logistic,
    logistic_onnx,
    point,
    rewrite,
    sidecar_for,
    write_version,
)

ROW = [1.0, 0.01, 2.0, -0.5]
SIDECAR = sidecar_for("v1.0.0")
GRAPH = logistic_onnx(WEIGHTS)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """A predictor made from bytes."""
    return Predictor.from_bytes(GRAPH, SIDECAR)


@given(st.lists(st.tuples(*[st.floats(-3, 3)] * len(NAMES)), min_size=1, max_size=40))
def test_scores_are_numpys(predictor: Predictor, rows: list[tuple[float, ...]]) -> None:
    """Oracle: the logistic function written in numpy; one row scores as it does in a batch."""
    table = np.array(rows)
    scores = predictor.predict(table)
    np.testing.assert_allclose(scores, logistic(table, WEIGHTS), rtol=0, atol=1e-12)
    assert scores.shape == (len(rows),)
    assert predictor.predict_row(rows[0]) == pytest.approx(scores[0], abs=1e-12)


@pytest.mark.parametrize(("cast", "column"), [(False, True), (True, False), (True, True)])
def test_the_four_shapes_of_an_output(cast: bool, column: bool) -> None:
    """float32 and (n, 1) outputs give float64 (n,) just the same."""
    made = Predictor.from_bytes(logistic_onnx(WEIGHTS, cast=cast, column=column), SIDECAR)
    scores = made.predict(np.array([ROW, ROW]))
    assert scores.dtype == np.float64
    assert scores.shape == (2,)
    assert made.predict_row(ROW) == pytest.approx(logistic(np.array(ROW), WEIGHTS), abs=1e-6)


@pytest.mark.parametrize("width", [1, 4, 7, 13])
@pytest.mark.parametrize("cast", [False, True])
def test_a_row_has_the_same_bits_alone_and_in_any_batch(width: int, cast: bool) -> None:
    """To the last one, wherever it stands; without filling up one row of a hundred had another."""
    rng = np.random.default_rng(width)
    names = tuple(f"f{index}" for index in range(width))
    graph = logistic_onnx(tuple(rng.normal(size=width)), cast=cast)
    predictor = Predictor.from_bytes(graph, sidecar_for("v1", names))
    rows = rng.normal(size=(1_000, width))
    alone = np.array([predictor.predict_row(row) for row in rows.tolist()])
    for n in (*range(1, 34), 63, 64, 65, 255, 999, 1_000):
        assert np.array_equal(predictor.predict(rows[:n]), alone[:n])
        assert np.array_equal(predictor.predict(rows[-n:]), alone[-n:])


@pytest.mark.parametrize(("leak", "is_exact"), [(0.0, True), (1e-15, False)])
def test_whether_rows_stay_apart_is_found_at_load(
    tmp_path: Path, leak: float, *, is_exact: bool
) -> None:
    """A graph whose rows know of each other, within the tolerance of the golden ones, is told."""
    folder = write_version(tmp_path, onnx=logistic_onnx(WEIGHTS, leak=leak))
    assert Predictor.load(folder).is_row_exact is is_exact


def test_no_rows_no_scores(predictor: Predictor) -> None:
    """An empty batch is answered, not an error."""
    assert predictor.predict(np.empty((0, len(NAMES)))).shape == (0,)


@pytest.mark.parametrize("rows", [np.ones((2, 3)), np.ones(4), np.ones((1, 4), dtype=np.float32)])
def test_rows_of_another_shape_are_refused(predictor: Predictor, rows: AnyArray) -> None:
    """Width, dimensions and dtype."""
    with pytest.raises(ModelError):
        predictor.predict(rows)


@pytest.mark.parametrize("row", [[], ROW[:3], [*ROW, 1.0]])
def test_a_row_of_another_length_is_refused(predictor: Predictor, row: list[float]) -> None:
    """No value is padded, none is dropped."""
    with pytest.raises(ModelError, match="expected 4 values"):
        predictor.predict_row(row)


def test_no_nan_leaves_as_a_score(predictor: Predictor) -> None:
    """What the graph cannot score is an error, in one row and in a batch."""
    row = [1.0, float("nan"), 2.0, 0.0]
    with pytest.raises(DegenerateModelError):
        predictor.predict_row(row)
    with pytest.raises(DegenerateModelError):
        predictor.predict(np.array([ROW, row]))


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 3.0, -1.0])
def test_a_model_without_probabilities_is_refused(scale: float) -> None:
    """NaN, infinity and values outside [0, 1] stop at load."""
    with pytest.raises(DegenerateModelError):
        Predictor.from_bytes(logistic_onnx((0.0,) * 4, scale=scale), SIDECAR)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(GRAPH) - 1), st.integers(1, 255), st.booleans())
def test_a_damaged_graph_is_one_kind_of_error(at: int, flip: int, cut: bool) -> None:
    """A flipped byte or a cut file loads, or is a ModelError; nothing else escapes."""
    damaged = GRAPH[:at] if cut else GRAPH[:at] + bytes([GRAPH[at] ^ flip]) + GRAPH[at + 1 :]
    try:
        Predictor.from_bytes(damaged, SIDECAR)
    except ModelError as error:
        assert str(error)  # noqa: PT017 - both ends are fine


@pytest.mark.parametrize("names", [NAMES[:3], (*NAMES, "more")])
def test_a_graph_of_another_width_is_refused(names: tuple[str, ...]) -> None:
    """The graph must take what the sidecar promises."""
    with pytest.raises(ModelError, match="does not take"):
        Predictor.from_bytes(GRAPH, sidecar_for("v1", names))


def test_an_output_of_another_name_is_refused() -> None:
    """The sidecar's output must be in the graph."""
    with pytest.raises(ModelError, match="does not give"):
        Predictor.from_bytes(GRAPH.replace(b"probability", b"probabilitx"), SIDECAR)


def test_load_from_a_link(tmp_path: Path) -> None:
    """`latest` loads as the version it points at."""
    folder = write_version(tmp_path, "v1.8.1")
    point(tmp_path, "latest", "v1.8.1")
    loaded = Predictor.load(tmp_path / "latest")
    assert loaded.version == "v1.8.1"
    assert loaded.digest == digest_file(folder / "model.onnx")
    assert loaded.golden is not None
    assert loaded.golden.histogram == {"edges": [0.5], "counts": [4, 5]}


@pytest.mark.parametrize("name", ["model.onnx", "sidecar.json", "golden_predictions.json"])
def test_any_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    """Each loaded file is compared with the manifest, with no way round."""
    path = write_version(tmp_path) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DigestMismatchError, match=name):
        Predictor.load(path.parent)


@pytest.mark.parametrize(
    "name", ["model.onnx", "sidecar.json", "golden_predictions.json", "manifest.json"]
)
def test_any_missing_file_is_named(tmp_path: Path, name: str) -> None:
    """An incomplete version does not load."""
    folder = write_version(tmp_path)
    (folder / name).unlink()
    with pytest.raises(IncompleteVersionError, match=name):
        Predictor.load(folder)


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{}", b'{"version":"v1","files":{}}', b'{"version":"v1","files":{"model.onnx":7}}'],
)
def test_a_manifest_that_names_nothing_is_incomplete(tmp_path: Path, manifest: bytes) -> None:
    """A manifest cannot be emptied to get around it."""
    folder = write_version(tmp_path)
    (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(IncompleteVersionError):
        Predictor.load(folder)


def test_nothing_there(tmp_path: Path) -> None:
    """A missing directory, a dangling link, a link to itself and a file are all not found."""
    point(tmp_path, "latest", "v9")
    point(tmp_path, "loop", "loop")
    (tmp_path / "file").write_bytes(b"")
    for name in ("v9", "latest", "loop", "file"):
        with pytest.raises(ArtifactNotFoundError):
            Predictor.load(tmp_path / name)


def test_golden_rows_must_come_out(tmp_path: Path) -> None:
    """A graph other than the trained one is refused though its digests are right."""
    folder = write_version(tmp_path, onnx=logistic_onnx((0.1, 1.5, -0.4, 0.801)))
    with pytest.raises(ParityError, match="golden"):
        Predictor.load(folder)


@pytest.mark.parametrize(("shift", "refused"), [(0.9e-5, False), (1.2e-5, True)])
def test_the_golden_tolerance_is_where_it_says(
    tmp_path: Path,
    shift: float,
    refused: bool,
) -> None:
    """1e-5 and no more."""
    folder = write_version(tmp_path)
    golden = json.loads((folder / "golden_predictions.json").read_bytes())
    golden["scores"][3] += shift
    rewrite(folder, "golden_predictions.json", golden)
    if refused:
        with pytest.raises(ParityError):
            Predictor.load(folder)
    else:
        assert Predictor.load(folder).version == "v1.0.0"


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": [], "scores": []},
        {"rows": [[1.0], [1.0, 2.0]], "scores": [0.5, 0.5]},
        {"rows": [[1.0, 1.0]], "scores": [0.5]},
        {"rows": [[1.0] * 4], "scores": [0.5, 0.5]},
        {"rows": [["1"] * 4], "scores": [0.5]},
        {"rows": [[1.0, 0.0, 0.0, 0.0]], "scores": [None]},
        {"schema": "mlwb.golden/9"},
    ],
)
def test_golden_rows_cannot_be_emptied(tmp_path: Path, changes: dict[str, object]) -> None:
    """A table without proof is no proof: none passes by being empty."""
    folder = write_version(tmp_path)
    rewrite(folder, "golden_predictions.json", changes)
    with pytest.raises(ModelError):
        Predictor.load(folder)


def test_manifest_and_sidecar_must_agree(tmp_path: Path) -> None:
    """A sidecar of another version is refused."""
    folder = write_version(tmp_path, "v2", sidecar=sidecar_for("v3"))
    with pytest.raises(DigestMismatchError, match="expected v2, got v3"):
        Predictor.load(folder)


def test_before_the_manifest_is_written(tmp_path: Path) -> None:
    """Without verification the manifest is not needed, the golden rows still are."""
    folder = write_version(tmp_path)
    (folder / "manifest.json").unlink()
    assert Predictor.load(folder, verify=False).version == "v1.0.0"
    (folder / "model.onnx").write_bytes(logistic_onnx((1.0, 1.0, 1.0, 1.0)))
    with pytest.raises(ParityError):
        Predictor.load(folder, verify=False)


def test_many_threads_one_predictor(predictor: Predictor) -> None:
    """Concurrent calls do not mix their rows."""
    rows = np.random.default_rng(7).normal(size=(400, len(NAMES)))
    expected = logistic(rows, WEIGHTS)
    with ThreadPoolExecutor(4) as pool:
        scores = list(pool.map(predictor.predict_row, rows.tolist()))
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


def test_a_call_within_a_call_has_buffers_of_its_own(predictor: Predictor) -> None:
    """While the shared buffers are taken, a row is scored without them, to the same bit."""
    expected = predictor.predict_row(ROW)
    with predictor._one_row_lock:
        assert predictor.predict_row(ROW) == expected


def test_errors_are_artifact_or_model_errors() -> None:
    """The two roots a caller of `load` has to know."""
    assert issubclass(DigestMismatchError, ArtifactError)
    assert issubclass(ParityError, ModelError)


@pytest.mark.parametrize("batch", [1, 32])
def test_latency_is_what_the_clock_says(predictor: Predictor, batch: int) -> None:
    """One value a call, in milliseconds; a clock that stands still measures nothing."""
    assert latency(predictor, batch, 5, ManualClock()).tolist() == [0.0] * 5
    taken = latency(predictor, batch, 20, SystemClock())
    assert taken.shape == (20,)
    assert 0.0 < np.median(taken) < 50.0


def test_under_a_pinned_key_only_what_it_signed_loads(tmp_path: Path) -> None:
    """Signed it loads; with the signature of another manifest, or none, it does not."""
    signer = Signer(tmp_path / "key", write_key_pair(tmp_path / "key"))
    version = write_version(tmp_path, "v1")
    with pytest.raises(SignatureError, match="missing"):
        Predictor.load(version, signer=signer)
    for signed, is_good in ((b"another manifest", False), (None, True)):
        data = signed or (version / "manifest.json").read_bytes()
        envelope = signer.sign(MANIFEST_TYPE, data)
        (version / "manifest.sig").write_text(json.dumps(envelope))
        if is_good:
            assert Predictor.load(version, signer=signer).version == "v1"
        else:
            with pytest.raises(SignatureError):
                Predictor.load(version, signer=signer)
