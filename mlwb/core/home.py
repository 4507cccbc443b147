"""Where things live: one root, the user's card below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mlwb.core.errors import ParamsError

__all__ = ["SERVED_FILES", "Home", "find_home", "find_project", "served_path"]

SERVED_FILES: Mapping[str, str] = MappingProxyType(
    {
        "prediction_log": "predictions.jsonl",
        "shadow_log": "shadow/predictions.jsonl",
        "feature_log": "features.jsonl",
        "drift_dir": "drift",
    }
)
"""What a server writes and reports read: its setting to the place below ``artifacts/``."""


@dataclass(frozen=True)
class Home:
    """The directories of one workbench.

    Parameters
    ----------
    project : Path
        Holds ``notebooks/`` and ``params/`` (the checkout).
    root : Path
        Holds ``outputs/``, ``artifacts/``, ``evidence/``; the project unless ``MLWB_HOME``
        says otherwise.
    """

    project: Path
    root: Path

    @property
    def notebooks(self) -> Path:
        """Source notebooks."""
        return self.project / "notebooks"

    @property
    def params(self) -> Path:
        """Parameter files and policies."""
        return self.project / "params"

    def policy(self, name: str) -> Path:
        """A policy by file name below ``params/``, or by path."""
        path = Path(name).expanduser()
        return path.resolve() if path.is_file() else self.params / name

    @property
    def outputs(self) -> Path:
        """Rendered reports, one directory a run."""
        return self.root / "outputs"

    @property
    def artifacts(self) -> Path:
        """Models, prediction logs, promotions.log."""
        return self.root / "artifacts"

    @property
    def models(self) -> Path:
        """Model versions and `latest`."""
        return self.artifacts / "models"

    @property
    def evidence(self) -> Path:
        """Evidence records and their ledger."""
        return self.root / "evidence" / "ml"


def find_project() -> Path:
    """The checkout this package is imported from, whatever the working directory.

    Raises
    ------
    ParamsError
        The package was installed as a wheel and there is no checkout around it or above the
        working directory.
    """
    package = Path(__file__).resolve().parents[2]
    for place in (package, *(parent for parent in (Path.cwd(), *Path.cwd().parents))):
        if (place / "notebooks").is_dir() and (place / "params").is_dir():
            return place
    raise ParamsError(
        "no workbench here",
        expected="a checkout with notebooks/ and params/",
        got=str(Path.cwd()),
        todo="clone the repository, or run inside it",
    )


def find_home(environ: Mapping[str, str]) -> Home:
    """Resolve the directories from the environment the caller hands in.

    Parameters
    ----------
    environ : mapping
        ``os.environ`` of the entry point; only ``MLWB_HOME`` is read.
    """
    project = find_project()
    named = environ.get("MLWB_HOME", "")
    root = Path(named).expanduser().resolve() if named else project
    return Home(project=project, root=root)


def served_path(setting: str, home: Home, environ: Mapping[str, str]) -> Path:
    """Where the server of a home writes what a report reads.

    Parameters
    ----------
    setting : str
        A key of :data:`SERVED_FILES`.
    home : Home
        Whose server.
    environ : mapping
        ``os.environ`` of the entry point. The variable that moves a file of the server
        (``MLWB_PREDICTION_LOG``) moves it for the reports of the home that this environment names,
        and of no other.

    Returns
    -------
    Path
        Where the server is told ``off``, the place at which nothing is written.

    Examples
    --------
    >>> home = Home(Path("/p"), Path("/p"))
    >>> served_path("shadow_log", home, {}).as_posix()
    '/p/artifacts/shadow/predictions.jsonl'
    """
    usual = home.artifacts / SERVED_FILES[setting]
    told = environ.get(f"MLWB_{setting.upper()}", "")
    if told in ("", "off") or find_home(environ).root != home.root:
        return usual
    return Path(told).expanduser()
