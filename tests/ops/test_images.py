"""The image and the compose file: what they name is there, and nothing is open that need not be."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mlwb.cli._variables import strangers
from mlwb.core.clock import SystemClock
from mlwb.core.errors import ParamsError
from mlwb.serve import KeyFile, ServeSettings, create_app
from tests.contracts.test_packaging import PROJECT
from tests.inference.version_kit import point, write_version
from tests.ops.prometheus_kit import OPS
from tests.ops.ship_kit import (
    COMPOSE,
    ROOT,
    command_lines,
    image,
    instructions,
    is_sent,
    parse,
    services,
)
from tests.serve.asgi_kit import call

LINES = command_lines()
NAMES = re.compile(r"\bMLWB_[A-Z_]*[A-Z]\b")


@pytest.mark.parametrize(("place", "words"), LINES, ids=str)
def test_every_command_is_one(place: str, words: list[str]) -> None:
    """Units, cron lines, images and the page about them: each line is read by the command line."""
    assert place
    parse(words)


def test_every_place_was_looked_at() -> None:
    """The finder finds: no file that calls `mlwb` is passed over."""
    found = {place for place, _ in LINES}
    callers = [*OPS.glob("systemd/*.service"), *OPS.glob("cron/*")]
    assert found >= {
        path.name
        for path in callers
        if re.search(r"^[^#]*(bin/|-m )mlwb ", path.read_text(), re.MULTILINE)
    }
    assert found >= {"Dockerfile", "deploy.md", "compose.yml serve", "compose.yml daily"}
    for words in (["serve", "--prot", "1"], ["report", "hourly"], ["monitor", "--every", "often"]):
        with pytest.raises(BaseException, match=r"prot|hourly|often"):
            parse(words)


def test_every_variable_is_one() -> None:
    """A misspelt setting would be a protection that is silently off."""
    texts = [path for path in OPS.rglob("*") if path.is_file() and path.suffix != ".json"]
    used = {
        name
        for path in (*texts, ROOT / "docs" / "deploy.md")
        for name in NAMES.findall(path.read_text(encoding="utf-8", errors="ignore"))
    }
    assert {"MLWB_HOME", "MLWB_PROFILE", "MLWB_NOTIFY_URL", "MLWB_REGISTRY"} <= used
    assert strangers(dict.fromkeys(used, "")) == {}


def test_the_image_is_a_production_server_without_its_keys(tmp_path: Path) -> None:
    """Its environment lacks what only a person can give, and nothing else."""
    models = tmp_path / "models"
    write_version(models, "v1.0.0")
    point(models, "latest", "v1.0.0")
    settings = ServeSettings.from_env(image().environ, models_dir=models)
    assert settings.profile == "production"
    with pytest.raises(ParamsError, match=r"^Without keys [^;]*\. In production callers show keys"):
        create_app(settings)
    KeyFile(models.parent / "keys.json").add("bot", ["predict"], now=SystemClock().now(), days=1)
    create_app(settings)


def test_the_image_runs_without_root_and_hears_signals() -> None:
    """A user of its own, no shell between `docker stop` and the server, one base, pinned."""
    found = image()
    assert found.rest["USER"] == ["10001:10001"]
    assert found.rest["STOPSIGNAL"] == ["SIGTERM"]
    assert found.rest["EXPOSE"] == [str(ServeSettings(Path()).port)]
    assert found.rest["VOLUME"] == [json.dumps([found.environ["MLWB_HOME"]])]
    base = dict(line.split("=") for name, line in instructions() if name == "ARG" and "=" in line)[
        "BASE"
    ]
    version = re.fullmatch(r"python:(\d+\.\d+\.\d+)-slim-\w+", base)
    assert version is not None
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(version[1])
    assert f'base.name="{base}"' in found.rest["LABEL"][0]
    assert {line.split()[0] for name, line in instructions() if name == "FROM"} == {"${BASE}"}


def test_the_image_is_labelled_with_the_version() -> None:
    """The default of the label is the version of the package."""
    from mlwb import __version__

    assert f"VERSION={__version__}" in image().rest["ARG"]


def test_what_is_copied_exists_and_is_sent() -> None:
    """Every COPY of the first stage; what is generated, secret or a test never leaves the disk."""
    copied = [
        source
        for name, line in instructions()
        if name == "COPY" and not line.startswith("--from")
        for source in line.split()[:-1]
    ]
    assert copied
    for source in copied:
        path = ROOT / source
        assert path.exists(), source
        inside = list(path.rglob("*.py")) if path.is_dir() else [path]
        for item in inside:
            assert is_sent(item.relative_to(ROOT).as_posix()), item
    for kept in (
        ".git/config", ".venv/bin/python", "artifacts/keys.json", "evidence/ml/ledger.jsonl",
        "outputs/x.html", "ops/secrets/grafana_password", "ops/serve.env", "tests/conftest.py",
        "mlwb/serve/__pycache__/app.cpython-311.pyc", ".env",
    ):  # fmt: skip
        assert not is_sent(kept), kept


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_service_can_do_no_more_than_it_must(name: str) -> None:
    """No root file system to write to, no capability, no new privileges, limits, loopback ports."""
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit", "restart", "logging"} <= set(service)
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not {"privileged", "network_mode", "devices"} & set(service)
    assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"])


def test_what_compose_mounts_is_there() -> None:
    """Files of the checkout exist; every named volume and secret is declared."""
    for service in COMPOSE["services"].values():
        for mount in service["volumes"]:
            source, target = re.sub(r"\$\{[^}]*\}", "HOME", mount).split(":")[:2]
            if source.startswith("."):
                assert (OPS / source).exists(), mount
            elif source == "HOME":
                assert target == image().environ["MLWB_HOME"]
            else:
                assert source in COMPOSE["volumes"], mount
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert set(service.get("depends_on", [])) <= set(COMPOSE["services"])


def test_what_compose_builds_has_its_extra() -> None:
    """Each image is built from the Dockerfile, with an extra that the install script knows."""
    tags: dict[str, Any] = {}
    for name, service in services().items():
        build = service["build"]
        assert (OPS / build["context"] / build["dockerfile"]).is_file()
        extra = build["args"]["EXTRA"].removeprefix("${EXTRA:-}")
        assert tags.setdefault(service["image"], extra) == extra, name
        if extra:
            assert re.search(rf"^ +(s3 \| )?{extra}", (OPS / "install").read_text(), re.MULTILINE)
    assert set(tags.values()) == {"", "s3", "research"}


def test_services_reach_each_other() -> None:
    """Addresses inside are names of services, at the ports that these listen on."""
    port = ServeSettings(Path()).port
    for service in services().values():
        for word in service["command"]:
            if word.startswith("http"):
                assert word == f"http://serve:{port}"
    source = yaml.safe_load((OPS / "grafana/provisioning/datasources/prometheus.yml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert COMPOSE["services"]["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]


def test_prometheus_and_grafana_find_their_files() -> None:
    """Configuration, rules, dashboard: at the paths that the containers look at."""
    prometheus, grafana = COMPOSE["services"]["prometheus"], COMPOSE["services"]["grafana"]
    (config,) = [word for word in prometheus["command"] if word.startswith("--config.file")]
    assert (OPS / "prometheus" / config.rsplit("/", 1)[-1]).is_file()
    assert "./prometheus:/etc/prometheus:ro" in prometheus["volumes"]
    provider = yaml.safe_load((OPS / "grafana/provisioning/dashboards/mlwb.yml").read_text())
    folder = provider["providers"][0]["options"]["path"]
    assert f"./grafana/ml.json:{folder}/ml.json:ro" in grafana["volumes"]


def test_a_proxy_passes_callers_on_and_nobody_else(tmp_path: Path) -> None:
    """Of the routes, those for predictions and health; none of an administrator's."""
    models = tmp_path / "models"
    write_version(models, "v1.0.0")
    point(models, "latest", "v1.0.0")
    paths = json.loads(call(create_app(ServeSettings(models)), "/openapi.json").body)["paths"]
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    nginx = re.search(r"location ~ (\S+) \{", page)
    caddy = re.search(r"@out path (.+)", page)
    assert nginx is not None
    assert caddy is not None
    for path, routes in paths.items():
        roles = {route["x-permission"] for route in routes.values()}
        passed = {
            re.match(nginx[1], path) is not None,
            any(fnmatch(path, pattern) for pattern in caddy[1].split()),
        }
        assert len(passed) == 1, path
        if passed == {False}:
            assert "predict" not in roles, path
        else:
            assert "admin" not in roles, path


