"""Verdicts and checks in words, for tables and for the index page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from mlwb.gates import Check, Outcome, Verdict, holds
from mlwb.report._numbers import bounded, decimals_of, number
from mlwb.report._words import TELLING, metric_unit, metric_words

__all__ = [
    "beside",
    "condense",
    "expected",
    "measured",
    "plainly",
    "reason",
    "telling",
    "warnings",
    "why",
]

_MORE_DIGITS = 6


def telling(verdict: Verdict) -> Check | None:
    """The check that tells most: the worst that binds, the one most asked for when all hold."""
    binding = [check for check in verdict.checks if check.is_binding] or list(verdict.checks)
    same = [check for check in binding if check.outcome is verdict.outcome]
    found = same or binding
    return next((c for c in found if c.id == TELLING.get(verdict.gate)), next(iter(found), None))


def measured(check: Check) -> str:
    """The number of a check with its name: ``"AUC 0.661"``."""
    where = _where(check)
    said = beside(check.observed, check.comparator, check.limit, unit=metric_unit(check.metric))
    return f"{metric_words(check.metric)}{where}: {said}"


def _where(check: Check) -> str:
    """What part a number is about: a feature, or a phase of the canary."""
    if not check.segment:
        return ""
    return f" of {'phase ' if check.segment.endswith('%') else ''}{check.segment}"


def beside(value: float | None, comparator: str, limit: str, *, unit: str) -> str:
    """A number with as many digits as it takes to stand on its own side of the limit.

    Examples
    --------
    >>> beside(0.6196, ">=", "0.62", unit="1"), beside(0.66, ">=", "0.62", unit="1")
    ('0.6196', '0.660')
    """
    said = number(value, unit)
    if value is None or not math.isfinite(value) or comparator == "==" or not said[0].isdigit():
        return said
    kept = holds(float(value), comparator, limit)
    shift = 2 if unit == "%" else 0
    first = decimals_of(unit)
    for places in range(first, first + _MORE_DIGITS):
        rounded = round(float(value), places + shift)
        is_on_limit = holds(rounded, "==", limit) and rounded != value
        if holds(rounded, comparator, limit) is kept and not is_on_limit:
            return said if places == first else number(value, unit, decimals=places)
    return said


def expected(check: Check) -> str:
    """The limit of a check as the policy writes it: ``"≥ 0.62"``."""
    return bounded(check.comparator, check.limit, metric_unit(check.metric))


def plainly(check: Check) -> str:
    """A number and the limit it misses."""
    return f"{measured(check)}, must be {expected(check)}"


def reason(check: Check) -> str:
    """Why a check has its outcome, in words a person knows."""
    return "".join(_parts(check))


def _parts(check: Check) -> tuple[str, str]:
    """What it is about, and what is said of it."""
    _, is_compared, rest = check.reason.partition(f"must be {check.comparator} {check.limit}")
    if is_compared and check.observed is not None:
        return plainly(check) + (f" ({rest[2:]})" if rest else ""), ""
    label = f"{check.metric}[{check.segment}]" if check.segment else check.metric
    if not check.reason.startswith(label):
        return "", check.reason
    return f"{metric_words(check.metric)}{_where(check)}", check.reason.removeprefix(label)


def _reasons(checks: Sequence[Check]) -> list[str]:
    """One sentence a check; checks of which the same is said share one."""
    about: dict[str, list[str]] = {}
    for check in checks:
        subject, said = _parts(check)
        about.setdefault(said or f"\0{subject}", []).append(subject)
    return [
        _joined(subjects) + ("" if said[0] == "\0" else said) for said, subjects in about.items()
    ]


def _joined(subjects: Sequence[str]) -> str:
    named = [subject for subject in subjects if subject]
    more = f" and {len(named) - 2} more" if len(named) > 2 else ""
    return ", ".join(named[:2]) + more


def why(verdict: Verdict, *, most: int = 3) -> tuple[str, ...]:
    """Sentences that explain the outcome: one a check that does not hold.

    Parameters
    ----------
    verdict : Verdict
        Of one gate.
    most : int, default=3
        Sentences before the rest is counted.

    Returns
    -------
    tuple of str
    """
    binding = [check for check in verdict.checks if check.is_binding]
    broken = [check for check in binding if check.outcome is not Outcome.PASS]
    said = _reasons(broken)
    if not said:
        said = [f"all {len(binding)} limits hold" if len(binding) != 1 else "its one limit holds"]
    if not verdict.checks:
        said = [verdict.reason]
    rest = [f"and {len(said) - most} more"] if len(said) > most else []
    waived = [f"waived by the policy: {verdict.waived}"] if verdict.waived else []
    return (*said[:most], *rest, *waived)


def warnings(verdict: Verdict) -> tuple[str, ...]:
    """What is missed without blocking: soft limits and waived ones."""
    loose = [check for check in verdict.checks if not check.is_binding]
    missed = [c for c in loose if c.outcome is Outcome.FAIL or (c.waived and not _holds(c))]
    return tuple(reason(c) + (f" (waived: {c.waived})" if c.waived else "") for c in missed)


def condense(checks: Sequence[Check]) -> list[tuple[Check, int]]:
    """Segments of one limit that all hold become their tightest; each with how many it stands for.

    Parameters
    ----------
    checks : sequence of Check
        In policy order.

    Returns
    -------
    list of (Check, int)
    """
    found: list[tuple[Check, int]] = []
    for _, group in groupby(checks, key=lambda check: check.id):
        members = list(group)
        good = [check for check in members if _holds(check)]
        if good:
            found.append((_tightest(good), len(good)))
        found += [(check, 1) for check in members if not _holds(check)]
    return found


def _holds(check: Check) -> bool:
    return check.outcome is Outcome.PASS


def _tightest(checks: Sequence[Check]) -> Check:
    values = [(check.observed or 0.0, check) for check in checks]
    choose = min if checks[0].comparator.startswith(">") else max
    return choose(values, key=lambda pair: pair[0])[1]
