"""Drift detectors beside each other: false alarms, power, delay, and readings that are wrong.

Run: ``python benchmarks/drift_bakeoff.py [--peers PYTHON] [--quick] [--json FILE]`` (five minutes,
ten with peers; ``--quick`` an eighth). Minutes of a market, 40 days of reference, 30 days to watch,
windows of a day. ``--peers`` is an interpreter with evidently, nannyml and river; slower libraries
see fewer series and days, ``n`` is how many. Every day is judged against the whole reference.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.bakeoff.detectors import (
    DETECTORS,
    LEVEL,
    PEERS,
    SEQUENTIAL,
    Alarms,
    Watch,
    first_only,
)
from benchmarks.bakeoff.scenarios import DAY, SCENARIOS, Scenario
from benchmarks.peers.client import Peers
from mlwb.drift import bin_counts, fit_reference, psi_of_counts
from mlwb.drift.calibration import Reading, reading

N_REFERENCE, N_WATCHED, SEED = 40, 30, 7
N_SERIES, N_QUICK = 60, 10
LIMIT = 0.2
"""The requirements' limit of a PSI."""
WINDOWS = {1: 5, 7: 7}
"""Days of a window that is read, and from one to the next."""
READINGS: tuple[Reading, ...] = ("pass", "fail", "insufficient", "not_gateable")


@dataclass(frozen=True)
class Score:
    """One detector on one scenario.

    Parameters
    ----------
    scenario, detector : str
        Names.
    n_series, n_days : int
        What it has seen.
    by_day : float
        Share of days with an alarm.
    ever : float
        Share of series with an alarm.
    delay : float
        Days from the change to the first alarm, mean over those series; 0 is the first day.
    """

    scenario: str
    detector: str
    n_series: int
    n_days: int
    by_day: float
    ever: float
    delay: float


@dataclass(frozen=True)
class Readings:
    """What the three-state reading says in one scenario.

    Parameters
    ----------
    scenario : str
        Name.
    window_days : int
        Days a window.
    population : float
        PSI of the change, from all series together, nats; NaN where there is no such thing.
    shares : dict of str to float
        Share of windows by reading.
    beyond : float
        Share of windows with a p of at most 0.05.
    wrong : float
        Share that passes a fault or a change of at least the limit, fails a smaller change, or
        answers at all where nothing can be said.
    plain_wrong : float
        The same of the plain rule, PSI of the window against the limit.
    """

    scenario: str
    window_days: int
    population: float
    shares: dict[Reading, float]
    beyond: float
    wrong: float
    plain_wrong: float


def watches_of(scenario: Scenario, n_series: int) -> list[Watch]:
    """Series of one scenario, the same in every run."""
    rng = np.random.default_rng([SEED, SCENARIOS.index(scenario)])
    rows = scenario.series(rng, n_series, N_REFERENCE, N_WATCHED)
    cut = N_REFERENCE * DAY
    return [Watch(row[:cut], row[cut:].reshape(N_WATCHED, DAY)) for row in rows]


def scored(scenario: str, detector: str, alarms: Alarms) -> Score:
    """Rates of alarms of shape (n_series, n_days)."""
    ever = alarms.any(axis=1)
    days = first_only(alarms) if detector in SEQUENTIAL else alarms
    delay = float(alarms[ever].argmax(axis=1).mean()) if ever.any() else float("nan")
    n_series, n_days = alarms.shape
    by_day = float(days.mean())
    return Score(scenario, detector, n_series, n_days, by_day, float(ever.mean()), delay)


def population_psi(scenario: Scenario, watches: list[Watch]) -> float:
    """PSI between the law before and the law after, as well as all series together tell."""
    if scenario.truth == "no null":
        return float("nan")
    if scenario.truth == "quiet":
        return 0.0
    before = np.concatenate([watch.reference for watch in watches])
    after = np.concatenate([watch.days.ravel() for watch in watches])
    bins = fit_reference("x", before)
    return psi_of_counts("x", bins.counts, bin_counts(bins.edges, after)).value