@pytest.mark.slow
def test_a_linter_reads_the_dockerfile(peers_python: str, tmp_path: Path) -> None:
    """Hadolint parses it as an engine would and finds nothing; it does find what is wrong."""
    linter = str(Path(peers_python).parent / "hadolint")
    text = (OPS / "Dockerfile").read_text(encoding="utf-8")
    spoilt = tmp_path / "Dockerfile"
    spoilt.write_text(text.replace("WORKDIR /srv/mlwb", "WORKDIR srv").replace("USER", "USRE"))
    found = {}
    for path in (OPS / "Dockerfile", spoilt):
        done = subprocess.run([linter, str(path)], capture_output=True, text=True, check=False)
        found[path] = done.returncode, bool(done.stdout + done.stderr)
    assert found == {OPS / "Dockerfile": (0, False), spoilt: (1, True)}


@pytest.mark.slow
def test_docker_reads_the_compose_file(tool: Callable[[str], str]) -> None:
    """`docker compose config`, which needs no engine; skips where the client has no compose."""
    client = [tool("docker"), "compose"]
    if subprocess.run([*client, "version"], check=False, capture_output=True).returncode:
        pytest.skip("the docker client here has no compose plugin")
    done = subprocess.run(
        [*client, "-f", str(OPS / "compose.yml"), "--profile", "*", "config", "-q"],
        capture_output=True, text=True, check=False, env={**os.environ, "MLWB_HOME": "/x"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_requirements_of_the_base_install_are_in_the_serving_lock() -> None:
    """Named ones, at least; that nothing is missing is seen where it is installed."""
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (OPS / "serving.lock").read_text(), re.MULTILINE))
    assert {Requirement(text).name for text in PROJECT["project"]["dependencies"]} <= pinned
