"""What one record holds: the measurement, and everything needed to trust or repeat it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mlwb.core.canonical import JsonValue, canonical_bytes, digest_bytes, to_plain
from mlwb.core.errors import EvidenceMissingError, EvidenceSchemaError

__all__ = [
    "SCHEMA",
    "Code",
    "Environment",
    "Input",
    "Interval",
    "Metric",
    "Params",
    "Record",
    "Upstream",
    "eval_text",
    "rate",
]

SCHEMA = "mlwb.evidence/1"


@dataclass(frozen=True)
class Interval:
    """A confidence interval: ``level`` in (0, 1), bounds in the metric's unit."""

    level: float
    lo: float
    hi: float
    method: str = ""


@dataclass(frozen=True)
class Metric:
    """One number, with what is needed to judge it.

    Parameters
    ----------
    name : str
        ``"auc"``; the same name may stand once for every segment.
    value : float, int or None
        None means not measured; NaN and infinities become None. A bool is refused.
    unit : str, default="1"
        ``"ms"``, ``"bp"``, ``"s"``, ``"1"`` for a pure number.
    n : int, optional
        How many observations stand behind the value.
    k : int, optional
        For a rate: how many of the n; value is k / n. See :func:`rate`.
    ci : Interval, optional
        Uncertainty of the value.
    window, definition : str
        Time range and formula, in words.
    segment : str, default=""
        Feature, fold, phase or batch the number is about; empty for the whole.
    null_reason : str
        Why there is no value; filled in when a value is not finite.
    deterministic : bool, default=True
        False for timings: two identical runs may differ.

    Raises
    ------
    EvidenceSchemaError
        The value is a bool or no number at all.

    Examples
    --------
    >>> Metric("auc", 0.66, n=20160).value
    0.66
    >>> Metric("auc", float("nan")).null_reason
    'not finite'
    """

    name: str
    value: float | int | None
    unit: str = "1"
    n: int | None = None
    k: int | None = None
    ci: Interval | None = None
    window: str = ""
    definition: str = ""
    segment: str = ""
    null_reason: str = ""
    deterministic: bool = True

    def __post_init__(self) -> None:
        value = to_plain(self.value)
        if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
            raise EvidenceSchemaError(
                f"metric {self.name!r} is not a number", got=type(self.value).__name__
            )
        if value is None and not self.null_reason:
            reason = "not measured" if self.value is None else "not finite"
            object.__setattr__(self, "null_reason", reason)
        object.__setattr__(self, "value", value)
        for name in ("n", "k"):
            object.__setattr__(self, name, to_plain(getattr(self, name)))

    @property
    def label(self) -> str:
        """Name, and segment where there is one: ``psi[spread_bp]``."""
        return f"{self.name}[{self.segment}]" if self.segment else self.name


def rate(name: str, k: int, n: int, **more: Any) -> Metric:
    """A share stored as counts: value is ``k / n``, None when nothing was observed.

    Parameters
    ----------
    name : str
        Metric name.
    k, n : int
        How many, of how many.
    **more
        Further fields of :class:`Metric`.

    Examples
    --------
    >>> rate("error_rate", 3, 1200).value
    0.0025
    >>> rate("error_rate", 0, 0).null_reason
    'no observations'
    """
    if not n:
        return Metric(name, None, k=k, n=n, null_reason="no observations", **more)
    return Metric(name, k / n, k=k, n=n, **more)


@dataclass(frozen=True)
class Input:
    """A file or stream that was measured.

    Parameters
    ----------
    role : str
        ``"market"``, ``"prediction_log"``, ``"model"``.
    uri : str
        Relative path or a name with a scheme; never an absolute local path.
    sha256 : str
        ``sha256:<64 hex>`` of all bytes.
    rows : int, optional
        Rows read.
    time_min, time_max : str
        First and last time, UTC with ``Z``; empty when the input has no time.
    """

    role: str
    uri: str
    sha256: str
    rows: int | None = None
    time_min: str = ""
    time_max: str = ""


@dataclass(frozen=True)
class Params:
    """The parameters of the stage: their digest and their values (never secrets)."""

    digest: str = ""
    values: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Code:
    """The code that measured: commit, whether the tree had changes (None: unknown), version."""

    commit: str = ""
    dirty: bool | None = None
    package_version: str = ""


@dataclass(frozen=True)
class Environment:
    """The environment that measured: digest of the lock file, interpreter, machine, kernel."""

    lock_digest: str = ""
    python: str = ""
    platform: str = ""
    kernel_prefix: str = ""


