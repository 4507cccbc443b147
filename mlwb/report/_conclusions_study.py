"""What the feature study found, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlwb.report._html import Html
from mlwb.report._numbers import count, duration, interval, number, several
from mlwb.report._sentences import concluded, listed

if TYPE_CHECKING:
    from mlwb.study import (
        Clipping,
        Costed,
        Daily,
        Decay,
        Distribution,
        Eligibility,
        Information,
        Memory,
        Redundancy,
        RegimeStudy,
        Stationarity,
    )

__all__ = [
    "costs",
    "features",
    "information",
    "memory",
    "redundancy",
    "regimes",
    "stationarity",
    "steadiness",
    "study",
]

_PROVEN = 0.05
_VIF_HIGH = 10.0
_NAMED = 3


def features(found: Sequence[Distribution], clipped: Sequence[Clipping]) -> Html:
    """How complete the features are, and whether their clip bounds held."""
    emptiest = max(found, key=lambda item: item.missing_share)
    said = f"{_all(len(found), 'feature')} known on at least "
    said += f"{number(1.0 - emptiest.missing_share, '%')} of the bars"
    said += f" (least: {emptiest.name}). " if emptiest.missing_share > 0.0 else ". "
    told = [item for item in clipped if math.isfinite(item.rate)]
    loud = sorted((i for i in told if i.is_alarming), key=lambda item: -item.rate)
    if loud:
        names = listed(f"{item.name} ({number(item.rate, '%')})" for item in loud)
        said += f"Clip bounds of the first part of the window no longer fit {names}: above "
        said += "three times the expected 1 %, clipping hides a change of the tails from PSI. "
        said += "Refit the bounds on recent bars."
    elif told:
        highest = max(told, key=lambda item: item.rate)
        said += "Clip bounds fitted on the first part of the window still fit the rest: at most "
        said += f"{number(highest.rate, '%')} are clipped ({highest.name}), 1 % is expected."
    return concluded(said)


def stationarity(items: Sequence[Stationarity]) -> Html:
    """What kind of series the features are, and what to do about those that wander."""
    by = {verdict: [i.name for i in items if i.verdict == verdict] for verdict in _READINGS}
    parts = [f"{several(len(by['stationary']), 'feature')} stationary by both tests"]
    parts += [f"{listed(by[verdict])} {means}" for verdict, means in _READINGS.items() if means
              and by[verdict]]  # fmt: skip
    broken = [item.name for item in items if item.has_break]
    if broken:
        parts.append(
            f"{listed(broken)} moved to another level once, which ADF takes for a unit root"
        )
    tested = [item for item in items if math.isfinite(item.adf_p)]
    alone = sum(item.adf_p_holm < _PROVEN for item in tested)
    said = "; ".join(parts) + "."
    if tested and alone == len(tested) > len(by["stationary"]):
        said += f" ADF alone would have passed {_all(len(tested), 'feature', verb='')}."
    return concluded(said)


def memory(
    items: Sequence[Memory], eligible: Sequence[Eligibility], *, held_out_days: float
) -> Html:
    """What memory does to the number of rows, and which features a PSI gate cannot judge."""
    known = [item for item in items if math.isfinite(item.half_life_s)]
    said = ""
    if known:
        longest = max(known, key=lambda item: item.n_obs / item.n_effective)
        said = f"Neighbouring minutes repeat each other: {count(longest.n_obs)} rows of "
        said += f"{longest.name} are worth {number(longest.n_effective, decimals=0)}. "
    late = [i for i in eligible if i.window_days is None or i.window_days > held_out_days]
    held = number(held_out_days, "d")
    if not late:
        return concluded(said + f"Every feature can be judged by PSI in the {held} held out.")
    fits = len(eligible) - len(late)
    said += f"PSI can judge {fits} of {several(len(eligible), 'feature')} in the {held} held"
    said += (
        f" out; {listed(_needs(item) for item in late)}. A PSI of these says nothing about drift."
    )
    return concluded(said)


def information(items: Sequence[Information]) -> Html:
    """Which features know something, after paying for every look."""
    known = [item for item in items if math.isfinite(item.p_holm)]
    names = list(dict.fromkeys(item.name for item in known))
    proven = [item for item in known if item.p_holm < _PROVEN]
    if not proven:
        return concluded(
            f"None of {several(len(names), 'feature')} is shown to know anything about the target "
            f"at any horizon, after Holm over {several(len(known), 'look')}. There is nothing to "
            "learn here."
        )
    proven.sort(key=lambda item: -abs(item.rank_ic))
    sure, best = list(dict.fromkeys(item.name for item in proven)), proven[0]
    return concluded(
        f"{len(sure)} of {several(len(names), 'feature')} know something, after Holm over "
        f"{len(known)} looks: {listed(sure, most=5)}. Strongest is {best.name} at "
        f"{duration(best.horizon_s)}, rank IC {number(best.rank_ic)} "
        f"({interval(best.low, best.high)})."
    )


def steadiness(items: Sequence[Daily], fading: Sequence[Decay]) -> Html:
    """Whether the strongest feature can be relied on from day to day, and how fresh it must be."""
    known = [item for item in items if math.isfinite(item.icir)]
    if not known:
        return concluded("There are too few days to tell whether anything is steady.")
    best = max(known, key=lambda item: abs(item.mean))
    same = round(best.same_sign_share * best.n_days)
    said = f"{best.name} points the same way on {same} of {several(best.n_days, 'day')}, "
    sure = best.low > 0.0 or best.high < 0.0
    said += f"ICIR {number(best.icir, decimals=2)} ({interval(best.low, best.high, decimals=2)})"
    said += ". " if sure else ": not told from luck. "
    half = next((item.half_life_s for item in fading if item.name == best.name), math.nan)
    if math.isfinite(half):
        said += f"Half of what it knows is gone after {duration(half)}: a value must be fresher."
    elif math.isinf(half):
        said += "It ages so slowly that a late value is still worth most of a fresh one."
    return concluded(said)


def costs(items: Sequence[Costed], known: Sequence[Information] = (), *, is_traded: bool) -> Html:
    """Whether anything pays for being traded; ``known`` says which ICs are told from luck."""
    held = [item for item in items if math.isfinite(item.hurdle)]
    if not held:
        return concluded("No feature and return vary together, so nothing can be held.")
    if not is_traded:
        cheap, dear = (pick(held, key=_hurdle) for pick in (min, max))
        more = f", and {number(dear.hurdle, decimals=2)} like {dear.name} held for "
        more = more + duration(dear.horizon_s) if dear is not cheap else ""
        return concluded(
            "IC after costs is not defined here: the label is the size of a move, and a forecast "
            "of size has no sign to hold. It earns only through what is done with it: when to "
            "trade, how much, at what price. A forecast of the sign would have to exceed an IC of "
            f"{number(cheap.hurdle, decimals=4)} if it moved like {cheap.name} held for "
            f"{duration(cheap.horizon_s)}{more}."
        )
    best = max(held, key=lambda item: item.net)
    earn = [item for item in held if item.net > 0.0]
    best_held = f"{best.name} held for {duration(best.horizon_s)}"
    even = number(best.break_even_bp, "bp", decimals=3)
    paid = number(best.cost_bp, "bp")
    if not earn:
        return concluded(
            f"No feature earns its costs at any horizon. The closest is {best_held}: its IC of "
            f"{number(best.ic)} pays for {even} a trade, and a trade costs {paid}."
        )
    proven = {(item.name, item.horizon_s) for item in known if item.p_holm < _PROVEN}
    n_sure = sum((item.name, item.horizon_s) in proven for item in earn)
    if not n_sure:
        return concluded(
            f"No feature is shown to earn its costs. {several(len(earn), 'pair')} of feature and "
            f"horizon {'does' if len(earn) == 1 else 'do'} on these bars, best {best_held}, but "
            "none with an IC that is told from luck after all the looks: what trades little has a "
            "low hurdle, and luck clears it."
        )
    return concluded(
        f"{several(len(earn), 'pair')} of feature and horizon exceed their costs, {n_sure} of "
        f"them told from luck, best {best_held}: {number(best.net)} is left of an IC of "
        f"{number(best.ic)}; it could pay {even} a trade where {paid} are asked. The way round and "
        f"the best of {len(held)} were chosen on these very bars: a ceiling and not a promise."
    )


def regimes(items: Sequence[RegimeStudy]) -> Html:
    """Whether the market's mood changes the label and what features know."""
    known = [item for item in items if math.isfinite(item.base_rate)]
    if len(known) < 2:
        return concluded("Fewer than two regimes occur, so there is nothing to compare.")
    low, high = (pick(known, key=lambda item: item.base_rate) for pick in (min, max))
    said = f"Label 1 is {number(high.base_rate, '%')} of {high.name} bars and "
    said += f"{number(low.base_rate, '%')} of {low.name} ones"
    apart = high.base_low > low.base_high
    said += ", more than chance explains. " if apart else ", which chance may explain. "
    held, lost = _kept(known)
    if held:
        said += f"In every regime the sign of {listed(held)} is the same and sure"
        said += f"; that of {listed(lost)} is not." if lost else "."
    elif lost:
        said += f"No feature keeps a sure sign in every regime: {listed(lost)} do in some."
    return concluded(said)


