"""The numbers on a page of a predict server's metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["Series", "read_series"]

_LINE = re.compile(r"(ml_[a-z_]+)(?:\{([^}]*)\})? (\S+)")
_LABEL = re.compile(r'([a-z_]+)="([^"]*)"')


class Series(NamedTuple):
    """One number.

    Parameters
    ----------
    text : str
        Name and labels as they stand on the page.
    name : str
        Of the sample, such as ``ml_predict_latency_ms_bucket``.
    labels : mapping of str to str
        Empty without.
    value : float
        NaN and infinities as the page says them.
    """

    text: str
    name: str
    labels: Mapping[str, str]
    value: float


def read_series(text: str) -> Iterator[Series]:
    r"""Every number of the server's own; comments and what is no number are passed over.

    Examples
    --------
    >>> [(s.name, s.labels, s.value) for s in read_series('ml_x{a="b"} 1\nml_y two\nup 1\n')]
    [('ml_x', {'a': 'b'}, 1.0)]
    """
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        labels = dict(_LABEL.findall(match[2] or ""))
        yield Series(line[: match.start(3) - 1], match[1], labels, value)
