"""A server that speaks S3, as a process of the peers."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["s3_server"]


@contextmanager
def s3_server(python: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Moto on loopback with a bucket ``models``, and the variables that lead there."""
    code = Path(__file__).with_name("moto_server.py")
    with subprocess.Popen(
        [python, str(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
            request = urllib.request.Request(f"{endpoint}/models", method="PUT")  # noqa: S310 - on loopback
            urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - on loopback
            yield (
                process,
                {
                    "AWS_ENDPOINT_URL": endpoint,
                    "AWS_ACCESS_KEY_ID": "test",
                    "AWS_SECRET_ACCESS_KEY": "test",
                    "AWS_REGION": "us-east-1",
                },
            )
        finally:
            process.stdin.close()
            process.wait(timeout=10)
