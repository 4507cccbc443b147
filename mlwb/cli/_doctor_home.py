"""What `mlwb doctor` asks of a home: folders, disk, runs, versions, evidence, keys, the server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from mlwb.cli._finding import Finding, fail, ok, warn
from mlwb.cli._registry_care import remedy
from mlwb.client import PredictClient
from mlwb.core.chain import Head
from mlwb.core.errors import MlwbError, ServeError
from mlwb.core.home import Home
from mlwb.core.leftovers import leftovers
from mlwb.evidence import EvidenceStore
from mlwb.registry import Registry
from mlwb.serve import (
    KeyFile,
    ServeSettings,
    exposed,
    is_audited,
    start_problems,
    whole_audit_problems,
)

__all__ = [
    "audit",
    "disk",
    "evidence",
    "folders",
    "keys",
    "runs",
    "server",
    "switch",
    "unfinished",
    "versions",
]

_SERVER_S = 2.0


def folders(home: Home) -> Iterator[Finding]:
    """Where results go can be written to."""
    bad = [path for path in (home.outputs, home.artifacts, home.evidence) if not _may_write(path)]
    for path in bad:
        yield fail("home", f"{path} cannot be written to", "give it to the user who runs mlwb")
    if not bad:
        yield ok("home", str(home.root))


def _may_write(path: Path) -> bool:
    there = next(place for place in (path, *path.parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def disk(home: Home, settings: ServeSettings) -> Iterator[Finding]:
    """Room for all the files that the prediction log of a server may come to."""
    most, free = settings.log_limit * settings.log_files, shutil.disk_usage(home.root).free
    what = f"{free / 2**30:.1f} GiB free"
    if free < settings.log_limit:
        yield fail("disk", f"{what}: not one more file of a log", "free some")
    elif free < most:
        yield warn("disk", f"{what}; a prediction log may come to {most / 2**30:.1f}", "free some")
    else:
        yield ok("disk", what)


def runs(home: Home) -> Iterator[Finding]:
    """Folders of runs that left no ``run.json``: still at work, or cut off."""
    places = home.outputs.iterdir() if home.outputs.is_dir() else ()
    done = {
        path.name: (path / "run.json").is_file()
        for path in places
        if path.is_dir() and not path.is_symlink()
    }
    cut = sorted(name for name, is_whole in done.items() if not is_whole)
    if cut:
        what = f"no result yet of {', '.join(cut)}"
        yield warn("runs", what, "still at work, or cut off: then remove the folder")
    else:
        yield ok("runs", f"{len(done)}, each with its result" if done else "none yet: mlwb run")


def versions(registry: Registry) -> Iterator[Finding]:
    """Every file of every version hashed again, channels and log."""
    problems = registry.doctor()
    logged = _logged(registry) if problems else ""
    for problem in problems:
        yield fail("versions", str(problem), remedy(problem, logged))
    if problems:
        return
    names = {"latest": registry.latest(), "candidate": registry.candidate()}
    said = ", ".join(f"{name} is {version or 'none'}" for name, version in names.items())
    n = len(registry.versions())
    yield ok("versions", f"{n} as published; {said}" if n else "none yet: mlwb run trains one")


def _logged(registry: Registry) -> str:
    try:
        return registry.state().latest or ""
    except MlwbError:  # a log that was edited names nothing
        return ""


def evidence(store: EvidenceStore, heads: tuple[Head, ...]) -> Iterator[Finding]:
    """Every record against the ledger."""
    problems = store.verify(heads)
    for problem in problems:
        todo = "mlwb evidence sign" if problem.kind == "unsigned" else "see docs/evidence.md"
        yield fail("evidence", str(problem), todo, code=6)
    if not problems:
        yield ok("evidence", f"{len(store.index())} records as written")


def unfinished(home: Home, now: datetime) -> Iterator[Finding]:
    """Temporary files of killed processes: in nobody's way, but a process was killed."""
    found = [
        path for folder in (home.artifacts, home.evidence)
        for path in leftovers(folder, now, is_deep=True)
    ]  # fmt: skip
    if found:
        what = f"{len(found)} half-written by killed processes, as {found[0].name}"
        yield warn("leftovers", what, "the next change or start of their owner clears them away")
    else:
        yield ok("leftovers", "none")


