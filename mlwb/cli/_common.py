"""What every command uses: the console, the directories, JSON output, shared options."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from mlwb.cli._screen import console, errors
from mlwb.cli._variables import API_KEY
from mlwb.core.canonical import canonical_bytes, digest_file
from mlwb.core.chain import Head
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EvidenceMissingError
from mlwb.core.home import Home, find_home
from mlwb.core.signing import Signer
from mlwb.evidence import EvidenceStore
from mlwb.gates import EvidenceView, read_view
from mlwb.params import Policy, load_policy
from mlwb.registry import Registry, evidence_heads

__all__ = [
    "API_KEY",
    "DataOption",
    "JsonFlag",
    "ParamOption",
    "PolicyOption",
    "ProfileOption",
    "QuietFlag",
    "SourceOption",
    "console",
    "errors",
    "evidence_store",
    "evidence_view",
    "home",
    "kept_heads",
    "load_check",
    "print_json",
    "print_problems",
    "read_policy",
    "registry",
    "until_told",
]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for machines, nothing else.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
DataOption = Annotated[
    list[str] | None,
    typer.Option("--data", help="Market file; give it twice for a bid and an ask file."),
]
SourceOption = Annotated[
    str, typer.Option("--source", help="Source profile of the file; `auto` sniffs.")
]
ProfileOption = Annotated[
    str, typer.Option("--profile", help="Parameter profile, params/profiles/NAME.yml.")
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", help="Override, SECTION.NAME=VALUE; may be repeated."),
]
PolicyOption = Annotated[
    str, typer.Option("--policy", help="Policy file, below params/ or a path.")
]


def home() -> Home:
    """Directories, from ``MLWB_HOME`` and the checkout."""
    return find_home(os.environ)


def evidence_store() -> EvidenceStore:
    """The evidence of this home, with the keys of this process."""
    return EvidenceStore(home().evidence, Signer.from_env(os.environ))


def kept_heads() -> tuple[Head, ...]:
    """Ledger lines that the promotion log remembers."""
    return evidence_heads(home().artifacts / "promotions.log")


def registry() -> Registry:
    """The registry of this home, with the keys of this process."""
    return Registry(
        home().models,
        clock=SystemClock(),
        actor=os.environ.get("USER", "local"),
        signer=Signer.from_env(os.environ),
    )


def load_check(folder: Path) -> None:
    """Open a version as the server would; the registry's check before a flip."""
    from mlwb.inference import Predictor

    Predictor.load(folder, signer=Signer.from_env(os.environ))


def read_policy(name: str) -> Policy:
    """A policy by file name below ``params/``, or by path."""
    return load_policy(home().policy(name))


def evidence_view(version: str = "") -> EvidenceView:
    """Evidence about a version as the gates see it; else the candidate, else `latest`."""
    models = registry()
    wanted = version or models.candidate() or models.latest()
    if not wanted:
        raise EvidenceMissingError("no model to judge", todo="train one first: mlwb run")
    return read_view(
        evidence_store(),
        wanted,
        manifest_sha256=digest_file(models.resolve(wanted) / "manifest.json"),
        used_confirmations=tuple(sorted(models.state().used_confirmations)),
        heads=kept_heads(),
    )


def print_problems(problems: Iterable[object], else_: str) -> None:
    """One line a problem; where there is none, what that means."""
    said = [escape(str(problem)) for problem in problems]
    for text in said:
        console.print(f"[bold red]![/] {text}", soft_wrap=True)
    if not said:
        console.print(f"[green]{escape(else_)}[/]", soft_wrap=True)


@contextmanager
def until_told() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, so that a look under way is finished."""
    is_over = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: is_over.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield is_over
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def print_json(value: Any, *, indent: bool = False) -> None:
    """One line of canonical JSON on standard output; indented for a person."""
    line = canonical_bytes(value).decode()
    print(json.dumps(json.loads(line), indent=2) if indent else line)
