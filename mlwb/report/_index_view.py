"""What the index page shows; the runner fills it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlwb.evidence import Metric, Record
from mlwb.gates import Decision, Outcome, Verdict
from mlwb.params import Policy
from mlwb.report._words import metric_unit

if TYPE_CHECKING:
    from mlwb.data import Finding

__all__ = [
    "Command",
    "IndexView",
    "KeyNumber",
    "MarketFacts",
    "ReportLink",
    "RunEntry",
    "Stopped",
    "key_numbers",
]


@dataclass(frozen=True, kw_only=True)
class MarketFacts:
    """The market a run was about.

    Parameters
    ----------
    symbol : str
        Its name.
    rows : int
        Bars.
    first_utc, last_utc : str
        Opens of the first and the last bar.
    origin : {"simulated", "replay", "live"}
        Where the numbers come from; shown as a badge.
    """

    symbol: str
    rows: int
    first_utc: str
    last_utc: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class KeyNumber:
    """One number on a card.

    Parameters
    ----------
    name : str
        In words.
    value : float or None
        None was not measured.
    unit : str, default="1"
        As in :func:`mlwb.report.text.number`.
    comparator, limit : str, default=""
        What must hold, as the policy writes it; empty for none.
    low, high : float, optional
        95 % interval.
    n : int, optional
        Observations.
    previous : float, optional
        The same number of the run before.
    """

    name: str
    value: float | None
    unit: str = "1"
    comparator: str = ""
    limit: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    previous: float | None = None


@dataclass(frozen=True, kw_only=True)
class ReportLink:
    """A step of the run and its report.

    Parameters
    ----------
    title : str
        For people.
    file : str, default=""
        File name beside the page; empty where the step has no report.
    seconds : float or None
        Wall time; None when it did not run.
    status : {"ok", "failed", "not run"}
        How it ended.
    """

    title: str
    file: str = ""
    seconds: float | None = None
    status: str = "ok"


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command to copy, and what it is for."""

    about: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Why a run did not reach a decision.

    Parameters
    ----------
    step : str
        In words, ``"Data check"``.
    error : str
        Class or code of the error.
    message : str
        What happened and what to do.
    findings : tuple of Finding, default=()
        What the data check found, when it was the data.
    """

    step: str
    error: str
    message: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class IndexView:
    """Everything on the index page of a run.

    Parameters
    ----------
    run_id : str
        Names the run.
    started, finished : str
        UTC, ISO 8601 with Z.
    market : MarketFacts or None
        None when the run stopped before reading one.
    champion, candidate : str
        Versions; empty where there is none yet.
    policy_name, policy_digest : str
        What was judged by.
    decision : Decision or None
        None when the run stopped.
    verdicts : tuple of Verdict
        In the order of the matrix.
    numbers : tuple of KeyNumber
        Cards; see :func:`key_numbers`.
    reports : tuple of ReportLink
        Steps, in order.
    provenance : tuple of (str, str)
        Commit, lock digest, data digests, head of the ledger: name and value.
    commands : tuple of Command
        To reproduce, promote, serve.
    stopped : Stopped or None
        Set when the run broke off.
    """

    run_id: str
    started: str
    finished: str
    market: MarketFacts | None
    champion: str
    candidate: str
    policy_name: str
    policy_digest: str
    decision: Decision | None
    verdicts: tuple[Verdict, ...]
    numbers: tuple[KeyNumber, ...] = ()
    reports: tuple[ReportLink, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    commands: tuple[Command, ...] = ()
    stopped: Stopped | None = None


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """One run in the list of all runs.

    Parameters
    ----------
    run_id : str
        Names the run.
    href : str
        Its page, relative to the list.
    started : str
        UTC.
    seconds : float
        Wall time.
    symbol, origin, candidate, policy_name : str
        What was run; empty where not known.
    decision : {"READY", "BLOCKED", "STOPPED"}
        How it ended.
    outcomes : tuple of (str, Outcome)
        Gate and outcome, in any order.
    auc : float or None
        Out of fold.
    """

    run_id: str
    href: str
    started: str
    seconds: float
    symbol: str
    origin: str
    candidate: str
    policy_name: str
    decision: str
    outcomes: tuple[tuple[str, Outcome], ...] = ()
    auc: float | None = None


_CARDS = (
    ("AUC, out of fold", "offline_report", "auc", "signal.auc"),
    ("Precision in the top 20 %", "offline_report", "precision_top_20pct",
     "signal.precision_top_20pct"),
    ("Overall PSI", "psi_snapshot", "psi_overall", "psi.plain_overall"),
    ("Latency, p95", "smoke", "p95_ms", "perf.p95_ms"),
    ("Errors", "smoke", "error_rate", "perf.error_rate"),
    ("Agreement with the champion", "shadow", "match_rate", "shadow.match_rate"),
)  # fmt: skip
"""Name, evidence kind, metric, id of its limit."""


def key_numbers(
    records: Mapping[str, Record],
    policy: Policy,
    *,
    previous: Mapping[str, Record] | None = None,
) -> tuple[KeyNumber, ...]:
    """The numbers most people ask for, out of evidence.

    Parameters
    ----------
    records : mapping of str to Record
        Evidence of this run, by kind; what is missing is shown as not measured.
    policy : Policy
        Gives the limits.
    previous : mapping of str to Record, optional
        Evidence of the run before; not compared when it is of another market or label.

    Returns
    -------
    tuple of KeyNumber
    """
    before = previous if previous and _is_alike(records, previous) else {}
    return tuple(_card(card, records, policy, before) for card in _CARDS)


def _is_alike(records: Mapping[str, Record], previous: Mapping[str, Record]) -> bool:
    """Whether two runs asked the same question of the same market."""
    sides = [found.get("offline_report") for found in (records, previous)]
    asked = [
        (side.origin, side.details.get("symbol"), side.details.get("label")) if side else None
        for side in sides
    ]
    return asked[0] is not None and asked[0] == asked[1]


def _card(
    card: tuple[str, str, str, str],
    records: Mapping[str, Record],
    policy: Policy,
    previous: Mapping[str, Record],
) -> KeyNumber:
    name, kind, metric, limit_id = card
    limit, found = policy.limit(limit_id), _find(records, kind, metric)
    before = _find(previous, kind, metric)
    low, high = _bounds(records, kind, metric)
    return KeyNumber(
        name=name,
        value=found.value if found else None,
        unit=metric_unit(metric),
        comparator=limit.comparator,
        limit=limit.value,
        low=low,
        high=high,
        n=found.n if found else None,
        previous=before.value if before else None,
    )


def _bounds(
    records: Mapping[str, Record], kind: str, metric: str
) -> tuple[float | None, float | None]:
    """The interval of a metric, or the metrics that bound it."""
    found = _find(records, kind, metric)
    if found is not None and found.ci is not None:
        return found.ci.lo, found.ci.hi
    ends = [_find(records, kind, f"{metric}_{end}") for end in ("lower", "upper")]
    low, high = (end.value if end else None for end in ends)
    return low, high


def _find(records: Mapping[str, Record], kind: str, metric: str) -> Metric | None:
    record = records.get(kind)
    named = record.metrics if record else ()
    return next((m for m in named if m.name == metric and not m.segment), None)