def keys(settings: ServeSettings, now: datetime) -> Iterator[Finding]:
    """Who may call the server, and who could read or change what protects it."""
    refused = start_problems(settings, now)
    for said in refused:
        yield fail("keys", f"a server would not start: {said.rstrip('.')}", code=2)
    for said in exposed(settings):
        if said not in refused:
            yield warn("keys", said.rstrip("."))
    records = KeyFile(settings.keys_file).records() if settings.keys_file else ()
    valid = sorted(record.expires for record in records if record.state(now) == "valid")
    if valid:
        yield ok("keys", f"{len(valid)} of {len(records)} are valid, the first until {valid[0]}")
    elif records:
        yield warn("keys", "every key is expired or revoked", "mlwb keys add NAME --role predict")
    elif not refused:
        yield ok("keys", "none: a server here answers everybody, on this machine only")


def audit(settings: ServeSettings) -> Iterator[Finding]:
    """Whether the audit log stands as it was written, and knows of the key file as it is."""
    path, keys_file = settings.audit_log, settings.keys_file
    if path is None:
        yield warn("audit", "MLWB_AUDIT_LOG is off: nobody would know who did what")
        return
    promotions = settings.models_dir.parent / "promotions.log"
    problems = whole_audit_problems(path, signer=settings.signer, promotions=promotions)
    for problem in problems:
        yield fail("audit", str(problem), "docs/runbook.md says what to do", code=6)
    if keys_file is not None and not is_audited(keys_file, path):
        what = f"{keys_file.name} is not what the log says: changed by hand [unaudited]"
        yield fail("audit", what, "mlwb keys list: revoke what nobody knows", code=6)
    elif not problems:
        yield ok("audit", "as written" if path.exists() else "no log yet")


def switch(settings: ServeSettings) -> Iterator[Finding]:
    """Whether predictions are stopped."""
    path = settings.kill_file
    if path is not None and path.exists():
        yield warn("kill switch", f"on: {path} is there", f"ask who set it, then: rm {path}")
    elif settings.killed:
        yield warn("kill switch", "on: SERVE_KILL is set", "unset it")
    else:
        yield ok("kill switch", "off")


def server(settings: ServeSettings, url: str, latest: str) -> Iterator[Finding]:
    """What a running server says of itself.

    Parameters
    ----------
    settings : ServeSettings
        Say where one of this home would listen.
    url : str
        One that is meant instead, and that must answer; empty for none.
    latest : str
        The version that a server of this home should answer with; empty where there is none.
    """
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - read
    place = url or f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    try:
        with PredictClient(place, timeout_s=_SERVER_S) as client:
            health = client.health()
    except ServeError as error:
        if url or settings.profile == "production":
            yield fail("server", f"{place} does not answer: {error}", "mlwb serve", code=7)
        else:
            yield ok("server", f"none at {place}; to start one: mlwb serve")
        return
    said, reasons = f"{place} answers", ", ".join(map(str, health.get("reasons", ())))
    version = health.get("model_version")
    if not health.get("ready"):
        yield fail("server", f"{place} refuses predictions: {reasons}", _WHY, code=7)
    elif reasons:
        yield warn("server", f"{said} with {version}, degraded: {reasons}", _WHY)
    elif latest and version != latest and not url and not settings.champion:
        yield warn("server", f"{said} with {version}, latest is {latest}", "is it of this home?")
    else:
        yield ok("server", f"{said} with {version}")


_WHY = "docs/serve-operations.md says what each word means"