def redundancy(found: Redundancy) -> Html:
    """Which features repeat others, and what that means for reading a model."""
    n = len(found.names)
    if n < 2:
        return concluded("Fewer than two features vary.")
    mixed = [name for name, vif in zip(found.names, found.vif, strict=True) if vif > _VIF_HIGH]
    if not mixed:
        highest = max(range(n), key=lambda i: float(found.vif[i]))
        return concluded(
            f"No feature is a mixture of the others: the largest variance inflation factor is "
            f"{number(float(found.vif[highest]), decimals=1)} ({found.names[highest]}), far below "
            "10. Weights of a linear model can be read one by one."
        )
    return concluded(
        f"{listed(mixed)} {'is' if len(mixed) == 1 else 'are'} nearly a mixture of others: leave "
        "one out, or read their weights only together."
    )


def study(
    tested: Sequence[Stationarity],
    eligible: Sequence[Eligibility],
    known: Sequence[Information],
    *,
    held_out_days: float,
) -> Html:
    """The whole study in one sentence.

    Parameters
    ----------
    tested, eligible : sequence of Stationarity and of Eligibility
        One a feature.
    known : sequence of Information
        One a feature and horizon, adjusted.
    held_out_days : float
        Length of the window that will be judged, days.

    Returns
    -------
    Html
    """
    steady = sum(item.verdict == "stationary" for item in tested)
    fits = sum(i.window_days is not None and i.window_days <= held_out_days for i in eligible)
    proven = {item.name for item in known if item.p_holm < _PROVEN}
    days = number(held_out_days, "d")
    return concluded(
        f"Stationary by both tests: {steady} of {several(len(tested), 'feature')}. Fit to be "
        f"judged by PSI in {days}: {fits}. Shown to know something about the target: {len(proven)}."
    )


