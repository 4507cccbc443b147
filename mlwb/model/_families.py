"""The shipped families, and finding one by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from mlwb.core.canonical import digest_file
from mlwb.core.errors import ParamsError
from mlwb.core.imports import import_source
from mlwb.model._boosting import Boosting
from mlwb.model._family import Family, Trial
from mlwb.model._logistic import Logistic

__all__ = ["FAMILIES", "family_digest", "find_family", "make_trials"]

FAMILIES: Mapping[str, Family] = {"logistic": Logistic(), "boosting": Boosting()}
"""Families that are named without a module."""


def find_family(name: str) -> Family:
    """A shipped family, or the one that ``package.module:NAME`` or ``file.py:NAME`` points to.

    Nothing is registered: whoever reads the name, the notebook's kernel or a test, finds the same
    object.

    Parameters
    ----------
    name : str
        As in ``search.families`` of the training parameters.

    Returns
    -------
    Family

    Raises
    ------
    ParamsError
        No such name, a module that cannot be imported, or something that is no family.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    source, _, attribute = name.rpartition(":")
    try:
        found = getattr(import_source(source), attribute)
    except (Exception, SystemExit) as error:  # whatever somebody else's module raises when read
        raise _unknown(name, f", {type(error).__name__}: {error}") from error
    if not isinstance(found, Family):
        raise _unknown(name)
    return found


def family_digest(name: str) -> str:
    """Digest of the file that a family is written in: a family that is edited is another one.

    Parameters
    ----------
    name : str
        As :func:`find_family` takes it.

    Returns
    -------
    str
        ``sha256:...``; empty for a shipped family, and for one without a file.

    Raises
    ------
    ParamsError
        As :func:`find_family`.
    """
    if find_family(name) in FAMILIES.values():
        return ""
    file = getattr(import_source(name.rpartition(":")[0]), "__file__", None)
    return digest_file(Path(file)) if file else ""


def _unknown(name: str, why: str = "") -> ParamsError:
    known = f"{', '.join(FAMILIES)} or package.module:NAME or file.py:NAME of a Family"
    return ParamsError("no such model family", expected=known, got=f"{name!r}{why}")


def make_trials(families: Sequence[str], *, c: Sequence[float], seed: int) -> list[Trial]:
    """Every configuration of the families, in order.

    Parameters
    ----------
    families : sequence of str
        Names as :func:`find_family` takes them; the first is the incumbent.
    c : sequence of float
        Inverse L2 strengths of the logistic family.
    seed : int
        Of every fit.

    Returns
    -------
    list of Trial

    Examples
    --------
    >>> [trial.name for trial in make_trials(["logistic", "boosting"], c=[0.1, 1.0], seed=0)]
    ['logistic C=0.1', 'logistic C=1', 'boosting']
    """
    found = []
    for name in families:
        grid = find_family(name).grid
        strengths = c if name == "logistic" else (1.0,)
        for strength, *values in product(strengths, *grid.values()):
            found.append(Trial(name, strength, seed, tuple(zip(grid, values, strict=True))))
    return found
