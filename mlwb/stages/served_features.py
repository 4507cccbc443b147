"""What a server logged as features, held against the same features of the market, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlwb.core.canonical import digest_file
from mlwb.core.clock import Clock, SystemClock
from mlwb.core.errors import (
    ArtifactNotFoundError,
    DataSchemaError,
    EmptyWindowError,
    EvidenceMissingError,
)
from mlwb.core.featurelog import read_features
from mlwb.core.linelog import set_aside_files
from mlwb.evidence import Input, Record
from mlwb.features import spec_digest
from mlwb.gates import Verdict, evaluate, read_view
from mlwb.inference import Predictor, Sidecar
from mlwb.params import Policy, ReplayParams
from mlwb.registry import Registry
from mlwb.stages._served import compare, served_record
from mlwb.stages._served_lines import feature_log
from mlwb.stages._served_result import Served
from mlwb.stages.common import context, home_of, store_of, write_all
from mlwb.stages.market import Prepared, market_inputs, market_origin, prepare

__all__ = ["Inputs", "Served", "judge", "load", "measure", "record", "run"]


@dataclass(frozen=True)
class Inputs:
    """What is compared.

    Parameters
    ----------
    params : ReplayParams
        Market and modules of features.
    sidecar : Sidecar
        Of the version whose rows are looked at.
    prepared : Prepared
        The market and its features.
    symbol : str
        As it stands in the log.
    log : Path
        The feature log.
    is_live : bool
        Whether it is the log of this home's server.
    """

    params: ReplayParams
    sidecar: Sidecar
    prepared: Prepared
    symbol: str
    log: Path
    is_live: bool


def load(params: ReplayParams, *, log: Path | None = None, symbol: str = "") -> Inputs:
    """Read the market and compute the features of the version.

    Parameters
    ----------
    params : ReplayParams
        Market and modules; ``run.model_version`` or the version in `latest`.
    log : Path, optional
        The feature log; that of this home's server when not given.
    symbol : str, default=""
        As it stands in the log; the market's when empty.

    Raises
    ------
    ArtifactNotFoundError
        There is no version to look at.
    EvidenceMissingError
        There is no feature log.
    DataSchemaError
        The market does not give the features of the version.
    """
    home = home_of(params.run)
    registry = Registry(home.models, clock=SystemClock())
    version = params.run.model_version or registry.latest()
    if not version:
        raise ArtifactNotFoundError(
            "there is no served version to look at", todo="name one: --version"
        )
    path = log or feature_log(home)
    if not (path.is_file() or set_aside_files(path)):
        raise EvidenceMissingError(
            "there is no feature log", got=path.name, todo="send bars to /ml/observe first"
        )
    sidecar = Predictor.load(registry.resolve(version)).sidecar
    prepared = prepare(params.data, sidecar.names, params.window, params.features.modules)
    found = spec_digest(prepared.specs)
    if found != sidecar.feature_spec_digest:
        raise DataSchemaError(
            f"{prepared.market.symbol} does not give the features of {version}",
            expected=sidecar.feature_spec_digest,
            got=found,
            todo="name the market it serves, and its feature modules",
        )
    return Inputs(params, sidecar, prepared, symbol or prepared.market.symbol, path, log is None)


def measure(inputs: Inputs) -> Served:
    """Compare every row of the log that can be compared.

    Raises
    ------
    EmptyWindowError
        None can be.
    """
    lines = read_features(inputs.log)
    found = compare(lines, inputs.prepared, symbol=inputs.symbol, sidecar=inputs.sidecar)
    if not found.values:
        raise EmptyWindowError(
            "no row of the feature log can be computed from this market",
            expected=f"rows of {inputs.symbol} by {inputs.sidecar.model_version} on warm bars",
            got=f"{found.rows_outside} rows outside of it",
            todo="name the market that was served, and --symbol where the log has another name",
        )
    return found


def record(inputs: Inputs, result: Served, clock: Clock) -> tuple[Record, ...]:
    """Write the comparison with the first differences."""
    origin = market_origin(inputs.prepared)
    if inputs.is_live and origin == "replay":
        origin = "live"
    files = [path for path in (*set_aside_files(inputs.log), inputs.log) if path.is_file()]
    logs = [Input("feature_log", path.name, digest_file(path)) for path in files]
    shared = context(
        "served_features",
        inputs.params,
        clock,
        version=inputs.sidecar.model_version,
        origin=origin,
        inputs=(*market_inputs(inputs.prepared), *logs),
    )
    found = served_record(result, shared)
    return write_all(store_of(inputs.params.run), [found])


def judge(records: Sequence[Record], params: ReplayParams, policy: Policy, clock: Clock) -> Verdict:
    """Ask the gate parity about the version, with this comparison as the newest."""
    view = read_view(store_of(params.run), records[-1].model_version)
    return evaluate("parity", view, policy, clock.now())


def run(params: ReplayParams, policy: Policy, clock: Clock) -> Verdict:
    """All four verbs."""
    inputs = load(params)
    return judge(record(inputs, measure(inputs), clock), params, policy, clock)
