"""Who may do what: every request passes here before anything of it is worked on."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from mlwb.core.errors import ServeError
from mlwb.serve._endpoints import Caller, Permission
from mlwb.serve._http import Head, Scope
from mlwb.serve._problems import problem_error
from mlwb.serve._profile import is_loopback
from mlwb.serve._rate import RateLimit
from mlwb.serve._state import State

__all__ = ["CALLER", "QUOTA", "ROUTE", "Guard", "client_address"]

CALLER = "mlwb.caller"
"""Where a scope keeps the name of a proven caller, for logs and audit."""
ROUTE = "mlwb.route"
"""Where a scope keeps the pattern of its route, for the access log."""
QUOTA = "mlwb.quota"
"""Where a scope keeps the limit that held for its caller, and what was taken of it."""

_NOBODY = Caller("anonymous", frozenset((Permission.OPEN,)))
_EVERYBODY = Caller("anonymous", frozenset(Permission))
_UNKNOWN_ADDRESS = "unknown"
# RFC 4291: a host is given a whole /64, so one address of it says nothing about the next.
_HOST_BITS = 64


class Guard:
    """Admits requests or refuses them.

    Without a key file everybody may do everything: such a server listens for its own machine
    only, see :mod:`mlwb.serve._profile`.

    Parameters
    ----------
    state : State
        Of the server: its keys, counters and audit log.
    """

    __slots__ = ("_by_address", "_by_key", "_monotonic", "_now", "_origins", "_proxies", "_state")

    def __init__(self, state: State) -> None:
        settings, self._state = state.settings, state
        self._now, self._monotonic = state.clock.now, state.clock.monotonic_s
        self._proxies = frozenset(settings.trusted_proxies)
        self._origins = frozenset(origin.encode() for origin in settings.cors_origins)
        self._by_key, self._by_address = state.limits

    def admit(self, head: Head, permission: Permission, scope: Scope) -> Caller:
        """Who calls, if they may.

        Parameters
        ----------
        head : Head
            What the headers said.
        permission : Permission
            Of the route.
        scope : mapping
            Of the request; gets :data:`CALLER` once the caller is proven, and :data:`QUOTA`.

        Returns
        -------
        Caller

        Raises
        ------
        ServeError
            401 without a valid key: the answer to a missing, an unknown, an expired and a revoked
            one is the same. 403 for a key that does not permit the route, and without keys for a
            web page of another origin. 429 for one request too many of a key, or of an address
            that shows none.
        """
        if permission is Permission.OPEN:
            return _NOBODY
        ring = self._state.keys.ring
        if ring is None:
            return self._open(head, scope)
        caller = ring.holder_of(head.digest, self._now())
        if caller is None:
            raise self._unproven(head, scope)
        scope[CALLER] = caller.name
        self._take(self._by_key, scope, caller.name)
        if permission not in caller.roles:
            self._state.metrics.refused["key"] += 1
            detail = f"the key does not permit this route: it needs the role {permission.value}"
            raise problem_error("forbidden", detail)
        return caller

    def _open(self, head: Head, scope: Scope) -> Caller:
        """Everybody on this machine, but no web page from elsewhere that runs on it."""
        if not _is_at_home(head.host, head.origin) and head.origin not in self._origins:
            self._state.metrics.refused["key"] += 1
            raise problem_error("forbidden", "without keys only this machine is answered")
        self._take(self._by_address, scope, "")
        return _EVERYBODY

    def _take(self, limit: RateLimit | None, scope: Scope, name: str) -> None:
        if limit is None:
            return
        taken_s = limit.take(name or client_address(scope, self._proxies), self._monotonic())
        scope[QUOTA] = limit, taken_s
        if taken_s < 0:
            self._state.metrics.refused["rate"] += 1
            raise problem_error("rate_limited", "too many requests; see Retry-After")

    def _unproven(self, head: Head, scope: Scope) -> ServeError:
        reason = "bad_key" if head.digest else "no_key"
        self._state.metrics.refused["key"] += 1
        self._state.audit.count(reason)
        self._take(self._by_address, scope, "")
        return problem_error(
            "unauthorized", "expected a valid key in X-API-Key or Authorization: Bearer"
        )


@lru_cache(maxsize=64)
def _is_at_home(host: bytes, origin: bytes) -> bool:
    """Whether a request was meant for this machine and comes from no page of another place.

    A browser sends what any page tells it to, to loopback too. Such a request names the page as
    its origin; a page that has its own name resolve to loopback names that name as the host.
    """
    if origin and origin not in (b"http://" + host, b"https://" + host):
        return False
    name = host.decode("latin-1").rpartition(":")[0] if host[-1:].isdigit() else ""
    name = (name or host.decode("latin-1")).strip("[]")
    return not name or is_loopback(name)


def client_address(scope: Scope, proxies: frozenset[str]) -> str:
    """Whose request it is, as far as an address says: an IPv4 address or an IPv6 /64.

    ``X-Forwarded-For`` counts only on a connection from a trusted proxy, and in it only what
    stands right of everything that is not one: the rest is whatever the client wrote.

    Parameters
    ----------
    scope : mapping
        Of the request.
    proxies : frozenset of str
        Addresses whose word is taken.
    """
    client = scope.get("client")
    address = client[0] if client else ""
    if address in proxies:
        for name, value in reversed(scope["headers"]):
            if name != b"x-forwarded-for":
                continue
            hops = [hop.strip() for hop in value.decode("latin-1").split(",")]
            while hops and address in proxies:
                address = hops.pop()
    return _network(address)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return _UNKNOWN_ADDRESS
    if found.version == 4:
        return str(found)
    if (mapped := found.ipv4_mapped) is not None:
        return str(mapped)
    return str(ipaddress.ip_network((int(found) >> _HOST_BITS << _HOST_BITS, _HOST_BITS)))
