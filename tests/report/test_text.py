"""Sentences."""

from __future__ import annotations

from collections.abc import Callable

from mlwb.gates import Decision, Replay, Verdict
from mlwb.report import text

BLOCKED = Decision(
    False,
    ("psi FAIL: psi_overall of rsi14_z; really", "nightly MISSING: none <b>", "wf: not evaluated"),
)


def test_headline_names_the_gates() -> None:
    """Blocked: how many, which version, which policy, which gates."""
    assert text.headline(BLOCKED, "v1.8.1", "default") == (
        "PROMOTE: BLOCKED. 3 of 16 gates block v1.8.1 under policy default: psi, nightly, wf."
    )


def test_headline_of_an_allowed_promotion() -> None:
    """Allowed, and what the policy had to waive for it."""
    assert text.headline(Decision(True, ()), "v2", "strict") == (
        "PROMOTE: READY. v2 passes under policy strict."
    )
    waived = Decision(True, ("nightly waived: a demonstration",))
    assert text.headline(waived, "v2", "demo").endswith("the policy waives nightly.")


def test_decision_is_a_banner() -> None:
    """Sign, words and class agree; reasons are escaped and cut to their first clause."""
    found = text.decision(BLOCKED, "v1.8.1", "default")
    html = found._repr_html_()
    assert '<p class="headline fail">✗ PROMOTE: BLOCKED</p>' in html
    assert "<li>psi FAIL: overall PSI of rsi14_z</li>" in html
    assert "none &lt;b&gt;" in html
    assert repr(found).startswith("✗ PROMOTE: BLOCKED.")
    allowed = text.decision(Decision(True, ()), "v2", "strict")._repr_html_()
    assert '<p class="headline pass">✓ PROMOTE: READY</p>' in allowed
    assert "<ul>" not in allowed


def test_replayed(make_verdict: Callable[..., Verdict]) -> None:
    """Equal says so; unequal lists what differs."""
    same = text.replayed(Replay(True, (), (make_verdict(),)))
    assert repr(same) == "✓ 1 verdict, computed again from the files alone: all the same."
    other = text.replayed(Replay(False, ("psi: FAIL <-> PASS",), ()))
    assert "✗ not repeated" in other.html
    assert "psi: FAIL &lt;-&gt; PASS" in other.html
    assert "psi: FAIL <-> PASS" in repr(other)
