"""What a terminal shows: whole reasons, in words, brackets and all."""

from __future__ import annotations

import io

from rich.console import Console

from mlwb.cli._run import verdict_table
from mlwb.gates import Check, Outcome, Verdict
from tests.cli.conftest import Main

_LONG = "Sharpe 4.91 with a standard error of 3.16 after 37 days; 41 days would show it above 0"


def _check(metric: str, said: str, **fields: str) -> Check:
    return Check(
        id=f"x.{metric}",
        metric=metric,
        segment=fields.get("segment", ""),
        observed=None,
        comparator=">=",
        limit="0.95",
        n=None,
        outcome=Outcome.UNPROVEN,
        severity="hard",
        waived="",
        reason=said,
    )


def _shown(*checks: Check) -> str:
    verdict = Verdict(
        gate="pnl",
        outcome=Outcome.UNPROVEN,
        severity="hard",
        waived="",
        reason="; ".join(check.reason for check in checks),
        checks=checks,
        evidence=(),
        policy_digest="",
    )
    out = io.StringIO()
    Console(file=out, width=100).print(verdict_table([verdict]))
    return " ".join(out.getvalue().split())


def test_reasons_are_whole_and_in_words() -> None:
    """No reason is cut, and a metric has the name a report gives it."""
    said = _shown(
        _check("psr", f"psr: {_LONG}"),
        _check("negative_regimes", "negative_regimes: fewer than 10 trips in volatile bars"),
    )
    assert f"probability that Sharpe > 0: {_LONG}" in said
    assert "negative regimes: fewer than 10 trips in volatile bars" in said


def test_a_name_in_brackets_is_shown() -> None:
    """Brackets are text, not a style that the terminal swallows."""
    assert "no bins [zscore_mid_24h]" in _shown(_check("psi", "no bins [zscore_mid_24h]"))


def test_profiles_say_what_they_read(main_here: Main) -> None:
    """Each profile once by name, and the form of its rows unharmed."""
    _, said, _ = main_here("data", "profiles")
    assert "`[[ms, o, h, l, c, v], ...]`" in " ".join(said.split())
    assert "kraken: Kraken" not in said
