"""``CHANGES.md`` of a version: what it is, and what differs from the one it follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlwb.core.canonical import parse_json
from mlwb.registry import Difference, differences
from mlwb.stages._training_result import Fitted, Result

__all__ = ["changes"]

_LEFT_OUT = ("artifacts.", "checksum", "model_version", "role", "trials")
"""Digests say that something differs, not what; the trials are in the training log."""


def changes(fitted: Fitted, result: Result, before: bytes | None) -> str:
    """The page.

    Parameters
    ----------
    fitted : Fitted
        The version.
    result : Result
        Of the training it comes from.
    before : bytes or None
        ``training_manifest.json`` of the version it follows, None where it follows nothing.
    """
    inputs = result.inputs
    lines = [
        f"# {fitted.version}",
        "",
        (
            f"- market {inputs.prepared.market.symbol}, label {inputs.params.label.kind} "
            f"over {inputs.params.label.horizon_s} s"
        ),
        (
            f"- {fitted.chosen.trial.name}, AUC {fitted.chosen.out_of_fold.mean_auc:.4f} "
            f"out of fold, {len(inputs.train.names)} features"
        ),
    ]
    if before is None:
        return "\n".join([*lines, "- follows nothing", ""])
    return "\n".join([*lines, *_table(parse_json(before), fitted), ""])


def _table(before: Mapping[str, Any], fitted: Fitted) -> Iterator[str]:
    after = parse_json(fitted.files["training_manifest.json"])
    found = [x for x in differences(before, after) if not x.name.startswith(_LEFT_OUT)]
    follows = before["model_version"]
    if not found:
        yield f"- follows {follows}, trained the same way"
        return
    yield f"- follows {follows}; trained differently in {len(found)}:"
    yield ""
    yield f"| | {follows} | {fitted.version} |"
    yield "|---|---|---|"
    for one in found:
        yield _row(one)


def _row(one: Difference) -> str:
    cells = (f"`{one.name}`", _shown(one.before), _shown(one.after))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
