"""What a route is: how it is called, who may call it, what goes in and what comes out.

Every group of routes describes its own as values of :class:`Endpoint`; from them come routing,
permission checks and the published interface. A route without a permission cannot be written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from mlwb.serve._models import Live

__all__ = [
    "Call",
    "Caller",
    "Endpoint",
    "Form",
    "Handler",
    "Parameter",
    "Permission",
    "json_response",
]


class Permission(StrEnum):
    """What a caller must be allowed to do; the words are the roles of a key too."""

    OPEN = "open"
    PREDICT = "predict"
    READ = "read"
    SERVICE = "service"
    OPS = "ops"
    ADMIN = "admin"


class Caller(NamedTuple):
    """Who calls, as far as it was proven.

    Parameters
    ----------
    name : str
        Of the key; for logs and audit. ``"anonymous"`` without one.
    roles : frozenset of Permission
        What it may do.
    """

    name: str
    roles: frozenset[Permission]


class Call(NamedTuple):
    """One admitted request to a handler.

    Parameters
    ----------
    request : Request
        Path parameters, query, headers. Its body was read already where the endpoint takes one.
    caller : Caller
        Who calls.
    request_id : str
        Of the answer and of every log line about it.
    body : object
        The decoded body; None where the endpoint takes none.
    """

    request: Request
    caller: Caller
    request_id: str
    body: Any


class Parameter(NamedTuple):
    """Something a route reads beside its body.

    Parameters
    ----------
    name : str
        As it stands in the query, or between braces in the path.
    kind : type
        msgspec type of its value.
    about : str
        One sentence for the published interface.
    """

    name: str
    kind: Any
    about: str


class Form(NamedTuple):
    """A body as it is published.

    Parameters
    ----------
    kind : type or None
        msgspec type of the body; None where there is none.
    examples : mapping of str to object
        Bodies that are answered, by a word about each.
    """

    kind: Any
    examples: Mapping[str, Any] = MappingProxyType({})


Handler: TypeAlias = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One route.

    Parameters
    ----------
    method : str
        ``"GET"`` or ``"POST"``.
    path : str
        With ``{name}`` for parameters.
    permission : Permission
        What the caller must be allowed to do.
    summary : str
        One sentence for the published interface.
    answer : type or None
        msgspec type of the answer, or a union of such; None for one without a published form.
    handler : callable, optional
        None for a hot route, which the application answers by hand.
    body : type, optional
        msgspec type of the body; None where there is none.
    form_of : callable, optional
        The body as the version that answers takes it; ``body`` is published where there is none.
    refusals : tuple of str
        Problem codes of its own, beside those every route shares.
    parameters : tuple of Parameter
        What it reads of the query; names in ``path`` need a row only where there is more to say.
    statuses : tuple of int
        With which ``answer`` may come.
    media_type : str
        Of the answer.
    is_counted : bool
        Asked so often that the audit log has one line for the calls of a minute that succeeded.
    """

    method: str
    path: str
    permission: Permission
    summary: str
    answer: Any
    handler: Handler | None = None
    body: Any = None
    form_of: Callable[[Live], Form] | None = None
    refusals: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    statuses: tuple[int, ...] = (200,)
    media_type: str = "application/json"
    is_counted: bool = False


def json_response(value: object, status: int = 200) -> Response:
    """A JSON answer that is not to be cached.

    Parameters
    ----------
    value : object
        Anything msgspec encodes; no NaN and no infinity.
    status : int
        HTTP status.
    """
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )
