"""docs/serve*.md say what the server does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from mlwb.params import load_params
from mlwb.registry import Registry
from mlwb.serve import ROLES, VARIABLES, App, ServeSettings, create_app
from mlwb.serve._exposition import GAUGES_OF_ALL
from mlwb.serve._metrics import HELP
from mlwb.serve._observe import Observation
from mlwb.serve._observer import WHY_NOT_OBSERVING
from mlwb.serve._problems import PROBLEMS
from tests.serve.asgi_kit import call

_DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = "\n".join(
    (_DOCS / name).read_text(encoding="utf-8")
    for name in ("serve.md", "serve-operations.md", "serve-security.md")
)


def _table(heading: str) -> list[list[str]]:
    """The rows of every table of a section, without their heads."""
    lines = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0].splitlines()
    heads = {number for number, line in enumerate(lines, -1) if line.startswith("|---")}
    return [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for number, line in enumerate(lines)
        if line.startswith("| ") and number not in heads
    ]


def test_the_routes(app: App) -> None:
    """Every route with the role it needs, and no other."""
    assert {(method, path, role) for method, path, role, _ in _table("Routes")} == {
        (endpoint.method, endpoint.path, endpoint.permission.value) for endpoint in app.endpoints
    }


def test_the_rows_to_try_are_rows_of_the_default_model() -> None:
    """Pasted as they stand, they are answered."""
    names = load_params("training", _DOCS.parent / "params").features.names
    pages = (_DOCS.parent / "README.md", _DOCS / "bot.md")
    text = PAGE + "".join(page.read_text(encoding="utf-8") for page in pages)
    rows = re.findall(r"\[(1, 0\.0001[^\]]*)\]", text)
    assert [len(row.split(",")) for row in rows] == [len(names)] * 4


def test_the_settings() -> None:
    """Every variable, and its default where it is a constant."""
    documented = {name: default for name, default, _ in _table("Settings")}
    assert set(documented) == set(VARIABLES.values())
    for field in fields(ServeSettings):
        if field.type in ("int", "float") or field.name == "host":
            assert documented[VARIABLES[field.name]] == str(field.default)


def test_the_problems() -> None:
    """Every code with its status."""
    documented = {code: int(status) for code, status, _ in _table("Refusals")}
    assert documented == {code: status for code, (status, _) in PROBLEMS.items()}


def test_the_metrics() -> None:
    """Every name with its kind."""
    shown = {name: about.partition(" ")[0] for name, about in HELP.items()}
    assert {name: kind for name, kind, _ in _table("Metrics")} == shown


def test_the_gauges_of_several_workers() -> None:
    """Each one that is made of those of all workers is named where the page says how."""
    (said,) = [line for line in PAGE.splitlines() if line.startswith("With several workers a scr")]
    gauges = said.partition("Gauges: ")[2]
    assert {name for name in GAUGES_OF_ALL if f"`{name}`" not in gauges} == set()


@pytest.mark.parametrize(
    "error", ["no_candidate", "schema", "range", "model", "budget", "dropped", "breaker"]
)
def test_the_shadow_errors(error: str) -> None:
    """Each word a comparison may end with is explained."""
    assert re.search(rf"^\| `{error}` \|", PAGE, re.MULTILINE)


def test_the_roles() -> None:
    """Each role a key may have is explained."""
    assert [role for role, _ in _table("Keys")] == list(ROLES)


def test_the_reasons(models: Path) -> None:
    """Every word that makes a server unready is explained, on the page."""
    app = create_app(ServeSettings(models.parent / "nothing", killed=True))
    app.state.is_draining = True
    found = []
    for mode in ("training", "maintenance"):
        app.state.switches.set_mode(mode, reason="r", by="b")
        found += [word for word in app.state.reasons if word not in found]
    rows = [row[0] for row in _table("Control") if ":" not in row[0]]
    assert set(found) == {"no_model", "killed", "mode_training", "mode_maintenance", "draining"}
    assert set(found) <= set(rows)


def test_the_reasons_a_bar_is_not_scored() -> None:
    """Each word an answer of observe may give is explained."""
    words = set(get_args(get_type_hints(Observation)["reason"])) - {""}
    section = PAGE.split("\n## Observing bars\n", 1)[1].split("\n## ", 1)[0]
    assert words == set(re.findall(r"^\| `(\w+)` \| [^|]+ \|$", section, re.MULTILINE)) - {
        "features", "ready", "score", "reason", "fields", "minutes_missing",
    }  # fmt: skip


@pytest.mark.parametrize("word", WHY_NOT_OBSERVING)
def test_why_nothing_is_observed(word: str) -> None:
    """Each word of `GET /ml/observe` stands on the page."""
    assert f"`{word}`" in PAGE


_COMMAND = re.compile(r"`ask '?([^\s`']+)'?(?: -X (POST))?(?: -d '([^']*)')?`")


def test_what_to_type(registry: Registry) -> None:
    """Every command of the page, one after another, does what its line says."""
    app = create_app(ServeSettings(registry.models_dir))
    commands = _COMMAND.findall(PAGE.split("\n## Control\n", 1)[1].split("\n## ", 1)[0])
    assert len(commands) == 17
    refused = []
    for place, method, body in commands:
        path, _, query = place.partition("?")
        data = body.encode() if body or method else None
        reply = call(app, path, data, query=query.encode())
        if reply.status != 200:
            refused.append((path, reply.json().get("code") or reply.json()["reasons"]))
    assert refused == [
        ("/ml/rollback", "promotion_refused"),  # the one before it went there already
        ("/ml/health/ready", ["killed"]),
        ("/ml/models/v3.0.0/promote", "promotion_refused"),  # nobody decided
    ]
