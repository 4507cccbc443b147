"""What a server may be told.

A new setting is a field here with its paragraph, its range in `_ranges`, and its row in
`docs/serve-operations.md`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mlwb.core.errors import ParamsError
from mlwb.core.home import SERVED_FILES, find_home
from mlwb.core.ids import check_version
from mlwb.core.signing import Signer
from mlwb.serve._ranges import check_ranges
from mlwb.serve._variables import read_variable, variable

__all__ = ["VARIABLES", "ServeSettings"]

_PROFILES = ("development", "production")
_UNAUDITED = ("report", "refuse")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+")


@dataclass(frozen=True)
class ServeSettings:
    """Settings of one server; checked on construction.

    Parameters
    ----------
    models_dir : Path
        Holds the versions, `latest` and `candidate`.
    model_name : str, default="mlwb"
        What clients of the Open Inference Protocol call the model.
    host : str, default="127.0.0.1"
        Address to listen on.
    port : int, default=4010
        0 takes any free port.
    workers : int, default=1
        Processes that answer on the same port.
    champion : str, default=""
        Version to answer; empty follows `latest`.
    candidate : str, default=""
        Version to shadow; empty follows the `candidate` link where there is one.
    shadow_budget_ms : float, default=60.0
        A candidate's answer that takes longer counts as an error.
    match_delta : float, default=0.05
        Largest ``|candidate - champion|`` that is a match.
    shadow_window : int, default=1000
        Newest rows that the rolling numbers are about, and newest requests the breaker counts.
    shadow_error_limit : float, default=0.02
        Above this share of failed requests the candidate is left alone.
    shadow_least : int, default=100
        Requests before a share is one.
    shadow_pause_s : float, default=30.0
        Seconds until a candidate left alone is tried again.
    shadow_probes : int, default=5
        Good tries in a row after which it is asked as before.
    shadow_queue : int, default=64
        Comparisons with a slow candidate that may wait; more are dropped.
    body_limit : int, default=65536
        Bytes of a request body.
    max_rows : int, default=1024
        Rows of a batch.
    prediction_log, shadow_log : Path, optional
        Where scores and comparisons are written; None writes nothing.
    log_limit : int, default=67108864
        Bytes of a log file; beyond it the file is set aside as ``<name>.<UTC time>``.
    log_hours : float, default=24.0
        A log file of an earlier span of so many hours is set aside too; 24 is a UTC day.
    log_files : int, default=16
        Log files set aside that are kept, of each log; the oldest beyond it are removed.
    audit_log : Path, optional
        Where calls of operators and administrators are chained; None keeps the newest in memory.
    drift_dir : Path, optional
        Where the counts of served rows are kept; None keeps them in memory only.
    feature_modules : str, default=""
        Modules or ``.py`` files with features of one's own, separated by commas, as
        ``features.modules`` names them for training.
    feature_log : Path, optional
        Where scored rows of features are written; None writes nothing.
    feature_log_files : int, default=90
        Files of it set aside that are kept: at ``log_hours`` of 24, so many days.
    feature_log_share : float, default=0.0
        Share of the rows of ``/ml/predict`` that are written there too, drawn at random. Rows of
        ``/ml/observe`` all are.
    observe_dir : Path, optional
        Where the state of observed symbols is kept; None keeps it in memory only.
    observe_symbols : int, default=16
        Symbols that may be observed at a time.
    observe_max_age_s : float, default=300.0
        A bar that closed longer ago is taken in but not scored; 0 scores bars of any age.
    observe_ahead_s : float, default=5.0
        A bar that closes further ahead of the server's clock is refused.
    observe_save_s : float, default=60.0
        Seconds between two looks for state to be written.
    stats_window : int, default=1000
        Newest scored rows whose statistics are shown.
    z_threshold : float, default=2.0
        Standard deviations a mean may move from its baseline before it is named.
    baseline_file : Path, optional
        Where a baseline that was taken is kept; None keeps it in memory.
    killed : bool, default=False
        Refuse every prediction.
    kill_file : Path, optional
        Refuse every prediction while this file exists.
    mode_file : Path, optional
        Where the mode is kept, for a restart and for other workers; None keeps it in memory.
    canary_file : Path, optional
        Where an open canary is kept, for a restart and for other workers; None: in memory.
    unaudited : {"", "report", "refuse"}, default=""
        What becomes of a `latest` that the registry's log does not announce: it is served and
        reported, or the last good version goes on. Empty refuses in production only.
    evidence_dir : Path, optional
        Where the decisions are that a route promotes on; None promotes nothing.
    policy : Path, optional
        Says how old such a decision may be; None promotes nothing.
    kept_versions : int, default=4
        Versions that stay loaded, so that going back to one loads nothing.
    reload_s : float, default=0.2
        Seconds between two looks at the links.
    drain_s : float, default=0.25
        Seconds a stopping server still answers, with readiness already off.
    public_keys : Path, optional
        PEM file of the keys that may sign a version; None takes versions without a signature.
    signing_key : Path, optional
        PEM file of the private key that signs a promotion or rollback made through a route.
    profile : str, default="development"
        ``"production"`` refuses to start with protection missing.
    keys_file : Path, optional
        Keys of callers; None, or no such file, lets everybody do everything.
    key_days : float, default=90.0
        Life of a key that is made without another one named.
    key_grace_h : float, default=24.0
        Hours a key goes on after it was rotated.
    rate_limit : int, default=6000
        Requests of a key a window; 0 for any number.
    rate_limit_address : int, default=0
        Requests of an address that shows no valid key, of routes that need one; 0 for any number.
    rate_window_s : float, default=60.0
        Seconds of a window.
    rate_names : int, default=10000
        Keys, and addresses, whose requests are remembered.
    limits_url : str, default=""
        Store of the counts that several servers share, such as ``redis://10.0.0.5/0``; empty for
        limits of this server alone. May hold a password, so it is not shown.
    trusted_proxies : tuple of str, default=()
        Addresses whose ``X-Forwarded-For`` is believed.
    cors_origins : tuple of str, default=()
        Origins of web pages that may ask, each exact; ``"*"`` for any.
    max_connections : int, default=1024
        Open connections; one more is answered 503 and closed.
    max_in_flight : int, default=256
        Requests being answered; one more is answered 503, of a route that is not open.
    max_headers : int, default=64
        Headers of a request.
    header_limit : int, default=16384
        Bytes of its target and headers.
    read_s : float, default=10.0
        Seconds in which a request has to arrive, from its first byte to its last; the first one
        of a connection from its opening to its first byte, too.
    idle_s : float, default=75.0
        Seconds between two requests of a connection: longer than a bar of a minute.
    access_log : Path, optional
        Where requests are written; None writes nothing.
    access_sample : float, default=1.0
        Share of the requests that succeed to write; refused and failed ones are all written.

    Raises
    ------
    ParamsError
        A value is out of range; the message names the variable.
    """

    models_dir: Path
    model_name: str = "mlwb"
    host: str = "127.0.0.1"
    port: int = 4010
    workers: int = 1
    champion: str = ""
    candidate: str = ""
    shadow_budget_ms: float = 60.0
    match_delta: float = 0.05
    shadow_window: int = 1000
    shadow_error_limit: float = 0.02
    shadow_least: int = 100
    shadow_pause_s: float = 30.0
    shadow_probes: int = 5
    shadow_queue: int = 64
    body_limit: int = 65_536
    max_rows: int = 1024
    prediction_log: Path | None = None
    shadow_log: Path | None = None
    log_limit: int = 67_108_864
    log_hours: float = 24.0
    log_files: int = 16
    audit_log: Path | None = None
    drift_dir: Path | None = None
    stats_window: int = 1000
    z_threshold: float = 2.0
    baseline_file: Path | None = None
    feature_modules: str = ""
    feature_log: Path | None = None
    feature_log_files: int = 90
    feature_log_share: float = 0.0
    observe_dir: Path | None = None
    observe_symbols: int = 16
    observe_max_age_s: float = 300.0
    observe_ahead_s: float = 5.0
    observe_save_s: float = 60.0
    killed: bool = False
    kill_file: Path | None = None
    mode_file: Path | None = None
    canary_file: Path | None = None
    unaudited: str = ""
    evidence_dir: Path | None = None
    policy: Path | None = None
    kept_versions: int = 4
    reload_s: float = 0.2
    drain_s: float = 0.25
    public_keys: Path | None = None
    signing_key: Path | None = None
    profile: str = "development"
    keys_file: Path | None = None
    key_days: float = 90.0
    key_grace_h: float = 24.0
    rate_limit: int = 6_000
    rate_limit_address: int = 0
    rate_window_s: float = 60.0
    rate_names: int = 10_000
    limits_url: str = field(default="", repr=False)
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    max_connections: int = 1_024
    max_in_flight: int = 256
    max_headers: int = 64
    header_limit: int = 16_384
    read_s: float = 10.0
    idle_s: float = 75.0
    access_log: Path | None = None
    access_sample: float = 1.0

    def __post_init__(self) -> None:
        check_ranges(self)
        _check_words(self)
        for version in (self.champion, self.candidate, self.model_name):
            if version:
                check_version(version)

    @property
    def signer(self) -> Signer:
        """The keys of this server."""
        return Signer(private_key=self.signing_key, public_keys=self.public_keys)

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """Where a server replaces files; a killed one may have left something half way there."""
        files = (self.kill_file, self.mode_file, self.canary_file, self.keys_file)
        kept = (*files, self.audit_log, self.baseline_file)
        folders = [path.parent for path in kept if path is not None]
        return (*folders, *filter(None, (self.drift_dir, self.observe_dir)))

    @classmethod
    def from_env(cls, environ: Mapping[str, str], **changes: Any) -> ServeSettings:
        """Settings from variables the caller hands in.

        Parameters
        ----------
        environ : mapping
            ``os.environ`` of the entry point. Without ``MLWB_MODELS_DIR`` the models of the
            workbench are served, and logs and kill file stand beside them in ``artifacts/``.
            ``off`` as a path means none.
        **changes
            Fields set otherwise, such as options of the command line.

        Returns
        -------
        ServeSettings

        Raises
        ------
        ParamsError
            A variable cannot be read, or an unknown field is named.
        """
        unknown = set(changes) - set(VARIABLES)
        if unknown:
            raise ParamsError(f"no such setting: {', '.join(sorted(unknown))}")
        values: dict[str, Any] = {}
        for setting in fields(cls):
            name, text = setting.name, environ.get(variable(setting.name), "")
            if text and name not in changes:
                values[name] = read_variable(name, text, str(setting.type))
        values.update(changes)
        if "models_dir" not in values:
            values["models_dir"] = find_home(environ).models
        artifacts = Path(values["models_dir"]).parent
        beside = {
            **{name: artifacts / place for name, place in SERVED_FILES.items()},
            "audit_log": artifacts / "audit.log",
            "baseline_file": artifacts / "serve.baseline.json",
            "keys_file": artifacts / "keys.json",
            "observe_dir": artifacts / "observe",
            "kill_file": artifacts / "serve.kill",
            "mode_file": artifacts / "serve.mode.json",
            "canary_file": artifacts / "serve.canary.json",
            "evidence_dir": artifacts.parent / "evidence" / "ml",
            "policy": _default_policy(environ),
        }
        return cls(**{**beside, **values})


VARIABLES: dict[str, str] = {each.name: variable(each.name) for each in fields(ServeSettings)}
"""Environment variable of each setting."""


def _default_policy(environ: Mapping[str, str]) -> Path | None:
    try:
        return find_home(environ).policy("policy.yml")
    except ParamsError:
        return None  # an installed package without a workbench around it


def _check_words(settings: ServeSettings) -> None:
    if not settings.host:
        raise ParamsError("MLWB_HOST is empty", expected="an address, such as 127.0.0.1")
    if settings.unaudited not in ("", *_UNAUDITED):
        raise ParamsError("MLWB_UNAUDITED is unknown", expected=" or ".join(_UNAUDITED))
    if settings.profile not in _PROFILES:
        raise ParamsError(
            "MLWB_PROFILE is no profile", expected=" or ".join(_PROFILES), got=settings.profile
        )
    for text in settings.cors_origins:
        if text != "*" and _ORIGIN.fullmatch(text) is None:
            raise ParamsError(
                "MLWB_CORS_ORIGINS names no origin",
                expected="such as https://desk.example",
                got=text,
            )
    for text in settings.trusted_proxies:
        try:
            ipaddress.ip_address(text)
        except ValueError as error:
            raise ParamsError(
                "MLWB_TRUSTED_PROXIES names no address", expected="such as 10.0.0.7", got=text
            ) from error
