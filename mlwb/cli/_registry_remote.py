"""``mlwb registry push``, ``pull`` and ``follow``: between this home and an object store."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from mlwb.cli._common import JsonFlag, console, errors, home, print_json, registry, until_told
from mlwb.cli._registry_at import AtOption, remote_store, selected
from mlwb.core.clock import SystemClock, format_utc
from mlwb.core.errors import EvidenceMissingError, MlwbError
from mlwb.core.signing import Signer
from mlwb.registry import Mirror, Pulled, RemoteRegistry

__all__ = ["add"]

IntoOption = Annotated[
    str, typer.Option("--into", help="Models directory to keep; else that of this home.")
]


def add(app: typer.Typer) -> None:
    """Add the commands to ``mlwb registry``."""
    commands: dict[str, tuple[Callable[..., None], str]] = {
        "push": (_push, "mlwb registry push v1.8.1 --at s3://bucket/prefix"),
        "pull": (_pull, "mlwb registry pull --at s3://bucket/prefix"),
        "follow": (_follow, "mlwb registry follow --every 5 --at s3://bucket/prefix"),
    }
    for name, (command, example) in commands.items():
        app.command(name, epilog=f"Example: {example}")(command)


def _push(
    version: Annotated[str, typer.Argument(help="Else the candidate of this home.")] = "",
    at: AtOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Publish a version of this home on the object store, byte for byte; may be repeated."""
    store = remote_store(at)
    here = registry()
    wanted = version or here.candidate()
    if not wanted:
        raise EvidenceMissingError(
            "no candidate to push", todo="train one: mlwb run; or name a version"
        )
    there = selected()
    assert isinstance(there, RemoteRegistry)  # noqa: S101 - remote_store() refused all else
    info = there.push(here.resolve(wanted))
    if as_json:
        print_json({"version": info.version, "manifest_sha256": info.sha256, "at": store.name})
    else:
        size = f"{len(info.files)} files, {info.size / 1e6:.1f} MB"
        console.print(f"[green]{info.version} is in {escape(store.name)}[/] ({size})")


def _pull(into: IntoOption = "", at: AtOption = "", as_json: JsonFlag = False) -> None:
    """Bring `latest`, the version before and the candidate here, verified, and move the links."""
    outcome = _mirror(into, at).pull()
    if as_json:
        print_json(asdict(outcome))
        return
    _say(outcome, _models_dir(into))


def _follow(
    every: Annotated[
        float, typer.Option("--every", min=0.1, help="Seconds between two looks.")
    ] = 5.0,
    into: IntoOption = "",
    at: AtOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Pull until stopped; what is here stays while the store is away or not in order."""
    models_dir = _models_dir(into)

    def tell(outcome: Pulled | MlwbError) -> None:
        if as_json:
            print_json({"time": format_utc(SystemClock().now()), **_plain(outcome)})
        elif isinstance(outcome, Pulled):
            _say(outcome, models_dir)
        else:
            errors.print(f"[bold red]error[/] [dim]{outcome.code}[/]", end=" ")
            errors.print(str(outcome), markup=False, soft_wrap=True)

    mirror = _mirror(into, at)
    with until_told() as is_over:
        mirror.follow(every_s=every, tell=tell, is_over=is_over)


def _plain(outcome: Pulled | MlwbError) -> dict[str, Any]:
    if isinstance(outcome, MlwbError):
        return {"error": outcome.code, "what": str(outcome)}
    return asdict(outcome)


def _models_dir(into: str) -> Path:
    return Path(into).expanduser().absolute() if into else home().models


def _mirror(into: str, at: str) -> Mirror:
    return Mirror(
        remote_store(at),
        _models_dir(into),
        clock=SystemClock(),
        signer=Signer.from_env(os.environ),
    )


def _say(outcome: Pulled, models_dir: Path) -> None:
    word = "latest ->" if outcome.is_news else "latest is"
    where = escape(str(models_dir))
    console.print(
        f"[green]{word} {outcome.latest or 'none'}[/] (log entry {outcome.seq}) in {where}",
        soft_wrap=True,
    )
    for problem in outcome.problems:
        errors.print(f"[bold red]![/] {escape(problem)}", soft_wrap=True)
