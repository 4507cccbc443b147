"""A real Prometheus on a free port of this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

__all__ = ["OPS", "Prometheus", "prometheus", "quick_rules"]

OPS = Path(__file__).resolve().parents[2] / "ops"


class Prometheus(NamedTuple):
    """Where it listens."""

    port: int

    def get(self, path: str, **query: str) -> Any:
        """``data`` of an answer of its interface."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
        found = json.load(connection.getresponse())
        connection.close()
        assert found["status"] == "success", found
        return found["data"]

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        alerts = self.get("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def values(self, query: str) -> list[float]:
        """What a query gives now."""
        return [float(sample["value"][1]) for sample in self.get("query", query=query)["result"]]


def quick_rules(text: str) -> str:
    """The same rules in seconds instead of minutes."""
    text = re.sub(r"\[\d+m\]", "[4s]", text)
    return re.sub(r"for: \d+[mh]", "for: 1s", text).replace("interval: 30s", "interval: 1s")


@contextlib.contextmanager
def prometheus(program: str, folder: Path, url: str, *, rules: str = "") -> Iterator[Prometheus]:
    """One that scrapes a server (an empty address: none) twice a second, else as the sample is.

    A second one in the same folder goes on with what the first has kept.
    """
    config = yaml.safe_load((OPS / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    config["rule_files"] = ["rules.yml"]
    target = urllib.parse.urlsplit(url).netloc
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target] if url else []}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "rules.yml").write_text(rules or "groups: []")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = int(found.getsockname()[1])
    process = subprocess.Popen(
        [program, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
         f"--web.listen-address=127.0.0.1:{port}", "--query.lookback-delta=5s"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(port)
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    """It listens before it answers: an interface that is not ready is no JSON."""
    deadline = time.monotonic() + 15
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/-/ready")
            status = connection.getresponse().status
            connection.close()
            if status == 200:
                return
        assert time.monotonic() < deadline, "prometheus does not start"
        time.sleep(0.05)
