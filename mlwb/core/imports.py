"""Two kinds of import: ``jsonschema`` without a grammar nobody asks for, and files of users."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import NoReturn, cast

from mlwb.core.canonical import digest_file

__all__ = ["import_source", "without_iri_grammar"]

_GRAMMAR = "rfc3987_syntax"


class _SourceOnly(SourceFileLoader):
    """Never bytecode: it is matched by second and size, and an edit can keep both."""

    def path_stats(self, path: str) -> NoReturn:
        raise OSError(path)


@contextmanager
def without_iri_grammar() -> Iterator[None]:
    """Import ``jsonschema``, or anything that imports it, ten times faster inside this block.

    Where JupyterLab is installed, ``jsonschema`` also imports ``rfc3987_syntax``, which compiles
    a grammar for the formats ``iri`` and ``iri-reference``: 0.8 s in every process. That import
    is optional, and no schema here uses those formats.

    Notes
    -----
    Outside the block the module can be imported as ever. An import that is already done is left
    alone.

    Examples
    --------
    >>> with without_iri_grammar():
    ...     import jsonschema
    """
    if _GRAMMAR in sys.modules:
        yield
        return
    sys.modules[_GRAMMAR] = None  # type: ignore[assignment]  # Python's own way to bar a module
    try:
        yield
    finally:
        del sys.modules[_GRAMMAR]


def import_source(name: str) -> ModuleType:
    """Import what somebody else wrote: a module by its name, or a ``.py`` file by its path.

    Each content of a file is a module of its own, read once: an edited file is read again.

    Parameters
    ----------
    name : str
        ``package.module`` or ``path/to/file.py``.

    Returns
    -------
    ModuleType

    Raises
    ------
    Exception
        Whatever the import raises; ``OSError`` for a file that cannot be read.
    """
    if not name.endswith(".py"):
        return import_module(name)
    path = Path(name).expanduser().absolute()
    content = digest_file(path).removeprefix("sha256:")
    alias = f"mlwb_user_{path.stem}_{content[:16]}"
    if alias in sys.modules:
        return sys.modules[alias]
    loader = _SourceOnly(alias, str(path))
    module = importlib.util.module_from_spec(
        cast("ModuleSpec", importlib.util.spec_from_loader(alias, loader))
    )
    sys.modules[alias] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[alias]
        raise
    return module
