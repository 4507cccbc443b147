"""The error tree: one root, stable codes, exit codes of the command line.

::

    MlwbError
    |- ParamsError            2  UnknownParameterError  PolicyError
    |- DataError              3  DataNotFoundError  DataSchemaError  SourceUndecidableError
    |                            EmptyWindowError  LeakageError  DataRejectedError
    |                            DataFetchError
    |- ModelError             4  ExportError  ParityError  DegenerateModelError  AccountingError
    |- ArtifactError          5  ArtifactNotFoundError  DigestMismatchError  IncompleteVersionError
    |                            LockHeldError  StaleStateError  SignatureError  StorageError
    |                            StoreUnavailableError
    |- EvidenceError          6  EvidenceSchemaError  EvidenceMissingError  BrokenChainError
    |- PromotionRefusedError  1
    |- RunError               7  NotebookFailedError  KernelDiedError  ServerStartError
    `- ServeError             7  one class, HTTP status and code as fields

The number is the exit code of the command line (0 ok, 1 a gate said no).
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccountingError",
    "ArtifactError",
    "ArtifactNotFoundError",
    "BrokenChainError",
    "DataError",
    "DataFetchError",
    "DataNotFoundError",
    "DataRejectedError",
    "DataSchemaError",
    "DegenerateModelError",
    "DigestMismatchError",
    "EmptyWindowError",
    "EvidenceError",
    "EvidenceMissingError",
    "EvidenceSchemaError",
    "ExportError",
    "IncompleteVersionError",
    "KernelDiedError",
    "LeakageError",
    "LockHeldError",
    "MlwbError",
    "ModelError",
    "NotebookFailedError",
    "ParamsError",
    "ParityError",
    "PolicyError",
    "PromotionRefusedError",
    "RunError",
    "ServeError",
    "ServerStartError",
    "SignatureError",
    "SourceUndecidableError",
    "StaleStateError",
    "StorageError",
    "StoreUnavailableError",
    "UnknownParameterError",
]


class MlwbError(Exception):
    """Root of all errors mlwb raises on purpose.

    Parameters
    ----------
    what : str
        What went wrong, one sentence without a full stop.
    expected, got : str, default=""
        The two sides of a mismatch, in the user's words.
    todo : str, default=""
        What to do about it.

    Notes
    -----
    The message is one line, whatever a file or a request brought into it.

    Examples
    --------
    >>> str(MlwbError("no bars", expected=">= 1 row", got="0 rows", todo="check the path"))
    'no bars; expected >= 1 row, got 0 rows; check the path'
    """

    code: ClassVar[str] = "mlwb"
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, expected: str = "", got: str = "", todo: str = "") -> None:
        self.what, self.expected, self.got, self.todo = what, expected, got, todo
        sides = [f"expected {expected}" if expected else "", f"got {got}" if got else ""]
        mismatch = ", ".join(side for side in sides if side)
        said = "; ".join(part for part in (what, mismatch, todo) if part)
        super().__init__(" ".join(said.splitlines()))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, str(self)), self.__dict__


def _rebuild(cls: type[MlwbError], what: str, message: str) -> MlwbError:
    error = cls(what)
    error.args = (message,)
    return error


class ParamsError(MlwbError, ValueError):
    """A parameter file, an override or an option is wrong; nothing was started."""

    code, exit_code = "params", 2


class UnknownParameterError(ParamsError, KeyError):
    """A key that no dataclass field answers to, most often a typo."""

    code = "params.unknown"
    __str__ = Exception.__str__


class PolicyError(ParamsError):
    """The policy file is empty, names an unknown gate or holds a limit that cannot be read."""

    code = "params.policy"


class DataError(MlwbError, ValueError):
    """Market data cannot be used as it is."""

    code, exit_code = "data", 3


class DataNotFoundError(DataError, FileNotFoundError):
    """The file is not there, or is empty."""

    code = "data.not_found"
    __str__ = Exception.__str__


class DataSchemaError(DataError):
    """Columns, types or values do not fit the source profile."""

    code = "data.schema"


class SourceUndecidableError(DataError):
    """Sniffing cannot tell the format, unit or clock; guessing is refused."""

    code = "data.undecidable"


class EmptyWindowError(DataError):
    """A window holds no usable rows."""

    code = "data.empty_window"


class LeakageError(DataError):
    """A training label overlaps a test label, or a feature reads the future."""

    code = "data.leakage"


class DataRejectedError(DataError):
    """The data gate refused the data; no model is trained on it."""

    code = "data.rejected"


class DataFetchError(DataError, ConnectionError):
    """An archive does not answer, refuses, or asks for a longer pause than is waited for."""

    code = "data.fetch"
    __str__ = Exception.__str__


class ModelError(MlwbError, RuntimeError):
    """A model cannot be fitted, exported or trusted."""

    code, exit_code = "model", 4


class ExportError(ModelError):
    """The ONNX graph cannot be built or checked."""

    code = "model.export"


class ParityError(ModelError):
    """The ONNX graph does not reproduce the fitted model."""

    code = "model.parity"


class DegenerateModelError(ModelError):
    """One class only, constant scores, or no finite rows."""

    code = "model.degenerate"


class AccountingError(ModelError):
    """A book does not add up; its numbers are not reported."""

    code = "model.accounting"


class ArtifactError(MlwbError, RuntimeError):
    """A model version or the registry is not in order."""

    code, exit_code = "artifact", 5


class ArtifactNotFoundError(ArtifactError, FileNotFoundError):
    """No such version, or no `latest`."""

    code = "artifact.not_found"
    __str__ = Exception.__str__


class DigestMismatchError(ArtifactError):
    """A file is not the one its manifest names."""

    code = "artifact.digest_mismatch"


class IncompleteVersionError(ArtifactError):
    """A version directory lacks a required file or its manifest."""

    code = "artifact.incomplete"


class LockHeldError(ArtifactError, TimeoutError):
    """Another process holds the registry lock."""

    code = "artifact.lock_held"
    __str__ = Exception.__str__


class StaleStateError(ArtifactError):
    """`latest` is not the version the caller expected to replace."""

    code = "artifact.stale_state"


class SignatureError(ArtifactError):
    """A signature is missing, not good, or by a key that is not pinned; or a key cannot be used."""

    code = "artifact.signature"


class StorageError(ArtifactError, OSError):
    """Disk or store refused: full, read-only, no permission. What was there before still is."""

    code = "artifact.storage"
    __str__ = Exception.__str__


class StoreUnavailableError(StorageError):
    """The object store does not answer. A write may have happened; a look at its key tells."""

    code = "artifact.storage.unavailable"


class EvidenceError(MlwbError, ValueError):
    """Evidence is missing, malformed or has been changed."""

    code, exit_code = "evidence", 6


class EvidenceSchemaError(EvidenceError):
    """A record does not fit its schema or its numbers are impossible."""

    code = "evidence.schema"


class EvidenceMissingError(EvidenceError, FileNotFoundError):
    """No record of the wanted kind."""

    code = "evidence.missing"
    __str__ = Exception.__str__


class BrokenChainError(EvidenceError):
    """The ledger, or a record it names, was edited, removed, reordered or cut."""

    code = "evidence.broken_chain"


class PromotionRefusedError(MlwbError, PermissionError):
    """The gates did not pass, so `latest` was not touched."""

    code, exit_code = "promotion.refused", 1
    __str__ = Exception.__str__


class RunError(MlwbError, RuntimeError):
    """A notebook run or a server the run needs broke."""

    code, exit_code = "run", 7


class NotebookFailedError(RunError):
    """A cell raised, or the notebook ended early."""

    code = "run.notebook_failed"


class KernelDiedError(RunError):
    """The kernel process ended before the notebook did."""

    code = "run.kernel_died"


class ServerStartError(RunError):
    """The predict server did not come up: port in use, no model, or it exited."""

    code = "run.server_start"


class ServeError(MlwbError, RuntimeError):
    """A request the server refuses; becomes problem+json.

    Parameters
    ----------
    what : str
        The ``detail`` a client sees. Never holds internals or the client's own bytes.
    status : int, default=400
        HTTP status.
    problem : str, default="bad_request"
        Stable code, the last part of the problem ``type``.
    pointer : str, default=""
        JSON pointer to the offending field.
    """

    code, exit_code = "serve", 7

    def __init__(
        self,
        what: str,
        *,
        status: int = 400,
        problem: str = "bad_request",
        pointer: str = "",
        expected: str = "",
        got: str = "",
        todo: str = "",
    ) -> None:
        super().__init__(what, expected=expected, got=got, todo=todo)
        self.status, self.problem, self.pointer = status, problem, pointer
