"""Who may do what: every request passes here before anything of it is worked on."""

from __future__ import annotations

from mlwb.serve._endpoints import Caller, Permission
from mlwb.serve._http import Head

__all__ = ["Guard"]

_EVERYTHING = frozenset(Permission)


class Guard:
    """Admits requests or refuses them.

    Without keys everybody may do everything: the server then listens for its own machine only.
    """

    __slots__ = ("_anonymous",)

    def __init__(self) -> None:
        self._anonymous = Caller("anonymous", _EVERYTHING)

    def admit(self, head: Head, permission: Permission) -> Caller:  # noqa: ARG002
        """Who calls.

        Parameters
        ----------
        head : Head
            What the headers said.
        permission : Permission
            Of the route.

        Returns
        -------
        Caller
        """
        return self._anonymous
