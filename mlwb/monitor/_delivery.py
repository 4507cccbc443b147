"""How a message leaves: a signed webhook, or a local command. Both end by a deadline."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import subprocess
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from mlwb.core.clock import Clock
from mlwb.core.errors import ParamsError
from mlwb.monitor._notices import Notice

__all__ = ["command_hook", "sign_notice", "webhook"]

_LONGEST_ANSWER = 256


def sign_notice(secret: bytes, timestamp: str, body: bytes) -> str:
    """Signature of a message: HMAC-SHA256 over time, a dot and the body, in hex.

    A receiver computes it anew from the header ``X-Mlwb-Timestamp`` and the bytes of the body,
    compares in constant time with ``X-Mlwb-Signature`` (after ``v1=``), and refuses a time that is
    minutes away from its own.

    Examples
    --------
    >>> sign_notice(b"secret", "1767225600", b"{}")[:16]
    'fa7eaa06bf97d781'
    """
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def webhook(
    url: str, secret: str, *, clock: Clock, timeout_s: float = 5.0, tries: int = 2
) -> Callable[[Notice], str]:
    """Send messages to an address, signed.

    Parameters
    ----------
    url : str
        ``https``, or ``http`` on loopback.
    secret : str
        Shared with the receiver; at least 16 characters.
    clock : Clock
        Stamps the message.
    timeout_s : float, default=5.0
        A try takes no longer, whatever the receiver does: name, connection and answer included.
    tries : int, default=2
        Within one call.

    Returns
    -------
    callable
        Takes a notice and returns what went wrong, empty when the receiver said 2xx. Of the answer
        the status alone is read; no redirect is followed, since it would carry the message and its
        signature to an address nobody named.

    Raises
    ------
    ParamsError
        The address or the secret cannot be used.
    """
    found = urllib.parse.urlsplit(url)
    is_local = found.hostname in ("127.0.0.1", "::1", "localhost")
    if not found.hostname or found.scheme not in (("http", "https") if is_local else ("https",)):
        raise ParamsError("no address for messages", expected="https://..., or http on loopback")
    if len(secret) < 16:
        raise ParamsError(
            "the secret of the webhook is too short",
            expected="16 characters or more in MLWB_NOTIFY_SECRET",
            todo="openssl rand -hex 32",
        )

    def deliver(notice: Notice) -> str:
        body, problem = notice.body(), ""
        for _ in range(tries):
            stamp = str(int(clock.now().timestamp()))
            headers = {
                "Content-Type": "application/json",
                "X-Mlwb-Timestamp": stamp,
                "X-Mlwb-Signature": f"v1={sign_notice(secret.encode(), stamp, body)}",
            }
            problem = _within(timeout_s, partial(_post, found, body, headers, timeout_s))
            if not problem:
                return ""
        return problem

    return deliver


def _within(timeout_s: float, send: Callable[[], str]) -> str:
    """The outcome of a call that is left behind when it takes too long."""
    outcome: list[str] = []
    thread = threading.Thread(target=lambda: outcome.append(send()), daemon=True)
    thread.start()
    thread.join(timeout_s)
    return outcome[0] if outcome else f"no answer in {timeout_s:g} s"


def _post(
    address: urllib.parse.SplitResult, body: bytes, headers: Mapping[str, str], timeout_s: float
) -> str:
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = None
    try:
        connection = kind(address.hostname or "", address.port, timeout=timeout_s)
        path = urllib.parse.urlunsplit(("", "", address.path or "/", address.query, ""))
        connection.request("POST", path, body, {**headers, "Connection": "close"})
        status = _status(connection.sock)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        if connection is not None:
            with suppress(OSError):
                connection.close()
    return "" if 200 <= status < 300 else f"the receiver said {status}"


def _status(sock: socket.socket) -> int:
    """The status, and not a byte of what may follow without end."""
    line = b""
    while b"\n" not in line and len(line) < _LONGEST_ANSWER:
        more = sock.recv(_LONGEST_ANSWER - len(line))
        if not more:
            break
        line += more
    words = line.partition(b"\n")[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError("not an answer of HTTP")
    return int(words[1])


def command_hook(arguments: Sequence[str], *, timeout_s: float = 10.0) -> Callable[[Notice], str]:
    """Hand messages to a local program on its standard input.

    Parameters
    ----------
    arguments : sequence of str
        Program and arguments, as they are: no shell reads them.
    timeout_s : float, default=10.0
        Then it is killed.

    Returns
    -------
    callable
        Takes a notice and returns what went wrong, empty when the program ended with 0.

    Raises
    ------
    ParamsError
        There is no program.
    """
    if not arguments or not all(arguments):
        raise ParamsError("no command for messages", expected='["/usr/bin/program", "argument"]')

    def deliver(notice: Notice) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own program, and no shell
                list(arguments),
                input=notice.body(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no end in {timeout_s:g} s"
        except (OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return "" if done.returncode == 0 else f"exit code {done.returncode}"

    return deliver
