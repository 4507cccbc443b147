"""Which extra a package belongs to, for a command that a serving installation cannot run."""

from __future__ import annotations

from mlwb.core.errors import ParamsError

__all__ = ["RESEARCH", "missing_extra"]

RESEARCH = frozenset(
    {
        "PIL",
        "arch",
        "bs4",
        "httpx",
        "jupyter_client",
        "jupyter_core",
        "matplotlib",
        "nbclient",
        "nbconvert",
        "nbformat",
        "numba",
        "onnx",
        "pandas",
        "papermill",
        "pyarrow",
        "scipy",
        "skl2onnx",
        "sklearn",
        "traitlets",
    }
)
"""What mlwb imports of the extra `research`, by the name it is imported under."""


def missing_extra(error: ModuleNotFoundError) -> ParamsError | None:
    """What to tell who called a command of the research half where only the serving half is.

    Parameters
    ----------
    error : ModuleNotFoundError
        As the import raised it.

    Returns
    -------
    ParamsError or None
        None when no extra brings that module: then the error is a fault of the program.
    """
    name = (error.name or "").partition(".")[0]
    if name not in RESEARCH:
        return None
    return ParamsError(
        f"this command needs {name}, and what serves is installed without it",
        todo="pip install 'mlwb[research]', in a checkout: ops/install FOLDER research",
    )
