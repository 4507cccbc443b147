"""The whole loop: data, five notebooks, real traffic, gates, one page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import (
    ArtifactError,
    BrokenChainError,
    DataRejectedError,
    LockHeldError,
    MlwbError,
    ParamsError,
)
from mlwb.core.home import Home
from mlwb.core.ids import new_run_id
from mlwb.core.signing import Signer
from mlwb.data import counted, profile_names
from mlwb.evidence import Context, EvidenceStore, code_state
from mlwb.features import specs
from mlwb.gates import Verdict, log_policy
from mlwb.gates import replay as replay_decision
from mlwb.model import make_trials
from mlwb.params import RunParams, check_overrides, load_params, load_policy, params_values
from mlwb.registry import Registry
from mlwb.report.text import duration
from mlwb.runner._command import Options, command_line
from mlwb.runner._notebook import raise_for_status, run_notebook
from mlwb.runner._render import render_html
from mlwb.runner._session import NotebookEvent
from mlwb.runner._traffic import send_traffic
from mlwb.stages import data_check, feature_study, replay
from mlwb.stages.common import NOTEBOOKS, judge_gates, next_version

__all__ = ["STEPS", "Event", "Outcome", "Step", "run_loop"]

NOTEBOOK_TIMEOUT_S = 1_800.0
STEPS = (
    "data",
    "feature_study",
    "training",
    "psi_validation",
    "replay",
    "canary_analysis",
    "release_review",
)
"""Steps of a run, in order."""
TITLES = {
    "feature_study": "Feature study",
    "training": "Training",
    "psi_validation": "PSI validation",
    "canary_analysis": "Canary analysis",
    "release_review": "Release review",
}
"""Titles of the reports."""


@dataclass(frozen=True)
class Event:
    """Progress, for a bar or a log line.

    Parameters
    ----------
    step : str
        One of ``STEPS``.
    kind : {"start", "progress", "done", "failed"}
        What happened.
    label : str
        What is being done.
    done, total : int
        Cells, or requests.
    seconds : float
        Of the step, when it is done.
    """

    step: str
    kind: str
    label: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Step:
    """A step that ran.

    Parameters
    ----------
    name : str
        One of ``STEPS``.
    seconds : float
        Wall time.
    report : str
        File name of its report below the run's directory; empty where it has none.
    status : str
        ``ok`` or ``failed``.
    """

    name: str
    seconds: float
    report: str = ""
    status: str = "ok"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    run_id : str
        Names the directory below ``outputs/``.
    folder : Path
        That directory.
    version, champion : str
        Candidate and champion; empty where the run did not get so far.
    started, finished : str
        UTC.
    steps : tuple of Step
        What ran.
    verdicts : tuple of Verdict
        One a gate, or only the data gate when it refused.
    error : MlwbError or None
        What stopped it.
    """

    run_id: str
    folder: Path
    version: str
    champion: str
    started: str
    finished: str
    steps: tuple[Step, ...]
    verdicts: tuple[Verdict, ...]
    error: MlwbError | None


@dataclass
class _Run:
    """A run under way."""

    options: Options
    clock: Clock
    tell: Callable[[Event], None]
    params: dict[str, Any]
    run_id: str
    version: str
    steps: list[Step] = field(default_factory=list)
    verdicts: tuple[Verdict, ...] = ()
    champion: str = ""

    @property
    def folder(self) -> Path:
        return self.options.home.outputs / self.run_id

    @property
    def store(self) -> EvidenceStore:
        return EvidenceStore(self.options.home.evidence)