def readings(scenario: Scenario, watches: list[Watch], window_days: int) -> Readings:
    """Read disjoint windows of every series."""
    population = population_psi(scenario, watches)
    is_change = population >= LIMIT or scenario.truth == "fault"
    wrong: set[Reading] = {"pass"} if is_change else {"fail"}
    if scenario.truth == "no null":
        wrong = {"pass", "fail"}
    found = [
        watch.window(first, window_days)
        for watch in watches
        for first in range(0, N_WATCHED - window_days + 1, WINDOWS[window_days])
    ]
    said = Counter(reading(each, LIMIT) for each in found)
    shares = {name: said[name] / len(found) for name in READINGS}
    over = float(np.mean([each.psi.value > LIMIT for each in found]))
    return Readings(
        scenario.name,
        window_days,
        population,
        shares,
        float(np.mean([each.p_value is not None and each.p_value <= LEVEL for each in found])),
        sum(shares[name] for name in wrong),
        over * ("fail" in wrong) + (1.0 - over) * ("pass" in wrong),
    )


def grid(title: str, scores: list[Score], scenarios: list[str], field: str) -> None:
    """Print one number of every detector, scenarios as columns."""
    print(f"\n{title}")
    print(f"{'':<21}{'n':>6}" + "".join(f"{name:>13}" for name in scenarios))
    for detector in dict.fromkeys(score.detector for score in scores):
        row = {score.scenario: score for score in scores if score.detector == detector}
        is_empty = field == "by_day" and detector in SEQUENTIAL
        if is_empty or (field != "by_day" and row[scenarios[0]].n_days < N_WATCHED):
            continue
        n = row[scenarios[0]].n_series * row[scenarios[0]].n_days
        cells = "".join(f"{getattr(row[name], field):>13.2f}" for name in scenarios)
        print(f"{detector:<21}{n:>6,}{cells}".replace("nan", "  -"))


def show(scores: list[Score], read: list[Readings]) -> None:
    """Print the tables."""
    quiet = [each.name for each in SCENARIOS if each.truth in {"quiet", "no null"}]
    changed = [each.name for each in SCENARIOS if each.name not in quiet]
    grid("False alarms: share of days", scores, quiet, "by_day")
    grid("False alarms: share of 30-day watches", scores, quiet, "ever")
    grid("Power: share of days", scores, changed, "by_day")
    grid("Power: share of 30-day watches", scores, changed, "ever")
    grid("Delay in days, where found", scores, changed, "delay")
    print(f"\nReadings against a PSI of {LIMIT}; plain is PSI > {LIMIT}")
    print(f"{'':<12}{'days':>5}{'true PSI':>10}" + "".join(f"{x:>14}" for x in READINGS), end="")
    print(f"{'p <= .05':>10}{'wrong':>8}{'plain wrong':>13}")
    for each in read:
        shares = "".join(f"{share:>14.2f}" for share in each.shares.values())
        print(f"{each.scenario:<12}{each.window_days:>5}{each.population:>10.3f}{shares}", end="")
        print(f"{each.beyond:>10.3f}{each.wrong:>8.3f}{each.plain_wrong:>13.3f}")


def run(peers: Peers, n_series: int, share: float) -> tuple[list[Score], list[Readings]]:
    """All scenarios; peers see that share of what they usually do."""
    scores, read = [], []
    for scenario in SCENARIOS:
        watches = watches_of(scenario, n_series)
        for name, detector in DETECTORS.items():
            alarms = np.array([detector(watch) for watch in watches])
            scores.append(scored(scenario.name, name, alarms))
        for name, peer in PEERS.items():
            found = peer.alarms(peers, watches, share=share)
            if found is not None:
                scores.append(scored(scenario.name, name, found))
        read += [readings(scenario, watches, width) for width in WINDOWS]
    return scores, read


def main() -> None:
    """Run all scenarios and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter with the other libraries")
    parser.add_argument("--quick", action="store_true", help="few series")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here too")
    args = parser.parse_args()
    with Peers(args.peers) as peers:
        for library in ("evidently", "nannyml", "river"):
            print(f"{library}: {peers.versions.get(library, 'not installed')}")
        scores, read = run(peers, *((N_QUICK, 0.3) if args.quick else (N_SERIES, 1.0)))
        show(scores, read)
        if args.json:
            numbers = {
                "peers": peers.versions,
                "seed": SEED,
                "scores": [asdict(score) for score in scores],
                "readings": [asdict(each) for each in read],
            }
            args.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
