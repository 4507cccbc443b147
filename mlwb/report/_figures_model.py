"""Figures about a model out of sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.report._figure import Figure, draw, limit_line, percent, quiet_axes, unmeasured
from mlwb.report._numbers import count, interval, moment, number, signed
from mlwb.report._style import GOOD, INK, OTHER, QUIET
from mlwb.stats import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from mlwb.model import GroupEffect, Importance, TrialResult

__all__ = ["ablation", "calibration", "fold_auc", "importance", "walk_forward"]

_TENTHS = 10
_GREY = "#9aa5b1"


def fold_auc(
    results: Sequence[TrialResult],
    *,
    chosen: TrialResult | None = None,
    margin: float = 0.0,
    limit: float | str | None = None,
) -> Figure:
    """AUC of every trial: its folds as dots, their mean as a bar.

    Parameters
    ----------
    results : sequence of TrialResult
        In the order tried.
    chosen : TrialResult, optional
        The one taken; the best mean when not given.
    margin : float, default=0.0
        What another family has to gain to be taken.
    limit : float or str, optional
        Of the mean AUC.

    Returns
    -------
    Figure
    """
    if not results:
        return unmeasured("Search", "No trial was made.")
    ordered = sorted(results, key=lambda found: -found.out_of_fold.mean_auc)
    taken = chosen or ordered[0]
    title = _taken(ordered, taken, margin)
    subtitle = "AUC on purged folds; dots are folds, bars their mean, one half is chance"

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for y, found in enumerate(ordered):
            colour = GOOD if found.trial.name == taken.trial.name else _GREY
            auc = found.out_of_fold.fold_auc
            ax.plot(auc, [y] * len(auc), "o", color=colour, markersize=5, alpha=0.75, mew=0)
            mean = found.out_of_fold.mean_auc
            ax.vlines(mean, y - 0.3, y + 0.3, color=colour, linewidth=3)
            ax.annotate(f"{mean:.3f}", (mean, y - 0.32), ha="center", va="bottom", fontsize=8)
        names = [
            f.trial.name + ("  ✓ taken" if f.trial.name == taken.trial.name else "")
            for f in ordered
        ]
        ax.set_yticks(range(len(ordered)), names)
        ax.tick_params(axis="y", labelcolor=INK)
        ax.set_ylim(len(ordered) - 0.4, -0.7)
        _show_chance(ax, "x", 0.5)
        if limit is not None:
            limit_line(ax, float(limit), f"limit {limit}")
        ax.set_xlabel("AUC")
        quiet_axes(ax, grid="x")

    return draw(paint, title=title, subtitle=subtitle, height=90 + 46 * len(ordered))


def calibration(y: Float1D, probability: Float1D) -> Figure:
    """Predicted probability against observed share, tenth by tenth.

    Parameters
    ----------
    y, probability : ndarray of shape (n_rows,), float64
        Labels 0 or 1 and probabilities.

    Returns
    -------
    Figure
    """
    if len(y) < _TENTHS:
        return unmeasured("Calibration", "Fewer than ten rows are scored.")
    groups = _tenths(y, probability)
    said = np.asarray([float(p.mean()) for _, p in groups])
    seen = np.asarray([float(labels.mean()) for labels, _ in groups])
    gap = float(np.abs(said - seen).max())
    title = f"Predicted and observed shares differ by at most {100 * gap:.1f} points in any tenth"
    subtitle = (
        f"Left: mean prediction against share of label 1 by tenth, 95 % Wilson intervals, "
        f"{count(len(y))} rows; right: how often each probability is given"
    )

    def paint(drawing: Drawing) -> None:
        left, right = drawing.subplots(1, 2, width_ratios=[1.3, 1.0])
        ends = [min(said.min(), seen.min()) - 0.03, max(said.max(), seen.max()) + 0.03]
        left.plot(ends, ends, color=QUIET, linewidth=1.0, linestyle=(0, (5, 3)))
        left.annotate("exact", (ends[1], ends[1]), ha="right", va="bottom", color=QUIET,
                      fontsize=8.5, xytext=(-14, -2), textcoords="offset points")  # fmt: skip
        for x, (labels, _) in zip(said, groups, strict=True):
            left.vlines(
                x, *wilson(round(float(labels.sum())), len(labels)), color=GOOD, linewidth=1.2
            )
        left.plot(said, seen, "o", color=GOOD, markersize=5)
        left.set_xlabel("predicted probability")
        left.set_ylabel("observed share")
        right.hist(
            probability, bins=50, color=GOOD, alpha=0.8, weights=np.full(len(y), 1.0 / len(y))
        )
        right.set_xlabel("predicted probability")
        right.set_ylabel("share of rows")
        for axis in (left.xaxis, left.yaxis, right.xaxis, right.yaxis):
            axis.set_major_formatter(percent)
        quiet_axes(left)
        quiet_axes(right, grid="y")

    return draw(paint, title=title, subtitle=subtitle)


def ablation(effects: Sequence[GroupEffect], *, level: float = 0.10) -> Figure:
    """Change of the rank IC when a group of features is dropped.

    Parameters
    ----------
    effects : sequence of GroupEffect
        One a group.
    level : float, default=0.10
        Holm-adjusted p at which a rise is called harm.

    Returns
    -------
    Figure
    """
    if not effects:
        return unmeasured("Ablation", "There is no group that could be dropped.")
    ordered = sorted(effects, key=lambda effect: effect.delta)
    harmful = [e.group for e in ordered if e.delta > 0.0 and e.p_adjusted <= level]
    top = ordered[0]
    helps = f"; {top.group} helps most ({signed(top.delta)} without it)" if top.delta < 0.0 else ""
    title = f"{', '.join(harmful) or 'No group'} does harm{helps}"
    subtitle = (
        "Mean rank IC without the group minus with it, refitted on the same folds; "
        f"a rise with Holm p of at most {level:g} is harm"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        place = np.arange(len(ordered))
        delta = [effect.delta for effect in ordered]
        tone = [
            OTHER if effect.group in harmful else GOOD if effect.delta < 0.0 else _GREY
            for effect in ordered
        ]
        ax.barh(place, delta, height=0.55, color=tone)
        widest = max(map(abs, delta)) or 1.0
        for y, effect in zip(place, ordered, strict=True):
            said = f"{signed(effect.delta, decimals=4)}   p {number(effect.p_adjusted, 'p')}"
            ax.annotate(said, (max(effect.delta, 0.0), y), xytext=(6, 0), va="center",
                        textcoords="offset points", fontsize=8.5)  # fmt: skip
        ax.axvline(0.0, color=QUIET, linewidth=0.9)
        ax.set_yticks(place, [effect.group for effect in ordered])
        ax.tick_params(axis="y", labelcolor=INK)
        ax.set_xlim(min(*delta, 0.0) - 0.05 * widest, max(*delta, 0.0) + 0.35 * widest)
        ax.invert_yaxis()
        ax.set_xlabel("change of rank IC without the group")
        quiet_axes(ax, grid="x")

    return draw(paint, title=title, subtitle=subtitle, height=90 + 34 * len(ordered))


def importance(found: Importance, *, least: float | str) -> Figure:
    """AUC lost when the rows of a feature, or of a group, are shuffled: mean and every fold.

    Parameters
    ----------
    found : Importance
        Of features or groups, by fold.
    least : float or str
        Agreement of the folds from which the ranking is called stable.

    Returns
    -------
    Figure
    """
    if found.loss.size == 0:
        return unmeasured("Importance", "No fold was predicted.")
    mean = found.mean_loss
    order = np.argsort(-mean, kind="stable")
    stable = "agree" if found.is_stable(float(least)) else "do not agree"
    title = (
        f"The model leans on {found.names[order[0]]} most "
        f"({number(float(mean[order[0]]))} of AUC); folds {stable} about the ranking"
    )
    subtitle = (
        "AUC lost out of sample when rows are shuffled; bars are means, dots are folds; "
        f"Kendall's W {number(found.agreement)}, stable from {float(least):g}"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        place = np.arange(len(order))
        ax.barh(place, mean[order], height=0.55, color=GOOD, alpha=0.55)
        for fold in found.loss:
            ax.scatter(fold[order], place, color=INK, s=14, zorder=3, linewidths=0)
        ax.axvline(0.0, color=QUIET, linewidth=0.9)
        ax.set_yticks(place, [found.names[i] for i in order])
        ax.tick_params(axis="y", labelcolor=INK)
        ax.invert_yaxis()
        ax.set_xlabel("AUC lost")
        quiet_axes(ax, grid="x")

    return draw(paint, title=title, subtitle=subtitle, height=90 + 34 * len(order))


def walk_forward(
    starts: Int1D | Sequence[int],
    auc: Sequence[float],
    *,
    net: Float1D | Sequence[float] | None = None,
    limit: float | str = 0.5,
) -> Figure:
    """AUC of every segment, judged by a model that saw only what came before.

    Parameters
    ----------
    starts : sequence of int
        First decision of each segment, seconds since 1970.
    auc : sequence of float
        Of each segment; NaN was not measured.
    net : sequence of float, optional
        What each segment earned after costs, where scores are bet on: a segment then has to
        earn as well.
    limit : float or str, default=0.5
        What a segment should exceed; one half is chance.

    Returns
    -------
    Figure
    """
    values = np.asarray(auc, dtype=np.float64)
    if not np.isfinite(values).any():
        return unmeasured("Walk-forward", "No segment has both classes.")
    least = float(limit)
    returns = np.full(len(values), np.inf) if net is None else np.asarray(net, dtype=np.float64)
    worst = int(np.nanargmin(values))
    title = (
        _passing(int((values > least).sum()), len(values), least)
        + (
            ""
            if net is None
            else f", {_earning(int(((values > least) & (returns > 0.0)).sum()))} after costs"
        )
        + f"; the weakest, from {moment(starts[worst])}, has AUC {number(values[worst])}"
    )
    subtitle = "AUC by segment in time order; each model learnt only from earlier rows"
    if net is not None:
        subtitle += "; under each AUC what its segment earned. The gate counts segments with both"

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        place = np.arange(len(values))
        _mark_segments(ax, values, returns, least)
        if least == 0.5:
            _show_chance(ax, "y", least)
        else:
            limit_line(ax, least, f"limit {least:g}", horizontal=True)
        ax.set_xticks(place, [moment(start) for start in starts])
        ax.set_xlim(-0.6, len(values) - 0.2)
        reach, room = float(np.nanmax(np.abs(values - least))) or 0.05, 0.3 if net is None else 0.5
        low, high = float(np.nanmin(values)), max(least, float(np.nanmax(values)))
        ax.set_ylim(
            low - room * reach if low < least else least - 0.15 * reach, high + room * reach
        )
        ax.set_xlabel("first decision of the segment, UTC")
        ax.set_ylabel("AUC")
        quiet_axes(ax, grid="y")

    return draw(paint, title=title, subtitle=subtitle)


def _taken(ordered: Sequence[TrialResult], taken: TrialResult, margin: float) -> str:
    """Which trial is taken, and why the next one is not."""
    folds = taken.out_of_fold.fold_auc
    title = (
        f"{taken.trial.name} is taken: mean AUC {number(taken.out_of_fold.mean_auc)} over "
        f"{len(folds)} folds, {interval(min(folds), max(folds))}"
    )
    others = [found for found in ordered if found.trial.name != taken.trial.name]
    if others:
        gain = others[0].out_of_fold.mean_auc - taken.out_of_fold.mean_auc
        apart = "as good to three digits" if abs(gain) < 0.0005 else f"{signed(gain)}"
        title += f"; next is {others[0].trial.name}, {apart}"
        if gain >= 0.0005 and margin > 0.0:
            title += f", within the margin of {margin:g}"
    return title


def _mark_segments(ax: Axes, auc: Float1D, net: Float1D, least: float) -> None:
    """A stem a segment, with its AUC and, where it is finite, what was earned."""
    for x, (value, earned) in enumerate(zip(auc, net, strict=True)):
        tone = GOOD if value > least and earned > 0.0 else OTHER
        ax.vlines(x, least, value, color=tone, linewidth=2.2)
        ax.scatter(x, value, color=tone, s=46, zorder=3)
        said = f"{value:.3f}" if np.isfinite(value) else "not measured"
        said += f"\n{signed(earned, '%')}" if np.isfinite(earned) else ""
        at = value if np.isfinite(value) else least
        side, beyond = ("top", -8) if value < least else ("bottom", 8)
        ax.annotate(said, (x, at), xytext=(0, beyond), textcoords="offset points", ha="center",
                    va=side, fontsize=8.5)  # fmt: skip


def _passing(n: int, of: int, least: float) -> str:
    return f"{n} of {of} segments {'is' if n == 1 else 'are'} above {least:g}"


def _earning(n: int) -> str:
    return f"{n or 'none'} of them {'earn' if n > 1 else 'earns'}"


def _tenths(y: Float1D, probability: Float1D) -> list[tuple[Float1D, Float1D]]:
    """Rows in ten equal groups by score, lowest first; ties share their mean label."""
    distinct, inverse = np.unique(probability, return_inverse=True)
    shared = np.bincount(inverse, weights=y) / np.bincount(inverse)
    order = np.argsort(inverse, kind="stable")
    labels, scores = shared[inverse][order], distinct[inverse][order]
    return list(zip(np.array_split(labels, _TENTHS), np.array_split(scores, _TENTHS), strict=True))


def _level(ax: Axes, value: float, said: str) -> None:
    ax.axhline(value, color=INK, linewidth=1.0, linestyle=(0, (5, 3)))
    ax.annotate(said, (1.0, value), xycoords=("axes fraction", "data"), xytext=(5, 0), fontsize=8.5,
                textcoords="offset points", color=INK, va="center")  # fmt: skip


def _show_chance(ax: Axes, axis: str, value: float) -> None:
    words: Any = {"textcoords": "offset points", "fontsize": 8.5, "color": QUIET}
    if axis == "x":
        ax.axvline(value, color=QUIET, linewidth=0.9)
        ax.annotate(
            "chance", (value, 1.0), xycoords=("data", "axes fraction"), xytext=(4, 2), **words
        )
        return
    ax.axhline(value, color=QUIET, linewidth=0.9)
    ax.annotate("chance", (1.0, value), xycoords=("axes fraction", "data"), xytext=(-4, 4),
                ha="right", **words)  # fmt: skip
