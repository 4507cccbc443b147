"""The evidence a set of verdicts is computed from, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

from mlwb.core.canonical import digest
from mlwb.core.chain import Head
from mlwb.evidence import EvidenceStore, Record
from mlwb.gates._verdict import Cited

__all__ = ["ONLY_WORDS", "EvidenceView", "as_view", "read_view"]

_WITHOUT_MODEL = frozenset({"data_quality", "feature_study", "policy"})
_SERIES = frozenset({"nightly", "policy", "waiver"})
_UNSEEN = frozenset({"decision", "archive"})
_OUTSIDE = frozenset(
    {
        "confirmation",
        "daily_report",
        "decision",
        "drift_check",
        "eval_result",
        "live_pnl",
        "metrics_baseline",
        "policy",
        "release_review",
    }
)

ONLY_WORDS = "nothing but words"
"""What a policy log says of a change that moves no limit."""


@dataclass(frozen=True, kw_only=True)
class EvidenceView:
    """Records and facts about one candidate.

    Parameters
    ----------
    model_version : str
        The candidate.
    records : tuple of Record
        In the order they were written. Read from a store, not built in memory, where the
        verdict is to be replayed.
    chain_problems : tuple of str, optional
        What verifying the ledger found; None when nobody verified it, which proves nothing.
    manifest_sha256 : str
        Digest of the candidate's ``manifest.json``; a confirmation is bound to it.
    used_confirmations : tuple of str
        Run ids of confirmations that an earlier promotion used up.
    ledger_head : Head, optional
        The ledger's last line when it was read; a decision names it, so that a ledger cut or
        chained anew before that line shows.
    """

    model_version: str
    records: tuple[Record, ...]
    chain_problems: tuple[str, ...] | None = None
    manifest_sha256: str = ""
    used_confirmations: tuple[str, ...] = ()
    ledger_head: Head | None = None

    def newest(self, kind: str) -> Record | None:
        """The last record of a kind, about the candidate if there is one."""
        return _newest(self.all(kind), self.model_version)

    def all(self, kind: str) -> tuple[Record, ...]:
        """All records of a kind, oldest first."""
        return tuple(record for record in self.records if record.kind == kind)

    def is_about(self, record: Record) -> bool:
        """Whether a record measures the candidate, or something that has no model."""
        return _is_about(record, self.model_version)

    def predates(self, record: Record, policy_digest: str) -> str:
        """When the policy in force was changed to, for a record written before; empty otherwise.

        The first policy of a home binds everything in it, new words bind nothing anew, and a policy
        that is not in force (somebody asks what it would say) binds nothing: decisions put theirs
        in force first.
        """
        logged = self.all("policy")
        if not logged or logged[-1].details["digest"] != policy_digest:
            return ""
        changes = [item for item in logged[1:] if item.details["changed"] != [ONLY_WORDS]]
        if not changes or self._place(record) > self._place(changes[-1]):
            return ""
        return changes[-1].timestamp

    def _place(self, record: Record) -> int:
        """Order of writing; a record that is not in view counts as the last."""
        return self._places.get(record.run_id, len(self.records))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {record.run_id: place for place, record in enumerate(self.records)}

    def cite(self, record: Record) -> Cited:
        """Run id and digest of a record of this view."""
        return self._cited[record.run_id]

    @cached_property
    def _cited(self) -> dict[str, Cited]:
        return {record.run_id: Cited(record.run_id, record.sha256) for record in self.records}

    @cached_property
    def evidence_digest(self) -> str:
        """Digest of all measurements in view; what a person confirms is bound to it."""
        shown = [self.cite(record) for record in self.records if record.kind not in _OUTSIDE]
        return digest(sorted((item.run_id, item.sha256) for item in shown))


def read_view(
    store: EvidenceStore,
    model_version: str,
    *,
    manifest_sha256: str = "",
    used_confirmations: tuple[str, ...] = (),
    heads: Iterable[Head] = (),
) -> EvidenceView:
    """Read what the gates need about a candidate, and verify the ledger on the way.

    Parameters
    ----------
    store : EvidenceStore
        The evidence.
    model_version : str
        The candidate.
    manifest_sha256, used_confirmations
        See :class:`EvidenceView`.
    heads : iterable of Head
        Ledger lines known from elsewhere that must still be there.

    Returns
    -------
    EvidenceView
        The newest record of each kind about the candidate (of another version where there is
        none about it), and every record of the kinds that are counted.

    Raises
    ------
    EvidenceError
        A record or the ledger cannot be read at all.
    """
    index, head = store.index(), store.head()
    kept = {entry.run_id for entry in index if entry.kind in _SERIES}
    for kind in {entry.kind for entry in index} - _UNSEEN - _SERIES:
        newest = _newest([entry for entry in index if entry.kind == kind], model_version)
        kept |= {newest.run_id} if newest else set()
    return EvidenceView(
        model_version=model_version,
        records=store.read_each(kept),
        chain_problems=tuple(str(problem) for problem in store.verify(heads)),
        manifest_sha256=manifest_sha256,
        used_confirmations=used_confirmations,
        ledger_head=head.as_head if head else None,
    )


class _Dated(Protocol):
    """A record, or the ledger's line about one."""

    @property
    def kind(self) -> str: ...
    @property
    def model_version(self) -> str: ...


_Item = TypeVar("_Item", bound=_Dated)


def _newest(items: Sequence[_Item], model_version: str) -> _Item | None:
    own = [item for item in items if _is_about(item, model_version)]
    usable = own or items
    return usable[-1] if usable else None


def _is_about(item: _Dated, model_version: str) -> bool:
    if item.model_version == model_version:
        return True
    return item.model_version == "none" and item.kind in _WITHOUT_MODEL


def as_view(records: Mapping[str, Record] | EvidenceView) -> EvidenceView:
    """A view of records given by kind; the candidate is the version the last of them names."""
    if isinstance(records, EvidenceView):
        return records
    ordered = sorted(records.values(), key=lambda record: (record.timestamp, record.run_id))
    named = [record.model_version for record in ordered if record.model_version != "none"]
    return EvidenceView(model_version=named[-1] if named else "none", records=tuple(ordered))
