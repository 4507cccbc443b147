"""What every command uses: the console, the directories, JSON output, shared options."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from rich.console import Console

from mlwb.core.canonical import canonical_bytes
from mlwb.core.chain import Head
from mlwb.core.clock import SystemClock
from mlwb.core.home import Home, find_home
from mlwb.core.signing import Signer
from mlwb.evidence import EvidenceStore
from mlwb.registry import Registry, evidence_heads

__all__ = [
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
    "home",
    "kept_heads",
    "print_json",
    "registry",
]

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

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


def print_json(value: Any) -> None:
    """One line of canonical JSON on standard output."""
    print(canonical_bytes(value).decode())
