"""Few lines from a measurement to a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mlwb.core.canonical import JsonValue, digest, to_plain
from mlwb.core.clock import Clock, format_utc
from mlwb.core.ids import new_run_id
from mlwb.evidence._kinds import known_name
from mlwb.evidence._record import Code, Environment, Input, Metric, Params, Record, Upstream

__all__ = ["Context", "metrics_digest", "new_record", "with_verdict"]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What all records of one run share.

    Parameters
    ----------
    clock : Clock
        Stamps the records.
    model_version : str, default="none"
        Version measured; ``"none"`` before there is one.
    origin : {"live", "replay", "simulated", "mock"}, default="replay"
        Where the measured numbers come from; gates name the origins they accept.
    service : str, default="mlwb"
        First part of the run id.
    run : str, default=""
        Eight hex digits shared by the records of one run; random for each when empty.
    inputs, params, notebook, code, environment, seeds
        Provenance, see :class:`mlwb.evidence.Record`.
    """

    clock: Clock
    model_version: str = "none"
    origin: str = "replay"
    service: str = "mlwb"
    run: str = ""
    inputs: tuple[Input, ...] = ()
    params: Params = field(default_factory=Params)
    notebook: str = ""
    code: Code = field(default_factory=Code)
    environment: Environment = field(default_factory=Environment)
    seeds: Mapping[str, int] = field(default_factory=dict)


def new_record(
    kind: str,
    metrics: Iterable[Metric],
    context: Context,
    *,
    phase: str = "",
    canary_phase: str = "",
    details: Mapping[str, JsonValue] | None = None,
    report: str = "",
    upstream: Iterable[Upstream] = (),
) -> Record:
    """Build a record; nothing is written.

    Parameters
    ----------
    kind : str
        A key of :data:`mlwb.evidence.KNOWN_NAMES`.
    metrics : iterable of Metric
        The numbers, each (name, segment) once.
    context : Context
        What the run's records share.
    phase : str, default=""
        Phase part of the run id; the kind (with dashes) when empty.
    canary_phase : str, default=""
        ``"5%"`` for a record of one canary phase.
    details : mapping, optional
        JSON peculiar to the kind.
    report : str, default=""
        Digest of the rendered report.
    upstream : iterable of Upstream
        Records this one builds on.

    Returns
    -------
    Record

    Raises
    ------
    EvidenceSchemaError
        Unknown kind, or a detail has no JSON form.

    Examples
    --------
    >>> from mlwb.core.clock import ManualClock
    >>> context = Context(clock=ManualClock(), model_version="v1.8.1", run="a1b2c3d4")
    >>> record = new_record("offline_report", [Metric("auc", 0.66)], context)
    >>> record.run_id
    'mlwb_v1.8.1_offline-report_20260101T000000Z_a1b2c3d4'
    """
    now = context.clock.now()
    stamp = format_utc(now)
    known_name(kind, stamp)
    phase = phase or kind.replace("_", "-")
    return Record(
        kind=kind,
        run_id=new_run_id(context.service, context.model_version, phase, now, token=context.run),
        model_version=context.model_version,
        timestamp=stamp,
        origin=context.origin,
        canary_phase=canary_phase,
        inputs=context.inputs,
        params=context.params,
        notebook=context.notebook,
        code=context.code,
        environment=context.environment,
        seeds=context.seeds,
        metrics=tuple(metrics),
        details=to_plain(details or {}),
        report=report,
        upstream=tuple(upstream),
    )


def with_verdict(record: Record, *, is_pass: bool, policy_digest: str) -> Record:
    """The record with the derived ``pass`` and ``all_pass`` of the gate that judged it."""
    return replace(record, is_pass=is_pass, policy_digest=policy_digest)


def metrics_digest(record: Record) -> str:
    """Digest of what was measured, and of nothing that differs between two equal runs.

    Kind, deterministic metrics and details count; run id, time, provenance, metrics marked
    ``deterministic=False`` and the detail named ``"volatile"`` do not.

    Examples
    --------
    >>> from mlwb.core.clock import ManualClock
    >>> clock = ManualClock()
    >>> metrics = [Metric("auc", 0.66), Metric("p95_ms", 1.2, deterministic=False)]
    >>> first = new_record("bench", metrics, Context(clock=clock))
    >>> clock.advance(3600)
    >>> second = new_record("bench", metrics[:1], Context(clock=clock))
    >>> metrics_digest(first) == metrics_digest(second)
    True
    """
    kept = sorted(
        (metric for metric in record.metrics if metric.deterministic),
        key=lambda metric: (metric.name, metric.segment),
    )
    details = {key: value for key, value in record.details.items() if key != "volatile"}
    return digest({"kind": record.kind, "metrics": kept, "details": details})
