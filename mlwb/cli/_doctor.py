"""``mlwb doctor``."""

from __future__ import annotations

import sys

import typer

from mlwb import __version__
from mlwb.cli._common import (
    JsonFlag,
    console,
    evidence_store,
    home,
    kept_heads,
    print_json,
    print_problems,
    registry,
)
from mlwb.core.host_clock import host_clock

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("doctor", epilog="Example: mlwb doctor")(_doctor)


def _clock() -> str:
    """How well this host's clock is kept: a recorder's skew is its host's."""
    found = host_clock()
    if found is None:
        return "this system does not say"
    if not found.is_synchronised:
        return "follows no time server: what is recorded here has stamps of unknown error"
    return f"{found.offset_ms:+.1f} ms to correct, wrong by at most {found.max_error_ms:.0f} ms"


def _unfinished() -> list[str]:
    """Folders of runs that left no ``run.json``: still at work, or cut off."""
    outputs = home().outputs
    if not outputs.is_dir():
        return []
    folders = (path for path in outputs.iterdir() if path.is_dir() and not path.is_symlink())
    return sorted(path.name for path in folders if not (path / "run.json").is_file())


def _doctor(as_json: JsonFlag = False) -> None:
    """Check the environment, the registry and the evidence."""
    models = registry()
    problems = [f"registry: {problem}" for problem in models.doctor()]
    problems += [f"evidence: {problem}" for problem in evidence_store().verify(kept_heads())]
    facts = {
        "mlwb": __version__,
        "clock": _clock(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "latest": models.latest(),
        "candidate": models.candidate(),
        "unfinished runs": ", ".join(_unfinished()),
        "problems": problems,
    }
    if as_json:
        print_json(facts)
    else:
        for name, value in facts.items():
            if name != "problems":
                console.print(f"{name:<15} {value or '-'}")
        print_problems(problems, "nothing wrong found")
    if problems:
        raise typer.Exit(5 if any(p.startswith("registry") for p in problems) else 6)
