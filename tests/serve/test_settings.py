"""Settings: what a server may be told."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from mlwb.core.errors import ParamsError
from mlwb.serve import VARIABLES, ServeSettings


def test_every_setting_has_one_variable() -> None:
    """No field without a variable, no variable for two fields."""
    assert set(VARIABLES) == {field.name for field in fields(ServeSettings)}
    assert len(set(VARIABLES.values())) == len(VARIABLES)


def test_logs_and_kill_file_stand_beside_the_models(tmp_path: Path) -> None:
    """One variable moves all of them; the address is loopback unless told otherwise."""
    settings = ServeSettings.from_env({"MLWB_MODELS_DIR": str(tmp_path / "a" / "models")})
    assert (settings.host, settings.port) == ("127.0.0.1", 4010)
    assert settings.prediction_log == tmp_path / "a" / "predictions.jsonl"
    assert settings.shadow_log == tmp_path / "a" / "shadow" / "predictions.jsonl"
    assert settings.drift_dir == tmp_path / "a" / "drift"
    assert settings.kill_file == tmp_path / "a" / "serve.kill"
    assert not settings.killed


def test_variables_are_read() -> None:
    """Each kind of value, and `off` for no file."""
    settings = ServeSettings.from_env(
        {
            "MLWB_MODELS_DIR": "/models",
            "MLWB_PORT": "0",
            "MLWB_MATCH_DELTA": "0.1",
            "MLWB_PREDICTION_LOG": "off",
            "MLWB_SHADOW_LOG": "/logs/shadow.jsonl",
            "SERVE_KILL": "1",
            "CANARY_MODEL_VERSION": "v1.8.1",
            "UNRELATED": "x",
        }
    )
    assert (settings.port, settings.match_delta, settings.killed) == (0, 0.1, True)
    assert settings.prediction_log is None
    assert settings.shadow_log == Path("/logs/shadow.jsonl")
    assert settings.candidate == "v1.8.1"


def test_an_option_beats_a_variable(tmp_path: Path) -> None:
    """What the caller passes stands, even against a variable that cannot be read."""
    environ = {"MLWB_MODELS_DIR": str(tmp_path), "MLWB_PORT": "many"}
    assert ServeSettings.from_env(environ, port=8080).port == 8080


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MLWB_PORT", "80.5"),
        ("MLWB_PORT", "65536"),
        ("MLWB_PORT", "-1"),
        ("MLWB_MATCH_DELTA", "nan"),
        ("MLWB_MATCH_DELTA", "1.1"),
        ("MLWB_SHADOW_BUDGET_MS", "inf"),
        ("MLWB_BODY_LIMIT", "0"),
        ("MLWB_MAX_ROWS", "0"),
        ("SERVE_KILL", "maybe"),
        ("CANARY_MODEL_VERSION", "../v1"),
        ("CANARY_MODEL_VERSION", "latest"),
    ],
)
def test_a_bad_value_is_refused_before_anything_starts(variable: str, text: str) -> None:
    """One clear error, never a server with a silently changed limit."""
    with pytest.raises(ParamsError) as caught:
        ServeSettings.from_env({"MLWB_MODELS_DIR": "/models", variable: text})
    assert variable in str(caught.value) or "model version" in str(caught.value)


def test_an_unknown_setting_is_refused() -> None:
    """A misspelt option does not vanish."""
    with pytest.raises(ParamsError, match="prot"):
        ServeSettings.from_env({}, prot=1)
