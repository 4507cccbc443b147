"""What the stages share: the prepared market, its windows, the context of a record."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, Float2D, Int1D
from mlwb.core.bars import BAR_FIELDS, INTERVAL_S, TS
from mlwb.core.canonical import digest, digest_bytes, parse_json
from mlwb.core.clock import Clock, SystemClock, format_utc
from mlwb.core.errors import (
    DataSchemaError,
    EmptyWindowError,
    EvidenceMissingError,
    LeakageError,
)
from mlwb.core.home import Home, find_home
from mlwb.core.signing import Signer
from mlwb.data import Market, load_market, to_bars
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
from mlwb.features import FeatureSpec, feature_names, spec_digest, specs
from mlwb.features.batch import check_compiled, compute
from mlwb.features.labels import Barriers, Labels, make_labels
from mlwb.gates import EvidenceView, Verdict, evaluate
from mlwb.inference import Predictor
from mlwb.model import Dataset
from mlwb.params import (
    DataParams,
    LabelParams,
    Policy,
    RunParams,
    WindowParams,
    load_policy,
    params_values,
)
from mlwb.registry import Registry

__all__ = [
    "Prepared",
    "Windows",
    "candidate_of",
    "check_unseen",
    "context",
    "cut_windows",
    "home_of",
    "judge_gates",
    "labels_of",
    "load_check",
    "manifest_of",
    "market_inputs",
    "market_origin",
    "match_delta_of",
    "next_version",
    "notebook_digest",
    "null",
    "policy_of",
    "prepare",
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


@dataclass(frozen=True)
class Windows:
    """Cut points of the bars' span, seconds since 1970.

    Parameters
    ----------
    start, champion_end, train_end, end : int
        The champion learns before ``champion_end``, the candidate before ``train_end``; what
        follows is held out.
    """

    start: int
    champion_end: int
    train_end: int
    end: int


@dataclass(frozen=True)
class Prepared:
    """A market with its features.

    Parameters
    ----------
    market : Market
        As read.
    bars : ndarray of shape (n_bars, n_fields), float64
        Columns of ``mlwb.core.bars.BAR_FIELDS``.
    specs : tuple of FeatureSpec
        Features in column order.
    X : ndarray of shape (n_bars, n_features), float64
        Their values; NaN where not known.
    windows : Windows
        Cut points.
    dropped : tuple of str
        Features asked for that this source cannot give: it records none of an input.
    """

    market: Market
    bars: Float2D
    specs: tuple[FeatureSpec, ...]
    X: Float2D
    windows: Windows
    dropped: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in column order."""
        return tuple(spec.name for spec in self.specs)

    @property
    def ts(self) -> Int1D:
        """Bar opens, seconds since 1970."""
        return self.bars[:, TS].astype(np.int64)

    @property
    def complete(self) -> Bool1D:
        """Rows on which every feature is known."""
        return np.asarray(np.isfinite(self.X).all(axis=1))

    def labels(self, label: LabelParams) -> Labels:
        """Labels of every bar."""
        return labels_of(self.bars, label)

    def dataset(self, labels: Labels) -> Dataset:
        """Rows that have all features and a label."""
        rows = np.flatnonzero(self.complete & labels.valid)
        return Dataset(
            X=self.X[rows],
            y=labels.y[rows],
            t0=labels.t0[rows],
            t1=labels.t1[rows],
            target=labels.target[rows],
            names=self.names,
            weight=labels.weight[rows],
        )

    def column(self, name: str) -> Float1D:
        """One feature, NaN where not known."""
        return self.X[:, self.names.index(name)]


def labels_of(bars: Float2D, label: LabelParams) -> Labels:
    """Labels of bars, with the settings of the parameters."""
    return make_labels(
        bars,
        kind=label.kind,
        horizon_s=label.horizon_s,
        theta=label.theta,
        median_window_s=label.median_window_s,
        barriers=Barriers(
            label.upper_barrier, label.lower_barrier, label.barrier_unit, label.at_horizon
        ),
    )


