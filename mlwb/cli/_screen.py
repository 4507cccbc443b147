"""Where commands write: standard output for what was asked, standard error for all else."""

from __future__ import annotations

from rich.console import Console

__all__ = ["console", "errors"]

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
