"""The JSON Schema: what it lets through and what it refuses."""

from __future__ import annotations

import ast
import copy
import importlib
import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.errors import EvidenceSchemaError
from mlwb.core.home import find_project
from mlwb.evidence import KNOWN_NAMES, Record, check_record
from tests.records import DETAILS

MakeRecord = Callable[..., Record]
STRICT = ("archive", "confirmation", "decision", "policy", "waiver")
"""Kinds whose details machines act on: nothing may stand there that nobody knows."""


@pytest.mark.parametrize("kind", KNOWN_NAMES)
def test_records_of_every_kind_fit(kind: str, make: MakeRecord) -> None:
    """A full record of each kind passes its schema."""
    check_record(json.loads(make(kind).to_bytes()))


@pytest.mark.parametrize("kind", DETAILS)
def test_every_required_detail_is_demanded(kind: str, make: MakeRecord) -> None:
    """Leaving out any detail of any kind, or giving it as something else, is refused by place."""
    for key in DETAILS[kind]:
        whole = json.loads(make(kind).to_bytes())
        del whole["details"][key]
        with pytest.raises(EvidenceSchemaError, match=f"/details.*'{key}'"):
            check_record(whole)
        whole["details"][key] = 7.5
        with pytest.raises(EvidenceSchemaError, match=f"/details/{key}"):
            check_record(whole)


@pytest.mark.parametrize("kind", DETAILS)
def test_more_details_are_welcome_where_nobody_acts_on_them(kind: str, make: MakeRecord) -> None:
    """A measurement may bring details of its own; what machines act on may not."""
    value = json.loads(make(kind).to_bytes())
    value["details"]["unheard_of"] = 1
    if kind in STRICT:
        with pytest.raises(EvidenceSchemaError, match="unheard_of"):
            check_record(value)
    else:
        check_record(value)


def test_a_schema_is_of_a_kind() -> None:
    """Each kind has a schema, each schema a kind, and tests know its least."""
    names = {Path(item.name).stem for item in (files("mlwb.evidence") / "schemas").iterdir()}
    assert names - {"record"} == set(KNOWN_NAMES) == set(DETAILS)


def _kinds_written() -> Iterator[str]:
    """Kinds of all records that the package builds, by a word or by the name of a constant."""
    root = find_project()
    for path in sorted((root / "mlwb").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "new_record(" in text else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "new_record":
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    yield str(first.value)
                elif isinstance(first, ast.Name):
                    name = ".".join(path.relative_to(root).with_suffix("").parts)
                    yield getattr(importlib.import_module(name), first.id)


def test_every_kind_that_is_written_has_a_schema() -> None:
    """Whatever file of the package writes it; and no kind is only a name."""
    assert set(_kinds_written()) == set(KNOWN_NAMES)


def _set(value: dict[str, Any], path: str, new: object) -> None:
    *parts, last = path.split(".")
    target: Any = value
    for part in parts:
        target = target[int(part)] if part.isdigit() else target[part]
    target[last] = new


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("schema", "mlwb.evidence/2"),
        ("kind", "opinion"),
        ("run_id", "../../etc/passwd"),
        ("run_id", "mlwb_v1_smoke_20260101T000000Z_a1b2c3d4\n"),
        ("model_version", ""),
        ("model_version", "v1/../v2"),
        ("config.model_version", "v9"),
        ("timestamp", "2026-01-01T00:00:00+01:00"),
        ("timestamp", 1767225600),
        ("origin", "real"),
        ("canary_phase", "five"),
        ("inputs.0.uri", "/mnt/bars.csv"),
        ("inputs.0.uri", "C:\\bars.csv"),
        ("inputs.0.sha256", "sha256:short"),
        ("inputs.0.rows", -1),
        ("metrics.0.value", True),
        ("metrics.0.value", "0.0025"),
        ("metrics.0.n", 1200.5),
        ("metrics.0.k", -1),
        ("metrics.0.name", ""),
        ("metrics.1.ci.level", 95),
        ("metrics.1.unknown", 1),
        ("seeds.numpy", 1.5),
        ("details", []),
        ("pass", "true"),
        ("all_pass", True),
        ("unknown", 1),
        ("prev_sha256", "0"),
    ],
)
def test_misfits_are_refused(path: str, new: object, make: MakeRecord) -> None:
    """Each wrong field is refused with a message, never stored."""
    value = json.loads(make().to_bytes())
    _set(value, path, new)
    with pytest.raises(EvidenceSchemaError):
        check_record(value)


def test_every_field_is_required(make: MakeRecord) -> None:
    """Leaving out any top-level field is refused."""
    whole = json.loads(make().to_bytes())
    for key in whole:
        value = copy.deepcopy(whole)
        del value[key]
        with pytest.raises(EvidenceSchemaError, match=key):
            check_record(value)


def test_a_metric_stands_once(make: MakeRecord) -> None:
    """Two values under one name and segment are refused: a reader could pick the better one."""
    value = json.loads(make().to_bytes())
    value["metrics"].append(value["metrics"][0])
    with pytest.raises(EvidenceSchemaError, match="twice"):
        check_record(value)


@pytest.mark.parametrize("value", [{}, {"kind": "smoke"}, {"metrics": None}])
def test_junk_is_refused(value: dict[str, Any]) -> None:
    """Anything that is no record at all is refused by name of the place."""
    with pytest.raises(EvidenceSchemaError, match="not a record"):
        check_record(value)
