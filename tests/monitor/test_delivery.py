"""Messages leave signed, once, by a deadline, whatever stands at the other end."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock, SystemClock
from mlwb.core.errors import EvidenceSchemaError, ParamsError
from mlwb.monitor import Notice, Outbox, command_hook, webhook

SECRET = "x" * 20
NOTICE = Notice(
    event="fired",
    version="v2",
    about="error_rate",
    text="bad",
    since="s",
    at="2026-01-01T00:00:00Z",
)


@contextlib.contextmanager
def _receiver(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads a request and then does what it likes with the connection."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as found:
        found.settimeout(10)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = found.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.settimeout(5)
                        data = connection.recv(65_536)
                        while b'"}' not in data:
                            data += connection.recv(65_536)
                        seen.append(data)
                        answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{found.getsockname()[1]}/hook?a=1", seen


def _say(text: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(text)


def test_a_message_is_signed_and_stamped() -> None:
    """The receiver, by the standard library alone, finds what it was promised."""
    clock = ManualClock()
    with _receiver(_say(b"HTTP/1.1 204 No Content\r\n\r\n")) as (url, seen):
        assert webhook(url, SECRET, clock=clock)(NOTICE) == ""
    head, _, body = seen[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert headers["X-Mlwb-Timestamp"] == str(int(clock.now().timestamp()))
    signed = headers["X-Mlwb-Timestamp"].encode() + b"." + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Mlwb-Signature"] == f"v1={expected}"
    assert json.loads(body) == {
        "schema": "mlwb.notice/1", "id": NOTICE.id, "event": "fired", "model_version": "v2",
        "about": "error_rate", "text": "bad", "at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    assert head.startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
    assert SECRET.encode() not in seen[0]


def _huge(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(10_000):
        connection.sendall(b"x" * 65_536)


def _drip(connection: socket.socket) -> None:
    stop = threading.Event()
    for byte in b"HTTP/1.1 200 OK\r\n":
        connection.sendall(bytes([byte]))
        stop.wait(0.1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_say(b"HTTP/1.1 500 No\r\n\r\n"), "the receiver said 500"),
        (_say(b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:1/\r\n\r\n"), "the receiver said 302"),
        (_say(b"HTTP/1.1 99999999999 OK\r\n\r\n"), "the receiver said 99999999999"),
        (_say(b"220 smtp ready\r\n"), "ValueError: not an answer of HTTP"),
        (_say(b""), "ValueError: not an answer of HTTP"),
        (_say(b"\x00" * 100_000), "not an answer of HTTP"),
        (_huge, ""),
        (_drip, "no answer in 0.3 s"),
    ],
    ids=["500", "redirect", "odd", "another protocol", "nothing", "zeros", "huge", "slow"],
)
def test_a_hostile_receiver(answer: Callable[[socket.socket], None], said: str) -> None:
    """A redirect is not followed, a flood not read, a drip not waited for; tries are bounded."""
    with _receiver(answer) as (url, seen):
        problem = webhook(url, SECRET, clock=SystemClock(), timeout_s=0.3, tries=2)(NOTICE)
        assert problem.endswith(said) or "Connection" in problem
        assert bool(problem) == bool(said)
        assert len(seen) <= 2


def test_nobody_there() -> None:
    """A port without a listener is said."""
    deliver = webhook("http://127.0.0.1:1/", SECRET, clock=SystemClock(), tries=1)
    assert deliver(NOTICE).startswith("ConnectionRefusedError")


@pytest.mark.parametrize(
    ("url", "secret"),
    [("http://example.org/", SECRET), ("ftp://127.0.0.1/", SECRET), ("", SECRET),
     ("https://example.org/", ""), ("https://example.org/", "short")],
)  # fmt: skip
def test_no_message_in_the_clear_or_unsigned(url: str, secret: str) -> None:
    """Plain HTTP leaves loopback never; a short secret is none."""
    with pytest.raises(ParamsError):
        webhook(url, secret, clock=SystemClock())


def test_a_command_gets_the_message_and_no_shell(tmp_path: Path) -> None:
    """Arguments arrive as they are, the message on standard input."""
    out = tmp_path / "out; touch owned $(id)"
    code = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    assert command_hook([sys.executable, "-c", code, str(out)])(NOTICE) == ""
    assert out.read_bytes() == NOTICE.body()
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["false"], "exit code 1"), (["/nowhere/at/all"], "FileNotFoundError"),
     (["sleep", "5"], "no end in 0.2 s")],
)  # fmt: skip
def test_a_command_that_fails(arguments: list[str], said: str) -> None:
    """It is said, and never waited for beyond its time."""
    assert command_hook(arguments, timeout_s=0.2)(NOTICE).startswith(said)


def test_no_command() -> None:
    """An empty list is refused."""
    with pytest.raises(ParamsError):
        command_hook([])


def test_a_message_is_sent_once() -> None:
    """The same event put in again, also after a restart, is not another message."""
    box = Outbox().put(NOTICE).put(replace(NOTICE, text="other words"))
    sent: list[Notice] = []

    def deliver(notice: Notice) -> str:
        sent.append(notice)
        return ""

    box = Outbox.from_json(json.loads(json.dumps(box.send(deliver).to_json())))
    box = box.put(NOTICE).put(replace(NOTICE, since="later")).send(deliver)
    assert [notice.since for notice in sent] == ["s", "later"]
    assert box.waiting == ()


def test_what_is_not_delivered_waits_and_is_given_up_in_the_end() -> None:
    """One try a look for the oldest; after ten it is dropped and counted, the next goes on."""
    box, tried = Outbox().put(NOTICE).put(replace(NOTICE, since="next")), []

    def refuse(notice: Notice) -> str:
        tried.append(notice.since)
        return "no"

    for _ in range(11):
        box = box.send(refuse)
    assert tried == ["s"] * 10 + ["next"]
    assert (len(box.waiting), box.given_up) == (1, 1)


def test_the_box_is_bounded() -> None:
    """Of two hundred messages nobody takes, the newest are kept and the others counted."""
    box = Outbox()
    for number in range(200):
        box = box.put(replace(NOTICE, since=str(number)))
    assert (len(box.waiting), box.given_up) == (64, 136)
    assert box.waiting[-1].since == "199"


def test_a_damaged_box_is_refused() -> None:
    """It is never half taken."""
    with pytest.raises(EvidenceSchemaError):
        Outbox.from_json({"waiting": [{}], "known": [], "given_up": 0})
