"""Moving old records into an archive: planned, packed, read again, announced, only then removed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mlwb.core import fsops
from mlwb.core.canonical import digest_bytes
from mlwb.core.clock import format_utc, parse_utc
from mlwb.core.errors import BrokenChainError
from mlwb.evidence._archive import ARCHIVED, member_of, pack, unpack
from mlwb.evidence._build import Context, new_record
from mlwb.evidence._kinds import known_name
from mlwb.evidence._record import Metric, Record
from mlwb.evidence._store import Entry, EvidenceStore

__all__ = ["Retirement", "plan_retirement", "retire"]


@dataclass(frozen=True)
class Retirement:
    """What would move into an archive, and what is old but stays.

    Parameters
    ----------
    old : tuple of Entry
        Records to archive, in the order they were written.
    kept : mapping of str to str
        Run id of each old record that stays to the reason.
    leftover : tuple of Entry
        Records that are archived already and still stand in place: an archiving that died.
    """

    old: tuple[Entry, ...]
    kept: Mapping[str, str]
    leftover: tuple[Entry, ...]


def plan_retirement(
    store: EvidenceStore,
    days_of: Callable[[str], int | None],
    *,
    now: datetime,
    cited: Collection[str] = (),
) -> Retirement:
    """Say which records are past their time in place; nothing is changed.

    Parameters
    ----------
    store : EvidenceStore
        The evidence.
    days_of : callable
        Kind to days in place, None for ever.
    now : datetime
        Timezone-aware; ages are counted back from it.
    cited : collection of str
        Run ids that a served model's decision rests on. They stay, and so does every record they
        rest on themselves.

    Returns
    -------
    Retirement

    Raises
    ------
    EvidenceError
        The ledger or a cited record was edited.
    """
    index, shelf = store.index(), store.shelf()
    newest = {entry.kind: entry.run_id for entry in index}
    needed = _closure(store, cited)
    old, kept, leftover = list[Entry](), dict[str, str](), list[Entry]()
    for entry in index:
        if shelf.has(entry.run_id):
            leftover += [entry] if store.path(entry.run_id).exists() else []
            continue
        days = days_of(entry.kind)
        if days is None or now - parse_utc(entry.timestamp) <= timedelta(days=days):
            continue
        if entry.run_id in needed:
            kept[entry.run_id] = "a served model's decision cites it"
        elif newest[entry.kind] == entry.run_id:
            kept[entry.run_id] = "it is the newest of its kind"
        else:
            old.append(entry)
    return Retirement(tuple(old), kept, tuple(leftover))


def retire(
    store: EvidenceStore,
    plan: Retirement,
    context: Context,
    *,
    retention: str,
    files: Mapping[str, Path] | None = None,
) -> Record | None:
    """Archive what a plan names; the originals go only after the archive was read again.

    Parameters
    ----------
    store : EvidenceStore
        The evidence.
    plan : Retirement
        Of :func:`plan_retirement`.
    context : Context
        Stamps the announcing record.
    retention : str
        Name of the retention table that asked for it.
    files : mapping of str to Path, optional
        Further files to archive and remove, by the name they get inside.

    Returns
    -------
    Record or None
        The announcement; None when there was nothing to archive.

    Raises
    ------
    EvidenceError
        The evidence is not as it was written, or the archive does not read back; nothing was
        removed.
    """
    _put_in_order(store, plan)
    extra = {name: (path, fsops.read_bytes(path)) for name, path in sorted((files or {}).items())}
    if not plan.old and not extra:
        return None
    records = store.read_each(entry.run_id for entry in plan.old)
    members = {member_of(item.run_id): item.to_bytes() for item in records}
    members |= {f"files/{name}": data for name, (_, data) in extra.items()}
    record = _announcement(plan.old, members, context, retention)
    path = store.root / ARCHIVED / str(record.details["file"])
    fsops.write_atomic(path, pack(members))
    if unpack(fsops.read_bytes(path)) != members:
        raise BrokenChainError(f"the archive {path.name} does not read back as it was written")
    store.write(record)
    for entry in plan.old:
        _remove(store, entry)
    for path, data in extra.values():
        if fsops.read_bytes(path) == data:  # grown meanwhile: it stays for the next time
            fsops.remove_file(path)
    return record


def _put_in_order(store: EvidenceStore, plan: Retirement) -> None:
    """End what an archiving that died left, and refuse evidence that is not whole."""
    store.recover()
    shelf = store.shelf()
    shelf.sweep(store.root)
    problems = store.verify()
    if problems:
        raise BrokenChainError(
            "evidence that is not whole is not archived", got="; ".join(map(str, problems[:3]))
        )
    for entry in plan.leftover:
        if digest_bytes(shelf.read(entry.run_id)) == entry.sha256:
            _remove(store, entry)


def _announcement(
    old: Iterable[Entry], members: Mapping[str, bytes], context: Context, retention: str
) -> Record:
    """The record that says in the ledger which archive holds what."""
    data, entries = pack(members), tuple(old)
    stamp = format_utc(context.clock.now()).replace("-", "").replace(":", "")
    return new_record(
        "archive",
        [Metric("records", len(entries)), Metric("bytes", len(data), unit="B")],
        context,
        details={
            "file": f"{stamp}.zip",
            "sha256": digest_bytes(data),
            "bytes": len(data),
            "retention": retention,
            "records": [{"run_id": entry.run_id, "sha256": entry.sha256} for entry in entries],
            "files": [
                {"name": name, "sha256": digest_bytes(item)}
                for name, item in members.items()
                if name.startswith("files/")
            ],
        },
    )


def _remove(store: EvidenceStore, entry: Entry) -> None:
    """Take away a record's file, and the copy of it that stands under a name of its own."""
    copy = store.root / known_name(entry.kind, entry.timestamp, entry.run_id)
    fsops.remove_file(store.path(entry.run_id))
    if copy.exists() and digest_bytes(fsops.read_bytes(copy)) == entry.sha256:
        fsops.remove_file(copy)


def _closure(store: EvidenceStore, cited: Collection[str]) -> set[str]:
    """The cited records and everything they rest on, as far as this ledger knows it."""
    known = {entry.run_id for entry in store.index()}
    found, open_ = set[str](), set(cited) & known
    while open_:
        found |= open_
        rest = {item.run_id for record in store.read_each(open_) for item in record.upstream}
        open_ = (rest & known) - found
    return found
