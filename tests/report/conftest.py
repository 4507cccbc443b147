"""Results small enough to be drawn many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from mlwb.backtest import (
    CostCell,
    Ledger,
    RegimeMoney,
    Risk,
    TimingEffect,
    Versus,
    account,
    risk,
)
from mlwb.canary import Summary, Traffic, summarise
from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.clock import ManualClock
from mlwb.data import Count, Finding, QualityReport
from mlwb.drift import (
    BinnedReference,
    LossDays,
    PsiResult,
    Reliability,
    bin_counts,
    daily_losses,
    fit_reference,
    psi_of_counts,
    reliability,
)
from mlwb.drift.calibration import BlockNull
from mlwb.evidence import Context, Metric, Record, new_record
from mlwb.gates import GATES, Check, Decision, Outcome, Verdict
from mlwb.model import OutOfFold, Split, Trial, TrialResult
from mlwb.report import _figure, index
from mlwb.report._drift_rows import DriftRow
from mlwb.study import (
    Costed,
    Daily,
    Decay,
    Eligibility,
    Information,
    Memory,
    RegimeStudy,
    WindowNull,
)

START = 1_735_689_600
"""2025-01-01T00:00:00Z."""


@dataclass(frozen=True, kw_only=True)
class Panel(DriftRow):
    """One feature against its reference, as PSI validation hands it over."""

    psi: PsiResult
    reference: BinnedReference
    current: Int1D
    by_hour: Float1D


@dataclass(frozen=True)
class Weeks:
    """Overall PSI of several days in a row."""

    values: Float1D
    null: BlockNull | None = None
    days: int = 7

    @property
    def ends(self) -> Int1D:
        """One day after the other."""
        return START + 86_400 * np.arange(len(self.values), dtype=np.int64)


@dataclass(frozen=True)
class Paper:
    """A traded rule, as training hands it over."""

    rule: str
    ts: Int1D
    ledger: Ledger
    risk: Risk
    curve: tuple[CostCell, ...]
    regimes: tuple[RegimeMoney, ...]
    effect: TimingEffect | None = None
    versus: Versus | None = None


@dataclass(frozen=True)
class Study:
    """What a feature study hands over about two features, one of which knows something."""

    memory: tuple[Memory, ...]
    eligibility: tuple[Eligibility, ...]
    information: tuple[Information, ...]
    daily: tuple[Daily, ...]
    decay: tuple[Decay, ...]
    costs: tuple[Costed, ...]
    regimes: tuple[RegimeStudy, ...]


def looked(
    name: str, ic: float, *, half: float = 0.02, horizon_s: int = 60, p: float = 0.001
) -> Information:
    """One look at a feature."""
    ends = (ic - half, ic + half)
    return Information(name, horizon_s, ic, *ends, 9_000, 60, ic, *ends, p=p, p_holm=p)


def by_day(name: str, mean: float, icir: float, *, half: float = 0.5) -> Daily:
    """Four days around a mean."""
    days = np.arange(20_000, 20_004, dtype=np.int64)
    ic = mean + np.asarray([0.01, -0.01, 0.02, -0.02])
    ends = (icir - half, icir + half)
    return Daily(name, days, ic, mean, 0.1, icir, *ends, 0.75)


def ages(name: str, ic: float, half_life_s: float) -> Decay:
    """A curve that falls to nothing within an hour."""
    curve = (ic, ic / 2.0, 0.0)
    low, high = (tuple(value + shift for value in curve) for shift in (-0.01, 0.01))
    return Decay(name, (0, 600, 3_600), curve, low, high, half_life_s)


def held(name: str, ic: float, hurdle: float, *, horizon_s: int = 60) -> Costed:
    """A feature held as a position."""
    return Costed(name, horizon_s, ic, hurdle, abs(ic) - hurdle, 0.2, 1.25, 1.5, 9_000)


def window(name: str, limit95: float, *, days: int | None, needed: float, why: str) -> Eligibility:
    """A feature whose chance PSI halves with each doubling of the window."""
    nulls = tuple(WindowNull(d, limit95 / d, 50.0 * d, 40 // d) for d in (1, 2, 4))
    return Eligibility(name, why, days, needed, 0.3, nulls if why != "constant" else ())


def mood(name: str, base: float, ic: float, *, half: float = 0.02) -> RegimeStudy:
    """A regime with one feature."""
    return RegimeStudy(
        name, 900, 0.5, base, base - 0.01, base + 0.01, 890, (looked("a", ic, half=half),)
    )


@pytest.fixture
def study() -> Study:
    """Two features; the second is named like markup."""
    nan = float("nan")
    return Study(
        memory=(
            Memory("a", (60, 3_600), (0.9, 0.1), 1_200.0, 90.0, 9_000),
            Memory("<b>b", (60, 3_600), (0.0, nan), 30.0, 8_000.0, 9_000),
        ),
        eligibility=(
            window("a", 1.0, days=4, needed=4.0, why="quiet"),
            window("<b>b", 9.0, days=None, needed=30.0, why="noisy"),
            window("bias", 0.0, days=None, needed=nan, why="constant"),
        ),
        information=(
            looked("a", 0.3),
            looked("a", 0.2, horizon_s=3_600),
            looked("<b>b", 0.01, p=1.0),
        ),
        daily=(by_day("a", 0.3, 3.0), by_day("<b>b", 0.0, 0.1)),
        decay=(ages("a", 0.3, 600.0), ages("<b>b", 0.01, nan)),
        costs=(
            held("a", -0.3, 0.1),
            held("<b>b", 0.01, 0.2),
            held("a", 0.2, 0.02, horizon_s=3_600),
        ),
        regimes=(mood("calm", 0.4, 0.1), mood("wild", 0.6, 0.3)),
    )


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few pixels, for tests of what a figure says: its words do not depend on them."""
    monkeypatch.setattr(_figure, "_SHARPNESS", 0.2)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every test."""
    return np.random.default_rng(7)


@pytest.fixture
def make_trial() -> Callable[..., TrialResult]:
    """A trial with given fold AUCs."""

    def make(family: str, c: float, fold_auc: Sequence[float]) -> TrialResult:
        rows = np.arange(10, dtype=np.int64)
        split = Split(rows, rows, 0, 0, 0)
        splits = tuple(split for _ in fold_auc)
        found = OutOfFold(rows, rows, np.full(10, 0.5), tuple(fold_auc), splits)
        return TrialResult(Trial(family, c, 1), found)

    return make


@pytest.fixture
def make_drift() -> Callable[..., DriftRow]:
    """A feature with given PSI, bounds, 95 % of its null and the reading that follows."""

    def make(
        name: str, value: float, ends: tuple[float, float] | None, null95: float | None = 0.01,
        **more: Any,
    ) -> DriftRow:  # fmt: skip
        lower, upper = ends or (None, None)
        limit = more.pop("limit", 0.3)
        reading = "insufficient"
        if lower is None or upper is None or null95 is None or null95 >= limit:
            reading = "not_gateable"
        elif upper < limit or lower >= limit:
            reading = "pass" if upper < limit else "fail"
        return DriftRow(name, value, lower, upper, null95, limit, reading, **more)

    return make


@pytest.fixture
def make_panel(
    make_drift: Callable[..., DriftRow], reference: BinnedReference, shifted: Int1D
) -> Callable[..., Panel]:
    """The same with bins that moved, by default at all hours alike."""

    def make(name: str, by_hour: Float1D | None = None, **more: Any) -> Panel:
        found = psi_of_counts(name, reference.counts, shifted)
        row = make_drift(name, found.value, more.pop("ends", (0.1, 0.2)), **more)
        hours = np.ones(24) if by_hour is None else by_hour
        named = replace(reference, name=name)
        return Panel(**vars(row), psi=found, reference=named, current=shifted, by_hour=hours)

    return make


@pytest.fixture
def reference(rng: np.random.Generator) -> BinnedReference:
    """Ten bins of a standard normal."""
    return fit_reference("rsi14_z", rng.normal(size=20_000))


@pytest.fixture
def shifted(reference: BinnedReference, rng: np.random.Generator) -> Int1D:
    """Counts after the mean moved by one half."""
    return bin_counts(reference.edges, rng.normal(0.5, 1.0, 5_000))


@pytest.fixture
def paper(rng: np.random.Generator) -> Paper:
    """Ten days of minutes, traded at a loss."""
    ts = START + 60 * np.arange(14_400, dtype=np.int64)
    position = np.sign(rng.normal(size=len(ts)))
    ledger = account(position, rng.normal(0.0, 3e-4, len(ts)), np.full(len(ts), 1e-5))
    cells = [CostCell(factor, lag, 0.01 - 0.02 * factor, 0.0, 1.0) for factor in (0.0, 1.0, 2.0)
             for lag in (0, 1, 2)]  # fmt: skip
    regimes = tuple(
        RegimeMoney(name, 0.02, 0.01, net, 7_200, 7_000, 0.5, 1.0)
        for name, net in (("ranging", 0.01), ("volatile", -0.03))
    )
    return Paper("a rule", ts, ledger, risk(ledger.net, ts), tuple(cells), regimes)


@pytest.fixture
def timed(paper: Paper) -> Paper:
    """The same days, with exposure timed at a third of the variance."""
    ledger = paper.ledger
    effect = TimingEffect(0.7, 0.72, 0.66, 0.79, 0.8, 0.05, 0.07, 240)
    return replace(paper, effect=effect, versus=Versus(paper.ts, ledger, ledger, ledger))


@pytest.fixture
def make_summary(rng: np.random.Generator) -> Callable[..., Summary]:
    """Traffic with a given number of requests and errors."""

    def make(n: int, errors: int = 0, shift: float = 0.0) -> Summary:
        return summarise(traffic(rng, n, errors=errors, shift=shift), match_delta=0.05)

    return make


def traffic(rng: np.random.Generator, n: int, *, errors: int = 0, shift: float = 0.0) -> Traffic:
    """Requests of which the first few failed, and a shadow that is off by ``shift``."""
    score = rng.uniform(0.2, 0.8, n)
    status = np.full(n, 200)
    status[:errors] = 503
    return Traffic(
        status=status,
        latency_ms=rng.lognormal(0.2, 0.3, n),
        score=score,
        shadowed=np.ones(n, dtype=np.bool_),
        shadow_score=score + shift,
        shadow_ms=rng.lognormal(-1.0, 0.2, n),
    )


@pytest.fixture
def make_report() -> Callable[..., QualityReport]:
    """A quality report with some fields of its own."""

    def make(**fields: Any) -> QualityReport:
        n, none = 20_160, Count(0, 20_160)
        usual: dict[str, Any] = {
            "symbol": "EURUSD", "calendar": "fx", "first_utc": "2025-01-01T00:00Z",
            "last_utc": "2025-01-14T23:59Z", "rows_read": n, "bars": n, "span_days": 14.0,
            "coverage": Count(n, n), "completeness": Count(n, n), "n_gaps": 0, "longest_gap_s": 0,
            "longest_gap_bars": 0, "n_long_gaps": 0, "page_bars": 0, "n_pages": 0,
            "outside_calendar": 0, "stale_runs": 0, "stale_longest_bars": 0, "stale": none,
            "zero_volume": Count(0, 0), "duplicates_identical": none,
            "duplicates_conflicting": none, "most_repeats": 1, "out_of_order": none,
            "is_newest_first": False, "off_grid": none, "unpaired": 0, "crossed": none,
            "locked": none, "non_finite": none, "non_positive": none, "ohlc_violations": none,
            "spikes": none, "checksum_mismatches": Count(0, 0), "clock_skew_median_ms": None,
            "clock_skew_p99_ms": None, "shape": "dense", "findings": (),
        }  # fmt: skip
        return QualityReport(**(usual | fields))

    return make


@pytest.fixture
def make_check() -> Callable[..., Check]:
    """A check that holds, with some fields of its own."""

    def make(**fields: Any) -> Check:
        usual: dict[str, Any] = {
            "id": "signal.auc", "metric": "auc", "segment": "", "observed": 0.66,
            "comparator": ">=", "limit": "0.62", "n": 20_160, "outcome": Outcome.PASS,
            "severity": "hard", "waived": "", "reason": "auc = 0.66 >= 0.62",
        }  # fmt: skip
        return Check(**(usual | fields))

    return make


@pytest.fixture
def make_verdict(make_check: Callable[..., Check]) -> Callable[..., Verdict]:
    """A verdict on the checks given, by default one that holds."""

    def make(*checks: Check, **fields: Any) -> Verdict:
        usual: dict[str, Any] = {
            "gate": "signal", "outcome": Outcome.PASS, "severity": "hard", "waived": "",
            "reason": "1 of 1 limits hold", "checks": checks or (make_check(),), "evidence": (),
            "policy_digest": "sha256:" + "0" * 64,
        }  # fmt: skip
        return Verdict(**(usual | fields))

    return make


@pytest.fixture
def failed(make_check: Callable[..., Check], make_verdict: Callable[..., Verdict]) -> Verdict:
    """A PSI gate that fails on one feature of two."""
    shared = {"id": "psi.feature", "metric": "psi_upper", "comparator": "<", "limit": "0.3"}
    good = make_check(**shared, segment="rsi14_z", observed=0.05)
    bad = make_check(
        **shared, segment="spread_bp", observed=1.2501, outcome=Outcome.FAIL,
        reason="psi_upper[spread_bp] = 1.2501, must be < 0.3",
    )  # fmt: skip
    return make_verdict(good, bad, gate="psi", outcome=Outcome.FAIL, reason=bad.reason)


@pytest.fixture
def make_record(clock: ManualClock) -> Callable[..., Record]:
    """A record of a kind with some metrics."""

    def make(kind: str, *metrics: Metric, origin: str = "simulated", **details: Any) -> Record:
        context = Context(clock=clock, model_version="v1.8.1", origin=origin)
        return new_record(kind, metrics, context, details=details)

    return make


@pytest.fixture
def make_view(
    make_verdict: Callable[..., Verdict], failed: Verdict
) -> Callable[..., index.IndexView]:
    """A blocked run, with some fields of its own."""

    def make(**fields: Any) -> index.IndexView:
        others = [make_verdict(gate=gate) for gate in GATES if gate != "psi"]
        usual: dict[str, Any] = {
            "run_id": "mlwb_v1.8.1_run_20261121T111111Z_1234abcd",
            "started": "2026-11-21T11:11:11Z",
            "finished": "2026-11-21T11:12:03.5Z",
            "market": index.MarketFacts(
                symbol="SYNTH", rows=129_600, first_utc="2026-01-01T00:00:00Z",
                last_utc="2026-03-31T23:59:00Z", origin="simulated",
            ),
            "champion": "v1.8.0",
            "candidate": "v1.8.1",
            "policy_name": "default",
            "policy_digest": "sha256:" + "0" * 64,
            "decision": Decision(False, ("psi FAIL: spread_bp moved; far too much",)),
            "verdicts": (*others, failed),
            "numbers": (index.KeyNumber(name="AUC", value=0.661, comparator=">=", limit="0.62"),),
            "reports": (
                index.ReportLink(title="Training", file="02_training.html", seconds=21.4),
                index.ReportLink(title="Canary analysis", status="not run"),
            ),
            "provenance": (("Code", "a5bb2da"), ("Lock file", "")),
            "commands": (index.Command(about="Repeat this run", text="mlwb run"),),
        }  # fmt: skip
        return index.IndexView(**(usual | fields))

    return make


@pytest.fixture
def psi_of(reference: BinnedReference) -> Callable[[Int1D], float]:
    """The PSI of some counts against the reference."""
    return lambda counts: psi_of_counts("x", reference.counts, counts).value


@pytest.fixture
def finding() -> Finding:
    """A finding whose detail tries to be markup."""
    return Finding(
        "duplicates_identical", 24_000, True, "<img src=x onerror=alert(1)> stands twice"
    )


@pytest.fixture
def labels(rng: np.random.Generator) -> tuple[Float1D, Float1D]:
    """Labels and probabilities that mean what they say."""
    probability = rng.uniform(0.2, 0.8, 5_000)
    return (rng.random(5_000) < probability).astype(np.float64), probability


@dataclass(frozen=True)
class RealisedLosses:
    """Losses before and now, as stage 03 measures them."""

    before: LossDays
    now: LossDays
    brier: tuple[float, float]
    expected: float
    tolerance: float
    e_value: float | None
    limit: float
    calibration: Reliability


def realised_losses(rng: np.random.Generator, **changed: Any) -> RealisedLosses:
    """Twenty days of training and five held out, calibrated coins."""
    ts = 3_600 * np.arange(25 * 24, dtype=np.int64)
    probability = rng.uniform(0.2, 0.8, len(ts))
    label = (rng.uniform(size=len(ts)) < probability).astype(np.int64)
    cut = 20 * 24
    before = daily_losses(probability[:cut], label[:cut], ts[:cut], horizon_s=0)
    now = daily_losses(probability[cut:], label[cut:], ts[cut:], horizon_s=0)
    told = reliability(probability[cut:], label[cut:], ts[cut:], rng=rng)
    found = RealisedLosses(before, now, (0.2, 0.21), 0.2, 0.0, 0.5, 20.0, told)
    return replace(found, **changed)
