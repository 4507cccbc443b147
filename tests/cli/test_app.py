"""The command line: help with an example everywhere, one line and a code for every error."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from mlwb import __version__
from mlwb.cli._app import app
from mlwb.cli._common import print_json
from mlwb.cli._lazy import LazyGroup
from mlwb.core.home import find_project
from mlwb.gates import GATES
from tests.cli.conftest import Main


def mlwb(
    *arguments: str, home: Path, timeout_s: float = 60.0, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a home of its own."""
    return subprocess.run(
        [sys.executable, "-m", "mlwb", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=home,
        env={**os.environ, "MLWB_HOME": str(home), "COLUMNS": "120", **environ},
    )


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        if not isinstance(command, TyperGroup):
            yield name, command
        elif isinstance(command, LazyGroup):
            for child in command.lines:
                yield from walk(f"{name} {child}", command.load(child))
        else:
            for child, inner in command.commands.items():
                yield from walk(f"{name} {child}", inner)

    return walk("mlwb", typer.main.get_command(app))


def test_every_command_shows_an_example() -> None:
    """`--help` of every command ends with an example that starts with the command itself."""
    for name, command in commands():
        assert command.help, name
        assert command.epilog.startswith(f"Example: {name}"), command.epilog


def test_every_command_speaks_to_machines() -> None:
    """Each takes `--json`, but the one that answers machines as its work."""
    silent = {
        name
        for name, command in commands()
        if not any("--json" in param.opts for param in command.params)
    }
    assert silent == {"mlwb serve"}


_TYPED = re.compile(r"(?:^|[`/$]|-m )\s*mlwb (?!mlwb )([a-z][^`\n;|&#]*)", re.MULTILINE)


def test_every_command_that_a_page_tells_to_type_exists() -> None:
    """So do its options: pages, units, cron lines and the Makefile name nothing that is not there.

    Of ``mlwb registry`` options may stand before the command; those are left alone.
    """
    known = {name: {opt for p in found.params for opt in p.opts} for name, found in commands()}
    groups = {name.split()[1] for name in known if name.count(" ") == 2}
    root = find_project()
    places = (
        "README.md",
        "Makefile",
        "docs/**/*.md",
        "ops/systemd/*",
        "ops/cron/*",
        "ops/Dockerfile",
    )
    pages = [page for place in places for page in sorted(root.glob(place))]
    found = [(page, said) for page in pages for said in _TYPED.findall(page.read_text("utf-8"))]
    wrong = []
    for page, said in found:
        words = said.replace(",", " ").split()
        n = 2 if words[0] in groups else 1
        if words[0] in groups and (len(words) == 1 or not re.fullmatch("[a-z]+", words[1])):
            continue  # the group itself
        name = " ".join(("mlwb", *words[:n]))
        options = {word for word in words[n:] if re.fullmatch("--[a-z-]+", word)} - {"--help"}
        if name not in known or not options <= known[name]:
            wrong.append(f"{page.name}: mlwb {said}")
    assert wrong == []
    assert len(found) > 200


def test_help_lists_every_command_as_it_describes_itself() -> None:
    """What the first page says without importing a command is the first sentence of its help."""
    group = typer.main.get_command(app)
    assert isinstance(group, LazyGroup)
    first = {name: group.load(name).help.partition("\n\n")[0] for name in group.lines}
    assert {name: " ".join(text.split()) for name, text in first.items()} == dict(group.lines)
    page = CliRunner().invoke(app, ["--help"]).output
    assert set(re.findall(r"^│ (\w+) ", page, re.MULTILINE)) == set(group.lines)


def test_every_gate_is_a_command() -> None:
    """`mlwb gate <id>` exists for every gate of the matrix."""
    names = {name.removeprefix("mlwb gate ") for name, _ in commands() if " gate " in name}
    assert set(GATES) <= names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", "--data", "nothing.csv"], 3, "nothing.csv"),
        (["run", "-p", "label.kin=direction"], 2, "label.kind"),
        (["run", "-p", "label.kind=sideways"], 2, "sideways"),
        (["run", "-p", "cv.n_splits=1"], 2, "n_splits"),
        (["run", "-p", "nonsense"], 2, "NAME=VALUE"),
        (["train", "-p", "search.families=[xgboost]"], 2, "file.py:NAME"),
        (["train", "-p", "search.families=[none.py:FOREST]"], 2, "no such model family"),
        (["run", "--profile", "unheard-of"], 2, "unheard-of"),
        (["run", "--policy", "unheard-of.yml"], 2, "unheard-of.yml"),
        (["data", "quality", "empty.csv"], 3, "empty.csv"),
        (["data", "quality", "."], 3, "error"),
        (["gate", "all"], 6, "mlwb run"),
        (["gate", "replay"], 6, "decision"),
        (["registry", "promote"], 6, "mlwb run"),
        (["registry", "rollback", "--reason", "x"], 1, "no previous"),
        (["registry", "show", "v9"], 5, "v9"),
        (["serve"], 5, "latest"),
        (["unheard-of"], 2, "unheard-of"),
    ],
)
def test_an_error_is_one_line_and_its_code(
    *, arguments: list[str], code: int, says: str, tmp_path: Path, main_here: Main
) -> None:
    """Bad input never ends in a stack trace, and the exit code is the documented one."""
    (tmp_path / "empty.csv").touch()
    found, output, errors = main_here(*arguments)
    assert found == code, errors
    assert "Traceback" not in output + errors
    assert says in output + errors
    assert not list(tmp_path.glob("artifacts/models/v*"))


