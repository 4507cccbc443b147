"""The symbols this server observes: who they are, how warm, and where they are kept.

Everything is changed on the event loop. Every few seconds another thread writes what changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import msgspec

from mlwb.core.bars import INTERVAL_S, TS
from mlwb.core.clock import Clock
from mlwb.core.errors import DataSchemaError, ServeError
from mlwb.inference import Sidecar
from mlwb.serve._bars import BarQuery
from mlwb.serve._feature_set import FeatureSet, open_features
from mlwb.serve._metrics import Samples
from mlwb.serve._observe_file import ObserveFolder
from mlwb.serve._problems import problem_error
from mlwb.serve._settings import ServeSettings
from mlwb.serve._symbol import Saved, SymbolState, utc_minute

__all__ = ["WHY_NOT_OBSERVING", "ObserveReport", "Observer"]

_LOG = logging.getLogger("mlwb.serve")
WHY_NOT_OBSERVING = {
    "many_workers": "the state of a symbol lives in one process; start the server with one worker",
    "interval": "the model takes bars of another length than a minute",
    "unknown_features": "the model takes features this server does not know; name their modules "
    "in MLWB_FEATURE_MODULES",
    "feature_modules": "a module of MLWB_FEATURE_MODULES cannot be taken; see the server's log",
    "feature_source": "the server has no source of its features to tell them by",
    "feature_digest": "the model was trained with another version of its features' code",
}
"""Why a model's features cannot be computed here, by the word that stands for it."""


class SymbolReport(msgspec.Struct):
    """One symbol: its last bar, and the minutes until all its features have their look-back."""

    symbol: str
    last_ts: str | None
    bars: int
    warm: bool
    minutes_missing: int
    saved_age_s: float | None


class ObserveReport(msgspec.Struct):
    """Whether bars are taken in, where their state is kept, and the symbols."""

    ready: bool
    reason: str
    saving: str
    lost: int
    max_symbols: int
    symbols: list[SymbolReport]


