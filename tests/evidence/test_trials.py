"""The ledger of trials: nothing tried is forgotten, no window is a test twice."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.clock import ManualClock
from mlwb.core.errors import BrokenChainError, LockHeldError
from mlwb.evidence import EvidenceStore, Kinship, LoggedTrial, Record, TrialLedger, Tried, _trials
from tests.records import DETAILS

MakeRecord = Callable[..., Record]
DieAt = Callable[[int, Callable[[], object]], bool]
BTC = Kinship("BTCUSDT", "volatility", 60)


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    """An empty ledger."""
    return TrialLedger(tmp_path / "evidence" / "ml")


def trial(name: str = "logistic C=0.1", **changed: Any) -> LoggedTrial:
    """A trial of the usual kinship."""
    usual = LoggedTrial(BTC, name, "params", "features", "week 7", "a1b2c3d4", 0.66, 0.12)
    return replace(usual, **changed)


def test_trials_come_back_as_they_were(ledger: TrialLedger, clock: ManualClock) -> None:
    """Every field, also where there is no score and no Sharpe ratio."""
    noted = [trial(), trial("boosting", score=None, daily_sharpe=None)]
    ledger.note(noted, clock)
    found = ledger.tried(BTC)
    assert found == Tried(2, tuple(noted))
    np.testing.assert_array_equal(found.scores, [0.66, np.nan])
    assert ledger.verify() == ()


def test_nothing_tried_is_zero_trials(ledger: TrialLedger) -> None:
    """Reading an empty ledger creates nothing."""
    assert ledger.tried(BTC) == Tried(0, ())
    assert ledger.tried(BTC).scores.shape == (0,)
    assert ledger.uses("week 7") == ()
    assert ledger.kinships() == ()
    assert ledger.head() is None
    assert not ledger.root.exists()


@pytest.mark.parametrize(
    ("changed", "n_distinct"),
    [
        ({}, 1),
        ({"run": "ffffffff"}, 1),
        ({"window": "week 8"}, 1),
        ({"score": 0.7}, 1),
        ({"name": "logistic C=1"}, 2),
        ({"params": "others"}, 2),
        ({"features": "more"}, 2),
    ],
    ids=str,
)
def test_a_configuration_counts_once(
    ledger: TrialLedger, clock: ManualClock, changed: dict[str, Any], n_distinct: int
) -> None:
    """Another run, window or result is the same configuration; another choice is another trial."""
    ledger.note([trial()], clock)
    ledger.note([trial(**changed)], clock)
    found = ledger.tried(BTC)
    assert (found.n_logged, found.n_distinct) == (2, n_distinct)
    assert found.newest[-1] == trial(**changed)


@pytest.mark.parametrize("field", ["symbol", "label", "horizon_s"])
def test_trials_at_something_else_do_not_count(
    ledger: TrialLedger, clock: ManualClock, field: str
) -> None:
    """Another market, label or horizon is another question."""
    changed: Any = 3_600 if field == "horizon_s" else "other"
    other = replace(BTC, **{field: changed})
    ledger.note([trial(), trial(kinship=other), trial(run="again")], clock)
    assert ledger.kinships() == (BTC, other)
    assert (ledger.tried(BTC).n_logged, ledger.tried(other).n_logged) == (2, 1)


@given(uses=st.lists(st.tuples(st.sampled_from("vw"), st.sampled_from("abc")), max_size=12))
def test_a_window_is_a_test_for_the_first_candidate_only(
    tmp_path_factory: pytest.TempPathFactory, uses: list[tuple[str, str]]
) -> None:
    """A candidate is told how many others came before its first use, however often it repeats."""
    ledger, clock = TrialLedger(tmp_path_factory.mktemp("uses")), ManualClock()
    seen: dict[str, list[str]] = {"v": [], "w": []}
    for window, candidate in uses:
        before = seen[window]
        if candidate not in before:
            before.append(candidate)
        assert ledger.note_use(window, candidate, clock) == before.index(candidate)
        assert ledger.reuses(window, candidate) == before.index(candidate)
        assert ledger.uses(window) == tuple(before)
    assert len(ledger._chain.links()) == len(uses)


def test_overlapping_windows_show_by_their_days(ledger: TrialLedger, clock: ManualClock) -> None:
    """A window noted day by day: one shared day with another candidate is a second use."""
    week = [f"day {n}" for n in range(7)]
    assert ledger.note_use(week, "first", clock) == 0
    assert ledger.reuses([*week[6:], "day 7"], "second") == 1
    assert ledger.note_use(["day 6", "day 7"], "second", clock) == 1
    assert ledger.reuses(["day 7", "day 8"], "third") == 1
    assert ledger.reuses(["day 6", "day 7"], "third") == 2
    assert ledger.note_use(week, "first", clock) == 0
    assert ledger.reuses(["day 8"], "third") == ledger.reuses([], "third") == 0
    assert len(ledger._chain.links()) == 3


def test_asking_is_not_using(ledger: TrialLedger, clock: ManualClock) -> None:
    """What a window's use would be can be read without noting one."""
    ledger.note_use("week 7", "a", clock)
    assert [ledger.reuses("week 7", name) for name in ("a", "b", "b")] == [0, 1, 1]
    assert ledger.uses("week 7") == ("a",)


