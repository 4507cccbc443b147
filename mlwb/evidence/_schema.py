"""JSON Schemas of a record and of the details of its kind, checked on every write and read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mlwb.core.canonical import parse_json
from mlwb.core.errors import EvidenceSchemaError
from mlwb.core.imports import without_iri_grammar

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

__all__ = ["check_record"]

_SCHEMAS = files("mlwb.evidence") / "schemas"


def check_record(value: Mapping[str, Any]) -> None:
    """Raise unless a parsed JSON value is a record of the schema, with the details of its kind.

    Parameters
    ----------
    value : mapping
        Plain JSON, as parsed from a file or given by ``Record.to_json``.

    Raises
    ------
    EvidenceSchemaError
        Names the first place that does not fit and how many there are.
    """
    _check(_validator("record"), value, "")
    kind, metrics = value["kind"], value["metrics"]
    _check(_validator(kind), value["details"], "/details")
    names = [(metric["name"], metric["segment"]) for metric in metrics]
    if len(set(names)) != len(names):
        twice = sorted(
            {f"{name}[{segment}]" for name, segment in names if names.count((name, segment)) > 1}
        )
        raise EvidenceSchemaError("a metric stands twice", got=", ".join(twice))
    if value["config"]["model_version"] != value["model_version"]:
        raise EvidenceSchemaError("config.model_version is not model_version")


def _check(validator: Draft202012Validator, value: Any, prefix: str) -> None:
    if validator.is_valid(value):
        return
    errors = sorted(validator.iter_errors(value), key=_place)
    where = prefix + _place(errors[0])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    raise EvidenceSchemaError(f"not a record at {where or '/'}: {errors[0].message[:200]}{more}")


def _place(error: ValidationError) -> str:
    return "".join(f"/{part}" for part in error.absolute_path)


@cache
def _validator(name: str) -> Draft202012Validator:
    with without_iri_grammar():
        from jsonschema import Draft202012Validator

    return Draft202012Validator(parse_json((_SCHEMAS / f"{name}.json").read_bytes()))