class Observer:
    """State of every symbol.

    Parameters
    ----------
    settings : ServeSettings
        Where state is kept, how many symbols, which bars.
    clock : Clock
        Whose now it is.
    """

    def __init__(self, settings: ServeSettings, clock: Clock) -> None:
        self.bars = self.lost = 0
        self._settings, self._clock = settings, clock
        self._modules = tuple(filter(None, map(str.strip, settings.feature_modules.split(","))))
        self._opened: dict[tuple[str, ...], FeatureSet | str] = {}
        self._last: tuple[Sidecar | None, FeatureSet | str] = None, ""
        self._states: dict[str, SymbolState] = {}
        self._waiting: dict[str, Saved] = {}
        self._seen_s: dict[str, float] = {}
        self._saved_s: dict[str, float] = {}
        self._changed: set[str] = set()
        self._gone: set[str] = set()
        folder = settings.observe_dir if settings.workers == 1 else None
        self._folder = None if folder is None else ObserveFolder(folder)
        self._is_writer = False
        self._restore()

    def open(self, sidecar: Sidecar) -> FeatureSet | str:
        """The features of a model, or the word for why they are not computed; on any thread."""
        if self._settings.workers > 1:
            return "many_workers"
        key = (sidecar.feature_spec_digest, sidecar.spread, *sidecar.names)
        if key not in self._opened:
            self._opened[key] = open_features(sidecar, self._modules)
        return self._opened[key]

    def features(self, sidecar: Sidecar) -> FeatureSet:
        """The features of a model.

        Raises
        ------
        ServeError
            503: this server does not compute them.
        """
        last, found = self._last
        if last is not sidecar:
            found = self.open(sidecar)
            self._last = sidecar, found
        if isinstance(found, str):
            raise problem_error("observe_off", WHY_NOT_OBSERVING[found])
        return found

    def take(self, query: BarQuery, features: FeatureSet) -> tuple[SymbolState, int]:
        """Take in what is new of some bars: all of it, or nothing.

        Parameters
        ----------
        query : BarQuery
            The bars.
        features : FeatureSet
            Of the model that answers.

        Returns
        -------
        SymbolState, int
            The symbol as it is then, and how many bars were new.

        Raises
        ------
        ServeError
            409 or 422: a bar cannot follow those observed, or one symbol would be too many.
        """
        now_s = self._clock.now().timestamp()
        self._check_closed(query, now_s)
        state = self._state(query.symbol, features)
        state, is_new = (state, False) if state else (SymbolState(features), True)
        known = state.check(query.bars)
        if is_new:
            self._make_room(now_s, features.keep_s)
        for bar in query.bars[known:]:
            state.take(bar)
            self.bars += 1
        self._states[query.symbol], self._seen_s[query.symbol] = state, now_s
        if known < len(query.bars):
            self._changed.add(query.symbol)
            self._gone.discard(query.symbol)
        return state, len(query.bars) - known

    async def run(self) -> None:
        """Write what changed, again and again."""
        while self._folder is not None:
            await asyncio.sleep(self._settings.observe_save_s)
            again = await asyncio.to_thread(self._write, self._take_changed())
            self._changed |= again

    def close(self) -> None:
        """Write what changed and leave the files to the next server."""
        if self._folder is not None:
            self._write(self._take_changed())
            self._folder.close()

    @property
    def samples(self) -> Samples:
        """For a scrape; nothing before the first symbol, which keeps the exposition small."""
        n_symbols = len({*self._states, *self._waiting})
        found = {
            "ml_observe_bars_total": self.bars,
            "ml_observe_symbols": n_symbols,
            "ml_observe_write_failures_total": self.lost,
        }
        is_used = n_symbols > 0 or self.lost > 0
        return {name: {name: value} if is_used else {} for name, value in found.items()}

    def report(self, sidecar: Sidecar | None) -> ObserveReport:
        """What ``GET /ml/observe`` shows.

        Parameters
        ----------
        sidecar : Sidecar, optional
            Of the model that answers.
        """
        found = "no_model" if sidecar is None else self.open(sidecar)
        if not isinstance(found, str):
            for symbol in tuple(self._waiting):
                self._state(symbol, found)
        saving = "off" if self._folder is None else "on" if self._is_writer else "in_use"
        return ObserveReport(
            ready=not isinstance(found, str),
            reason=found if isinstance(found, str) else "",
            saving=saving,
            lost=self.lost,
            max_symbols=self._settings.observe_symbols,
            symbols=[self._about(symbol) for symbol in sorted({*self._states, *self._waiting})],
        )

    def _about(self, symbol: str) -> SymbolReport:
        state, saved_s = self._states.get(symbol), self._saved_s.get(symbol)
        # A clock may have been set back since.
        age_s = None if saved_s is None else max(0.0, self._clock.now().timestamp() - saved_s)
        last_ts = (state or self._waiting[symbol]).last_ts
        return SymbolReport(
            symbol,
            utc_minute(last_ts),
            bars=len(state) if state else 0,
            warm=state is not None and state.is_warm,
            minutes_missing=state.minutes_missing if state else 0,
            saved_age_s=age_s,
        )

    def _check_closed(self, query: BarQuery, now_s: float) -> None:
        until = now_s + self._settings.observe_ahead_s
        if query.bars[-1][TS] + INTERVAL_S > until:
            raise problem_error(
                "invalid_input",
                "expected bars that have closed; a bar is known a minute after its ts",
                pointer="#/bar/ts" if len(query.bars) == 1 else f"#/bars/{len(query.bars) - 1}/ts",
            )

    def _state(self, symbol: str, features: FeatureSet) -> SymbolState | None:
        saved = self._waiting.pop(symbol, None)
        if saved is not None:
            try:
                self._states[symbol] = SymbolState.load(saved, features)
            except (DataSchemaError, ServeError, ValueError) as error:
                self._saved_s.pop(symbol, None)
                if self._folder is not None:
                    self._folder.set_aside(symbol, str(error))
        state = self._states.get(symbol)
        if state is not None:
            state.follow(features)
        return state

    def _make_room(self, now_s: float, keep_s: int) -> None:
        """Let the symbol go that was not heard of for longest, if that is as long as bars count."""
        known = {*self._states, *self._waiting}
        if len(known) < self._settings.observe_symbols:
            return
        oldest = min(known, key=lambda symbol: self._seen_s[symbol])
        if now_s - self._seen_s[oldest] <= keep_s:
            detail = f"expected one of the {len(known)} symbols observed, see GET /ml/observe"
            raise problem_error("too_many_symbols", detail, pointer="#/symbol")
        self._states.pop(oldest, None)
        self._waiting.pop(oldest, None)
        self._saved_s.pop(oldest, None)
        self._changed.discard(oldest)
        self._gone.add(oldest)

    def _restore(self) -> None:
        if self._folder is None:
            return
        try:
            self._is_writer = self._folder.take()
            now_s = self._clock.now().timestamp()
            for symbol, saved, saved_s in self._folder.read():
                self._waiting[symbol], self._saved_s[symbol] = saved, saved_s
                self._seen_s[symbol] = min(now_s, saved.last_ts + INTERVAL_S)
        except OSError as error:
            self._refused(error)

    def _take_changed(self) -> Mapping[str, Saved | None]:
        """What to write; None for a symbol that was let go."""
        known = sorted(self._changed & set(self._states))
        changed = {symbol: self._states[symbol].save() for symbol in known}
        gone = dict.fromkeys(self._gone)
        self._changed, self._gone = set(), set()
        return {**changed, **gone}

    def _write(self, changed: Mapping[str, Saved | None]) -> set[str]:
        """Write what can be written; the symbols to try again."""
        assert self._folder is not None  # noqa: S101 - for the type checker; asked by the caller
        again = set()
        for symbol, saved in changed.items():
            try:
                self._is_writer = self._is_writer or self._folder.take()
                if self._is_writer:
                    self._put(self._folder, symbol, saved)
                    continue
            except OSError as error:
                self._refused(error)
            if saved is not None:
                again.add(symbol)
        return again

    def _put(self, folder: ObserveFolder, symbol: str, saved: Saved | None) -> None:
        if saved is None:
            folder.remove(symbol)
        else:
            folder.write(symbol, saved)
            self._saved_s[symbol] = self._clock.now().timestamp()

    def _refused(self, error: OSError) -> None:
        # A full disk must not stop the server; the count tells of it.
        self.lost += 1
        _LOG.warning("the state of observed symbols is not kept: %s", error)
