"""What a server answers to a replayed row, as it is logged."""

from __future__ import annotations

import msgspec

from mlwb.core.predictionlog import ShadowOutcome
from mlwb.stages._traffic_log import Exchange

__all__ = ["Reply", "exchange", "read_reply"]


class Reply(msgspec.Struct):
    """The part of an answer that a replay keeps."""

    score: float | None = None
    model_version: str = ""
    shadow: ShadowOutcome | None = None


_decode = msgspec.json.Decoder(Reply).decode


def read_reply(status: int, body: bytes) -> tuple[int, Reply]:
    """Status and answer; an answer that cannot be read is none, with the status 0."""
    if status != 200:
        return status, Reply()
    try:
        return status, _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0, Reply()


def exchange(
    test: str, reply: tuple[int, bytes, float], expected: float | None, *, shadowed: bool
) -> Exchange:
    """One request as it is logged.

    Parameters
    ----------
    test : str
        Test or phase.
    reply : tuple of int, bytes, float
        Status (0 where no answer came), body, milliseconds.
    expected : float, optional
        The score computed offline.
    shadowed : bool
        The candidate was asked.
    """
    status, answer = read_reply(*reply[:2])
    shadow = answer.shadow or ShadowOutcome("")
    return Exchange(
        test=test,
        status=status,
        ms=reply[2],
        score=answer.score,
        expected=expected,
        version=answer.model_version,
        shadowed=shadowed,
        shadow_score=shadow.score,
        shadow_ms=shadow.latency_ms,
        shadow_version=shadow.version,
        shadow_error=shadow.error if shadowed else "",
    )
