"""``mlwb registry``: putting things right, comparing, cleaning up, signing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mlwb.cli._common import (
    JsonFlag,
    PolicyOption,
    console,
    evidence_store,
    print_json,
    print_problems,
    read_policy,
    registry,
)
from mlwb.cli._registry_at import AtOption, selected
from mlwb.core.canonical import to_plain
from mlwb.core.chain import Problem
from mlwb.core.clock import SystemClock, parse_utc
from mlwb.core.errors import ParamsError
from mlwb.core.signing import PRIVATE_KEY_ENV, PUBLIC_KEY_ENV, write_key_pair
from mlwb.registry import RemoteRegistry

__all__ = ["add", "remedy"]

ReasonOption = Annotated[str, typer.Option("--reason", help="Goes into the log; required.")]


def add(app: typer.Typer) -> None:
    """Add the commands to ``mlwb registry``."""
    commands: dict[str, tuple[Callable[..., None], str]] = {
        "backup": (_backup, "mlwb registry backup"),
        "diff": (_diff, "mlwb registry diff previous latest"),
        "gc": (_gc, "mlwb registry gc --apply"),
        "keygen": (_keygen, "mlwb registry keygen ~/.config/mlwb/signing.pem"),
        "quarantine": (_quarantine, 'mlwb registry quarantine v1.8.1 --reason "disk error"'),
        "recover": (_recover, "mlwb registry recover"),
        "restore": (_restore, "mlwb registry restore v1.8.1"),
        "sign": (_sign, "mlwb registry sign v1.8.1"),
    }
    for name, (command, example) in commands.items():
        app.command(name, epilog=f"Example: {example}")(command)


def remedy(problem: Problem, logged: str = "") -> str:
    """What to do about a problem that doctor names; empty where a person has to look first.

    ``logged`` is what the log calls latest, where it can be read.
    """
    version = problem.where.split("/")[0]
    known = {
        "tampered": f"mlwb registry restore {version}",
        "missing": "mlwb registry recover" if version in _CHANNELS else
                   f"mlwb registry restore {version}",
        "incomplete": f"mlwb registry restore {version}",
        "dangling": "mlwb registry recover",
        "torn": "mlwb registry recover",
        "stale": "mlwb registry recover",
        "unsigned": "mlwb registry sign" + f" {version}" * (version not in _LOGS),
    }  # fmt: skip
    if problem.kind == "unaudited" and version == "latest":
        return f'mlwb registry rollback {logged} --reason "latest was moved"' if logged else ""
    return known.get(problem.kind, "")


_CHANNELS = ("latest", "candidate", "previous")
_LOGS = ("promotions.sig", "log")


def _diff(before: str, after: str, at: AtOption = "", as_json: JsonFlag = False) -> None:
    """Say what differs between two versions or channels: training record and files."""
    found = selected(at).compare(before, after)
    if as_json:
        print_json([to_plain(difference) for difference in found])
        return
    table = Table(box=None, header_style="dim")
    for column in ("", before, after):
        table.add_column(column, overflow="fold", no_wrap=not column)
    for difference in found:
        if difference.name.startswith("artifacts."):
            continue  # the digests of the files, which follow
        values = [escape(_short(value)) for value in (difference.before, difference.after)]
        table.add_row(escape(difference.name), *values)
    console.print(table if found else "[green]the same[/]")


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        inner = (" ".join(map(_short, v)) if isinstance(v, list) else _short(v) for v in value)
        return ", ".join(inner)
    text = "-" if value is None else str(value)
    return text[:19] if text.startswith("sha256:") else text


def _gc(
    apply: Annotated[bool, typer.Option("--apply", help="Remove them; else only say so.")] = False,
    policy: PolicyOption = "policy.yml",
    at: AtOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Name versions nobody needs: not among the last three, never in production, not cited."""
    models = selected(at)
    cited = set(_cited(policy))
    gone = models.collect(cited) if apply else models.garbage(cited)
    if as_json:
        print_json({"removed" if apply else "would_remove": gone})
        return
    for version in gone:
        console.print(f"{'removed' if apply else 'would remove'} {version}")
    if not gone:
        console.print("[green]nothing to remove[/]")
    elif not apply:
        console.print("[dim]nothing was removed; add --apply[/]")


def _cited(policy: str) -> Iterator[str]:
    """Versions a decision cites that is young enough to be asked about."""
    limit = read_policy(policy).limit("promotion.decision_kept_d")
    oldest = SystemClock().now() - timedelta(days=float(Decimal(limit.value)))
    for entry in evidence_store().index():
        if entry.kind == "decision" and parse_utc(entry.timestamp) >= oldest:
            yield entry.model_version


def _backup(at: AtOption = "", as_json: JsonFlag = False) -> None:
    """Copy `latest` and the log beside the registry."""
    models = selected(at)
    if isinstance(models, RemoteRegistry):
        raise ParamsError(
            "an object store is not backed up from here", todo="turn on versions of its bucket"
        )
    copy = models.backup()
    if as_json:
        print_json({"backup": copy.name if copy else None})
    else:
        console.print(f"[green]copied to[/] {copy.name}" if copy else "there is no latest to copy")


def _restore(version: str, at: AtOption = "", as_json: JsonFlag = False) -> None:
    """Bring a damaged or removed version back: from its newest copy; to a store, from this home."""
    models = selected(at)
    if isinstance(models, RemoteRegistry):
        info = models.restore(version, registry().resolve(version))
    else:
        info = models.restore(version)
    if as_json:
        print_json({"version": info.version, "manifest_sha256": info.sha256})
    else:
        console.print(f"[green]{info.version} is as it was published[/]")


def _quarantine(
    version: str, reason: ReasonOption = "", at: AtOption = "", as_json: JsonFlag = False
) -> None:
    """Set a damaged version aside that no copy brings back; `latest` goes to the one before."""
    state = selected(at).quarantine(version, reason=reason)
    if as_json:
        print_json({"version": version, "latest": state.latest, "seq": state.seq})
        return
    console.print(f"[green]{version} is set aside[/]; latest -> {state.latest or 'none'}")
    if state.latest is None:
        console.print("the next `mlwb run` trains a first champion")


def _recover(at: AtOption = "", as_json: JsonFlag = False) -> None:
    """Close what a crash left open; exit 5 when something is still wrong."""
    problems = selected(at).recover()
    if as_json:
        print_json([str(problem) for problem in problems])
    else:
        print_problems(problems, "in order")
    if problems:
        raise typer.Exit(5)


def _sign(
    version: Annotated[str, typer.Argument(help="A version; else only the log.")] = "",
    at: AtOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Sign the log as it is, and an intact version published without a key."""
    seq = selected(at).sign(version)
    if as_json:
        print_json({"version": version or None, "seq": seq})
    else:
        console.print(f"[green]signed[/] {f'{version} and ' if version else ''}log entry {seq}")


def _keygen(path: Path, as_json: JsonFlag = False) -> None:
    """Make a key pair: PATH to sign with, PATH.pub to pin."""
    place = path.expanduser()
    try:
        public = write_key_pair(place)
    except FileExistsError as error:
        raise ParamsError(
            f"{Path(str(error.filename)).name} is already there", todo="name another file"
        ) from error
    environ = {PRIVATE_KEY_ENV: os.fspath(place), PUBLIC_KEY_ENV: os.fspath(public)}
    if as_json:
        print_json(environ)
        return
    for name, value in environ.items():
        console.print(f"export {name}={value}", soft_wrap=True, markup=False)
