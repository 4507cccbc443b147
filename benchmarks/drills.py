"""Incident drills: what each incident looks like, and seconds until good answers again.

    python -m benchmarks.drills [-k model]

Runs the tests of ``tests/drills`` (real server processes, real files, real disks) and prints what
they found. Recovery is counted from where somebody begins to recover: the command is typed, space
is freed, the process is started. Ends with 1 when a drill failed; one that this machine does not
allow is skipped and said.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAMED = ("incident", "sees", "by", "recovered_s", "lost")


def _cases(report: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """How each drill ended, and what it found."""
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - written by our own pytest
        found = {item.get("name", ""): item.get("value", "") for item in case.iter("property")}
        is_drill = "incident" in found
        found.setdefault("incident", case.get("name", ""))
        skipped = case.find("skipped")
        if skipped is not None:
            yield f"skipped: {skipped.get('message', '')}", found
        elif case.find("failure") is not None or case.find("error") is not None:
            yield "FAILED", found
        elif is_drill:
            yield "ok", found


def main() -> None:
    """Run them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("-k", default="", help="only drills whose name matches")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "drills.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "tests/drills"]
        done = subprocess.run(
            [*command, f"--junitxml={report}", "-k", options.k],
            cwd=ROOT, env={**os.environ, "COLUMNS": "100"}, check=False, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        for outcome, found in _cases(report):
            print(f"{found['incident']}  [{outcome}]")
            for name, said in (
                ("what you see", found.get("sees", "")),
                ("recovered by", found.get("by", "")),
                ("seconds until good answers", found.get("recovered_s", "")),
                ("log lines lost", found.get("lost", "")),
                *((name, value) for name, value in found.items() if name not in NAMED),
            ):
                if said:
                    print(f"    {name}: {said}")
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