@dataclass(frozen=True)
class Upstream:
    """An earlier record this one depends on: its run id and the digest of its file."""

    run_id: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """One evidence record; build it with :func:`mlwb.evidence.new_record`.

    Parameters
    ----------
    kind, run_id, model_version, timestamp, origin : str
        See docs/evidence.md. ``origin`` is ``live``, ``replay``, ``simulated`` or ``mock``.
    canary_phase : str
        ``"5%"`` for a record of one canary phase, else empty.
    inputs, params, notebook, code, environment, seeds, report, upstream
        Provenance; ``notebook`` and ``report`` are digests, empty when there is none.
    metrics : tuple of Metric
        The numbers.
    details : mapping
        JSON peculiar to the kind: bin edges, counts, tables.
    is_pass : bool, optional
        Verdict of the gate that judges this kind, under ``policy_digest``; written as ``pass``
        and ``all_pass``. None for a bare measurement.
    policy_digest : str
        Policy that ``is_pass`` was derived with.
    prev_sha256 : str
        Digest of the record written before this one; set by the store.
    """

    kind: str
    run_id: str
    model_version: str
    timestamp: str
    origin: str
    canary_phase: str = ""
    inputs: tuple[Input, ...] = ()
    params: Params = field(default_factory=Params)
    notebook: str = ""
    code: Code = field(default_factory=Code)
    environment: Environment = field(default_factory=Environment)
    seeds: Mapping[str, int] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    report: str = ""
    upstream: tuple[Upstream, ...] = ()
    is_pass: bool | None = None
    policy_digest: str = ""
    prev_sha256: str = ""

    @property
    def config(self) -> dict[str, str]:
        """``{"model_version": ...}``, where older checks look for it."""
        return {"model_version": self.model_version}

    def metric(self, name: str, segment: str = "") -> Metric:
        """The metric of that name and segment.

        Raises
        ------
        EvidenceMissingError
            The record has no such metric.
        """
        for metric in self.metrics:
            if metric.name == name and metric.segment == segment:
                return metric
        raise EvidenceMissingError(
            f"{self.kind} has no metric {name!r}" + (f" for {segment!r}" if segment else ""),
            got=self.run_id,
        )

    def value(self, name: str, segment: str = "") -> float | int | None:
        """Value of :meth:`metric`; None when it was not measured."""
        return self.metric(name, segment).value

    def segments(self, name: str) -> dict[str, Metric]:
        """All segmented metrics of a name, by segment."""
        return {m.segment: m for m in self.metrics if m.name == name and m.segment}

    def to_json(self) -> dict[str, JsonValue]:
        """Plain JSON form, as it stands on disk."""
        found = {item.name: to_plain(getattr(self, item.name)) for item in fields(self)}
        verdict = found.pop("is_pass")
        if verdict is not None:
            found |= {"pass": verdict, "all_pass": verdict}
        return {"schema": SCHEMA, "config": self.config, **found}

    def to_bytes(self) -> bytes:
        """Canonical bytes, as they stand on disk."""
        return canonical_bytes(self.to_json())

    @property
    def sha256(self) -> str:
        """Digest of :meth:`to_bytes`: of the file, for a record read from a store."""
        return digest_bytes(self.to_bytes())

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Record:
        """Inverse of :meth:`to_json`; the value has passed the schema.

        Raises
        ------
        EvidenceSchemaError
            A field is unknown or missing.
        """
        body = {key: item for key, item in value.items() if key not in _DERIVED}
        try:
            return cls(**{**body, **_nested(body)}, is_pass=value.get("pass"))
        except (TypeError, KeyError) as error:
            raise EvidenceSchemaError(f"not a record: {error}") from error


_DERIVED = ("schema", "config", "pass", "all_pass")


def _nested(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "inputs": tuple(Input(**item) for item in body["inputs"]),
        "params": Params(**body["params"]),
        "code": Code(**body["code"]),
        "environment": Environment(**body["environment"]),
        "metrics": _metrics(body["metrics"]),
        "upstream": tuple(Upstream(**item) for item in body["upstream"]),
    }


def _metrics(items: Iterable[Mapping[str, Any]]) -> tuple[Metric, ...]:
    return tuple(
        Metric(**{**item, "ci": Interval(**item["ci"]) if item["ci"] else None}) for item in items
    )


def eval_text(record: Record) -> str:
    """The text that stands beside a record of kind ``eval_result``: verdict, then numbers."""
    verdict = {True: "PASS", False: "FAIL", None: "NOT JUDGED"}[record.is_pass]
    lines = [f"{verdict} {record.model_version} {record.run_id}"]
    lines += [_metric_line(metric) for metric in record.metrics]
    return "\n".join(lines) + "\n"


def _metric_line(metric: Metric) -> str:
    value = metric.null_reason if metric.value is None else f"{metric.value:.6g}"
    return f"{metric.label} = {value}"
