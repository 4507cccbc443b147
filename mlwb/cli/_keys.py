"""``mlwb keys``: who may call the predict server."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from mlwb.cli._common import JsonFlag, console, errors, print_json, print_problems
from mlwb.core.clock import SystemClock
from mlwb.core.errors import ParamsError

if TYPE_CHECKING:
    from mlwb.serve import KeyFile, KeyRecord, ServeSettings

__all__ = ["add"]

app = typer.Typer(
    help="Keys of the predict server: made, listed, replaced, taken back; a running one follows.",
    no_args_is_help=True,
)

DaysOption = Annotated[
    float | None, typer.Option("--days", help="Until it expires; MLWB_KEY_DAYS, else 90.")
]
_UNAUDITED = "keys.json is not what the audit log says: it was changed by hand [unaudited]"
_COLUMNS = ("id", "roles", "created", "expires", "state")


def add(root: typer.Typer) -> None:
    """Register the commands."""
    root.add_typer(app, name="keys")


def _add(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    role: Annotated[
        list[str], typer.Option("--role", help="predict, read, service, ops or admin; repeat.")
    ],
    days: DaysOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a key and show it, once."""
    settings, keys = _open()
    record, key = keys.add(name, role, now=_now(), days=settings.key_days if days is None else days)
    _show_new(record, key, as_json=as_json)


def _list(as_json: JsonFlag = False) -> None:
    """Every key: id, roles, since when, until when. Never the key itself."""
    from mlwb.serve import is_audited

    settings, keys = _open()
    rows = [_row(record, _now()) for record in keys.records()]
    if not is_audited(keys.path, settings.audit_log):
        errors.print(f"[bold red]![/] {_UNAUDITED}")
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, header_style="dim")
    for column in _COLUMNS:
        table.add_column(column)
    for row in rows:
        table.add_row(*(escape(str(row[column])) for column in _COLUMNS))
    console.print(table if rows else "no keys: the server answers everybody, on loopback only")


def _rotate(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Name or id.")],
    days: DaysOption = None,
    grace_h: Annotated[
        float | None,
        typer.Option("--grace-h", help="Hours the old key goes on; MLWB_KEY_GRACE_H, else 24."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make the successor of a key; the old one goes on for a grace period."""
    settings, keys = _open()
    hours = settings.key_grace_h if grace_h is None else grace_h
    if not 0 <= hours <= 8_760:
        raise ParamsError("not a grace period", expected="0 .. 8760 hours", got=f"{hours:g}")
    record, text = keys.rotate(
        key,
        now=_now(),
        days=settings.key_days if days is None else days,
        grace=timedelta(hours=hours),
    )
    _show_new(record, text, as_json=as_json)
    if not as_json:
        console.print(f"the key before goes on for {hours:g} h at most")


def _revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Name (all its keys) or id.")],
    as_json: JsonFlag = False,
) -> None:
    """Take a key back; a running server refuses it within its reload interval."""
    gone = _open()[1].revoke(key, now=_now())
    if as_json:
        print_json([_row(record, _now()) for record in gone])
        return
    for record in gone:
        console.print(f"revoked {record.id}", markup=False)


def _audit(
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Lines.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """Who did what with keys and by route, newest first; exit 6 when the log was tampered with."""
    from mlwb.serve import AuditLog, is_audited

    settings, keys = _open()
    if settings.audit_log is None:
        raise ParamsError("MLWB_AUDIT_LOG is off", expected="a path, or nothing at all")
    promotions = settings.models_dir.parent / "promotions.log"
    log = AuditLog(
        settings.audit_log,
        SystemClock(),
        limit=settings.log_limit,
        signer=settings.signer,
        promotions=promotions,
    )
    lines, problems = log.recent(limit), [str(problem) for problem in log.problems()]
    if not is_audited(keys.path, settings.audit_log):
        problems.append(_UNAUDITED)
    if as_json:
        print_json({"lines": lines, "problems": problems})
    else:
        console.print(_audited(lines))
        print_problems(problems, "the chain is whole")
    if problems:
        raise typer.Exit(6)


_COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "add": (_add, "mlwb keys add bot --role predict --days 30"),
    "list": (_list, "mlwb keys list --json"),
    "rotate": (_rotate, "mlwb keys rotate bot --grace-h 2"),
    "revoke": (_revoke, "mlwb keys revoke bot"),
    "audit": (_audit, "mlwb keys audit --limit 50"),
}
for _name, (_command, _example) in _COMMANDS.items():
    app.command(_name, epilog=f"Example: {_example}")(_command)


def _audited(lines: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim")
    for column in ("ts", "what", "outcome", "who"):
        table.add_column(column, no_wrap=True)
    table.add_column("about", overflow="fold")
    for line in lines:
        told = {name: str(line.get(name, "")) for name in ("what", "outcome", "who")}
        about = f"{line.get('route', '')} {line.get('reason', '')}".strip()
        cells = (str(line.get("ts", ""))[:19], *told.values(), about)
        table.add_row(*(escape(cell) for cell in cells))
    return table


def _open() -> tuple[ServeSettings, KeyFile]:
    from mlwb.serve import AuditLog, KeyAudit, KeyFile, ServeSettings

    settings = ServeSettings.from_env(os.environ)
    if settings.keys_file is None:
        raise ParamsError("MLWB_KEYS_FILE is off", expected="a path, or nothing at all")
    path, who = settings.audit_log, f"local:{os.environ.get('USER', 'unknown')}"
    log = AuditLog(path, SystemClock(), limit=settings.log_limit, signer=settings.signer)
    return settings, KeyFile(settings.keys_file, KeyAudit(log, path, who=who))


def _now() -> datetime:
    return SystemClock().now()


def _row(record: KeyRecord, now: datetime) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "roles": ", ".join(record.roles),
        "created": record.created,
        "expires": record.expires,
        "revoked": record.revoked,
        "state": record.state(now),
    }


def _show_new(record: KeyRecord, key: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**_row(record, _now()), "key": key})
        return
    console.print(f"{record.id} ({', '.join(record.roles)}) until {record.expires}", markup=False)
    console.print(key, markup=False, soft_wrap=True)
    console.print("[dim]Shown once: only its SHA-256 is kept.[/]")
