"""``mlwb doctor``: one screen that says what is wrong here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Annotated

import typer
from rich.markup import escape

from mlwb.cli import _doctor_home, _doctor_host
from mlwb.cli._common import (
    JsonFlag,
    console,
    evidence_store,
    home,
    kept_heads,
    print_json,
    read_policy,
    registry,
)
from mlwb.cli._finding import Finding, fail, ok
from mlwb.core.clock import SystemClock
from mlwb.core.errors import MlwbError, ParamsError
from mlwb.serve import ServeSettings

__all__ = ["add"]

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}

Check = Callable[[], Iterable[Finding]]


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("doctor", epilog="Example: mlwb doctor --url http://127.0.0.1:4010")(_doctor)


def _doctor(
    url: Annotated[
        str, typer.Option("--url", help="A server that must answer; else this home's, if any.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Say what is wrong with this home and machine, and what to do about it.

    A warning is something to know of; a failure ends with the exit code of its kind.
    """
    found = [finding for about, check in _checks(url).items() for finding in _asked(about, check)]
    failed = [finding for finding in found if finding.state == "fail"]
    if as_json:
        print_json({"ok": not failed, "findings": [finding._asdict() for finding in found]})
    else:
        for finding in found:
            _show(finding)
    if failed:
        raise typer.Exit(failed[0].code)


def _checks(url: str) -> dict[str, Check]:
    """What is looked at, in this order, each apart from the others."""
    place, models = home(), registry()
    host, here = _doctor_host, _doctor_home
    checks: dict[str, Check] = {
        "python": host.python,
        "packages": lambda: host.packages(place.project / "requirements.lock"),
        "extras": lambda: host.extras(_requirements()),
        "variables": lambda: host.variables(os.environ),
        "clock": lambda: host.clock(read_policy("policy.yml")),
        "home": lambda: here.folders(place),
        "runs": lambda: here.runs(place),
        "versions": lambda: here.versions(models),
        "evidence": lambda: here.evidence(evidence_store(), kept_heads()),
        "leftovers": lambda: here.unfinished(place, SystemClock().now()),
    }
    try:
        settings = ServeSettings.from_env(os.environ)
    except ParamsError as error:
        told = fail("settings", str(error), code=error.exit_code)
        return {**checks, "settings": lambda: [told]}
    return {
        **checks,
        "settings": lambda: [ok("settings", f"of a server: profile {settings.profile}")],
        "disk": lambda: here.disk(place, settings),
        "keys": lambda: here.keys(settings, SystemClock().now()),
        "audit": lambda: here.audit(settings),
        "kill switch": lambda: here.switch(settings),
        "server": lambda: here.server(settings, url, models.latest() or ""),
    }


def _requirements() -> list[str]:
    try:
        return metadata.requires("mlwb") or []
    except metadata.PackageNotFoundError:  # sources on the path, never installed
        return []


def _asked(about: str, check: Check) -> Iterator[Finding]:
    """A check that cannot be made has found something too."""
    try:
        yield from check()
    except MlwbError as error:
        yield fail(about, str(error), code=error.exit_code)
    except OSError as error:
        yield fail(about, f"{error.strerror or type(error).__name__}: {error.filename or error}")


def _show(finding: Finding) -> None:
    style = _STYLES[finding.state]
    mark = f"[{style}]{finding.state:<4}[/]"
    console.print(f"{mark}  {finding.about:<12} {escape(finding.what)}", soft_wrap=True)
    if finding.todo:
        console.print(f"      {'':<12} {escape(finding.todo)}", soft_wrap=True, style="dim")
