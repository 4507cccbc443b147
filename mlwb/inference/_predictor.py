"""A loaded model: rows of raw features in, probabilities out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import DegenerateModelError, DigestMismatchError, ModelError, ParityError
from mlwb.core.signing import Signer
from mlwb.inference._files import read_version
from mlwb.inference._golden import GOLDEN_TOLERANCE, Golden, parse_golden
from mlwb.inference._runtime import bindings as _ort
from mlwb.inference._runtime import ort
from mlwb.inference._sidecar import Sidecar, parse_sidecar

__all__ = ["Predictor"]

# Each is a child of Exception itself; onnxruntime has no root error of its own.
_ORT_ERRORS: tuple[type[Exception], ...] = (
    _ort.EPFail,
    _ort.EngineError,
    _ort.Fail,
    _ort.InvalidArgument,
    _ort.InvalidGraph,
    _ort.InvalidProtobuf,
    _ort.NoModel,
    _ort.NoSuchFile,
    _ort.NotFound,
    _ort.NotImplemented,
    _ort.RuntimeException,
    RuntimeError,
    ValueError,
)


_PACK = 8
"""Rows of a call are a multiple of so many: as many float64 as the widest register holds.

Vector instructions and what is left over for the others round differently, so without it one row
of a hundred would have another last bit alone than in a batch.
"""
_TREES = b"TreeEnsemble"
"""Trees add up row by row, whatever stands beside: filling up would cost time for nothing."""
_SIZES = (2, 3, 5, 8, 13, 21, 32, 55, 64)
"""Batches that are tried at load."""


class Predictor:
    """A verified, warm model; immutable, safe to call from many threads.

    Made by :meth:`load` or :meth:`from_bytes`. A row has the same score, to the last bit, alone and
    in any batch, as long as the graph treats rows apart; :attr:`is_row_exact` says whether that was
    found at load.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        One thread, sequential.
    sidecar : Sidecar
        Describes the graph of ``session``.
    digest : str
        ``sha256:`` of the ONNX bytes.
    golden : Golden, optional
        The rows that were reproduced at load.
    pack : int, default=8
        Rows of each call are filled up to a multiple of it.

    Attributes
    ----------
    is_row_exact : bool
        The golden rows have the same bits alone as in batches; False where nobody tried.
    """

    __slots__ = (
        "_feed",
        "_one_row",
        "_one_row_lock",
        "_outputs",
        "_pack",
        "_run",
        "_width",
        "digest",
        "golden",
        "is_row_exact",
        "sidecar",
    )

    def __init__(
        self,
        session: Any,
        sidecar: Sidecar,
        digest: str,
        *,
        golden: Golden | None = None,
        pack: int = _PACK,
    ) -> None:
        self.sidecar, self.digest, self.golden = sidecar, digest, golden
        self.is_row_exact, self._pack = False, pack
        self._run = session.run
        self._feed, self._outputs = sidecar.input_name, [sidecar.output_name]
        self._width = len(sidecar.features)
        self._one_row_lock = threading.Lock()
        try:
            self._one_row = _OneRow(session, sidecar, pack)
        except _ORT_ERRORS as error:
            raise ModelError(f"model {self.version} cannot score: {error}") from error

    @classmethod
    def from_bytes(cls, onnx_bytes: bytes, sidecar: Sidecar) -> Predictor:
        """A predictor from a graph that is not published yet.

        Parameters
        ----------
        onnx_bytes : bytes
            Serialised ONNX model.
        sidecar : Sidecar
            Its description.

        Returns
        -------
        Predictor
            ``golden`` is None.

        Raises
        ------
        ModelError
            The bytes are no ONNX model, or its tensors are not those of the sidecar.
        DegenerateModelError
            The middle of the feature range has no probability.
        """
        session, digest = _open(onnx_bytes, sidecar), digest_bytes(onnx_bytes)
        predictor = cls(session, sidecar, digest, pack=_pack_of(onnx_bytes))
        predictor.predict_row([(field.low + field.high) / 2 for field in sidecar.features])
        return predictor

    @classmethod
    def load(
        cls, version_dir: Path, *, verify: bool = True, signer: Signer | None = None
    ) -> Predictor:
        """A predictor from ``artifacts/models/<version>/``, warm and proven.

        The files are hashed as read and compared with the manifest, and the golden rows must
        come out as they did in training.

        Parameters
        ----------
        version_dir : Path
            The directory or a link to it.
        verify : bool, default=True
            False skips the manifest only, for a directory whose manifest is not written yet.
            The golden rows are always reproduced.
        signer : Signer, optional
            Where it pins a key, the manifest must be signed by it.

        Returns
        -------
        Predictor

        Raises
        ------
        ArtifactNotFoundError, IncompleteVersionError, DigestMismatchError
            The files are not the published ones.
        SignatureError
            A key is pinned, and the manifest is not signed by it.
        ModelError
            The graph or its sidecar cannot be used.
        ParityError
            A golden row scores differently here.
        """
        files = read_version(version_dir, verify=verify, signer=signer)
        sidecar, golden = parse_sidecar(files.sidecar), parse_golden(files.golden)
        if verify and files.version != sidecar.model_version:
            raise DigestMismatchError(
                "manifest and sidecar name different versions",
                expected=files.version,
                got=sidecar.model_version,
            )
        session = _open(files.onnx, sidecar)
        predictor = cls(
            session, sidecar, digest_bytes(files.onnx), golden=golden, pack=_pack_of(files.onnx)
        )
        _check_golden(predictor, golden)
        predictor.is_row_exact = _is_row_exact(predictor, golden)
        return predictor

    @property
    def version(self) -> str:
        """The model version."""
        return self.sidecar.model_version

    def predict(self, rows: Float2D) -> Float1D:
        """P(label = 1) of each row.

        Parameters
        ----------
        rows : ndarray of shape (n, k), float64
            Raw features in the order of the sidecar; scaling and clipping are in the graph.

        Returns
        -------
        ndarray of shape (n,), float64
            In [0, 1]; empty for no rows.

        Raises
        ------
        ModelError
            The shape is not (n, k).
        DegenerateModelError
            A score is NaN, infinite or no probability.
        """
        if rows.ndim != 2 or rows.shape[1] != self._width:
            raise ModelError(
                "rows do not fit the model", expected=f"(n, {self._width})", got=str(rows.shape)
            )
        if len(rows) == 0:
            return np.empty(0)
        scores = np.asarray(self._scores(rows), dtype=np.float64).reshape(-1)
        # Written so that NaN fails the comparison.
        if len(scores) != len(rows) or not (scores.min() >= 0.0 and scores.max() <= 1.0):
            raise DegenerateModelError(
                f"model {self.version} gives scores that are no probabilities",
                expected="finite values in [0, 1], one a row",
            )
        return scores

    def predict_row(self, values: Sequence[float]) -> float:
        """P(label = 1) of one row; the fast path of the server.

        Parameters
        ----------
        values : sequence of float
            k raw features in the order of the sidecar.

        Returns
        -------
        float
            In [0, 1].

        Raises
        ------
        ModelError
            Not k values.
        DegenerateModelError
            The score is NaN, infinite or no probability.
        """
        if len(values) != self._width:
            raise ModelError(
                "the row does not fit the model",
                expected=f"{self._width} values",
                got=f"{len(values)}",
            )
        score = self._row_score(values)
        if 0.0 <= score <= 1.0:
            return score
        raise DegenerateModelError(
            f"model {self.version} gives a score that is no probability",
            expected="a finite value in [0, 1]",
        )

    def _row_score(self, values: Sequence[float]) -> float:
        if not self._one_row_lock.acquire(blocking=False):
            return float(self._scores(np.array((values,), dtype=np.float64)).item())
        try:
            return self._one_row(values)
        except _ORT_ERRORS as error:
            raise ModelError(f"model {self.version} cannot score: {error}") from error
        finally:
            self._one_row_lock.release()

    def _scores(self, rows: Float2D) -> Any:
        n_left = len(rows) % self._pack
        try:
            if not n_left:
                return self._run(self._outputs, {self._feed: rows})[0]
            whole, left = np.split(rows, [len(rows) - n_left])
            filled = np.resize(left, (self._pack, self._width))
            last = self._run(self._outputs, {self._feed: filled})[0][:n_left]
            if not len(whole):
                return last
            return np.concatenate([self._run(self._outputs, {self._feed: whole})[0], last])
        except _ORT_ERRORS as error:
            raise ModelError(f"model {self.version} cannot score: {error}") from error


class _OneRow:
    """One row through buffers bound once: less than half the time of a call with new arrays.

    The buffers are shared by all calls, so there may be one at a time. The row is the first of a
    whole pack; the others are never looked at.
    """

    __slots__ = ("_binding", "_row", "_run", "_score", "_write")

    def __init__(self, session: Any, sidecar: Sidecar, pack: int) -> None:
        middle = [(field.low + field.high) / 2 for field in sidecar.features]
        self._row = np.array([middle] * pack)
        # A third of the time of assigning to the array.
        self._write = partial(Struct(f"{len(middle)}d").pack_into, memoryview(self._row.data), 0)
        self._score = session.run([sidecar.output_name], {sidecar.input_name: self._row})[0]
        self._binding = session.io_binding()
        # Beneath the public method, which makes new options for each call, and asks options it is
        # given about graphics cards: 3.3 us, 32 us with options of one's own, 2.1 us this way.
        run, binding = session._sess.run_with_iobinding, self._binding._iobinding  # noqa: SLF001 - as said
        self._run = partial(run, binding, ort.RunOptions())
        for name, buffer, bind in (
            (sidecar.input_name, self._row, self._binding.bind_input),
            (sidecar.output_name, self._score, self._binding.bind_output),
        ):
            bind(name, "cpu", 0, buffer.dtype.type, buffer.shape, buffer.ctypes.data)

    def __call__(self, values: Sequence[float]) -> float:
        self._write(*values)
        self._run()
        return float(self._score.item(0))


def _open(onnx_bytes: bytes, sidecar: Sidecar) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # failures come back as exceptions; nothing else to say
    try:
        session = ort.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as error:
        raise ModelError(
            f"model {sidecar.model_version} is no ONNX graph onnxruntime can run",
            got=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
            todo="export and publish the version again",
        ) from error
    _check_tensors(session, sidecar)
    return session


def _check_tensors(session: Any, sidecar: Sidecar) -> None:
    width = len(sidecar.features)
    inputs = [(item.name, item.type, item.shape) for item in session.get_inputs()]
    fits = len(inputs) == 1 and inputs[0][:2] == (sidecar.input_name, "tensor(double)")
    if not fits or len(inputs[0][2]) != 2 or inputs[0][2][1] != width:
        raise ModelError(
            f"model {sidecar.model_version} does not take what its sidecar says",
            expected=f"one input {sidecar.input_name}: float64 (n, {width})",
            got=str(inputs)[:200],
        )
    types = {item.name: item.type for item in session.get_outputs()}
    if types.get(sidecar.output_name) not in ("tensor(double)", "tensor(float)"):
        raise ModelError(
            f"model {sidecar.model_version} does not give what its sidecar says",
            expected=f"an output {sidecar.output_name}: float64 or float32",
            got=str(types)[:200],
        )


def _pack_of(onnx_bytes: bytes) -> int:
    return 1 if _TREES in onnx_bytes else _PACK


def _is_row_exact(predictor: Predictor, golden: Golden) -> bool:
    rows, _ = golden.arrays()
    rows = rows[np.arange(max(_SIZES)) % len(rows)]
    alone = np.array([predictor.predict_row(row) for row in rows.tolist()])
    return all(np.array_equal(predictor.predict(rows[:n]), alone[:n]) for n in _SIZES)


def _check_golden(predictor: Predictor, golden: Golden) -> None:
    rows, expected = golden.arrays()
    worst = float(np.abs(predictor.predict(rows) - expected).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise ParityError(
            f"model {predictor.version} does not reproduce its golden rows",
            expected=f"a difference of at most {GOLDEN_TOLERANCE:g}",
            got=f"{worst:g}",
            todo="do not serve it; export and publish the version again",
        )
