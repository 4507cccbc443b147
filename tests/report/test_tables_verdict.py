"""Tables about traffic, evidence and verdicts."""

from __future__ import annotations

from collections.abc import Callable

from mlwb.canary import Summary
from mlwb.evidence import Metric, Record
from mlwb.gates import Check, Outcome, Verdict
from mlwb.report import tables


def test_phases_give_counts_and_wilson(make_summary: Callable[..., Summary]) -> None:
    """K of n with the 95 % Wilson interval; 0 of 50 reaches to 7.13 % (Newcombe 1998, table I)."""
    table = tables.phases({"5%": make_summary(50), "10%": make_summary(400, errors=10)})
    assert table.rows[0][:3] == ("5%", "0 of 50", "0.00–7.13\u00a0%")
    assert table.rows[1][1] == "10 of 400"
    assert table.rows[0][6] == "50 of 50"


def test_phase_without_requests(make_summary: Callable[..., Summary]) -> None:
    """A phase that was not reached is not measured; it is neither 0 % nor 100 %."""
    row = tables.phases({"100%": make_summary(0)}).rows[0]
    assert row[1] == row[3] == row[6] == "not measured"


def test_records(make_record: Callable[..., Record]) -> None:
    """Kind, how many numbers, where they come from and the digest to check them by."""
    record = make_record("offline_report", Metric("auc", 0.66, n=10))
    table = tables.records([record])
    assert table.caption == "1 record of evidence about v1.8.1"
    assert table.rows[0][:3] == ("offline_report", "1", "simulated")
    assert record.sha256.removeprefix("sha256:")[:12] in table._repr_html_()


def test_verdicts_tell_what_was_measured(
    make_verdict: Callable[..., Verdict], failed: Verdict
) -> None:
    """A pass says by what; a failure names the number, the limit and the feature."""
    table = tables.verdicts([make_verdict(), failed])
    assert table.caption == "1 of 2 gates passed"
    text = repr(table)
    assert "✓ PASS" in text
    assert "AUC: 0.661" not in text
    assert "AUC: 0.660" in text
    assert "its one limit holds" in text
    assert "✗ FAIL" in text
    assert "PSI, upper 95 % bound of spread_bp: 1.250, must be < 0.3" in text


def test_soft_misses_are_warnings(
    make_check: Callable[..., Check], make_verdict: Callable[..., Verdict]
) -> None:
    """A soft limit that is missed warns in words, and the gate still passes."""
    soft = make_check(
        id="signal.improvement", metric="improvement", observed=0.01, comparator=">", limit="0.05",
        severity="soft", outcome=Outcome.FAIL, reason="improvement = 0.01, must be > 0.05",
    )  # fmt: skip
    found = make_verdict(make_check(), soft)
    assert "△ warning: gain over the champion: 1.0 %, must be > 5 %" in repr(
        tables.verdicts([found])
    ).replace("\u00a0", " ")
    assert "✗ FAIL (soft)" in repr(tables.checks([found]))


def test_soft_and_waived_gates_say_so(make_verdict: Callable[..., Verdict]) -> None:
    """A gate that does not block although it does not pass says why it does not."""
    soft = make_verdict(gate="pnl", outcome=Outcome.UNPROVEN, severity="soft")
    waived = make_verdict(gate="nightly", outcome=Outcome.MISSING, waived="demo only")
    text = repr(tables.verdicts([soft, waived]))
    assert "? UNPROVEN (soft)" in text
    assert "– MISSING (waived)" in text
    assert "waived by the policy: demo only" in text


def test_checks_condense_what_holds(failed: Verdict, make_check: Callable[..., Check]) -> None:
    """Segments that hold are one row with the tightest; every one that does not has its own."""
    shared = {"id": "x", "metric": "psi_upper", "comparator": "<", "limit": "0.3"}
    holding = tuple(
        make_check(**shared, segment=s, observed=v) for s, v in (("a", 0.1), ("b", 0.2))
    )
    verdict = Verdict(**{**vars(failed), "checks": (*holding, failed.checks[1])})
    table = tables.checks([verdict])
    assert table.caption == "3 checks of 1 gate"
    assert [row[2] for row in table.rows] == [
        "PSI, upper 95 % bound of b: 0.200, tightest of 2",
        "PSI, upper 95 % bound of spread_bp: 1.250",
    ]


def test_verdict_without_checks(make_verdict: Callable[..., Verdict]) -> None:
    """A gate that looked at nothing shows its reason."""
    found = Verdict(
        **{**vars(make_verdict()), "checks": (), "outcome": Outcome.UNPROVEN, "reason": "no limits"}
    )
    assert "no limits" in repr(tables.verdicts([found]))


def test_hostile_reasons_are_escaped(
    make_check: Callable[..., Check], make_verdict: Callable[..., Verdict]
) -> None:
    """A segment named by a data file cannot become markup."""
    check = make_check(segment="<script>x</script>", outcome=Outcome.MISSING, observed=None,
                       reason="offline_report has no auc[<script>x</script>]")  # fmt: skip
    found = make_verdict(check, outcome=Outcome.MISSING)
    for table in (tables.verdicts([found]), tables.checks([found])):
        assert "<script" not in table._repr_html_()
