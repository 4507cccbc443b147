"""A group that lists its commands without importing them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["LazyGroup"]


class LazyGroup(TyperGroup):
    """Commands that are imported when they are asked for.

    A subclass says in ``lines`` what the help page says of each: the first sentence of the
    command's own help, word for word. The command ``name`` is what ``add`` of the module
    ``mlwb.cli._name`` puts into an application. Listing commands, also for a misspelt one,
    imports none.
    """

    lines: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **given: Any) -> None:
        listed = {name: TyperCommand(name, help=line) for name, line in self.lines.items()}
        super().__init__(**{**given, "commands": listed})

    def load(self, name: str) -> Any:
        """The command itself, or the group.

        Parameters
        ----------
        name : str
            One of ``lines``.

        Returns
        -------
        typer.core.TyperCommand or typer.core.TyperGroup
        """
        part = typer.Typer(rich_markup_mode=self.rich_markup_mode, pretty_exceptions_enable=False)
        import_module(f"mlwb.cli._{name}").add(part)
        return typer.main.get_group(part).commands[name]

    # Contexts are of a class that typer keeps to itself, whichever Click it is built on.
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was asked for, imported."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else self.load(name), rest
