"""Pages, rules and a watcher for tests of the rollback triggers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlwb.core.clock import ManualClock
from mlwb.core.errors import ServeError
from mlwb.core.home import find_project
from mlwb.evidence import EvidenceStore
from mlwb.monitor import Measurement, Notice, Page, Rules, Scrape, Watcher
from mlwb.params import load_policy
from mlwb.registry import Registry

__all__ = ["NOW", "POLICY", "RULES", "FakeServer", "measured", "page", "watcher"]

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
POLICY = load_policy(find_project() / "params" / "policy.yml")
RULES = Rules.of(POLICY)
EDGES = (10.0, 20.0, 120.0, 200.0, 500.0, float("inf"))


def measured(name: str, value: float | None, at: datetime = NOW, n: int = 1000) -> Measurement:
    """One number."""
    return Measurement(name=name, value=value, n=n, source="a test", at=at)


def page(successes: int = 0, errors: int = 0, **more: Any) -> Scrape:
    """A page of a quiet server, but for what is said."""
    quick = more.pop("quick", successes)
    buckets = tuple((edge, quick if edge < 500 else successes) for edge in EDGES)
    said: dict[str, Any] = {
        "version": "v2.0.0", "is_answering": True, "is_unaudited": False, "buckets": buckets,
        "loads": 1, "rank_corr": None, "compared": 0, "prediction_psi": None, "psi_rows": 0,
    }  # fmt: skip
    return Scrape(successes=successes, errors=errors, **{**said, **more})


@dataclass
class FakeServer:
    """Counts what it is told to, and shows it as a server does; or is away."""

    version: str = "v2.0.0"
    successes: int = 0
    errors: int = 0
    ready: int = 1
    killed: int = 0
    shadow: str | None = None
    rank_corr: float = float("nan")
    is_away: bool = False
    garbage: str = ""
    loads: int = 1

    def fetch(self) -> Page:
        """As the client gives it."""
        if self.is_away:
            raise ServeError("the server cannot be reached", status=503, problem="unreachable")
        if self.garbage:
            return Page(self.garbage, None)
        name = f'model_version="{self.version}"'
        buckets = "".join(
            f'ml_predict_latency_ms_bucket{{{name},le="{edge}"}} {self.successes}\n'
            for edge in ("20", "200", "+Inf")
        )
        return Page(
            f'ml_predict_requests_total{{{name},status="success"}} {self.successes}\n'
            f'ml_predict_requests_total{{{name},status="server_error"}} {self.errors}\n'
            f"{buckets}"
            f'ml_model_reload_total{{result="loaded"}} {self.loads}\n'
            f"ml_model_info{{{name}}} 1\nml_mode 0\n"
            f"ml_ready {self.ready}\nml_killed {self.killed}\n"
            f"ml_shadow_rank_corr {self.rank_corr}\nml_shadow_success_total 5000\n"
            'ml_psi_score{feature="prediction"} NaN\nml_psi_rows 0\n',
            self.shadow,
        )

    def answer(self, successes: int, errors: int = 0) -> None:
        """More requests."""
        self.successes += successes
        self.errors += errors


@dataclass
class Box:
    """Keeps what was delivered."""

    notices: list[Notice] = field(default_factory=list)

    def __call__(self, notice: Notice) -> str:
        self.notices.append(notice)
        return ""


def watcher(
    registry: Registry,
    server: FakeServer,
    clock: ManualClock,
    *,
    acts: bool = True,
    deliver: Callable[[Notice], str] | None = None,
) -> Watcher:
    """Over a registry of a test, whose versions load."""
    artifacts = registry.models_dir.parent
    return Watcher(
        registry=registry,
        store=EvidenceStore(artifacts.parent / "evidence"),
        policy=POLICY,
        clock=clock,
        fetch=server.fetch,
        folder=artifacts / "monitor",
        load_check=_loads,
        deliver=deliver,
        acts=acts,
    )


def _loads(folder: Path) -> None:
    assert (folder / "manifest.json").is_file()
