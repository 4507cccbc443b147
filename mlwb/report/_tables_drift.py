"""Tables about drift."""

from __future__ import annotations

from collections.abc import Sequence

from mlwb.report._drift_words import plainly, read_as
from mlwb.report._numbers import NOT_MEASURED, count, interval, number
from mlwb.report._shapes import Distance, Judged, Measured
from mlwb.report._table import Table, heads

__all__ = ["distances", "psi"]

_DISTANCES = {
    "ks": "Kolmogorov-Smirnov",
    "wasserstein_bins": "bins moved",
    "jensen_shannon": "Jensen-Shannon",
    "hellinger": "Hellinger",
    "chi_square": "chi-square",
}


def psi(rows: Sequence[Judged], overall: Judged | None = None) -> Table:
    """PSI of every feature with its bounds, its null and what two rules say; the mean last.

    Parameters
    ----------
    rows : sequence of Judged
        One a feature; largest PSI first.
    overall : Judged, optional
        Their mean.

    Returns
    -------
    Table
    """
    lines = [_drift(item) for item in sorted(rows, key=lambda item: -item.value)]
    columns = heads(
        "feature", ">PSI", "reading", "plain rule", ">95 % bounds", ">own windows, 95 %", ">p",
        ">p, window before", ">worth, rows",
    )  # fmt: skip
    note = (
        "Bounds are of the population PSI; own windows are stretches of the training data as long "
        "as this one, in which nothing changed. p is against those, the next one against the "
        "window just before, both adjusted over features (Benjamini-Hochberg). Worth: rows with "
        "as much chance in them, were they independent. The plain rule holds the PSI alone "
        "against the same limit."
    )
    title = "Population stability index against frozen bins, nats"
    last = () if overall is None else (_drift(overall),)
    return Table(title, columns, (*lines, *last), note)


def distances(rows: Sequence[Measured]) -> Table:
    """Other statistics of the same counts, each with its p against the reference's own windows.

    Parameters
    ----------
    rows : sequence of Measured
        One a feature, and the score.

    Returns
    -------
    Table
    """
    names = [other.name for other in rows[0].others] if rows else []
    columns = heads("feature", *(f">{_DISTANCES.get(name, name)}" for name in names))
    lines = tuple((row.name, *map(_distance, row.others)) for row in rows)
    note = (
        "In brackets the p against windows of the training data, one feature and one statistic at "
        "a time. Kolmogorov-Smirnov: largest difference of the distribution functions. Bins moved: "
        "by how many bins a row must move on average. Jensen-Shannon and Hellinger: 0 is the same, "
        "1 has nothing in common."
    )
    return Table("Distances between training and the held-out days", columns, lines, note)


def _distance(other: Distance) -> str:
    said = number(other.value)
    return said if other.p_value is None else f"{said} ({number(other.p_value, 'p')})"


def _drift(item: Judged) -> tuple[str, ...]:
    known = item.lower is not None and item.upper is not None
    return (
        item.name,
        number(item.value, "nats"),
        read_as(item),
        plainly(item),
        interval(item.lower or 0.0, item.upper or 0.0, "nats") if known else NOT_MEASURED,
        "" if item.null95 is None else number(item.null95, "nats"),
        "" if item.p_value is None else number(item.p_value, "p"),
        "" if item.p_recent is None else number(item.p_recent, "p"),
        "" if item.n_eff is None else count(round(item.n_eff)),
    )
