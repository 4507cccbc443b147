"""What drift means, in sentences a reader without statistics can act on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mlwb.report._html import Html
from mlwb.report._numbers import number, several
from mlwb.report._sentences import concluded, listed

if TYPE_CHECKING:
    from mlwb.drift.multivariate import ClassifierTest, PcaTest
    from mlwb.drift.planning import Plan
    from mlwb.report._shapes import Judged, Losses

__all__ = ["drift", "plain_rule", "planned", "realised", "recent", "together"]

_NAMED = 3
_BY_CHANCE = 0.05


def drift(features: Sequence[Judged], overall: Judged) -> Html:
    """The whole page in a sentence: what is shown, what is not, and what cannot be.

    Parameters
    ----------
    features : sequence of Judged
        One a feature.
    overall : Judged
        Their mean.
    """
    limit = f"{features[0].limit:g}"
    said = [f"{_of(features, 'pass')} of {several(len(features), 'feature')} shown below {limit}"]
    for reading, words in (
        ("fail", f"shown above {limit}"),
        ("insufficient", "neither shown below nor above, the window is too short to tell"),
    ):
        names = [item.name for item in features if item.reading == reading]
        if names:
            said.append(f"{listed(names)} {words}")
    later = [i for i in features if i.reading == "not_gateable" and i.gateable_days is not None]
    never = [i for i in features if i.reading == "not_gateable" and i.gateable_days is None]
    needs = [f"{item.name} needs {item.gateable_days} d" for item in later]
    if never:
        needs.append(_beyond(i.name for i in never))
    if needs:
        said.append(
            f"{listed(needs)}, since chance alone reaches {limit} in a window of this length"
        )
    return concluded("; ".join(said) + f". The mean is {_mean(overall)}.")


def plain_rule(features: Sequence[Judged], overall: Judged) -> Html:
    """Where a fixed limit on the plain number and the bounds disagree, and which to believe.

    Two sentences: what the plain rule would have done, and why that is chance or is not.

    Parameters
    ----------
    features : sequence of Judged
        One a feature.
    overall : Judged
        Their mean.
    """
    everything = [*features, overall]
    refused = [item for item in everything if item.value >= item.limit]
    loud = [item for item in refused if item.reading != "fail"]
    quiet = [
        item for item in everything
        if item.value < item.limit and item.reading in ("not_gateable", "insufficient")
    ]  # fmt: skip
    rule = f"A fixed limit of {features[0].limit:g} a feature and {overall.limit:g} on the mean"
    first = f"{rule} would have refused {listed(i.name for i in refused)}" if refused else (
        f"{rule} would have refused nothing"
    )  # fmt: skip
    if quiet:
        first += f" and waved through {listed(i.name for i in quiet)}"
    return concluded(f"{first}. {_because(refused, loud, quiet)}")


def recent(features: Sequence[Judged]) -> Html:
    """Whether anything is moving now, or has moved since training and stands still."""
    now = [item for item in features if item.p_recent is not None and item.p_recent <= _BY_CHANCE]
    known = [item for item in features if item.p_recent is not None]
    if not known:
        return concluded(
            "The training window holds too few windows of this length to say whether anything "
            "moves now."
        )
    moved = [item for item in features if item.p_value is not None
             and item.p_value <= _BY_CHANCE and item not in now]  # fmt: skip
    if not now and not moved:
        return concluded(
            "Nothing is further from the window before than neighbouring windows of the training "
            "data are from each other, and nothing is beyond chance against training."
        )
    parts = []
    if now:
        is_small = all(item.reading == "pass" for item in now)
        then = ", though training's limit is shown to hold" if is_small else ": ask what happened"
        parts.append(f"{listed(i.name for i in now)} moved against the window just before{then}")
    if moved:
        parts.append(
            f"{listed(i.name for i in moved)} moved since training but not lately: a new training "
            f"would take in a PSI of {_psi(max(i.value for i in moved))}"
        )
    return concluded("; ".join(parts) + ".")


def planned(plans: Sequence[Plan | None]) -> Html:
    """What a window of this length can show at all, said before or after it is looked at."""
    known = [plan for plan in plans if plan is not None and plan.detectable > 0.0]
    if not known:
        return concluded("The training window is too short to plan with.")
    hardest = max(known, key=lambda plan: plan.detectable)
    easiest = min(known, key=lambda plan: plan.detectable)
    power = number(hardest.power, "%", decimals=0)
    limits = {plan.limit for plan in known}
    limit = f"{hardest.limit:g}" if len(limits) == 1 else "the limit"
    said = f"{several(hardest.days, 'day')} would find, with {power} probability, a PSI from "
    said += f"{_psi(easiest.detectable)} ({easiest.name}) to {_psi(hardest.detectable)} "
    said += f"({hardest.name}). "
    short = [plan for plan in known if plan.passes < plan.power]
    if not short:
        return concluded(f"{said}All of them would be shown below {limit} if nothing moved.")
    return concluded(
        f"{said}To be shown below {limit} with the same probability when nothing moved, "
        f"{_needs(short)}."
    )


def _needs(plans: Sequence[Plan]) -> str:
    """The days that each takes, and which take more than training has."""
    parts = [f"{plan.name} needs {plan.days_to_prove} d" for plan in plans if plan.days_to_prove]
    never = [plan.name for plan in plans if plan.days_to_prove is None]
    if never:
        parts.append(_beyond(never))
    return listed(parts)


def _beyond(names: Iterable[str]) -> str:
    """Features that no window can judge of which the training data holds two."""
    every = list(names)
    verb = "needs" if len(every) == 1 else "need"
    return f"{listed(every)} {verb} a longer window than the training data can stand for"


def together(classifier: ClassifierTest | None, pca: PcaTest | None) -> Html:
    """Whether whole rows can be told apart, and whether features go together as they did."""
    if classifier is None or pca is None:
        return concluded("The training window is too short for tests on whole rows.")
    most = float(max(classifier.null))
    said = "A classifier tells held-out rows from training's with an AUC of "
    said += f"{number(classifier.auc)}; windows of the training data, told from the rest, reach "
    said += f"{number(most)}"
    if classifier.p_value <= _BY_CHANCE:
        best = [f"{name} ({number(auc)})" for name, auc in classifier.features[:_NAMED]]
        said += f": more than chance (p {number(classifier.p_value, 'p')}), led by {listed(best)}. "
    else:
        said += f": no more than chance (p {number(classifier.p_value, 'p')}). "
    kept = "as they did" if pca.p_value > _BY_CHANCE else "differently"
    return concluded(said + f"Features go together {kept} (p {number(pca.p_value, 'p')}).")


def realised(found: Losses | None) -> Html:
    """Whether predictions became worse, once their labels were known, and mean what they say."""
    if found is None:
        return concluded(
            "No held-out label is known yet, so that no prediction can be called wrong."
        )
    before, now = found.brier
    said = f"A held-out prediction cost {number(now)} (Brier), one in training {number(before)}. "
    if found.e_value is None:
        said += "Training has too few days to say how much of that is chance. "
    else:
        verdict = "no evidence of harm" if found.e_value < found.limit else "harm"
        said += f"Evidence that days became worse: an e-value of {number(found.e_value)}, held "
        said += f"against {found.limit:g}: that is {verdict}. "
    told = found.calibration
    away = f"{number(told.ece, '%')} from the frequencies on average"
    if math.isnan(told.ece_chance):
        return concluded(said + f"Probabilities are {away}; too few days to say whether by chance.")
    kept = "as a calibrated model's would be" if told.ece <= told.ece_chance else "not calibrated"
    said += f"Probabilities are {kept}: {away}, where chance gives up to "
    return concluded(said + f"{number(told.ece_chance, '%')}.")


def _because(refused: Sequence[Judged], loud: Sequence[Judged], quiet: Sequence[Judged]) -> str:
    """Why the two rules differ, or why they agree."""
    if loud:
        return _of_loud(max(loud, key=lambda item: item.value / item.limit))
    if refused:
        return "That is no chance: the bounds refuse the same."
    if not quiet:
        return "The bounds agree: every number is shown to be below its limit."
    item = max(quiet, key=lambda item: (item.null95 or 0.0) / item.limit)
    if item.null95 is None:
        return (
            "A small number proves nothing there: the training window is too short to show what "
            "chance gives."
        )
    return (
        f"A small number proves nothing there: {item.name} wanders so slowly that windows of this "
        f"length reach {_psi(item.null95)} without any change, so {_psi(item.value)} may be luck."
    )


def _of_loud(item: Judged) -> str:
    """Why a number over its limit is not taken for a change."""
    if item.null95 is None:
        return (
            f"Whether {item.name} is chance cannot be said: the training window is too short to "
            "show what chance gives."
        )
    own = f"windows of the training data, in which nothing changed, reach {_psi(item.null95)}"
    if item.value <= item.null95:
        return f"For {item.name} {_psi(item.value)} is chance: {own} by themselves."
    return (
        f"{item.name} shows {_psi(item.value)}, more than chance ({own}), but a window of this "
        f"length cannot say how much: between {_psi(item.lower)} and {_psi(item.upper)}."
    )


def _mean(overall: Judged) -> str:
    said = _psi(overall.value)
    words = {
        "pass": f"shown below {overall.limit:g}",
        "fail": f"shown above {overall.limit:g}",
        "insufficient": f"not told from {overall.limit:g}",
        "not_gateable": f"beyond judging: chance alone reaches {overall.limit:g}",
    }
    return f"{said}, {words[overall.reading]}"


def _of(features: Sequence[Judged], reading: str) -> int:
    return sum(item.reading == reading for item in features)


def _psi(value: float | None) -> str:
    return number(value, "nats")