def run_loop(
    options: Options,
    clock: Clock,
    tell: Callable[[Event], None],
    *,
    steps: Sequence[str] = STEPS,
) -> Outcome:
    """Run every step; stop at the first that cannot go on.

    Parameters
    ----------
    options : Options
        What to run.
    clock : Clock
        Stamps the run.
    tell : callable
        Told of progress, also from another thread.
    steps : sequence of str
        Some of ``STEPS``, in their order, where not all are wanted.

    Returns
    -------
    Outcome
        Also for a run that stopped: ``error`` says why, and everything that ran is on disk.

    Raises
    ------
    ParamsError
        A parameter or the policy is wrong; nothing was started.
    DataError
        The market cannot be read; nothing was started.
    ArtifactError
        The registry is not in order, or another run is under way; nothing was started.
    """
    with _alone(options.home):
        run = _begin(options, clock, tell)
        if "release_review" in steps:  # what will be decided by is said before anything is measured
            policy = load_policy(options.home.policy(options.policy))
            log_policy(run.store, policy, Context(clock=clock))
        return _run_steps(run, steps)


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """One run at a time in a home: two would take the same version and mix their evidence."""
    home.artifacts.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home.artifacts / ".run.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise LockHeldError(
            "another run is under way in this home",
            todo="wait for it, or keep runs apart with MLWB_HOME",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _run_steps(run: _Run, steps: Sequence[str]) -> Outcome:
    clock, error = run.clock, None
    started = format_utc(clock.now())
    for name in steps:
        error = _step(run, name)
        if error is not None:
            break
    return Outcome(
        run_id=run.run_id,
        folder=run.folder,
        version=run.version,
        champion=run.champion,
        started=started,
        finished=format_utc(clock.now()),
        steps=tuple(run.steps),
        verdicts=run.verdicts,
        error=error,
    )


def _begin(options: Options, clock: Clock, tell: Callable[[Event], None]) -> _Run:
    """Everything that can be wrong before anything starts."""
    check_overrides(name for name in options.overrides if name != "data.source")
    load_policy(options.home.policy(options.policy))
    _check_names(options)
    registry = Registry(options.home.models, clock=clock, signer=Signer.from_env(os.environ))
    problems = registry.recover()
    if problems:
        raise ArtifactError(
            "the registry is not in order",
            got="; ".join(str(problem) for problem in problems[:3]),
            todo="see `mlwb registry doctor`",
        )
    version = options.version or next_version(registry)
    run_id = new_run_id("mlwb", version, "run", clock.now())
    token = run_id.rsplit("_", 1)[1]
    params = {
        stage: _stage_params(options, stage, version=version, token=token) for stage in STEPS[1:]
    }
    return _Run(
        options=options,
        clock=clock,
        tell=tell,
        params=params,
        run_id=run_id,
        version=version,
    )


def _check_names(options: Options) -> None:
    """Features, model families and source profile must be known before anything is read."""
    params = load_params(
        "training", options.home.params, profile=options.profile, overrides=options.overrides
    )
    specs(params.features.names, modules=params.features.modules)
    make_trials(params.search.families, c=params.search.c, seed=params.search.seed)
    profile = params.data.profile
    known = ("auto", *profile_names())
    if profile not in known and not profile.endswith((".yml", ".yaml")):
        raise ParamsError("no such source profile", expected=", ".join(known), got=repr(profile))
    if not all(params.data.source):
        raise ParamsError("a market file has an empty name", todo="name it: --data bars.csv.gz")


def _stage_params(options: Options, stage: str, *, version: str, token: str) -> Any:
    found = load_params(
        stage, options.home.params, profile=options.profile, overrides=options.overrides
    )
    where = RunParams(
        home=str(options.home.root),
        model_version=found.run.model_version or version,
        policy=str(options.home.policy(options.policy)),
        token=token,
    )
    return replace(found, run=where)


def _step(run: _Run, name: str) -> MlwbError | None:
    """One step; what stopped it, or None. A market that cannot be read is raised."""
    start = run.clock.monotonic_s()
    run.tell(Event(name, "start"))
    report = f"{NOTEBOOKS[name]}.html" if name in NOTEBOOKS else ""
    error: MlwbError | None = None
    try:
        _work(run, name)
    except MlwbError as problem:
        error = problem
    seconds = run.clock.monotonic_s() - start
    shown = report if report and (run.folder / report).is_file() else ""
    run.tell(Event(name, "failed" if error else "done", seconds=seconds))
    if name == "data" and error and not isinstance(error, DataRejectedError):
        raise error
    run.steps.append(Step(name, seconds, shown, "failed" if error else "ok"))
    return error


def _work(run: _Run, name: str) -> None:
    if name == "data":
        _check_data(run)
    elif name == "replay":
        _replay(run)
    else:
        _notebook(run, name)


