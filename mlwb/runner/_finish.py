"""What a run leaves behind for people: its record, its page, the list of all runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes, digest_file, parse_json
from mlwb.core.clock import parse_utc
from mlwb.core.errors import DataRejectedError, EvidenceSchemaError
from mlwb.data import Finding
from mlwb.evidence import EvidenceStore, Record
from mlwb.gates import GATES, Decision, decide
from mlwb.gates import Outcome as GateOutcome
from mlwb.params import Policy, load_policy
from mlwb.report import index
from mlwb.runner._command import Options, command_line
from mlwb.runner._pipeline import STEPS, TITLES, Outcome

__all__ = ["finish_run", "past_runs"]

_SCHEMA = "mlwb.run/1"
_TITLES = {"data": "Data check", "replay": "Serve and replay", **TITLES}


def finish_run(options: Options, outcome: Outcome) -> dict[str, Any]:
    """Write ``run.json``, the page and the list of runs; point ``outputs/latest`` at this run.

    Parameters
    ----------
    options : Options
        What was run.
    outcome : Outcome
        How it ended.

    Returns
    -------
    dict
        What ``run.json`` holds: ``promote``, ``sentence``, verdicts, steps, digests; and for the
        person at the terminal ``report``, ``evidence`` and ``next``.
    """
    policy = load_policy(options.home.policy(options.policy))
    decision = None if outcome.error else decide(outcome.verdicts, policy)
    store = EvidenceStore(options.home.evidence)
    own, before = _own_and_before(store, outcome)
    summary = _summary(options, outcome, policy, decision=decision, own=own)
    page = index.render_index(
        _view(options, outcome, policy, decision=decision, own=own, before=before)
    )
    outcome.folder.mkdir(parents=True, exist_ok=True)
    fsops.write_atomic(outcome.folder / "index.html", page)
    fsops.write_atomic(outcome.folder / "run.json", canonical_bytes(summary))
    fsops.replace_link(options.home.outputs / "latest", outcome.folder.name)
    runs = index.render_runs([_entry(run) for run in past_runs(options.home.outputs)])
    fsops.write_atomic(options.home.outputs / "index.html", runs)
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


def _summary(
    options: Options,
    outcome: Outcome,
    policy: Policy,
    *,
    decision: Decision | None,
    own: Mapping[str, Record],
) -> dict[str, Any]:
    error = outcome.error
    promote = bool(decision and decision.promote)
    quality, offline = own.get("data_quality"), own.get("offline_report")
    return {
        "schema": _SCHEMA,
        "run_id": outcome.run_id,
        "version": outcome.version,
        "champion": outcome.champion,
        "started": outcome.started,
        "finished": outcome.finished,
        "symbol": quality.details["symbol"] if quality else "",
        "origin": quality.origin if quality else "",
        "auc": offline.value("auc") if offline else None,
        "promote": promote,
        "policy": {"name": policy.name, "digest": policy.digest},
        "sentence": _sentence(outcome, promote=promote),
        "error": {"code": error.code, "message": str(error)} if error else None,
        "verdicts": {verdict.gate: str(verdict.outcome) for verdict in outcome.verdicts},
        "steps": [vars(step) for step in outcome.steps],
        "files": {path.name: digest_file(path) for path in sorted(outcome.folder.glob("0*.*"))},
        "report": str(options.home.outputs / "latest" / "index.html"),
        "evidence": str(options.home.evidence),
        "next": [] if error else [c.text for c in _commands(options, promote=promote)[1:]],
        "repeat": command_line(options, folders=True),
    }


def _sentence(outcome: Outcome, *, promote: bool) -> str:
    if isinstance(outcome.error, DataRejectedError):
        return "no model was trained: the data gate refused the market"
    if outcome.error is not None:
        return f"the run stopped at {_TITLES[outcome.steps[-1].name].lower()}"
    passed = sum(verdict.is_pass for verdict in outcome.verdicts)
    of = f"{passed} of {len(outcome.verdicts)} gates pass"
    if promote:
        return (
            f"{outcome.version} may replace {outcome.champion}; {of}, the others are waived or soft"
        )
    return f"{outcome.version} stays a candidate behind {outcome.champion}; {of}"


def _own_and_before(
    store: EvidenceStore, outcome: Outcome
) -> tuple[dict[str, Record], dict[str, Record]]:
    """Newest record of each kind, written by this run and written before it."""
    token = outcome.run_id.rsplit("_", 1)[1]
    own: dict[str, Record] = {}
    before: dict[str, Record] = {}
    for record in store.records():
        (own if record.run_id.endswith(token) else before)[record.kind] = record
    return own, before


def _view(
    options: Options,
    outcome: Outcome,
    policy: Policy,
    *,
    decision: Decision | None,
    own: Mapping[str, Record],
    before: Mapping[str, Record],
) -> index.IndexView:
    promote = bool(decision and decision.promote)
    return index.IndexView(
        run_id=outcome.run_id,
        started=outcome.started,
        finished=outcome.finished,
        market=_market(own.get("data_quality")),
        champion=outcome.champion,
        candidate=outcome.version if "parity" in own else "",
        policy_name=policy.name,
        policy_digest=policy.digest,
        decision=decision,
        verdicts=outcome.verdicts,
        numbers=index.key_numbers(own, policy, previous=before) if "parity" in own else (),
        reports=_links(outcome),
        provenance=_provenance(own),
        commands=tuple(_commands(options, promote=promote)),
        stopped=_stopped(outcome, own.get("data_quality")),
    )


def _market(quality: Record | None) -> index.MarketFacts | None:
    if quality is None:
        return None
    return index.MarketFacts(
        symbol=quality.details["symbol"],
        rows=int(quality.value("bars") or 0),
        first_utc=quality.details["first_utc"],
        last_utc=quality.details["last_utc"],
        origin=quality.origin,
    )


def _links(outcome: Outcome) -> tuple[index.ReportLink, ...]:
    ran = {step.name: step for step in outcome.steps}
    return tuple(
        index.ReportLink(
            title=_TITLES[name],
            file=ran[name].report if name in ran else "",
            seconds=ran[name].seconds if name in ran else None,
            status=ran[name].status if name in ran else "not run",
        )
        for name in STEPS
    )


def _provenance(own: Mapping[str, Record]) -> tuple[tuple[str, str], ...]:
    if not own:
        return ()
    newest = list(own.values())[-1]
    inputs = own["data_quality"].inputs if "data_quality" in own else ()
    changed = {True: " (with changes)", False: "", None: ""}[newest.code.dirty]
    return (
        ("Code", f"{newest.code.commit or newest.code.package_version}{changed}"),
        ("Lock file", newest.environment.lock_digest),
        ("Python", f"{newest.environment.python}, {newest.environment.platform}"),
        *((f"Market file {item.uri}", item.sha256) for item in inputs),
        ("Evidence ledger before the last record", newest.prev_sha256),
    )


def _commands(options: Options, *, promote: bool) -> list[index.Command]:
    found = [index.Command(about="Repeat this run", text=command_line(options))]
    if promote:
        found.append(index.Command(about="Promote", text="mlwb registry promote"))
    else:
        found.append(index.Command(about="What is missing", text="mlwb registry status"))
    found.append(index.Command(about="Serve what is promoted", text="mlwb serve"))
    return found


def _stopped(outcome: Outcome, quality: Record | None) -> index.Stopped | None:
    error = outcome.error
    if error is None:
        return None
    findings: tuple[Finding, ...] = ()
    if isinstance(error, DataRejectedError) and quality is not None:
        findings = tuple(
            Finding(item["check"], item["count"], item["serious"], item["detail"])
            for item in quality.details["findings"]
        )
    return index.Stopped(
        step=_TITLES[outcome.steps[-1].name],
        error=error.code,
        message=error.what if findings else str(error),
        findings=findings,
    )


def _entry(run: Mapping[str, Any]) -> index.RunEntry:
    seconds = (parse_utc(run["finished"]) - parse_utc(run["started"])).total_seconds()
    decision = "STOPPED" if run["error"] else ("READY" if run["promote"] else "BLOCKED")
    return index.RunEntry(
        run_id=run["run_id"],
        href=f"{run['run_id']}/index.html",
        started=run["started"],
        seconds=seconds,
        symbol=run["symbol"],
        origin=run["origin"],
        candidate=run["version"],
        policy_name=run["policy"]["name"],
        decision=decision,
        outcomes=tuple(
            (gate, GateOutcome(run["verdicts"][gate])) for gate in GATES if gate in run["verdicts"]
        ),
        auc=run["auc"],
    )
