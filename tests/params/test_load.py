"""Parameters: unknown, wrong, missing and out of range are one clear sentence each."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from mlwb.core.errors import ParamsError, UnknownParameterError
from mlwb.core.home import find_project
from mlwb.params import (
    STAGES,
    TrainingParams,
    check_overrides,
    load_params,
    params_values,
    parse_override,
    parse_params,
)

FOLDER = find_project() / "params"
PROFILES = ["", *sorted(path.stem for path in (FOLDER / "profiles").glob("*.yml"))]


def section_of(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The mapping a dotted name is in."""
    for section in name.split(".")[:-1]:
        values = values[section]
    return values


def put(values: dict[str, Any], name: str, value: Any) -> Any:
    """Set a value by dotted name, as the only item where a list stands; hand back the old one."""
    section, last = section_of(values, name), name.rsplit(".", maxsplit=1)[-1]
    before = section[last]
    section[last] = [value] if isinstance(before, list) else value
    return before


def changed(name: str, value: Any) -> dict[str, Any]:
    """The training values with one changed."""
    values = params_values(load_params("training", FOLDER))
    section_of(values, name)[name.rsplit(".", maxsplit=1)[-1]] = value
    return values


def looked_up(params: Any, name: str) -> Any:
    """A value by dotted name."""
    for part in name.split("."):
        params = getattr(params, part)
    return params


def ranges(cls: type[Any], prefix: str = "") -> list[tuple[str, str, float]]:
    """Every range end of a parameter class: name, side, limit."""
    found: list[tuple[str, str, float]] = []
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        name = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(hints[field.name]):
            found += ranges(hints[field.name], f"{name}.")
        sides = [(side, field.metadata.get(side)) for side in ("low", "high")]
        found += [(name, side, limit) for side, limit in sides if limit is not None]
    return found


RANGES = ranges(TrainingParams)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("stage", STAGES)
def test_shipped_parameters_load_and_come_back(stage: str, profile: str) -> None:
    """Every stage file, alone and under every profile, survives its plain form unchanged."""
    params = load_params(stage, FOLDER, profile=profile)
    assert isinstance(params, STAGES[stage])
    assert parse_params(stage, params_values(params)) == params


def test_stages_and_files_are_the_same() -> None:
    """One file a stage, no file beside them but policies and the retention table."""
    names = {path.stem for path in FOLDER.glob("*.yml") if not path.name.startswith("policy")}
    assert names - {"retention"} == set(STAGES)


def test_parameters_are_frozen() -> None:
    """What was checked cannot be changed afterwards."""
    params = load_params("training", FOLDER)
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.data.days = 5


@pytest.mark.parametrize(
    ("name", "hint"),
    [("label.horizn_s", "horizon_s"), ("labl", "label"), ("cv.n_split", "n_splits")],
)
def test_unknown_key_says_what_was_meant(name: str, hint: str) -> None:
    """A typo raises with the nearest name; it never runs with the default."""
    last = name.rsplit(".", maxsplit=1)[-1]
    with pytest.raises(UnknownParameterError, match=f"{last!r}; did you mean {hint!r}"):
        parse_params("training", changed(name, 1))


def test_unknown_key_far_from_all_lists_what_is_known() -> None:
    """Without a near name the known ones are listed."""
    with pytest.raises(UnknownParameterError, match="known are kind, horizon_s"):
        parse_params("training", changed("label.zzzz", 1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data.days", True),
        ("data.days", "90"),
        ("data.days", 90.0),
        ("data.days", None),
        ("label.theta", True),
        ("label.theta", "0.0"),
        ("label.theta", float("nan")),
        ("label.theta", float("inf")),
        ("label.theta", 10**400),
        ("label.theta", 2**53 + 1),
        ("label.kind", 1),
        ("label.kind", None),
        ("run.home", 5),
        ("search.c", [0.1, "1"]),
        ("search.c", [True]),
        ("features.names", ["bias", None]),
    ],
    ids=lambda item: str(item)[:20],
)
def test_wrong_type_is_refused(name: str, value: object) -> None:
    """Booleans are no numbers, text is no number, NaN and infinity are no values."""
    with pytest.raises(ParamsError, match=rf"{name} has the wrong type; expected") as caught:
        parse_params("training", changed(name, value))
    assert not isinstance(caught.value, UnknownParameterError)


@pytest.mark.parametrize("value", [[], "logistic", {"a": 1}, None, 3])
def test_list_must_be_a_list_that_holds_something(value: object) -> None:
    """An empty list and a bare value are refused."""
    with pytest.raises(ParamsError, match=r"search.families is a list of at least one value"):
        parse_params("training", changed("search.families", value))


def test_whole_number_is_a_float_where_one_is_wanted() -> None:
    """1 for 1.0 is no mistake; the value becomes a float."""
    params = parse_params("training", changed("costs.fee_bp", 2))
    assert (params.costs.fee_bp, type(params.costs.fee_bp)) == (2.0, float)


