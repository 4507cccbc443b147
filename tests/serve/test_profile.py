"""What a server must have before it starts: each refusal is a sentence."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import ParamsError
from mlwb.core.home import find_project
from mlwb.serve import KeyFile, ServeSettings, create_app, run_server

NOW = ManualClock().now()


def _settings(models: Path, **changes: Any) -> ServeSettings:
    """A production server that may start, and what is changed about it."""
    good: dict[str, Any] = {
        "profile": "production",
        "keys_file": models.parent / "keys.json",
        "kill_file": models.parent / "serve.kill",
        "audit_log": models.parent / "audit.log",
        "rate_limit_address": 600,
    }
    return ServeSettings(models, **{**good, **changes})


def _start(settings: ServeSettings) -> None:
    create_app(settings, clock=ManualClock())


@pytest.fixture
def keys(models: Path) -> KeyFile:
    """A key file with one valid key."""
    found = KeyFile(models.parent / "keys.json")
    found.add("bot", ["predict"], now=NOW, days=30)
    return found


def test_production_starts_with_everything(models: Path, keys: KeyFile) -> None:
    """On any address."""
    assert keys.records()
    _start(_settings(models, host="0.0.0.0"))  # noqa: S104 - what is tested


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"keys_file": None}, "In production callers show keys"),
        ({"cors_origins": ("*",)}, "MLWB_CORS_ORIGINS lets every web page ask"),
        ({"kill_file": None}, "MLWB_KILL_FILE is off"),
        ({"audit_log": None}, "MLWB_AUDIT_LOG is off"),
        ({"rate_limit": 0}, "MLWB_RATE_LIMIT is off"),
        ({"rate_limit_address": 0}, "MLWB_RATE_LIMIT_ADDRESS is off"),
    ],
)
def test_production_refuses_a_setting(
    models: Path, keys: KeyFile, changes: dict[str, Any], sentence: str
) -> None:
    """Which is fine in development."""
    assert keys.records()
    with pytest.raises(ParamsError, match=sentence):
        _start(_settings(models, **changes))
    _start(_settings(models, **changes, profile="development"))


def _expire(keys: KeyFile) -> None:
    keys.revoke("bot", now=NOW)
    keys.add("old", ["predict"], now=NOW.replace(year=2020), days=1)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_expire, "Every key is expired or revoked"),
        (lambda keys: keys.path.chmod(0o644), "keys.json is open to others"),
        (lambda keys: keys.path.chmod(0o640), "keys.json is open to others"),
        (
            lambda keys: (keys.path.parent / "models").chmod(0o777),
            "Everybody may write to MLWB_MODELS_DIR",
        ),
    ],
)
def test_production_refuses_what_lies_about(
    models: Path, keys: KeyFile, spoil: Callable[[KeyFile], None], sentence: str
) -> None:
    """Keys that open nothing, files that everybody reads or writes."""
    spoil(keys)
    with pytest.raises(ParamsError, match=sentence):
        _start(_settings(models))


def test_all_that_is_missing_is_said_at_once(models: Path) -> None:
    """Nobody starts a server six times to learn six things."""
    with pytest.raises(ParamsError) as caught:
        _start(ServeSettings(models, profile="production", host="0.0.0.0"))  # noqa: S104 - refused before it is bound
    assert str(caught.value).count(": ") >= 5


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "desk.example"])  # noqa: S104 - refused before it is bound
def test_without_keys_a_server_stays_on_its_machine(models: Path, host: str) -> None:
    """In every profile, and before anything is bound."""
    with pytest.raises(ParamsError, match="listens on this machine only"):
        run_server(ServeSettings(models, host=host, port=0))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_keys(models: Path, host: str) -> None:
    """For research on one's own machine."""
    _start(ServeSettings(models, host=host))


def test_a_broken_key_file_stops_the_start(models: Path, keys: KeyFile) -> None:
    """A server that was told to ask for keys never starts open."""
    keys.path.write_bytes(b"")
    with pytest.raises(ParamsError, match=r"keys\.json is no key file"):
        _start(_settings(models, profile="development"))


def test_the_key_file_is_written_for_its_owner_only(keys: KeyFile) -> None:
    """Also when it is changed."""
    keys.path.chmod(0o644)
    keys.rotate("bot", now=NOW, days=1, grace=NOW - NOW)
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MLWB_PROFILE", "prod"),
        ("MLWB_CORS_ORIGINS", "desk.example"),
        ("MLWB_CORS_ORIGINS", "https://desk.example/path"),
        ("MLWB_CORS_ORIGINS", "https://a.example, null"),
        ("MLWB_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("MLWB_TRUSTED_PROXIES", "*"),
        ("MLWB_RATE_WINDOW_S", "0"),
        ("MLWB_ACCESS_SAMPLE", "1.1"),
        ("MLWB_KEY_DAYS", "nan"),
    ],
)
def test_settings_that_mean_nothing_are_refused(variable: str, text: str) -> None:
    """A misspelt protection is not one that is silently off."""
    with pytest.raises(ParamsError, match=variable):
        ServeSettings.from_env({"MLWB_MODELS_DIR": "/models", variable: text})


def test_the_unit_needs_a_key_and_nothing_else(models: Path) -> None:
    """What `ops/systemd` starts is a production server, lacking what only a person can give."""
    unit = find_project() / "ops" / "systemd" / "mlwb-serve.service"
    lines = re.findall(r"^Environment=(\w+)=(.*)$", unit.read_text(), re.MULTILINE)
    settings = ServeSettings.from_env(dict(lines), models_dir=models)
    assert settings.profile == "production"
    with pytest.raises(ParamsError, match=r"^\D*key\D*$"):
        _start(settings)
    KeyFile(models.parent / "keys.json").add("bot", ["predict"], now=NOW, days=30)
    _start(settings)