def _check_data(run: _Run) -> None:
    """Read the market and ask the data gate before any kernel starts.

    Raises
    ------
    DataRejectedError
        The gate says no. The evidence is written, no model will be trained.
    """
    params = run.params["feature_study"]
    records = data_check.measure(data_check.load(params), params, run.clock)
    policy = load_policy(Path(params.run.policy))
    verdicts = judge_gates(feature_study.GATES, records, policy, run.clock)
    if not all(verdict.is_pass or verdict.waived for verdict in verdicts):
        run.store.write(records[0])
        run.verdicts = verdicts
        raise _refusal(records[0].details, verdicts[0])


def _refusal(details: Mapping[str, Any], verdict: Verdict) -> DataRejectedError:
    """The gate's reason, and the defects by name and number."""
    found = [counted(i["count"], i["detail"]) for i in details["findings"] if i["serious"]]
    if details["shape"] == "sparse":
        found.append("the source has a bar only where somebody traded, and nothing else is amiss")
    reason = verdict.reason.split("; warning:")[0]
    return DataRejectedError(
        f"the data gate refused {details['symbol']}: {reason}",
        todo="found: " + "; ".join(found) if found else "",
    )


def _notebook(run: _Run, stage: str) -> None:
    name = NOTEBOOKS[stage]
    params = run.params[stage]
    executed = run.folder / f"{name}.ipynb"

    def on_event(event: NotebookEvent) -> None:
        run.tell(Event(stage, "progress", event.label, event.cell, event.n_cells))

    done = run_notebook(
        run.options.home.notebooks / f"{name}.ipynb",
        parameters=params_values(_without_home(run, params)),
        out=executed,
        title=TITLES[stage],
        timeout_s=NOTEBOOK_TIMEOUT_S,
        on_event=on_event,
        environ={**_threads(), "MLWB_HOME": str(run.options.home.root)},
    )
    render_html(
        executed, executed.with_suffix(".html"), title=TITLES[stage], metadata=_footer(run, stage)
    )
    raise_for_status(done)
    if stage == "training":
        run.champion = run.store.newest("offline_report").details["champion"]
    if stage == "release_review":
        run.verdicts = _confirmed_verdicts(run)


def _threads() -> dict[str, str]:
    """One thread for each numerical library unless the caller says otherwise.

    The arrays are small, and spinning threads on a busy machine cost more than they bring.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {name: os.environ.get(name, "1") for name in names}


def _without_home(run: _Run, params: Any) -> Any:
    """The same parameters without this machine's folders; the kernel finds them by itself."""
    policy = Path(params.run.policy)
    known = policy.parent == run.options.home.params
    where = replace(params.run, home="", policy=policy.name if known else str(policy))
    return replace(params, run=where)


def _confirmed_verdicts(run: _Run) -> tuple[Verdict, ...]:
    """The review's verdicts, computed again from the files it cites."""
    policy = load_policy(Path(run.params["release_review"].run.policy))
    again = replay_decision(run.store.newest("decision"), run.store, policy)
    if not again.is_equal:
        raise BrokenChainError("the decision cannot be repeated", got="; ".join(again.differences))
    return again.verdicts


def _footer(run: _Run, stage: str) -> dict[str, str]:
    code = code_state(run.options.home.project)
    params = run.params[stage]
    market = run.params["training"].data.source
    label = run.params["training"].label
    simulated = " (simulated)" if tuple(market) == ("synthetic",) else ""
    dirty = " (with changes)" if code.dirty else ""
    return {
        "Model version": run.version,
        "Market": ", ".join(Path(name).name for name in market) + simulated,
        "Label": f"{label.kind.replace('_', ' ')}, {duration(label.horizon_s)} ahead",
        "Run": run.run_id,
        "Code": f"{code.commit[:12]}{dirty}" if code.commit else code.package_version,
        "Policy": Path(params.run.policy).name,
        "reproduce": command_line(run.options),
    }


def _replay(run: _Run) -> None:
    params = replace(run.params["replay"], champion=run.champion)

    def progress(test: str, sent: int, planned: int) -> None:
        run.tell(Event("replay", "progress", test, sent, planned))

    send_traffic(
        run.options.home,
        replay.load(params),
        load_policy(Path(params.run.policy)),
        logs=run.folder,
        clock=run.clock,
        cold=run.options.cold,
        progress=progress,
    )