def prepare(
    data: DataParams, names: Sequence[str], window: WindowParams, modules: Sequence[str] = ()
) -> Prepared:
    """Read the market and compute its features.

    A feature that needs a field the source does not record at all (volume in many currency
    feeds) is left out and named in ``dropped``.

    Raises
    ------
    DataError
        The market cannot be read.
    UnknownParameterError
        A feature is not known.
    ParamsError
        A module of features cannot be taken.
    """
    market = load_market(
        data.source, profile=data.profile, symbol=data.symbol, days=data.days, seed=data.seed
    )
    bars = to_bars(market)
    wanted = specs(names, quoted=market.has_quotes, modules=modules)
    empty = {BAR_FIELDS[i] for i in np.flatnonzero(np.isnan(bars).all(axis=0))}
    chosen = tuple(spec for spec in wanted if not _lacks(spec, empty))
    dropped = tuple(spec.name for spec in wanted if spec not in chosen)
    if modules:
        check_compiled([spec for spec in chosen if spec.name not in feature_names()])
    windows = cut_windows(bars, window)
    return Prepared(market, bars, chosen, compute(chosen, bars), windows, dropped)


def _lacks(spec: FeatureSpec, empty: set[str]) -> bool:
    """Whether the source records none of what a feature reads; quotes are made up for by bars."""
    return bool((set(spec.inputs) - {"bid", "ask"}) & empty)


def cut_windows(bars: Float2D, window: WindowParams) -> Windows:
    """Cut the span of the bars at the window shares, on the minute.

    Raises
    ------
    EmptyWindowError
        Fewer than two bars.
    """
    if len(bars) < 2 or bars.shape[1] != len(BAR_FIELDS):
        raise EmptyWindowError("too few bars to cut into windows", got=str(len(bars)))
    start, end = int(bars[0, TS]), int(bars[-1, TS]) + INTERVAL_S
    span = (end - start) // INTERVAL_S

    def at(share: float) -> int:
        return start + int(share * span) * INTERVAL_S

    return Windows(start, at(window.champion_end), at(window.train_end), end)


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


def market_inputs(prepared: Prepared) -> tuple[Input, ...]:
    """The market as inputs of a record: each file, or the synthetic bars by their bytes."""
    first, last = prepared.ts[0], prepared.ts[-1]
    span = {"time_min": _utc(first), "time_max": _utc(last)}
    found = tuple(
        Input(role=file.role, uri=file.uri, sha256=file.sha256, rows=file.rows, **span)
        for file in prepared.market.source.inputs
    )
    if found:
        return found
    made = digest_bytes(prepared.bars.tobytes())
    return (Input("market", "synthetic", made, len(prepared.bars), **span),)


def market_origin(prepared: Prepared) -> str:
    """``simulated`` for the synthetic market, ``replay`` for recorded bars."""
    return "simulated" if prepared.market.source.origin == "simulated" else "replay"


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


def check_unseen(prepared: Prepared, manifest: Mapping[str, Any]) -> None:
    """Refuse to judge a version on another market, or on bars it was trained on.

    Parameters
    ----------
    prepared : Prepared
        Market and windows.
    manifest : mapping
        The version's ``training_manifest.json``.

    Raises
    ------
    DataSchemaError
        Another symbol or other features than the version was trained on.
    LeakageError
        The version was trained on bars after ``train_end``.
    """
    kin, symbol = manifest["kinship"], prepared.market.symbol
    if kin["symbol"] != symbol or kin["features"] != spec_digest(prepared.specs):
        raise DataSchemaError(
            f"{manifest['model_version']} was trained on another market or other features",
            expected=f"{kin['symbol']} with the features of its sidecar",
            got=symbol,
            todo="name the same data and window as in training",
        )
    last = manifest["data_window"][1]
    if last > prepared.windows.train_end:
        raise LeakageError(
            f"{manifest['model_version']} was trained on bars of the held-out window",
            expected=f"trained before {_utc(prepared.windows.train_end)}",
            got=f"until {_utc(last)}",
            todo="name the same data and window as in training",
        )


def null(name: str, reason: str, unit: str = "1", segment: str = "") -> Metric:
    """A metric that was not measured, and why."""
    return Metric(name, None, unit=unit, segment=segment, null_reason=reason)


def _seeds(values: dict[str, Any]) -> dict[str, int]:
    return {
        section: content["seed"]
        for section, content in values.items()
        if isinstance(content, dict) and "seed" in content
    }


def _utc(seconds: int) -> str:
    return format_utc(datetime.fromtimestamp(int(seconds), UTC))
