"""What is looked at after every act, from elsewhere than where it was done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlwb.client import PredictClient
from mlwb.core.arrays import Float2D
from mlwb.core.clock import SystemClock
from mlwb.core.home import Home
from mlwb.monitor import read_series
from mlwb.registry import Registry
from mlwb.runner._e2e_orders import Told
from mlwb.runner._e2e_plan import Decision
from mlwb.runner._e2e_traffic import Asked, wrong_answers
from mlwb.serve import AuditLog, whole_audit_problems

__all__ = ["Answers", "Before", "answers_of", "problems_of"]

_BACK_MS = 1_000.0
"""Requirements: the share is back at 0 % in less than a second."""
_AUDITED_S = 3.0
_LINES = 500
_LIMIT = 1 << 26


@dataclass(frozen=True)
class Before:
    """How it stood before an act.

    Parameters
    ----------
    latest : str
        What served.
    sha256 : str
        Digest of its manifest.
    n_audited : int
        Lines about canaries in the audit log.
    """

    latest: str
    sha256: str
    n_audited: int

    @classmethod
    def of(cls, home: Home, registry: Registry) -> Before:
        """As it stands now."""
        latest = registry.latest() or ""
        return cls(latest, registry.show(latest).sha256, len(_audited(home)))


@dataclass(frozen=True)
class Answers:
    """What callers got during an act.

    Parameters
    ----------
    n_by_version : mapping of str to int
        Answers, by the version that gave them.
    n_wrong : int
        Those that are not what that version says offline.
    n_failed : int
        Requests without an answer.
    """

    n_by_version: dict[str, int]
    n_wrong: int
    n_failed: int


def answers_of(asked: Sequence[Asked], rows: Float2D, registry: Registry) -> Answers:
    """Compute every answer again, by the version that says it gave it."""
    counts: dict[str, int] = {}
    for item in asked:
        counts[item.version] = counts.get(item.version, 0) + 1
    n_failed = counts.pop("", 0)
    folders = {v: registry.resolve(v) for v in counts if v in registry.versions()}
    return Answers(counts, sum(wrong_answers(asked, rows, folders).values()), n_failed)


def problems_of(
    home: Home,
    registry: Registry,
    client: PredictClient,
    *,
    before: Before,
    told: Told,
    version: str,
    answers: Answers,
    others: set[str],
) -> list[str]:
    """What is not as it has to be after an act, whatever the act was.

    Parameters
    ----------
    home, registry, client
        Where to look.
    before : Before
        As it stood.
    told : Told
        What the command said.
    version : str
        Of the candidate.
    answers : Answers
        What callers got.
    others : set of str
        Versions that may have answered beside the one that served before.
    """
    is_release = told.decision in (Decision.PROMOTED, Decision.ROLLED_BACK)
    latest = version if told.decision is Decision.PROMOTED else before.latest
    return [
        *_of_registry(registry, before, None if told.decision is Decision.ROLLED_BACK else latest),
        *_of_answers(answers, before.latest, others),
        *_of_server(client),
        *_of_audit(home, before, told, is_release=is_release),
        *(
            [f"back at 0 % after {told.back_ms} ms"]
            if told.decision is Decision.STOPPED
            and (told.back_ms is None or told.back_ms >= _BACK_MS)
            else []
        ),
    ]


def _of_registry(registry: Registry, before: Before, latest: str | None) -> list[str]:
    found = []
    if latest is not None and registry.latest() != latest:
        found.append(f"latest is {registry.latest()}, not {latest}")
    if registry.verify(before.latest) or registry.show(before.latest).sha256 != before.sha256:
        found.append(f"{before.latest} was changed")
    return found


def _of_answers(answers: Answers, champion: str, others: set[str]) -> list[str]:
    found = []
    if answers.n_wrong:
        found.append(f"{answers.n_wrong} answers are not what their version says offline")
    if answers.n_failed:
        found.append(f"{answers.n_failed} requests were not answered")
    if answers.n_by_version and champion not in answers.n_by_version:
        found.append("the champion answered nobody")
    if strange := set(answers.n_by_version) - {champion} - others:
        found.append(f"{', '.join(sorted(strange))} answered")
    return found


def _of_server(client: PredictClient) -> list[str]:
    values = {series.text: series.value for series in read_series(client.metrics())}
    shown = values.get("ml_canary_percent")
    return [] if shown == 0.0 else [f"the server still shows a share of {shown} %"]


def _of_audit(home: Home, before: Before, told: Told, *, is_release: bool) -> list[str]:
    """The order, and its end, stand in the audit log; a refusal left no order there."""
    wants = told.decision in (Decision.STOPPED, Decision.COMPLETED) and told.requests > 0
    lines, give_up_s = _audited(home), time.monotonic() + _AUDITED_S
    while wants and not _is_ended(lines) and time.monotonic() < give_up_s:
        time.sleep(0.05)
        lines = _audited(home)
    artifacts = home.artifacts
    problems = whole_audit_problems(
        artifacts / "audit.log", promotions=artifacts / "promotions.log"
    )
    found = [str(problem) for problem in problems]
    opened = [line for line in lines[: len(lines) - before.n_audited] if _has_opened(line)]
    if wants and not (len(lines) >= before.n_audited + 2 and _is_ended(lines)):
        found.append("the audit log does not say how the canary began and ended")
    if not wants and not is_release and opened:
        found.append("the audit log has an order that was refused")
    return found


def _audited(home: Home) -> list[dict[str, Any]]:
    """Lines about canaries, newest first."""
    path = home.artifacts / "audit.log"
    if not path.is_file():
        return []
    log = AuditLog(path, SystemClock(), limit=_LIMIT)
    return [dict(line) for line in log.recent(_LINES) if line.get("what") == "canary"]


def _has_opened(line: dict[str, Any]) -> bool:
    return line["outcome"] == "done" and not str(line["reason"]).startswith("off ")


def _is_ended(lines: Sequence[dict[str, Any]]) -> bool:
    return bool(lines) and (
        lines[0]["outcome"] == "ended" or str(lines[0]["reason"]).startswith("off ")
    )
