"""The retention table is read strictly, and says what the requirements say."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mlwb.core.errors import ParamsError
from mlwb.core.home import find_project
from mlwb.params import RETENTION_CLASSES, load_retention

PATH = find_project() / "params" / "retention.yml"


def test_the_required_days() -> None:
    """Critical evidence 90 days, daily 30, shadow predictions 14."""
    found = load_retention(PATH)
    assert dict(found.days) == {"critical": 90, "daily": 30, "shadow_predictions": 14}
    assert (found.days_of("canary_run"), found.days_of("daily_report")) == (90, 30)
    assert found.days_of("unheard_of") == 90


def test_the_audit_trail_stays() -> None:
    """Decisions, and what says where records went, are never archived, in no profile."""
    for profile in ("", "regulated"):
        found = load_retention(PATH, profile)
        assert {found.days_of(kind) for kind in ("decision", "archive", "waiver")} == {None}


def test_five_years_for_a_regulated_firm() -> None:
    """Every class stays five years, leap days included."""
    found = load_retention(PATH, "regulated")
    assert found.name == "regulated"
    assert set(found.days.values()) == {1827}
    assert set(found.days) == set(RETENTION_CLASSES)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.pop("forever"), "needs"),
        (lambda c: c.update(extra={}), "needs"),
        (lambda c: c["classes"].pop("daily"), "classes are"),
        (lambda c: c["classes"]["daily"].update(days=0), "whole number"),
        (lambda c: c["classes"]["daily"].update(days=True), "whole number"),
        (lambda c: c["classes"]["daily"].update(day=3), "holds days"),
        (lambda c: c["classes"]["daily"].update(source=" "), "source"),
        (lambda c: c["classes"]["critical"].update(kinds=["nightly"]), "two classes"),
        (lambda c: c["classes"]["critical"].update(kinds=["nightly", 1]), "list of text"),
        (lambda c: c["forever"].update(kinds=["nightly"]), "for ever and in a class"),
    ],
)
def test_mistakes_are_refused(change: object, says: str, tmp_path: Path) -> None:
    """Each mistake is named, nothing is guessed."""
    content = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    change(content)  # type: ignore[operator]
    path = tmp_path / "retention.yml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ParamsError, match=says):
        load_retention(path)


def test_an_unknown_profile_is_refused() -> None:
    """A profile nobody wrote is named, with those there are."""
    with pytest.raises(ParamsError, match="regulated"):
        load_retention(PATH, "forever")
