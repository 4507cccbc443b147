"""What is shipped: one set of requirements in three files, nothing heavy, nothing hidden."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import mlwb

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WANTED = [
    Requirement(text)
    for text in (
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["research"],
        *PROJECT["project"]["optional-dependencies"]["redis"],
        *PROJECT["project"]["optional-dependencies"]["s3"],
        *PROJECT["project"]["optional-dependencies"]["test"],
    )
]
CONDA_NAMES = {
    "matplotlib": "matplotlib-base",
    "prometheus-client": "prometheus_client",
    "redis": "redis-py",
}
"""Names that differ between the two package worlds; every other name is the same."""
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.*?))?(?: \\)?$")
PYTHONS = ("3.11", "3.12", "3.13")


def pins() -> list[tuple[str, Version, Marker | None]]:
    """Every pinned package of the lock."""
    found: list[tuple[str, Version, Marker | None]] = []
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        match = PIN.match(line)
        if match:
            marker = Marker(match[3]) if match[3] else None
            found.append((canonicalize_name(match[1]), Version(match[2]), marker))
    return found


def pinned(python: str, platform: str = "linux") -> dict[str, Version]:
    """What the lock installs for one Python on one platform."""
    where = {
        "python_version": python,
        "python_full_version": f"{python}.5",
        "sys_platform": platform,
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[platform],
        "os_name": "nt" if platform == "win32" else "posix",
        "platform_machine": "AMD64" if platform == "win32" else "x86_64",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    return {
        name: version for name, version, marker in pins() if not marker or marker.evaluate(where)
    }


def tracked() -> list[Path]:
    """Files under version control; the test skips where there is no checkout."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("python", PYTHONS)
def test_lock_satisfies_the_project(python: str, platform: str) -> None:
    """Each requirement has one pin inside its bounds, on every Python the lock is for."""
    found = pinned(python, platform)
    where = {"python_version": python, "sys_platform": platform}
    for wanted in WANTED:
        if wanted.marker is None or wanted.marker.evaluate(where):
            version = found.get(canonicalize_name(wanted.name))
            assert version is not None, wanted.name
            assert wanted.specifier.contains(version, prereleases=True), f"{wanted} has {version}"


def test_lock_is_hashed_and_nothing_else() -> None:
    """Every pin has a sha256; the only other lines are hashes and comments."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    heads = [i for i, line in enumerate(lines) if PIN.match(line)]
    assert len(heads) > 100
    assert all(lines[i + 1].startswith("    --hash=sha256:") for i in heads)
    odd = [line for line in lines if line and not PIN.match(line) and line.strip()[0] not in "-#"]
    assert odd == []
    assert not [x for x in lines if x.strip().startswith("-") and "--hash=sha256:" not in x]


def test_lock_has_what_builds_the_package() -> None:
    """The package is installed without looking anything up: its build requirements are locked."""
    found = pinned("3.11")
    for text in PROJECT["build-system"]["requires"]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(found[canonicalize_name(wanted.name)])


def test_protobuf_stays_below_seven() -> None:
    """The ONNX converter hands protobuf 7 what it no longer takes."""
    bounds = [wanted.specifier for wanted in WANTED if wanted.name == "protobuf"]
    assert [Version("7.0.0") in bound for bound in bounds] == [False]
    assert all(version < Version("7") for name, version, _ in pins() if name == "protobuf")


@pytest.mark.parametrize("name", ["requirements.lock", "Makefile", "environment.yml"])
def test_no_address_of_an_index(name: str) -> None:
    """Where packages come from is the user's own setting: no URL in any of these."""
    assert "://" not in (ROOT / name).read_text(encoding="utf-8")


def test_no_index_option_anywhere() -> None:
    """No file under version control names an index or a link to find packages."""
    option = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host")
    named = [
        path.name
        for path in tracked()
        if path != Path(__file__)
        and option.search(path.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert named == []


def test_conda_environment_is_the_projects() -> None:
    """environment.yml lists the same requirements under conda's names, and Python, pip, flit."""
    table = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    listed = [Requirement(item) for item in table["dependencies"] if isinstance(item, str)]
    found = {item.name: item.specifier for item in listed}
    assert len(found) == len(listed)
    expected = {CONDA_NAMES.get(item.name, item.name): item.specifier for item in WANTED}
    expected["python"] = SpecifierSet(PROJECT["project"]["requires-python"])
    builder = Requirement(PROJECT["build-system"]["requires"][0])
    built = {name.replace("_", "-"): bound for name, bound in found.items()}
    assert built[builder.name.replace("_", "-")] == builder.specifier
    assert {k: v for k, v in found.items() if k not in ("pip", "flit-core")} == expected
    assert [item for item in table["dependencies"] if isinstance(item, dict)] == [{"pip": ["-e ."]}]


def test_build_input_is_the_build_system() -> None:
    """build.in, from which the lock takes the build tools, names those of pyproject.toml."""
    lines = (ROOT / "build.in").read_text(encoding="utf-8").split()
    assert set(PROJECT["build-system"]["requires"]) <= set(lines)


def test_nothing_large_is_tracked() -> None:
    """No file above one megabyte."""
    assert [path.name for path in tracked() if path.stat().st_size > 1_000_000] == []


def test_nothing_generated_is_tracked() -> None:
    """Outputs, artifacts and evidence hold their README and nothing else."""
    places = {"outputs", "artifacts", "evidence"}
    left = [
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.relative_to(ROOT).parts[0] in places and path.name != "README.md"
    ]
    assert left == []


def test_nothing_is_a_pickle() -> None:
    """No pickled file by name or by its first bytes: a pickle runs code when it is read."""
    names = [path for path in tracked() if path.suffix in {".pkl", ".pickle", ".joblib", ".npy"}]
    heads = [path for path in tracked() if path.read_bytes()[:2] in (b"\x80\x04", b"\x80\x05")]
    assert names + heads == []


def test_version_is_a_version() -> None:
    """The package says its version once, in a form installers read."""
    assert str(Version(mlwb.__version__)) == mlwb.__version__
    assert "version" in PROJECT["project"]["dynamic"]


def test_make_help_lists_every_target() -> None:
    """What a user can ask for, each with its line."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (targets,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert {line.split()[0] for line in shown.splitlines()[1:]} - {"gate:NAME"} == set(
        targets.split()
    )
