"""What a run leaves behind for people: its record, its page, the list of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes, digest_file, parse_json
from mlwb.core.clock import Clock
from mlwb.core.errors import DataRejectedError, EvidenceSchemaError
from mlwb.evidence import EvidenceStore, Record
from mlwb.gates import decide
from mlwb.params import load_policy
from mlwb.report import index, text
from mlwb.runner._pipeline import TITLES, Options, Outcome, command_line, policy_path

__all__ = ["finish_run", "past_runs"]

_SCHEMA = "mlwb.run/1"
KEY_NUMBERS = (
    ("AUC, out of fold", "offline_report", "auc", "", "signal.auc"),
    ("precision in the top 20 %", "offline_report", "precision_top_20pct", "", "signal.precision_top_20pct"),
    ("p against", "significance", "p_against", "", "signal.p_against"),
    ("PSI, overall", "psi_snapshot", "psi_overall", "", "psi.plain_overall"),
    ("p95 of an answer", "smoke", "p95_ms", "", "perf.p95_ms"),
    ("champion and candidate agree", "shadow", "match_rate", "", "shadow.match_rate"),
)
"""Headline numbers: title, kind, metric, segment, limit they are held against."""


def finish_run(options: Options, outcome: Outcome, clock: Clock) -> dict[str, Any]:
    """Write ``run.json``, the page and the list of runs; point ``outputs/latest`` at this one.

    Parameters
    ----------
    options : Options
        What was run.
    outcome : Outcome
        How it ended.
    clock : Clock
        Stamps the list.

    Returns
    -------
    dict
        ``promote``, ``sentence``, ``report``, ``evidence``, ``next``, and the contents of
        ``run.json``.
    """
    store = EvidenceStore(options.home.evidence)
    policy = load_policy(policy_path(options.home, options.policy))
    stopped = outcome.error is not None
    decision = None if stopped else decide(outcome.verdicts, policy)
    promote = bool(decision and decision.promote)
    summary: dict[str, Any] = {
        "schema": _SCHEMA,
        "run_id": outcome.run_id,
        "version": outcome.version,
        "champion": outcome.champion,
        "started": outcome.started,
        "finished": outcome.finished,
        "promote": promote,
        "policy": {"name": policy.name, "digest": policy.digest},
        "sentence": _sentence(outcome, promote=promote),
        "error": {"code": outcome.error.code, "message": str(outcome.error)}
        if outcome.error
        else None,
        "verdicts": {verdict.gate: str(verdict.outcome) for verdict in outcome.verdicts},
        "steps": [vars(step) for step in outcome.steps],
        "numbers": _numbers(store, outcome),
        "files": _digests(outcome.folder),
    }
    outcome.folder.mkdir(parents=True, exist_ok=True)
    fsops.write_atomic(outcome.folder / "run.json", canonical_bytes(summary))
    return summary


def past_runs(outputs: Path) -> list[dict[str, Any]]:
    """Every readable ``run.json`` below ``outputs/``, oldest first."""
    found = []
    for path in outputs.glob("*/run.json"):
        if path.parent.is_symlink():
            continue
        try:
            stored = parse_json(path.read_bytes())
        except EvidenceSchemaError:
            continue
        if isinstance(stored, dict) and stored.get("schema") == _SCHEMA:
            found.append(stored)
    return sorted(found, key=lambda run: (run["started"], run["run_id"]))


def _sentence(outcome: Outcome, *, promote: bool) -> str:
    if isinstance(outcome.error, DataRejectedError):
        return f"{outcome.version} was not trained: the data gate refused the market."
    if outcome.error is not None:
        return f"{outcome.version}: the run stopped at {outcome.steps[-1].name}."
    passed = sum(verdict.is_pass for verdict in outcome.verdicts)
    of = f"{passed} of {len(outcome.verdicts)} gates pass"
    if promote:
        return f"{outcome.version} may replace {outcome.champion}: {of}, the rest is waived or soft."
    return f"{outcome.version} stays a candidate: {of}."


def _numbers(store: EvidenceStore, outcome: Outcome) -> dict[str, float | None]:
    """Headline numbers of this run's own records."""
    newest = _own(store, outcome)
    return {
        f"{kind}.{metric}": newest[kind].value(metric, segment)
        for _, kind, metric, segment, _ in KEY_NUMBERS
        if kind in newest
    }


def _own(store: EvidenceStore, outcome: Outcome) -> dict[str, Record]:
    newest = store.newest_each()
    return {
        kind: record
        for kind, record in newest.items()
        if record.model_version == outcome.version and record.timestamp >= outcome.started
    }


def _digests(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    names: Sequence[Path] = sorted(folder.glob("0*.*"))
    return {path.name: digest_file(path) for path in names}