_READINGS = {
    "stationary": "",
    "conflict": "with long memory (both tests reject), drifting within any short window",
    "unit root": "with a unit root: take differences or a ratio before learning from it",
    "inconclusive": "undecided, too little data for either test",
    "deterministic": "a function of the clock",
    "constant": "constant",
    "too short": "too short to be tested",
}


def _kept(known: Sequence[RegimeStudy]) -> tuple[list[str], list[str]]:
    """Features whose interval excludes zero on one side in every regime, and only in some."""
    names = [item.name for item in known[0].information]
    signs = {name: {_sign(regime, name) for regime in known} for name in names}
    held = [name for name, seen in signs.items() if seen in ({1}, {-1})]
    lost = [name for name, seen in signs.items() if len(seen) > 1 and seen != {0}]
    return held, lost


def _sign(regime: RegimeStudy, name: str) -> int:
    item = next(item for item in regime.information if item.name == name)
    return int(item.low > 0.0) - int(item.high < 0.0)


def _needs(item: Eligibility) -> str:
    if item.window_days is not None:
        return f"{item.name} needs {item.window_days} d"
    if math.isfinite(item.needed_days):
        return f"{item.name} needs at least {item.needed_days:.0f} d"
    return f"{item.name} cannot ({item.reason})"


def _hurdle(item: Costed) -> float:
    return item.hurdle


def _all(n: int, noun: str, *, verb: str = "are") -> str:
    said = f"{'The one' if n == 1 else f'All {n}'} {noun}{'' if n == 1 else 's'}"
    verb = "is" if n == 1 and verb else verb
    return f"{said} {verb}" if verb else said.replace("All", "all").replace("The", "the")
