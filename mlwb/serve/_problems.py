"""Refusals as RFC 9457 problem+json: stable codes, no internals, nothing of the input."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from mlwb.core.errors import ServeError

__all__ = [
    "PROBLEMS",
    "PROBLEM_JSON",
    "SWITCHED_OFF",
    "Problem",
    "ProtocolError",
    "Refusal",
    "problem_body",
    "problem_error",
    "refusal",
    "speaks_protocol",
]

PROBLEM_JSON = b"application/problem+json"
_JSON = b"application/json"

PROBLEMS: dict[str, tuple[int, str]] = {
    "bad_json": (400, "The body is not JSON"),
    "bad_request": (400, "The request is not HTTP that is understood here"),
    "unauthorized": (401, "No valid key"),
    "forbidden": (403, "The key does not permit this"),
    "not_found": (404, "No such route"),
    "unknown_model": (404, "No such model or version answers"),
    "version_not_found": (404, "No such model version"),
    "method_not_allowed": (405, "The route has no such method"),
    "slow_request": (408, "The request did not arrive in time"),
    "promotion_refused": (409, "The registry refuses to move `latest`"),
    "stale_state": (409, "`latest` is not what you expect"),
    "registry_busy": (409, "Somebody else is changing the registry"),
    "version_not_intact": (409, "The version is not what was registered"),
    "bar_conflict": (409, "Another bar was observed for this minute"),
    "bar_out_of_order": (409, "The bar is earlier than those observed"),
    "too_many_symbols": (409, "No more symbols can be observed"),
    "too_few_rows": (409, "Too few rows were scored"),
    "canary_open": (409, "A canary is open"),
    "canary_held": (409, "Somebody else holds the canary"),
    "lease_lost": (409, "The lease of the canary is not held"),
    "canary_refused": (409, "No canary can be opened now"),
    "kill_held": (409, "The kill switch is held by the environment"),
    "body_too_large": (413, "The body is too large"),
    "media_type": (415, "The body is not declared as JSON"),
    "invalid_input": (422, "The input does not fit"),
    "repeated_key": (422, "A key stands twice"),
    "schema_mismatch": (422, "The input was made for another feature schema"),
    "rate_limited": (429, "Too many requests"),
    "headers_too_large": (431, "The headers are too many or too long"),
    "internal": (500, "The server failed"),
    "storage": (503, "The disk refuses"),
    "killed": (503, "Predictions are switched off"),
    "mode_training": (503, "The server is in training mode"),
    "mode_maintenance": (503, "The server is in maintenance mode"),
    "overloaded": (503, "Too many requests at once"),
    "no_model": (503, "No model is loaded"),
    "observe_off": (503, "The server cannot compute the model's features"),
    "model_failed": (503, "The model gave no usable score"),
}
"""Status and title of every problem code."""
SWITCHED_OFF = frozenset({"killed", "mode_training", "mode_maintenance"})
"""What a server says that somebody switched off; no fault of the version that would answer."""


class FieldError(msgspec.Struct):
    """Where the input is at fault: a JSON pointer as a fragment."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, omit_defaults=True):
    """A refusal (RFC 9457); ``instance`` is the request id."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldError] = []


class ProtocolError(msgspec.Struct):
    """A refusal as the Open Inference Protocol has it."""

    error: str


_ENCODER = msgspec.json.Encoder()


class Refusal(NamedTuple):
    """An answer that refuses.

    Parameters
    ----------
    status : int
        Of HTTP.
    media_type, body : bytes
        What is sent.
    """

    status: int
    media_type: bytes
    body: bytes


def problem_error(problem: str, detail: str, *, pointer: str = "") -> ServeError:
    """The exception for a code of :data:`PROBLEMS`.

    Parameters
    ----------
    problem : str
        A key of :data:`PROBLEMS`.
    detail : str
        Sentence for the client; never holds its input.
    pointer : str, default=""
        JSON pointer of the field at fault, as a fragment: ``"#/features/spread_bp"``.
    """
    return ServeError(detail, status=PROBLEMS[problem][0], problem=problem, pointer=pointer)


def speaks_protocol(path: str) -> bool:
    """Whether refusals of a path have the form of the Open Inference Protocol."""
    return path == "/v2" or path.startswith("/v2/")


def refusal(error: ServeError, request_id: str, path: str) -> Refusal:
    """A refusal in the form of the surface it belongs to.

    Parameters
    ----------
    error : ServeError
        Made by :func:`problem_error`.
    request_id : str
        Becomes ``instance`` of a problem.
    path : str
        That was asked for. Below ``/v2`` input that does not fit is 400, as the protocol has it.
    """
    if speaks_protocol(path):
        place = f" at {error.pointer}" if error.pointer else ""
        status = 400 if error.status == 422 else error.status
        return Refusal(status, _JSON, _ENCODER.encode(ProtocolError(error.what + place)))
    return Refusal(error.status, PROBLEM_JSON, problem_body(error, request_id))


def problem_body(error: ServeError, request_id: str) -> bytes:
    """The body of a refusal.

    Parameters
    ----------
    error : ServeError
        Made by :func:`problem_error`.
    request_id : str
        Becomes ``instance``.
    """
    errors = [FieldError(error.pointer, error.what)] if error.pointer else []
    return _ENCODER.encode(
        Problem(
            type=f"urn:mlwb:problem:{error.problem}",
            title=PROBLEMS[error.problem][1],
            status=error.status,
            detail=error.what,
            instance=request_id,
            code=error.problem,
            errors=errors,
        )
    )
