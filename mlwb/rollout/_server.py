"""A running server as a rollout sees it: who answers, the canary that is open, its counters."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, NamedTuple, Self

import msgspec

from mlwb.client import PredictClient
from mlwb.core.errors import ServeError
from mlwb.monitor import read_series
from mlwb.stages.canary_preflight import Seen
from mlwb.stages.canary_rollout import Lock, Mode

__all__ = ["CanaryServer", "Counters", "LeaseAsked", "ServerCanary", "ServerLease"]

_PATH = "/ml/canary"
_LEASE_PATH = "/ml/canary/lease"
_NOBODY = "none"
"""The version of requests that none was to answer, such as those of a kill switch."""
_EXPIRED = "lease_expired"
_TIMEOUT_S = 5.0
_SERVER_MODE = {"observe_only": "observe", "live": "live"}


class LeaseAsked(NamedTuple):
    """On which terms a canary is opened.

    Parameters
    ----------
    holder : str
        Who may renew it.
    ttl_s : float
        How long it lasts unless it is renewed.
    """

    holder: str
    ttl_s: float


class ServerLease(msgspec.Struct):
    """Who holds a canary, and for how long yet."""

    holder: str
    ttl_s: float
    left_s: float


class ServerCanary(msgspec.Struct):
    """What ``GET /ml/canary`` says, as far as a rollout asks."""

    mode: str
    percent: float
    lock: dict[str, str] | None = None
    reason: str = ""
    by: str = ""
    since: str = ""
    ended: str = ""
    lease: ServerLease | None = None
    policy_sha256: str = ""

    @property
    def is_expired(self) -> bool:
        """Whether the last one ended because nobody renewed it."""
        return self.mode == "off" and self.ended == _EXPIRED


class Counters(NamedTuple):
    """Totals since the server started, over its workers.

    Parameters
    ----------
    errors : float
        Requests answered with an error of the server.
    fallbacks : float
        Requests of the candidate's share that the champion answered.
    """

    errors: float
    fallbacks: float

    def since(self, before: Counters) -> tuple[int, int]:
        """Errors and fallbacks in between; from 0 where the server started anew."""
        changes = (
            now - then if now >= then else now for now, then in zip(self, before, strict=True)
        )
        errors, fallbacks = map(int, changes)
        return errors, fallbacks


class CanaryServer:
    """Asks a server; whatever it refuses is raised.

    Parameters
    ----------
    base_url : str
        Its address.
    api_key : str, default=""
        An administrator's, where the server has keys.
    """

    def __init__(self, base_url: str, *, api_key: str = "") -> None:
        self.base_url = base_url
        self._client = PredictClient(base_url, api_key=api_key, timeout_s=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def seen(self) -> Seen:
        """What a preflight asks the server."""
        health = self._client.health()
        models = self._read("/ml/models", *self._client.get_raw("/ml/models"))
        digests = {item["version"]: item["sha256"] for item in models["versions"]}
        canary = self.show()
        return Seen(
            base_url=self.base_url,
            reasons=tuple(health["reasons"]),
            champion=health["model_version"] or "",
            candidate=health["candidate_version"] or "",
            digests={version: sha256 or "" for version, sha256 in digests.items()},
            canary=canary.mode,
            policy_sha256=canary.policy_sha256,
        )

    def show(self) -> ServerCanary:
        """The canary that is open, or how the last one ended."""
        return self._canary(_PATH, *self._client.get_raw(_PATH))

    def open(
        self,
        mode: Mode,
        percent: float,
        *,
        lock: Lock,
        reason: str,
        lease: LeaseAsked,
    ) -> ServerCanary:
        """Give the candidate a share.

        Parameters
        ----------
        mode : {"observe_only", "live"}
            Whether it answers.
        percent : float
            Of the requests.
        lock : Lock
            What it is to be about, and nothing else.
        reason : str
            For the audit log.
        lease : LeaseAsked
            On which terms.

        Returns
        -------
        ServerCanary
            As the server has it now.

        Raises
        ------
        ServeError
            It refuses, or does not answer.
        """
        order = {
            "mode": _SERVER_MODE[mode],
            "percent": percent,
            "reason": reason,
            "expect_lock": asdict(lock),
            **lease._asdict(),
        }
        return self._order(order)

    def renew(self, lock: Lock, holder: str) -> ServerCanary:
        """Begin the lease anew.

        Raises
        ------
        ServeError
            ``lease_lost``: it is over, another's, or about something else. Or no answer.
        """
        body = msgspec.json.encode({"holder": holder, "lock": asdict(lock)})
        status, answer, _ = self._client.post_raw(_LEASE_PATH, body)
        return self._canary(_LEASE_PATH, status, answer)

    def close(self, reason: str) -> ServerCanary:
        """Go back to 0 at once."""
        return self._order({"mode": "off", "reason": reason})

    def counters(self) -> Counters:
        """Totals from ``/ml/metrics``; what is no number there, or no version's, counts nothing."""
        values = dict.fromkeys(Counters._fields, 0.0)
        for series in read_series(self._client.metrics()):
            status = series.labels.get("status")
            if not math.isfinite(series.value) or series.labels.get("model_version") == _NOBODY:
                continue
            if (series.name, status) == ("ml_predict_requests_total", "server_error"):
                values["errors"] += series.value
            elif (series.name, status) == ("ml_canary_answers_total", "fallback"):
                values["fallbacks"] += series.value
        return Counters(**values)

    def _order(self, order: dict[str, Any]) -> ServerCanary:
        reason = str(order["reason"])[:200]
        body = msgspec.json.encode({**order, "reason": reason})
        status, answer, _ = self._client.post_raw(_PATH, body)
        return self._canary(_PATH, status, answer)

    def _canary(self, path: str, status: int, body: bytes) -> ServerCanary:
        found = self._read(path, status, body)
        return msgspec.convert(found, ServerCanary, strict=False)

    def _read(self, path: str, status: int, body: bytes) -> Any:
        try:
            found = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ServeError(f"{path} of the server cannot be read", status=status) from error
        if status != 200:
            detail = str(found.get("detail", "")) if isinstance(found, dict) else ""
            raise ServeError(
                f"the server refused {path}: {detail or status}",
                status=status,
                problem=str(found.get("code", "")) if isinstance(found, dict) else "",
            )
        return found