@pytest.mark.parametrize(("name", "side", "limit"), RANGES)
def test_range_holds_its_end_and_nothing_beyond(name: str, side: str, limit: float) -> None:
    """Each end of each range is allowed, the next value outside is refused with the range."""
    values = params_values(load_params("training", FOLDER))
    values["window"] = {"champion_end": 0.2, "train_end": 0.97}
    values["backtest"] |= {"enter": 1.0, "leave": 0.0}
    is_list = isinstance(put(values, name, limit), list)
    found = looked_up(parse_params("training", values), name)
    assert found == ((limit,) if is_list else limit)
    away = -1 if side == "low" else 1
    step = 60 if name.endswith("horizon_s") else 1
    whole = isinstance(limit, int)
    put(values, name, limit + away * step if whole else math.nextafter(limit, away * math.inf))
    with pytest.raises(ParamsError, match=f"{name} is out of range; expected .*"):
        parse_params("training", values)


def test_ranges_were_found() -> None:
    """The list above is not empty by accident."""
    assert len(RANGES) > 20


@pytest.mark.parametrize(
    ("name", "value"),
    [("search.families", ["logistic", "forest"]), ("search.c", [1.0, 0.0])],
)
def test_every_item_of_a_list_is_checked(name: str, value: object) -> None:
    """Choices and ranges hold for the second item as for the first."""
    with pytest.raises(ParamsError, match=f"{name} is (not known|out of range)"):
        parse_params("training", changed(name, value))


def test_family_of_ones_own_is_named_by_module_and_name() -> None:
    """A reference is taken as it stands; the label's kind takes none."""
    for where in ("my.trees:FOREST", "my_trees.py:FOREST", "/home/x y/my trees.py:FOREST"):
        found = parse_params("training", changed("search.families", ["logistic", where]))
        assert found.search.families == ("logistic", where)
    with pytest.raises(ParamsError, match=r"label\.kind is not known"):
        parse_params("training", changed("label.kind", "my.labels:KIND"))


@pytest.mark.parametrize(
    "value", ["forest", ":FOREST", "my.trees:", "my..trees:F", "a b:C", "m:f()"]
)
def test_what_is_no_reference_is_refused(value: str) -> None:
    """A bare name or half a reference is a typo."""
    with pytest.raises(ParamsError, match=r"search\.families is not known"):
        parse_params("training", changed("search.families", ["logistic", value]))


@pytest.mark.parametrize("value", [61, 90, 86_399])
def test_horizon_is_on_the_bar_grid(value: int) -> None:
    """A label can only resolve at a bar."""
    with pytest.raises(ParamsError, match="horizon_s is off the grid; expected a multiple of 60"):
        parse_params("training", changed("label.horizon_s", value))


def test_champion_does_not_learn_from_held_out_bars() -> None:
    """Its window ends before the candidate's, or with it."""
    both = {"champion_end": 0.8, "train_end": 0.8}
    assert parse_params("training", changed("window", both)).window.champion_end == 0.8
    with pytest.raises(ParamsError, match=r"expected <= 0\.8, got 0\.81"):
        parse_params("training", changed("window", {**both, "champion_end": 0.81}))


def test_barriers_need_more_than_one_bar() -> None:
    """Looked at once they are the direction label; with time, or dropped between, they are not."""
    one = {**params_values(load_params("training", FOLDER))["label"], "kind": "triple_barrier"}
    with pytest.raises(ParamsError, match=r"direction label; expected label.horizon_s above 60"):
        parse_params("training", changed("label", one))
    for allowed in ({"at_horizon": "drop"}, {"horizon_s": 120}):
        parse_params("training", changed("label", {**one, **allowed}))


def test_choice_is_one_of_its_choices() -> None:
    """The message lists them."""
    with pytest.raises(
        ParamsError, match="expected volatility, direction, triple_barrier, got 'colour'"
    ):
        parse_params("training", changed("label.kind", "colour"))


@pytest.mark.parametrize("name", ["label", "label.kind", "cv.n_splits"])
def test_missing_value_is_refused(name: str) -> None:
    """No value is made up by the code."""
    values, last = params_values(load_params("training", FOLDER)), name.rsplit(".", maxsplit=1)[-1]
    del section_of(values, name)[last]
    with pytest.raises(ParamsError, match=f"no value for {last}"):
        parse_params("training", values)


@pytest.mark.parametrize("value", [5, None, [1], "x"])
def test_section_must_be_a_section(value: object) -> None:
    """A scalar or a list where a section belongs."""
    with pytest.raises(ParamsError, match=r"training.label is a section"):
        parse_params("training", changed("label", value))


