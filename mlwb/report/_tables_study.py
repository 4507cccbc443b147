"""Tables about the features: what they are, whether they last, what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlwb.core.bars import INTERVAL_S
from mlwb.report._html import Html
from mlwb.report._numbers import count, count_of, duration, interval, number, significant
from mlwb.report._table import Cell, Table, heads

if TYPE_CHECKING:
    from mlwb.study import (
        Clipping,
        Costed,
        Daily,
        Decay,
        Distribution,
        Eligibility,
        Information,
        RegimeStudy,
        Stationarity,
    )

__all__ = [
    "costs",
    "distributions",
    "eligibility",
    "information",
    "regimes",
    "stationarity",
    "steadiness",
]

_NOISE = 1e-9
"""Standard deviations below which a value is rounding."""
_SHOWN = 3
"""Features a regime row names."""
_REASONS = {
    "quiet": "chance stays below the limit",
    "unit root": "a wandering level has no fixed distribution",
    "constant": "a constant cannot drift",
    "few values": "fewer than three bins show too little",
    "too short": "too few days to know its own chance",
    "noisy": "chance alone exceeds the limit",
}
_LATE = "chance exceeds the limit in what is held out"


def distributions(items: Sequence[Distribution], clipping: Sequence[Clipping] = ()) -> Table:
    """Each feature at a glance: what is missing, where it lies, how far it reaches.

    Parameters
    ----------
    items : sequence of Distribution
        One a feature.
    clipping : sequence of Clipping
        Adds the share clipped later by bounds fitted earlier.

    Returns
    -------
    Table
    """
    clipped = {item.name: item for item in clipping}
    rows = tuple(
        (
            item.name,
            number(item.missing_share, "%"),
            *(
                significant(0.0 if abs(value) < _NOISE * item.sd else value)
                for value in (item.mean, item.sd, *(item.quantiles[i] for i in (0, 2, 4)))
            ),
            number(item.mode_share, "%"),
            *([_clip(clipped[item.name])] if item.name in clipped else []),
        )
        for item in items
    )
    columns = heads(
        "feature", ">missing", ">mean", ">sd", ">0.5 %", ">median", ">99.5 %", ">mode",
        *([">clipped later"] if clipped else []),
    )  # fmt: skip
    note = (
        "clipped later: beyond the 0.5 % and 99.5 % bounds of the first part of the window, of the "
        "rows after it; 1 % is expected, 3 % is the alarm"
    )
    caption = "Features over the training window, each in its own unit"
    if items:
        caption += f"; {count(max(item.n_obs for item in items))} rows"
    return Table(caption, columns, rows, note=note if clipped else "")


def stationarity(items: Sequence[Stationarity]) -> Table:
    """ADF and KPSS read together, one row a feature, with three tests as context."""
    rows = tuple(
        (
            item.name,
            item.verdict + (", level break" if item.has_break else ""),
            _p(item.adf_p_holm),
            _p(item.kpss_p),
            _p(item.pp_p),
            "–" if math.isnan(item.variance_ratio) else number(item.variance_ratio, decimals=2),
            _p(item.break_p),
            count(item.n_obs),
        )
        for item in items
    )
    steady = sum(item.verdict == "stationary" for item in items)
    columns = heads(
        "feature", "reading", ">ADF p (Holm)", ">KPSS p", ">PP p", ">variance ratio", ">ZA p",
        ">rows",
    )  # fmt: skip
    caption = (
        f"{steady} of {len(items)} features are stationary by both tests, at 5 % over the last "
        "week; ADF rejects a unit root, KPSS rejects stationarity"
    )
    note = (
        "Holm over the ADF p values of all features that can be tested; KPSS is not adjusted. "
        "Context only: Phillips-Perron (PP) rejects a unit root; the variance ratio of an hour is "
        "1 for a random walk and near 0 for a series that returns; Zivot-Andrews (ZA) rejects a "
        "unit root in favour of one level break, over the whole window."
    )
    return Table(caption, columns, rows, note=note)


def eligibility(items: Sequence[Eligibility], *, held_out_days: float) -> Table:
    """Which features PSI can gate, from which window on, and why the others cannot be.

    Parameters
    ----------
    items : sequence of Eligibility
        One a feature.
    held_out_days : float
        Length of the window that will be judged, days.

    Returns
    -------
    Table
    """
    rows = []
    for item in items:
        fits = item.window_days is not None and item.window_days <= held_out_days
        at_hand = [null for null in item.nulls if null.days <= held_out_days]
        rows.append(
            (
                item.name,
                _mark(ok=fits, said="eligible" if fits else "not eligible"),
                _window(item),
                number(at_hand[-1].limit95, "nats") if at_hand else "–",
                number(at_hand[-1].n_eff, "rows") if at_hand else "–",
                _REASONS[item.reason] if fits or item.reason != "quiet" else _LATE,
            )
        )
    columns = heads("feature", "for PSI", ">window", ">PSI by chance", ">as noisy as", "why")
    limit = f"{items[0].limit:g}" if items else "–"
    caption = (
        f"PSI against a limit of {limit} in {number(held_out_days, 'd')} held out; chance is the "
        "95 % quantile of the reference against itself, in the longest window tried that "
        "fits; it is as noisy as so many independent rows"
    )
    return Table(caption, columns, tuple(rows))


def information(items: Sequence[Information]) -> Table:
    """Rank IC by feature and horizon with stars, Pearson's IC in brackets.

    Parameters
    ----------
    items : sequence of Information
        One a feature and horizon, adjusted together.

    Returns
    -------
    Table
    """
    horizons = sorted({item.horizon_s for item in items})
    found = {(item.name, item.horizon_s): item for item in items}
    names = sorted({item.name for item in items}, key=lambda name: (-_most(items, name), name))
    rows = tuple(
        (name, *(_coefficients(found.get((name, horizon))) for horizon in horizons))
        for name in names
    )
    columns = heads("feature", *(f">{duration(horizon)} ahead" for horizon in horizons))
    note = (
        f"Stars: adjusted p below 0.05, 0.01 and 0.001, Holm over the {len(items)} looks of this "
        "table; p from the block-bootstrap standard error."
    )
    return Table("Rank IC with the target, Pearson's IC in brackets", columns, rows, note=note)


def _most(items: Sequence[Information], name: str) -> float:
    sizes = [abs(item.rank_ic) for item in items if item.name == name]
    return max((size for size in sizes if math.isfinite(size)), default=0.0)


def _coefficients(item: Information | None) -> str:
    if item is None or math.isnan(item.rank_ic):
        return "–"
    plain = f"({number(item.ic, decimals=3)})"
    return f"{number(item.rank_ic, decimals=3)}{item.stars} {plain}"


def steadiness(items: Sequence[Daily], fading: Sequence[Decay]) -> Table:
    """Rank IC day by day: its mean, its steadiness, and how long a value lasts."""
    lasts = {item.name: item.half_life_s for item in fading}
    ordered = sorted(items, key=lambda item: (-abs(item.mean), item.name))
    rows = tuple(
        (
            item.name,
            number(item.mean),
            number(item.sd),
            number(item.icir, decimals=2),
            interval(item.low, item.high, decimals=2),
            count_of(round(item.same_sign_share * item.n_days), item.n_days),
            _half_life(lasts.get(item.name, math.nan)),
        )
        for item in ordered
    )
    columns = heads(
        "feature", ">mean", ">sd", ">ICIR", ">95 % interval", ">days of one sign", ">half-life"
    )
    caption = (
        "What each UTC day gives to the rank IC at the label's horizon; ICIR is mean over sd of "
        "the days, not annualised"
    )
    return Table(caption, columns, rows)


def costs(items: Sequence[Costed], *, horizon_s: int, is_traded: bool) -> Table:
    """What holding each feature for a horizon costs, and what is left of its IC.

    Parameters
    ----------
    items : sequence of Costed
        Those at other horizons, and those without a value, are left out.
    horizon_s : int
        How long a position is held.
    is_traded : bool
        Whether the label has a sign to be held; if not, nothing is left because nothing is traded.

    Returns
    -------
    Table
    """
    at = [item for item in items if item.horizon_s == horizon_s and math.isfinite(item.hurdle)]
    at.sort(key=lambda item: (-item.net if is_traded else item.hurdle, item.name))
    rows = tuple(
        (
            item.name,
            number(item.turnover, decimals=3),
            number(item.cost_bp, "bp"),
            number(item.hurdle, decimals=4),
            *(
                (
                    number(item.ic, decimals=4),
                    number(item.net, decimals=4),
                    number(item.break_even_bp, "bp", decimals=3),
                )
                if is_traded
                else ()
            ),
        )
        for item in at
    )
    more = (">IC", ">IC after costs", ">break-even cost") if is_traded else ()
    columns = heads("feature", ">turnover, sd a bar", ">one-way cost", ">hurdle, IC", *more)
    caption = f"Each feature held as a position for {duration(horizon_s)}"
    note = "" if is_traded else (
        "IC after costs is not defined for a volatility label: a forecast of size has no sign to "
        "hold. The hurdle is what a forecast of the sign with this turnover would have to exceed."
    )  # fmt: skip
    return Table(caption, columns, rows, note=note)


def regimes(items: Sequence[RegimeStudy]) -> Table:
    """Rows, base rate and the best-informed features of each regime."""
    rows = tuple(
        (
            item.name,
            count(item.n_rows),
            number(item.share, "%"),
            number(item.base_rate, "%"),
            interval(item.base_low, item.base_high, "%"),
            _best(item),
        )
        for item in items
    )
    columns = heads("regime", ">rows", ">share", ">label 1", ">95 % interval", "highest rank IC")
    caption = (
        "Regimes on the later part of the training window: volatile beyond the 80 % quantile of "
        "four-hour volatility before it, else trending beyond the 70 % quantile of efficiency"
    )
    return Table(caption, columns, rows)


def _best(item: RegimeStudy) -> str:
    known = [found for found in item.information if math.isfinite(found.rank_ic)]
    known.sort(key=lambda found: (-abs(found.rank_ic), found.name))
    said = (f"{found.name} {number(found.rank_ic, decimals=2)}" for found in known[:_SHOWN])
    return ", ".join(said) or "–"


def _clip(item: Clipping) -> Cell:
    said = number(item.rate, "%")
    if item.is_alarming:
        return Html(f'<span class="fail">✗&nbsp;{said}</span>', f"✗ {said}".replace("\u00a0", " "))
    return said


def _mark(*, ok: bool, said: str) -> Html:
    sign, tone = ("✓", "pass") if ok else ("✗", "unproven")
    return Html(f'<span class="{tone}">{sign}&nbsp;{said}</span>', f"{sign} {said}")


def _window(item: Eligibility) -> str:
    if item.window_days is not None:
        return f"{item.window_days} d"
    return f"≥ {item.needed_days:.0f} d" if math.isfinite(item.needed_days) else "none"


def _half_life(seconds: float) -> str:
    if math.isinf(seconds):
        return "not reached"
    if seconds < INTERVAL_S:
        return f"< {duration(INTERVAL_S)}"
    return duration(seconds) if math.isfinite(seconds) else "–"


def _p(value: float) -> str:
    return "–" if math.isnan(value) else number(value, "p")
