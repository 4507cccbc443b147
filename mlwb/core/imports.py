"""Importing ``jsonschema`` without a grammar nobody here asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_iri_grammar"]

_GRAMMAR = "rfc3987_syntax"


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
