"""Everything ever tried, and every look at a gate's window: one chained file nobody edits.

A Sharpe ratio or an AUC that was picked among many must be judged as the best of many, and a
window that was looked at to pick is no test any more. Both need a count that nobody types in:
``trials.jsonl`` beside the records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from mlwb.core.arrays import Float1D
from mlwb.core.chain import Chain, Link, Problem
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import LockHeldError

__all__ = ["Kinship", "LoggedTrial", "TrialLedger", "Tried"]

_PATIENCE_S = 30.0
_TRIAL, _USE = "trial", "window_use"


@dataclass(frozen=True)
class Kinship:
    """What trials must share to be tries at the same thing.

    Parameters
    ----------
    symbol : str
        Market.
    label : str
        Label kind.
    horizon_s : int
        Of the label, seconds.
    """

    symbol: str
    label: str
    horizon_s: int


@dataclass(frozen=True)
class LoggedTrial:
    """One configuration that was tried once.

    Parameters
    ----------
    kinship : Kinship
        At what.
    name : str
        Configuration as tables show it, ``logistic C=0.1``.
    params, features : str
        Digests of everything else that was chosen: label and validation settings, feature set.
        Together with the name they say whether two trials are the same one.
    window : str
        Digest of the rows it was scored on.
    run : str
        Token of the run.
    score : float or None
        Mean AUC over folds; None where there was none (NaN and infinities are stored as None).
    daily_sharpe : float or None, default=None
        Mean over standard deviation of its daily returns (or daily contributions), not
        annualised; None where nothing was traded.
    """

    kinship: Kinship
    name: str
    params: str
    features: str
    window: str
    run: str
    score: float | None
    daily_sharpe: float | None = None

    @property
    def configuration(self) -> tuple[str, str, str]:
        """What makes two trials the same one."""
        return self.name, self.params, self.features


@dataclass(frozen=True)
class Tried:
    """All trials of a kinship.

    Parameters
    ----------
    n_logged : int
        Trials, repeats included.
    newest : tuple of LoggedTrial
        The newest trial of each distinct configuration, in the order they were first tried.
    """

    n_logged: int
    newest: tuple[LoggedTrial, ...]

    @property
    def n_distinct(self) -> int:
        """Configurations tried: the N of a deflated Sharpe ratio."""
        return len(self.newest)

    @property
    def scores(self) -> Float1D:
        """Score of each configuration, NaN where there is none; shape (n_distinct,)."""
        return _column([trial.score for trial in self.newest])


class TrialLedger:
    """The trials of one workbench, ``<home>/evidence/ml/trials.jsonl``.

    Parameters
    ----------
    root : Path
        Evidence directory; created on the first write.

    Examples
    --------
    >>> import tempfile
    >>> from mlwb.core.clock import ManualClock
    >>> ledger = TrialLedger(Path(tempfile.mkdtemp()))
    >>> ledger.note_use("week 7", "logistic", ManualClock())
    0
    >>> ledger.note_use("week 7", "boosting", ManualClock())
    1
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._chain = Chain(root / "trials.jsonl")

    def note(self, trials: Sequence[LoggedTrial], clock: Clock) -> None:
        """Add every trial of a search, the losers too.

        Raises
        ------
        BrokenChainError
            The ledger is damaged; nothing is added behind the damage.
        LockHeldError
            Another writer holds the ledger for too long.
        """
        with self._lock():
            for trial in trials:
                self._chain.append({"what": _TRIAL, "at": format_utc(clock.now()), **asdict(trial)})

    def kinships(self) -> tuple[Kinship, ...]:
        """Everything that trials were tries at, in the order first tried.

        Raises
        ------
        BrokenChainError
            The ledger was edited.
        """
        found = (Kinship(**body["kinship"]) for body in self._bodies(_TRIAL))
        return tuple(dict.fromkeys(found))

    def tried(self, kinship: Kinship) -> Tried:
        """What was ever tried at the same thing.

        Raises
        ------
        BrokenChainError
            The ledger was edited.
        """
        logged = [_trial(body) for body in self._bodies(_TRIAL)]
        akin = [trial for trial in logged if trial.kinship == kinship]
        newest = {trial.configuration: trial for trial in akin}
        return Tried(len(akin), tuple(newest.values()))

    def note_use(self, windows: str | Sequence[str], candidate: str, clock: Clock) -> int:
        """Note that a candidate is about to be measured on what a gate judges by.

        Note first, look then: a run that dies in between has used the window all the same.

        Parameters
        ----------
        windows : str or sequence of str
            Digest of the window (market, first and last time), or of every day of it, which
            shows when windows overlap.
        candidate : str
            Digest of the candidate's configuration, not of its run: the same configuration
            measured again is a reproduction.
        clock : Clock
            Dates the line.

        Returns
        -------
        int
            As :meth:`reuses`.

        Raises
        ------
        BrokenChainError
            The ledger was edited.
        LockHeldError
            Another writer holds the ledger for too long.
        """
        body = {"what": _USE, "at": format_utc(clock.now()), "candidate": candidate}
        with self._lock():
            self._chain.append({**body, "windows": _several(windows)})
            return self.reuses(windows, candidate)

    def reuses(self, windows: str | Sequence[str], candidate: str) -> int:
        """Other candidates that had used a window before this one first did.

        Parameters
        ----------
        windows : str or sequence of str
            As :meth:`note_use` takes them.
        candidate : str
            Digest of the candidate's configuration; it need not have used them yet.

        Returns
        -------
        int
            The most over the windows. Above 0 a window helped to choose, and a gate must not
            believe it.

        Raises
        ------
        BrokenChainError
            The ledger was edited.
        """
        used = self._uses()
        before = [0]
        for window in _several(windows):
            candidates = used.get(window, ())
            earlier = candidates.index(candidate) if candidate in candidates else len(candidates)
            before.append(earlier)
        return max(before)

    def uses(self, window: str) -> tuple[str, ...]:
        """Candidates that were measured on a window, each once, in the order they first were.

        Raises
        ------
        BrokenChainError
            The ledger was edited.
        """
        return self._uses().get(window, ())

    def head(self) -> Link | None:
        """The last line, None before there is one.

        A record that cites its ``sha256`` as ``details.volatile.trials_head`` makes
        :meth:`EvidenceStore.verify` notice a ledger that was cut or replaced.
        """
        return self._chain.head()

    def verify(self, cited: Collection[str] = ()) -> tuple[Problem, ...]:
        """Name every line that was edited, removed, moved or torn.

        Parameters
        ----------
        cited : collection of str
            Digests of lines known from elsewhere that must still be there.
        """
        found = list(self._chain.problems())
        if not found:
            there = {link.sha256 for link in self._chain.links()}
            what = "a record cites a line that is gone: the file was cut or replaced"
            gone = [sha for sha in dict.fromkeys(cited) if sha not in there]
            found += [Problem("truncated", f"{self._chain.path.name} {sha}", what) for sha in gone]
        return tuple(found)

    def _uses(self) -> dict[str, tuple[str, ...]]:
        """Candidates of every window, each once, in the order of first use; the file read once."""
        found: dict[str, dict[str, None]] = {}
        for body in self._bodies(_USE):
            for window in body["windows"]:
                found.setdefault(window, {})[body["candidate"]] = None
        return {window: tuple(candidates) for window, candidates in found.items()}

    def _bodies(self, what: str) -> Iterator[Any]:
        return (link.body for link in self._chain.links() if link.body["what"] == what)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / ".trials.lock", timeout=_PATIENCE_S):
                yield
        except Timeout as error:
            raise LockHeldError(
                "the trial ledger is held by another writer", todo="try again later"
            ) from error


def _trial(body: dict[str, Any]) -> LoggedTrial:
    fields = {name: body[name] for name in LoggedTrial.__dataclass_fields__}
    return LoggedTrial(**{**fields, "kinship": Kinship(**body["kinship"])})


def _several(windows: str | Sequence[str]) -> list[str]:
    return [windows] if isinstance(windows, str) else list(windows)


def _column(values: Sequence[float | None]) -> Float1D:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
