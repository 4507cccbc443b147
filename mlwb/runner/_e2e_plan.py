"""What the whole chain is asked, and what it has to answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from mlwb.runner._e2e_models import Injected

__all__ = ["SCENARIOS", "Act", "Decision", "Found", "Order", "Scenario"]

Order = Literal["observe", "live", "measure", "promote", "rollback"]


class Decision(StrEnum):
    """What became of an order."""

    REFUSED = "refused"
    STOPPED = "stopped"
    COMPLETED = "completed"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True)
class Act:
    """One order, and what has to come of it.

    Parameters
    ----------
    order : {"observe", "live", "measure", "promote", "rollback"}
        A canary; the evidence about the candidate that a live one asks for; a release.
    expected : Decision
        What has to come of it.
    reason : str, default=""
        Regular expression that the reason given has to contain.
    """

    order: Order
    expected: Decision
    reason: str = ""


@dataclass(frozen=True)
class Scenario:
    """A candidate, and what is done with it.

    Parameters
    ----------
    name : str
        Short.
    about : str
        What is wrong with the candidate, in words.
    acts : tuple of Act
        In order.
    injected : Injected, optional
        What is wrong with it; the candidate as it was trained when absent.
    source : {"champion", "candidate"}, default="champion"
        Which sound version the bad one is made of.
    n_callers : int, default=2
        Who ask meanwhile: one alone where the candidate could not keep up with two.
    """

    name: str
    about: str
    acts: tuple[Act, ...]
    injected: Injected | None = None
    source: Literal["champion", "candidate"] = "champion"
    n_callers: int = 2


@dataclass(frozen=True)
class Found:
    """What came of an act.

    Parameters
    ----------
    scenario, about, version : str
        Whose.
    is_injected : bool
        A defect was put into the version on purpose: its numbers say nothing about a real one.
    order, expected, expected_reason : str
        The act.
    decision, reason : str
        What came of it.
    is_right : bool
        It is what had to come, for the reason it had to, and nothing else was touched.
    problems : tuple of str
        What is not as it has to be.
    requests, asked : int
        Until the decision: all, and those the candidate was asked.
    seconds : float
        From the order to the decision.
    back_ms : float or None
        From the decision to stop until the server said that the share is 0.
    answers : int
        Of the champion, each computed again offline.
    wrong : int
        Of these, and of a live candidate's, those that are not what the version says offline.
    latest : str
        Version that serves afterwards.
    """

    scenario: str
    about: str
    version: str
    is_injected: bool
    order: str
    expected: str
    expected_reason: str
    decision: str
    reason: str
    is_right: bool
    problems: tuple[str, ...]
    requests: int = 0
    asked: int = 0
    seconds: float = 0.0
    back_ms: float | None = None
    answers: int = 0
    wrong: int = 0
    latest: str = ""


SCENARIOS = (
    Scenario(
        "healthy",
        "the candidate as it was trained",
        (
            Act("observe", Decision.COMPLETED, "gate canary PASS"),
            Act("live", Decision.COMPLETED, "gate canary PASS"),
            Act("promote", Decision.PROMOTED),
            Act("rollback", Decision.ROLLED_BACK),
        ),
    ),
    Scenario(
        "broken",
        "golden rows are not what it answers",
        (Act("observe", Decision.REFUSED, "candidate"),),
        Injected("flipped", 1.0, is_honest=False),
    ),
    Scenario(
        "errors",
        "onnxruntime raises for 5 % of the rows",
        (
            Act("live", Decision.REFUSED, "shadow|psi"),
            Act("observe", Decision.STOPPED, "candidate error|error rate"),
        ),
        Injected("errors", 0.05),
    ),
    Scenario(
        "drifted",
        "scores 0.045 further from 0.5, each within the match limit",
        (Act("observe", Decision.STOPPED, "score PSI"),),
        Injected("pushed", 0.045),
    ),
    Scenario(
        "wrong",
        "the probability of the other class",
        (Act("observe", Decision.STOPPED, "mismatch|match rate"),),
        Injected("flipped", 1.0),
    ),
    Scenario(
        "slow",
        "two matrix products behind every score",
        (
            Act("observe", Decision.COMPLETED, "gate canary PASS"),
            Act("measure", Decision.COMPLETED),
            Act("live", Decision.STOPPED, r"p95 of .* beyond chance above"),
        ),
        Injected("slow", 2.0),
        source="candidate",
        n_callers=1,
    ),
)
"""A control and five candidates that are bad on purpose."""
