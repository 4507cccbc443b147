"""What the stages share: folders and stores of a run, the context of a record, the gates' word.

Commands that run where only what serves is installed need no more than this; what touches bars
is in :mod:`mlwb.stages.market`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlwb.core.canonical import digest, parse_json
from mlwb.core.clock import Clock, SystemClock
from mlwb.core.errors import EvidenceMissingError
from mlwb.core.home import Home, find_home
from mlwb.core.signing import Signer
from mlwb.evidence import (
    Code,
    Context,
    EvidenceStore,
    Input,
    Metric,
    Params,
    Record,
    code_state,
    environment_state,
)
from mlwb.gates import EvidenceView, Verdict, evaluate
from mlwb.inference import Predictor
from mlwb.params import Policy, RunParams, load_policy, params_values
from mlwb.registry import Registry

__all__ = [
    "candidate_of",
    "context",
    "home_of",
    "judge_gates",
    "load_check",
    "manifest_of",
    "match_delta_of",
    "next_version",
    "notebook_digest",
    "null",
    "policy_of",
    "registry_of",
    "store_of",
    "traffic_path",
    "write_all",
]

NOTEBOOKS = {
    "feature_study": "01_feature_study",
    "training": "02_training",
    "psi_validation": "03_psi_validation",
    "canary_analysis": "04_canary_analysis",
    "release_review": "05_release_review",
}
"""Stage to the notebook that tells it."""
_FIRST_CANDIDATE = "v1.8.1"
"""The version the requirements retrain; v1.8.0 is the champion it is held against."""


def home_of(run: RunParams) -> Home:
    """Directories of a run; an empty ``home`` follows ``MLWB_HOME``."""
    home = find_home(os.environ)
    return replace(home, root=Path(run.home).resolve()) if run.home else home


def store_of(run: RunParams) -> EvidenceStore:
    """The evidence of a run, with the keys of this process."""
    return EvidenceStore(home_of(run).evidence, Signer.from_env(os.environ))


def registry_of(run: RunParams, clock: Clock | None = None) -> Registry:
    """The registry of a run, with the keys of this process; stamps by the machine if not told."""
    signer = Signer.from_env(os.environ)
    return Registry(home_of(run).models, clock=clock or SystemClock(), signer=signer)


def policy_of(run: RunParams) -> Policy:
    """The policy a run is judged by."""
    path = Path(run.policy)
    return load_policy(path if path.is_absolute() else home_of(run).params / path)


def match_delta_of(policy: Policy) -> float:
    """Largest difference of two scores that still counts as agreement; its home is the policy."""
    return float(str(policy.gates["shadow"].settings["match_delta"]))


def next_version(registry: Registry) -> str:
    """Version after the newest one of the form ``vX.Y.Z``; ``v1.8.1`` in an empty registry."""
    numbers = [version.removeprefix("v").split(".") for version in registry.versions()]
    known = [tuple(map(int, n)) for n in numbers if len(n) == 3 and all(map(str.isdigit, n))]
    if not known:
        return _FIRST_CANDIDATE
    major, minor, patch = max(known)
    return f"v{major}.{minor}.{patch + 1}"


def context(
    stage: str,
    params: Any,
    clock: Clock,
    *,
    version: str,
    origin: str,
    inputs: Sequence[Input] = (),
) -> Context:
    """What all records of a stage share.

    Parameters
    ----------
    stage : str
        Stage name.
    params : object
        The stage's parameters; the run section and the folders of data files are left out of
        the digest, so that the same measurement elsewhere has the same digest.
    clock : Clock
        Stamps the records.
    version : str
        Model version measured.
    origin : str
        ``live``, ``replay`` or ``simulated``.
    inputs : sequence of Input
        Files measured.
    """
    home = home_of(params.run)
    values = {name: value for name, value in params_values(params).items() if name != "run"}
    if "data" in values:
        values["data"]["source"] = [Path(name).name for name in values["data"]["source"]]
    lock = home.project / "requirements.lock"
    code: Code = code_state(home.project)
    return Context(
        clock=clock,
        model_version=version,
        origin=origin,
        inputs=tuple(inputs),
        run=params.run.token,
        params=Params(digest=digest(values), values=values),
        notebook=notebook_digest(home, stage),
        code=code,
        environment=environment_state(lock, kernel_prefix=".venv"),
        seeds=_seeds(values),
    )


def notebook_digest(home: Home, stage: str) -> str:
    """Digest of the cell sources of a stage's notebook; empty where it has none."""
    path = home.notebooks / f"{NOTEBOOKS.get(stage, stage)}.ipynb"
    if not path.is_file():
        return ""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return digest([[cell["cell_type"], "".join(cell["source"])] for cell in cells])


def write_all(store: EvidenceStore, records: Sequence[Record]) -> tuple[Record, ...]:
    """Write records in order and give them back as they stand on disk."""
    for record in records:
        store.write(record)
    return tuple(store.read(record.run_id) for record in records)


def judge_gates(
    gates: Sequence[str], records: Sequence[Record], policy: Policy, clock: Clock
) -> tuple[Verdict, ...]:
    """Ask the named gates about the records of one stage."""
    view = EvidenceView(model_version=records[-1].model_version, records=tuple(records))
    return tuple(evaluate(gate, view, policy, clock.now()) for gate in gates)


def candidate_of(run: RunParams, registry: Registry) -> str:
    """Version under judgement: the one named, else the registry's candidate.

    Raises
    ------
    EvidenceMissingError
        There is no candidate yet.
    """
    version = run.model_version or registry.candidate()
    if not version:
        raise EvidenceMissingError(
            "no candidate to judge", todo="train one first: mlwb run, or notebook 02_training"
        )
    return version


def traffic_path(home: Home, version: str) -> Path:
    """Where the replay leaves its log for a candidate."""
    return home.artifacts / "traffic" / f"{version}.jsonl"


def load_check(folder: Path) -> None:
    """Open a version as the server would; the registry's check before a flip."""
    Predictor.load(folder, signer=Signer.from_env(os.environ))


def manifest_of(registry: Registry, version: str) -> dict[str, Any]:
    """What a version says about its training."""
    found: dict[str, Any] = parse_json(
        (registry.resolve(version) / "training_manifest.json").read_bytes()
    )
    return found


def null(name: str, reason: str, unit: str = "1", segment: str = "") -> Metric:
    """A metric that was not measured, and why."""
    return Metric(name, None, unit=unit, segment=segment, null_reason=reason)


def _seeds(values: dict[str, Any]) -> dict[str, int]:
    return {
        section: content["seed"]
        for section, content in values.items()
        if isinstance(content, dict) and "seed" in content
    }
