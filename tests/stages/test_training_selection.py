"""A window is a test once, and every trial counts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mlwb.core.bars import MID, VOLUME
from mlwb.core.clock import ManualClock
from mlwb.evidence import EvidenceStore, TrialLedger
from mlwb.gates import EvidenceView, evaluate
from mlwb.params import load_policy
from mlwb.stages import training
from mlwb.stages._training_selection import configuration_of
from tests.stages.conftest import PARAMS, small


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A home of its own in which one candidate was trained."""
    return Path(shutil.copytree(trained, tmp_path / "home", symlinks=True))


def test_the_same_configuration_again_is_a_reproduction(home: Path) -> None:
    """Another run, version and policy on the same bars: nothing was chosen by looking."""
    assert training.load(small("training", home)).configuration.window_reuses == 0
    elsewhere = small(
        "training", home, **{"run.model_version": "v9", "run.policy": "policy.demo.yml"}
    )
    assert training.load(elsewhere).configuration.window_reuses == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("search.c", [0.2]),
        ("cv.embargo_s", 60),
        ("window.train_end", 0.8),
        ("search.seed", 99),
        ("label.horizon_s", 3660),
        ("features.names", ["bias", "rsi14_z"]),
    ],
)
def test_another_candidate_on_the_same_bars_is_counted(
    home: Path, setting: str, value: object
) -> None:
    """Whatever is tuned after the first look, also when the window is moved to hide it."""
    assert (
        training.load(small("training", home, **{setting: value})).configuration.window_reuses == 1
    )


def test_a_disguise_makes_no_new_test(home: Path) -> None:
    """Another name, unit, column or cut of the same bars: the days are known by their path."""
    params = small("training", home, **{"data.symbol": "ANOTHER", "search.c": [0.2]})
    renamed = training.load(params)
    assert renamed.configuration.window_reuses == 1
    prepared = renamed.prepared
    bars = prepared.bars.copy()
    bars[:, MID] *= 0.01
    bars[:, VOLUME] = 7.0
    later = replace(prepared.windows, train_end=prepared.windows.train_end + 60)
    disguised = configuration_of(replace(prepared, bars=bars, windows=later), params)
    assert disguised.days == renamed.configuration.days
    bars[-1, MID] *= 1.001
    changed = configuration_of(replace(prepared, bars=bars), params)
    assert [a == b for a, b in zip(changed.days, disguised.days, strict=True)][-2:] == [True, False]


def test_a_look_counts_without_a_record(home: Path) -> None:
    """Loading is enough: whoever reads results in a notebook and writes nothing has looked."""
    training.load(small("training", home, **{"search.c": [0.2]}))
    assert (
        training.load(small("training", home, **{"search.c": [0.3]})).configuration.window_reuses
        == 2
    )
    assert training.load(small("training", home)).configuration.window_reuses == 0, (
        "the first was first"
    )


def test_another_question_or_other_bars_are_a_new_test(home: Path) -> None:
    """Another label, or another market, has not been looked at."""
    for setting, value in (("label.kind", "direction"), ("data.seed", 8)):
        assert (
            training.load(small("training", home, **{setting: value})).configuration.window_reuses
            == 0
        )


@pytest.mark.slow
def test_the_signal_gate_refuses_a_second_candidate(home: Path) -> None:
    """A good number on bars that helped to choose does not pass, and the reason names it."""
    params = small("training", home, **{"search.c": [0.2]})
    training.record(training.measure(training.load(params)), params, ManualClock())
    store = EvidenceStore(home / "evidence" / "ml")
    records = tuple(store.newest(kind) for kind in ("offline_report", "significance"))
    view = EvidenceView(model_version="v1.8.2", records=records)
    policy = load_policy(PARAMS / "policy.yml")
    verdict = evaluate("signal", view, policy, ManualClock().now())
    found = {check.id: check.outcome for check in verdict.checks}
    assert (verdict.outcome, found["signal.gate_window_reuses"]) == ("FAIL", "FAIL")
    assert found["signal.auc_holdout"] == "PASS"


@pytest.mark.slow
def test_every_trial_is_in_the_ledger_and_deflates_the_next(home: Path) -> None:
    """Configurations are counted once each; what was tried before deflates what is tried now."""
    ledger = TrialLedger(home / "evidence" / "ml")
    params = small("training", home)
    kinship = training.load(params).configuration.kinship
    assert ledger.tried(kinship).n_distinct == 1
    wider = small("training", home, **{"search.c": [0.01, 0.1, 1.0]})
    result = training.measure(training.load(wider))
    assert result.proof.selection.n_tried == 3, "C = 0.1 had been tried"
    training.record(result, wider, ManualClock())
    again = training.measure(training.load(wider))
    assert again.proof.selection.dsr == result.proof.selection.dsr
    assert ledger.tried(kinship).n_distinct == 3
    assert not ledger.verify()


@pytest.mark.slow
def test_a_trial_that_says_nothing_loses_and_stops_nobody(home: Path, tmp_path: Path) -> None:
    """One score for every row has no daily ratio; it is counted as tried all the same."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from sklearn.dummy import DummyClassifier\n"
        "from mlwb.model import Family\n"
        "class Dull(Family):\n"
        "    build = lambda self, trial: DummyClassifier()\n"
        "    graph = None\n"
        "DULL = Dull()\n"
    )
    params = small("training", home, **{"search.families": ["logistic", f"{path}:DULL"]})
    result = training.measure(training.load(params))
    assert [ratio is None for ratio in result.proof.selection.daily] == [False, True]
    assert result.candidate.chosen.trial.family == "logistic"
    training.record(result, params, ManualClock())
    ledger = TrialLedger(home / "evidence" / "ml")
    (kinship,) = ledger.kinships()
    newest = ledger.tried(kinship).newest
    assert [trial.daily_sharpe is None for trial in newest] == [False, True]
