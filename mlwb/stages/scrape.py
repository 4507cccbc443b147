"""A look at the counters of running servers, kept for the report of the day."""

from __future__ import annotations

from collections.abc import Sequence

from mlwb.client import PredictClient
from mlwb.core import fsops
from mlwb.core.clock import Clock
from mlwb.core.errors import ServeError
from mlwb.core.home import Home
from mlwb.monitor import Snapshot, parse_counters, parse_gauges
from mlwb.stages._served_readings import snapshots_path

__all__ = ["scrape"]

_TIMEOUT_S = 5.0


def scrape(home: Home, urls: Sequence[str], clock: Clock) -> dict[str, int]:
    """Ask every server once and append a line each.

    Parameters
    ----------
    home : Home
        Keeps them below ``artifacts/metrics``, a file for each UTC day.
    urls : sequence of str
        Of servers; with several workers behind one address, any of them shows the sum.
    clock : Clock
        Stamps the lines.

    Returns
    -------
    dict of str to int
        Series noted, by server.

    Raises
    ------
    ServeError
        A server did not answer; the others are noted all the same.
    """
    noted: dict[str, int] = {}
    failed: ServeError | None = None
    for url in urls:
        target = url.rstrip("/")
        try:
            with PredictClient(target, timeout_s=_TIMEOUT_S) as client:
                page = client.metrics()
        except ServeError as error:
            failed = error
            continue
        now, values = clock.now(), parse_counters(page)
        path = snapshots_path(home, now)
        fsops.make_dirs(path.parent)
        with path.open("ab") as handle:
            handle.write(Snapshot(now, target, values, parse_gauges(page)).encode())
        noted[target] = len(values)
    if failed is not None:
        raise failed
    return noted