def test_unknown_stage_is_refused() -> None:
    """With the stages there are."""
    with pytest.raises(ParamsError, match="feature_study, training"):
        parse_params("trainig", {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A parameter folder of its own with one profile."""
    for path in FOLDER.glob("*.yml"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.yml").write_text("data:\n  days: 30\nlabel: {theta: 0.5}\n")
    return tmp_path


def test_profile_and_overrides_lie_over_the_file(folder: Path) -> None:
    """The override wins over the profile, the profile over the file, the file over nothing."""
    params = load_params("training", folder, profile="mine", overrides={"data.days": 9})
    plain = load_params("training", folder)
    assert (params.data.days, params.label.theta) == (9, 0.5)
    assert params.cv == plain.cv
    assert plain.data.days != 9


def test_profile_touches_the_stages_that_have_the_section(folder: Path) -> None:
    """A section another stage does not have is left to those that do."""
    assert load_params("replay", folder, profile="mine").data.days == 30
    load_params("release_review", folder, profile="mine")


def test_unknown_profile_lists_the_profiles(folder: Path) -> None:
    """Typos do not run without a profile."""
    with pytest.raises(ParamsError, match="expected one of mine, got 'mien'"):
        load_params("training", folder, profile="mien")


@pytest.mark.parametrize("text", ["data: {dais: 3}", "data: 5", "dta: {days: 3}", "x: 1"])
def test_profile_with_an_unknown_name_is_refused(folder: Path, text: str) -> None:
    """A name in a profile that no stage has is an error in every stage."""
    (folder / "profiles" / "mine.yml").write_text(text)
    with pytest.raises(UnknownParameterError):
        load_params("release_review", folder, profile="mine")


def test_profile_is_checked_like_the_file(folder: Path) -> None:
    """Types and ranges hold for profiles and overrides as well."""
    with pytest.raises(ParamsError, match=r"data.days is out of range"):
        load_params("training", folder, overrides={"data.days": 1})
    (folder / "profiles" / "mine.yml").write_text("data: {days: soon}")
    with pytest.raises(ParamsError, match=r"data.days has the wrong type"):
        load_params("training", folder, profile="mine")


@pytest.mark.parametrize("text", ["label: 5", "label:", "label: [1]"])
def test_override_into_a_section_that_is_none_is_an_error(folder: Path, text: str) -> None:
    """A file with a scalar for a section is reported, not crashed into."""
    (folder / "training.yml").write_text(text)
    with pytest.raises(ParamsError, match="label is a section"):
        load_params("training", folder, overrides={"label.kind": "direction"})


def test_missing_stage_file_is_named(tmp_path: Path) -> None:
    """An empty folder is an error, not all defaults."""
    with pytest.raises(ParamsError, match=r"no parameter file training.yml"):
        load_params("training", tmp_path)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("label.kind=direction", ("label.kind", "direction")),
        ("costs.fee_bp=1e-1", ("costs.fee_bp", 0.1)),
        (" data.days = 30 ", ("data.days", 30)),
        ("search.c=[0.1, 1.0]", ("search.c", [0.1, 1.0])),
        ("run.model_version='1.10'", ("run.model_version", "1.10")),
        ("run.home=a=b", ("run.home", "a=b")),
        ("x=off", ("x", "off")),
        ("x=", ("x", None)),
    ],
)
def test_override_is_a_name_and_a_yaml_value(text: str, parsed: tuple[str, object]) -> None:
    """Split at the first sign; the value is read by the same strict rules."""
    assert parse_override(text) == parsed


@pytest.mark.parametrize("text", ["", "x", "=1", " =1", "x=[", "x=a: b", "x=1\ny: 2", "x=!!int a"])
def test_text_that_is_no_override_is_refused(text: str) -> None:
    """No sign, no name, no YAML, or more than one value."""
    with pytest.raises(ParamsError):
        parse_override(text)


def test_override_of_no_stage_is_refused_with_a_hint() -> None:
    """A dotted name must exist in some stage; sections are no names."""
    check_overrides(["label.kind", "traffic.timeout_ms", "champion"])
    with pytest.raises(UnknownParameterError, match=r"did you mean 'label.kind'"):
        check_overrides(["data.days", "label.kinds"])
    with pytest.raises(UnknownParameterError):
        check_overrides(["label"])


@pytest.mark.parametrize(
    ("name", "instead"),
    [("run.home", "MLWB_HOME"), ("run.policy", "--policy"), ("data.source", "--data")],
)
def test_override_of_what_an_option_sets_is_refused(name: str, instead: str) -> None:
    """It would be lost, so the way that works is named."""
    with pytest.raises(ParamsError, match=f"{name} is not set with -p; use .*{instead}"):
        check_overrides([name])


def test_plain_values_are_plain() -> None:
    """Lists for tuples, dicts for sections: nothing a kernel could not be given as JSON."""
    values = params_values(load_params("training", FOLDER))

    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return all(isinstance(k, str) and plain(v) for k, v in value.items())
        if isinstance(value, list):
            return all(plain(item) for item in value)
        return type(value) in (str, int, float, bool)

    assert plain(values)
    assert isinstance(values["search"]["families"], list)