def test_uses_are_no_trials(ledger: TrialLedger, clock: ManualClock) -> None:
    """Both kinds of line live in one file and do not count for each other."""
    ledger.note([trial()], clock)
    ledger.note_use("week 7", "sha256:1", clock)
    assert ledger.tried(BTC).n_logged == 1
    assert ledger.uses("week 7") == ("sha256:1",)


def test_every_changed_byte_is_noticed(ledger: TrialLedger, clock: ManualClock) -> None:
    """A better score typed in by hand, or any other flipped byte, is named; nothing is read."""
    ledger.note([trial(), trial("boosting")], clock)
    ledger.note_use("week 7", "sha256:1", clock)
    path = ledger.root / "trials.jsonl"
    data = path.read_bytes()
    for place in range(0, len(data) - 1, 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert ledger.verify(), place
        with pytest.raises(BrokenChainError):
            ledger.tried(BTC)
    path.write_bytes(data)
    assert ledger.verify() == ()


@pytest.mark.parametrize("gone", [0, 1], ids=["first", "middle"])
def test_a_trial_taken_out_is_noticed(ledger: TrialLedger, clock: ManualClock, gone: int) -> None:
    """A loser cannot be made unseen."""
    ledger.note([trial(), trial("boosting"), trial("logistic C=1")], clock)
    path = ledger.root / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:gone] + lines[gone + 1 :]))
    assert "reordered" in {problem.kind for problem in ledger.verify()}
    with pytest.raises(BrokenChainError):
        ledger.tried(BTC)


def test_evidence_notices_what_happens_to_trials(
    store: EvidenceStore, make: MakeRecord, clock: ManualClock
) -> None:
    """The store's check covers the ledger; a cut or replaced one by the line that records cite."""
    ledger = TrialLedger(store.root)
    ledger.note([trial(), trial("boosting")], clock)
    head = ledger.head()
    assert head is not None
    store.write(make("parity"))
    details = {**DETAILS["smoke"], "volatile": {"trials_head": head.sha256}}
    store.write(make("smoke", details=details))
    assert store.verify() == ()
    path = ledger.root / "trials.jsonl"
    data = path.read_bytes()
    first = data.splitlines(keepends=True)[0]
    for replaced in (first, b""):
        path.write_bytes(replaced)
        assert [problem.kind for problem in store.verify()] == ["truncated"]
    path.write_bytes(data.replace(b"0.66", b"0.67"))
    assert {problem.kind for problem in store.verify()} == {"edited"}
    (store.root / "ledger.jsonl").write_bytes(b"{}\n")
    assert len(store.verify()) >= 3


def test_killed_at_any_step(ledger: TrialLedger, clock: ManualClock, die_at: DieAt) -> None:
    """Killed before every file operation: what was noted stays, the next writer repairs."""
    ledger.note([trial("kept")], clock)
    step, was_killed = 0, True
    while was_killed:
        step += 1
        was_killed = die_at(step, partial(ledger.note, [trial("x"), trial(f"y {step}")], clock))
        assert {problem.kind for problem in ledger.verify()} <= {"torn"}
        assert ledger.tried(BTC).newest[0].name == "kept"
        ledger.note([trial(f"after {step}")], clock)
        assert ledger.verify() == ()
        assert ledger.tried(BTC).newest[-1].name == f"after {step}"
    assert step > 3


def _note_many(root: Path, worker: int) -> None:
    ledger = TrialLedger(root)
    for number in range(10):
        ledger.note([trial(f"{worker} {number}"), trial("shared")], ManualClock())


def test_writers_at_once_lose_nothing(ledger: TrialLedger) -> None:
    """Four processes noting twenty trials each leave one whole chain."""
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_note_many, args=(ledger.root, n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert ledger.verify() == ()
    found = ledger.tried(BTC)
    assert (found.n_logged, found.n_distinct) == (80, 41)


def test_a_held_ledger_is_not_waited_for_forever(
    ledger: TrialLedger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer that does not let go is an error that says so."""
    monkeypatch.setattr(_trials, "_PATIENCE_S", 0.01)
    ledger.root.mkdir(parents=True)
    with FileLock(ledger.root / ".trials.lock"), pytest.raises(LockHeldError, match="trial ledger"):
        ledger.note([trial()], clock)


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_none(
    ledger: TrialLedger, clock: ManualClock, score: float
) -> None:
    """A fold without both classes has no AUC; the trial still counts."""
    ledger.note([trial(score=score)], clock)
    found = ledger.tried(BTC)
    assert found.newest[0].score is None
    assert (found.n_distinct, np.isnan(found.scores).tolist()) == (1, [True])