@pytest.mark.parametrize("content", ["date,open\n", "\x00\x01\x02", "a,b,c\n1,2,3\n"])
def test_a_file_that_is_no_market_is_refused(content: str, tmp_path: Path, main_here: Main) -> None:
    """Header only, binary and foreign tables end with exit code 3 and the file's name."""
    (tmp_path / "bars.csv").write_text(content)
    code, _, errors = main_here("data", "quality", "bars.csv")
    assert (code, "Traceback" in errors, "bars.csv" in errors) == (3, False, True), errors


def test_json_for_a_person_is_indented(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for a machine, a line a value for a terminal; the same document."""
    print_json({"b": 1, "a": [2]})
    line = capsys.readouterr().out
    print_json({"b": 1, "a": [2]}, indent=True)
    lines = capsys.readouterr().out
    assert (line, len(lines.splitlines())) == ('{"a":[2],"b":1}\n', 6)
    assert json.loads(line) == json.loads(lines)


def test_one_instrument_of_several_is_named(tmp_path: Path, main_here: Main) -> None:
    """Without `--symbol` a file of two is refused with both names."""
    head = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n"
    rows = [
        f"x,{name},{us},{us},1,11,10,1\n"
        for us in range(1_767_225_600_000_000, 1_767_226_800_000_000, 30_000_000)
        for name in ("AAA", "BBB")
    ]
    (tmp_path / "quotes.csv").write_text(head + "".join(rows))
    code, _, errors = main_here("data", "quality", "quotes.csv")
    assert (code, "AAA, BBB" in errors) == (3, True), errors
    _, output, _ = main_here("data", "quality", "quotes.csv", "--symbol", "BBB", "--json")
    found = json.loads(output)
    assert (found["symbol"], found["bars"], found["rows_read"]) == ("BBB", 20, 40)


def test_the_version_is_printed(tmp_path: Path) -> None:
    """`python -m mlwb --version` names the package version."""
    done = mlwb("--version", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"mlwb {__version__}\n")


def test_a_variable_that_nothing_reads_is_told(
    main_here: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard error, with the one that was meant; the command does its work."""
    assert main_here("registry", "list", "--json") == (0, "[]\n", "")
    monkeypatch.setenv("MLWB_RELAOD_S", "1")
    code, output, errors = main_here("registry", "list", "--json")
    assert (code, output) == (0, "[]\n")
    assert errors.split("variable ")[1] == (
        "nothing reads MLWB_RELAOD_S; did you mean MLWB_RELOAD_S?\n"
    )


def test_a_server_loads_no_command_but_its_own() -> None:
    """What `mlwb serve` imports before it listens: no other command, no library of theirs."""
    code = (
        "import sys, mlwb.serve, mlwb.cli; "
        "mlwb.serve.run_server = lambda *_, **__: print(*sys.modules); "
        "sys.argv = ['mlwb', 'serve']; sys.exit(mlwb.cli.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=find_project()
    )
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.startswith("mlwb.cli.")}
    assert ours == {f"mlwb.cli.{name}" for name in ("_app", "_lazy", "_serve", "_variables")}
    rooms = {"mlwb.client", "mlwb.gates", "mlwb.params", "mlwb.runner", "mlwb.stages"}
    others = {"jsonschema", "pandas", "pydantic", "rich", "scipy", "sklearn", "yaml"}
    assert loaded & (rooms | others) == set()


def test_the_first_page_waits_for_no_command() -> None:
    """Help imports the application, no command and no array."""
    code = (
        "import sys; from mlwb.cli import main; sys.argv = ['mlwb', '--help']; main(); "
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=find_project()
    )
    loaded = set(done.stderr.split())
    assert {"mlwb.cli._lazy", "typer"} <= loaded
    assert loaded & {"mlwb.cli._common", "mlwb.cli._run", "numpy"} == set()
