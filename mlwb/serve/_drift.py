"""Live drift: every scored row counted into the bins its version was frozen with.

The event loop counts; once a minute another thread writes what changed. A worker writes a file of
its own and reads what the others wrote, so that each of them shows the whole traffic.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from mlwb.core.arrays import Int1D
from mlwb.core.clock import Clock
from mlwb.core.errors import MlwbError
from mlwb.drift import FULL_SHARE, SCORE, HourLog, HourTable
from mlwb.inference import load_reference
from mlwb.serve._count_file import CountFile
from mlwb.serve._metrics import NO_DRIFT, DriftGauges
from mlwb.serve._models import Live
from mlwb.serve._version_drift import VersionDrift

__all__ = ["DriftOff", "DriftOn", "DriftWatch"]

_LOG = logging.getLogger("mlwb.serve")
_DAY_HOURS, _WEEK_HOURS = 24, 168
_KEPT_VERSIONS = 2
_WRITE_S = 60.0
_FRESH_S = 1.0


class FeatureDrift(msgspec.Struct):
    """One feature, or the score: PSI in nats, and rows without a finite value.

    ``chance95`` is what PSI stays below in 19 of 20 windows of the reference itself, null where it
    is too short to say.
    """

    name: str
    psi_24h: float | None
    psi_7d: float | None
    noise_floor_24h: float | None
    chance95_24h: float | None
    chance95_7d: float | None
    missing_24h: int
    infinite_24h: int


class DriftOff(msgspec.Struct, tag_field="status", tag="off"):
    """Nothing is counted, and a stable word says why."""

    reason: str
    lost: int


class DriftOn(msgspec.Struct, tag_field="status", tag="on", kw_only=True):
    """Drift of the version that answers; PSI is null without rows, the e-value before a check."""

    reason: str
    lost: int
    model_version: str
    reference: str
    damaged_lines: int
    rows_24h: int
    rows_7d: int
    hours_24h: int
    hours_7d: int
    covered_share_24h: float
    is_enough: bool
    e_value: float | None
    checked_day: str | None
    features: list[FeatureDrift]


class DriftWatch:
    """Live drift of whatever version answers.

    Parameters
    ----------
    models_dir : Path
        Holds the versions.
    folder : Path, optional
        Where counts are kept; None keeps them in memory only.
    clock : Clock
        Says which hour it is.
    """

    def __init__(self, models_dir: Path, folder: Path | None, clock: Clock) -> None:
        self.lost = 0
        self.problem = "no_model"
        self.current: VersionDrift | None = None
        self._models_dir, self._folder, self._clock = models_dir, folder, clock
        self._known: list[VersionDrift] = []
        self._shown: tuple[float, DriftGauges] | None = None

    def open(self, live: Live) -> VersionDrift | str:
        """Counts for a version, those from before a restart included; on any thread.

        Returns
        -------
        VersionDrift or str
            The word says why there is none; the version is served without.
        """
        try:
            found = load_reference(self._models_dir / live.version)
        except MlwbError as error:
            _LOG.info("no live drift of %s: %s", live.version, error)
            return error.code
        names = (*live.predictor.sidecar.names, SCORE)
        if set(found.features) != set(names):
            return "reference_mismatch"
        for known in self._known:
            if (known.version, known.digest) == (live.version, found.digest):
                return known
        references = [found.features[name] for name in names]
        opened = VersionDrift(live.version, found.digest, references, self._folder)
        opened.attach(self._acquire(opened), self._now_s())
        self._write(opened, {})
        return opened

    def follow(self, opened: VersionDrift | str) -> None:
        """Count for another version from now on; on the event loop."""
        self._shown = None
        if isinstance(opened, str):
            self.current, self.problem = None, opened
            return
        self.current, self.problem = opened, ""
        self._known = [*(item for item in self._known if item is not opened), opened]

    def count(
        self, version: str, rows: Sequence[tuple[float, ...]], scores: list[float], ts: float
    ) -> None:
        """Count the rows of one request, scored at ``ts`` (Unix seconds); on the event loop."""
        drift = self.current
        if drift is None or drift.version != version:
            # A request that began before another version took over.
            drift = next((item for item in self._known if item.version == version), None)
        if drift is not None:
            drift.add(rows, scores, ts)

    async def run(self) -> None:
        """Write again and again; versions long gone are let go."""
        while True:
            await asyncio.sleep(_WRITE_S)
            for drift in tuple(self._known):
                if drift.has_no_file:
                    drift.attach(await asyncio.to_thread(self._acquire, drift), self._now_s())
                await asyncio.to_thread(self._write, drift, drift.counts.take_changed())
            gone, self._known = self._known[:-_KEPT_VERSIONS], self._known[-_KEPT_VERSIONS:]
            for drift in gone:
                await asyncio.to_thread(self._write, drift, drift.counts.take_changed())
                drift.close()

    def write(self) -> None:
        """Write what changed, now."""
        for drift in self._known:
            self._write(drift, drift.counts.take_changed())

    def close(self) -> None:
        """Write what changed and leave the files to others."""
        self.write()
        for drift in self._known:
            drift.close()

    @property
    def gauges(self) -> DriftGauges:
        """PSI of the last 24 clock hours, at most a second old."""
        now = self._clock.monotonic_s()
        if self._shown is None or now - self._shown[0] >= _FRESH_S:
            self._shown = now, self._gauges()
        return self._shown[1]._replace(lost=self.lost)

    async def prepare(self) -> None:
        """Have at hand what a report takes long to find out, once for each version."""
        if self.current is not None:
            await asyncio.to_thread(getattr, self.current, "limits")

    def report(self) -> DriftOn | DriftOff:
        """What ``/ml/monitoring/drift`` shows."""
        drift = self.current
        if drift is None:
            return DriftOff(self.problem, self.lost)
        now_s = self._clock.now().timestamp()
        (day, day_hours), (week, week_hours) = (
            drift.window(now_s, hours) for hours in (_DAY_HOURS, _WEEK_HOURS)
        )
        note = drift.note
        return DriftOn(
            reason=self.problem,
            lost=self.lost,
            model_version=drift.version,
            reference=drift.digest,
            damaged_lines=drift.damaged,
            rows_24h=int(day[0].sum()) if day else 0,
            rows_7d=int(week[0].sum()) if week else 0,
            hours_24h=len(day_hours),
            hours_7d=len(week_hours),
            covered_share_24h=drift.covered(day_hours),
            is_enough=drift.covered(day_hours) >= FULL_SHARE,
            e_value=note.e_value if note else None,
            checked_day=note.day if note else None,
            features=_features(drift, day, week),
        )

    def _gauges(self) -> DriftGauges:
        drift = self.current
        if drift is None:
            return NO_DRIFT
        counts, seen = drift.window(self._clock.now().timestamp(), _DAY_HOURS)
        values = {item.name: float("nan") for item in drift.references}
        if drift.covered(seen) >= FULL_SHARE:
            values = {name: found.value for name, found in drift.psi(counts).items()}
        e_value = drift.note.e_value if drift.note else float("nan")
        return DriftGauges(values, int(counts[0].sum()) if counts else 0, e_value, self.lost)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    def _acquire(self, drift: VersionDrift) -> tuple[CountFile, HourLog] | None:
        try:
            return drift.acquire()
        except OSError as error:
            self._refused(error)
            return None

    def _write(self, drift: VersionDrift, changed: Mapping[int, HourTable]) -> None:
        try:
            drift.write(changed)
        except OSError as error:
            self._refused(error)
        else:
            if drift.has_no_file:
                self.lost += 1

    def _refused(self, error: OSError) -> None:
        # A full disk must not stop the server; the count tells of it.
        self.lost += 1
        _LOG.warning("counts of live rows are not written: %s", error)


def _features(
    drift: VersionDrift, day: Sequence[Int1D], week: Sequence[Int1D]
) -> list[FeatureDrift]:
    by_day, by_week = drift.psi(day), drift.psi(week)
    return [
        FeatureDrift(
            name=item.name,
            psi_24h=by_day[item.name].value if by_day else None,
            psi_7d=by_week[item.name].value if by_week else None,
            noise_floor_24h=by_day[item.name].noise_floor if by_day else None,
            chance95_24h=drift.limits[item.name][0],
            chance95_7d=drift.limits[item.name][1],
            missing_24h=int(day[place][item.bins.n_bins]) if day else 0,
            infinite_24h=int(day[place][item.bins.n_bins + 1 :].sum()) if day else 0,
        )
        for place, item in enumerate(drift.references)
    ]
