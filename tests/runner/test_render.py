"""The report page: self-contained, honest, the same bytes for the same input."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from mlwb.core.canonical import digest_file
from mlwb.core.errors import NotebookFailedError
from mlwb.runner import render_html, run_notebook
from mlwb.runner._render import TEMPLATES
from tests.runner.notebook_kit import code, notebook, png, prose, write

_METADATA = {
    "run id": "mlwb_v1_training_20260101T000000Z_a1b2c3d4",
    "model version": "v1",
    "data digest": "sha256:00",
    "commit": "",
    "reproduce": "mlwb run -p label.kind='direction'",
}
SOMEBODY = PurePosixPath("/", "home", "ann").as_posix()
"""A folder of somebody's machine, as outputs hold it."""
_LOADS = ("src", "srcset", "data", "poster", "background", "xlink:href", "action", "ping")


class _Reader(HTMLParser):
    """What Python's own parser finds on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag == name]


def _html(text: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"text/html": text, "text/plain": "<x>"}}


def _render(path: Path, *cells: Any, title: str = "Training", mlwb: Any = None) -> str:
    node = notebook(*cells)
    node.metadata.mlwb = mlwb or {"status": "ok"}
    executed = path / "executed.ipynb"
    executed.write_text(json.dumps(node), encoding="utf-8")
    report = render_html(executed, path / "report.html", title=title, metadata=_METADATA)
    assert report.digest == digest_file(report.path)
    text = report.path.read_text(encoding="utf-8")
    assert report.n_bytes == len(text.encode())
    return text


def _body(text: str) -> str:
    return text.partition("</style>")[2]


@pytest.fixture
def full(tmp_path: Path) -> str:
    """A page with one of everything."""
    return _render(
        tmp_path,
        prose("# 02 Training\n\nCan it be learned?"),
        code("seed = 1\ndata = {'days': 90, 'source': ['synthetic']}", "parameters"),
        code("seed = 1\ndata = {'days': 7, 'source': ['synthetic']}", "injected-parameters"),
        prose("## What was measured?\n\n![not here](figures/x.png) and <script>evil()</script>"),
        code(
            "figures.auc(study)",
            outputs=[
                {
                    "output_type": "display_data",
                    "data": {"image/png": png(), "text/plain": "<Figure size 10x10 with 1 Axes>"},
                    "metadata": {"image/png": {"alt": "AUC by fold", "caption": "n < 9"}},
                },
                {
                    "output_type": "display_data",
                    "data": {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>"},
                },
                _html("<table><tr><td>1.5</td></tr></table><iframe src='http://evil'></iframe>"),
                {"output_type": "stream", "name": "stdout", "text": "a <b> \x1b[31mred\x1b[0m\n"},
                {
                    "output_type": "stream",
                    "name": "stderr",
                    "text": f"{SOMEBODY}/b.py:1: Warning\n",
                },
                {
                    "output_type": "execute_result",
                    "execution_count": 1,
                    "data": {"text/plain": "7"},
                },
            ],
        ),
        prose("### By regime"),
        prose("## Decision"),
        code("judge()", "judge", "verdict", outputs=[_html('<p class="headline">BLOCKED</p>')]),
    )


def test_page_loads_nothing(full: str) -> None:
    """No script, frame, form or stylesheet; every source is embedded; the policy says so too."""
    reader = _Reader(full)
    assert not {tag for tag, _ in reader.tags} & {"script", "iframe", "form", "object", "embed"}
    loaded = [value for _, attrs in reader.tags for name, value in attrs.items() if name in _LOADS]
    assert len(loaded) == 2
    assert all(str(value).startswith("data:image/") for value in loaded)
    assert [link["href"] for link in reader.all("link")] == ["data:,"]
    assert not re.search(r"url\s*\(|@import|evil", full)
    policy = reader.all("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert str(policy["content"]).startswith(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    )


def test_every_picture_has_a_description(full: str) -> None:
    """The author's words where there are any, the heading otherwise; captions are escaped."""
    assert [image["alt"] for image in _Reader(full).all("img")] == [
        "AUC by fold",
        "Figure: What was measured?",
    ]
    assert "<figcaption>n &lt; 9</figcaption>" in full


def test_contents_link_to_every_section(full: str) -> None:
    """The table of contents and the headings agree, and no id is given twice."""
    reader = _Reader(full)
    targets = [str(a["href"])[1:] for a in reader.all("a") if str(a["href"]).startswith("#")]
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert {"what-was-measured", "by-regime", "decision"} <= set(targets)
    assert set(targets) <= set(ids)
    assert len(ids) == len(set(ids))
    assert len(reader.all("h1")) == 1


def test_verdict_stands_first_and_says_where_it_came_from(full: str) -> None:
    """The decision is under the title, once; its place below points up."""
    body = _body(full)
    assert body.count("BLOCKED") == 1
    assert body.index("BLOCKED") < body.index("Can it be learned?")
    assert 'Shown <a href="#verdict">' in body


def test_parameters_are_shown_with_what_was_changed(full: str) -> None:
    """Every parameter by its dotted name, changed ones with their default; no code twice."""
    rows = re.findall(r"<tr( class=\"changed\")?><td><code>([^<]+)</code></td>", _body(full))
    assert rows == [("", "seed"), (' class="changed"', "data.days"), ("", "data.source")]
    assert "seed = 1" not in full


def test_footer_says_how_to_repeat_it(full: str) -> None:
    """Metadata in order without the empty ones, and the command, escaped."""
    footer = full.partition("<footer>")[2]
    assert re.findall(r"<dt>([^<]+)</dt>", footer) == ["run id", "model version", "data digest"]
    assert "<pre>mlwb run -p label.kind=&#39;direction&#39;</pre>" in footer


def test_output_is_plain_and_code_is_folded(full: str) -> None:
    """Terminal colours and folders of the machine are gone, object names say nothing and go too."""
    assert "<pre>a &lt;b&gt; red</pre>" in full
    assert "…/b.py:1: Warning" in full
    assert SOMEBODY not in full
    assert "Figure size" not in full
    assert "<pre>7</pre>" in full
    for block in re.findall(r'<div class="highlight.*?</div>', full, re.DOTALL):
        assert f"<summary>Code</summary>{block}" in full


def test_page_is_small_and_so_is_its_style(full: str) -> None:
    """Beside its figures a page stays far below what a mail server minds."""
    assert len(re.sub(r"data:image/[^\"]+", "", full).encode()) < 60_000
    assert (TEMPLATES / "mlwb" / "style.css").stat().st_size < 10_000


def test_style_is_for_light_dark_and_paper(full: str) -> None:
    """The page follows the reader's system, and prints."""
    assert "@media(prefers-color-scheme:dark)" in full
    assert "@media print" in full


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str) -> None:
    """Text on every ground reaches 4.5 to 1, by the formula of WCAG 2."""
    css = (TEMPLATES / "mlwb" / "style.css").read_text(encoding="utf-8")
    found = re.findall(r":root\{(.*?)\}", css)
    colours = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})", found[0]))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})", found[1]))
    for ink in ("fg", "quiet", "link", "pass", "fail", "warn", "kw", "str", "num"):
        for ground in ("bg", "card", "fail-bg"):
            if ground == "fail-bg" and ink in ("pass", "warn", "kw", "str", "num"):
                continue
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """A report can be checked by its digest; the numbering does not depend on what came before."""
    cells = (prose("# T\n## A\n## A\n## A"), code("1", outputs=[_html("<h2>x</h2>")]))
    assert _render(tmp_path, *cells) == _render(tmp_path, *cells)


@pytest.mark.notebook
def test_two_runs_give_the_same_page(tmp_path: Path) -> None:
    """Neither times nor random ids of a run are in its report."""
    source = write(
        tmp_path / "small.ipynb",
        prose("# T\n## A"),
        code("seed = 1", "parameters"),
        code("import pandas as pd; pd.DataFrame({'a': [seed]})"),
    )
    digests = []
    for number in range(2):
        run = run_notebook(
            source,
            parameters={"seed": 4},
            out=tmp_path / f"{number}.ipynb",
            title="T",
            timeout_s=60,
        )
        out = tmp_path / f"{number}.html"
        digests.append(render_html(run.executed, out, title="T", metadata=_METADATA).digest)
    assert digests[0] == digests[1]


def test_what_a_user_wrote_is_escaped(tmp_path: Path) -> None:
    """Titles, parameters, printed text and error messages are text, never markup."""
    evil = "</title><script>evil()</script>"
    text = _render(
        tmp_path,
        code(f"name = {evil!r}", "injected-parameters"),
        code(f"{evil!r}", outputs=[{"output_type": "stream", "name": "stdout", "text": evil}]),
        title=evil,
        mlwb={"status": "failed", "error_name": evil, "error_message": evil, "failed_step": evil},
    )
    assert "<script" not in text
    assert text.count("</title>") == 1
    assert text.count("evil()") >= 7


def test_tags_hide_and_remove(tmp_path: Path) -> None:
    """The tags of Jupyter Book mean here what they mean there."""
    shown = {"output_type": "stream", "name": "stdout"}
    text = _body(
        _render(
            tmp_path,
            code("source1", "remove-cell", outputs=[{**shown, "text": "Output1"}]),
            code("source2", "remove-input", outputs=[{**shown, "text": "Output2"}]),
            code("source3", "remove-output", outputs=[{**shown, "text": "Output3"}]),
            code("source4", "hide-output", outputs=[{**shown, "text": "Output4"}]),
            prose("gone", "remove-cell"),
        )
    )
    assert not re.search(r"source1|Output1|source2|Output3|gone", text)
    assert re.search(
        r"Output2.*source3.*<summary>Output</summary>\s*<pre>Output4</pre>.*source4",
        text,
        re.DOTALL,
    )


def test_failed_run_gets_a_page_with_what_is_known(tmp_path: Path) -> None:
    """Red banner: where, what, how far, a short traceback without this machine's folders."""
    frames = [f'  File "{SOMEBODY}/mlwb/x.py", line {n}\x1b[0m' for n in range(60)]
    failed = code(
        "study = measure(inputs)",
        outputs=[
            {
                "output_type": "error",
                "ename": "DataError",
                "evalue": f"no bars in {SOMEBODY}/bars.csv",
                "traceback": ["first frame", *frames, "DataError: no bars"],
            }
        ],
    )
    failed.metadata.papermill = {"status": "failed"}
    rest = code("record(study)")
    rest.metadata.papermill = {"status": "not_run"}
    text = _body(
        _render(
            tmp_path,
            prose("banner of papermill", "papermill-error-cell-tag"),
            prose("# T\n## Step"),
            failed,
            rest,
            mlwb={
                "status": "failed",
                "n_cells": 3,
                "n_executed": 1,
                "failed_cell": 2,
                "failed_step": "Step",
                "error_name": "DataError",
                "error_message": "no bars in …/bars.csv",
            },
        )
    )
    assert "The run failed in cell 2, “Step”" in text
    assert "<b>DataError</b>: no bars in …/bars.csv" in text
    assert "1 of 3 cells ran." in text
    assert 'href="#failed-step"' in text
    assert 'id="failed-step"' in text
    assert "Not run." in text
    assert "banner of papermill" not in text
    assert SOMEBODY not in text
    assert "\x1b" not in text
    traceback = re.search(r"<summary>Traceback</summary><pre>(.*?)</pre>", text, re.DOTALL)
    assert traceback is not None
    lines = traceback[1].splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("…", "DataError: no bars", 25)


@pytest.mark.parametrize("status", ["timeout", "killed", "interrupted", "unheard-of"])
def test_run_that_ended_without_a_traceback_is_not_called_good(tmp_path: Path, status: str) -> None:
    """Every status that is not ok has its banner, also one this version does not know."""
    text = _body(_render(tmp_path, code("1"), mlwb={"status": status, "error_name": "Gone"}))
    assert 'class="failure"' in text
    assert "Gone" in text
    assert "<summary>Traceback</summary>" not in text


def test_notebook_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """No page is written for a torn notebook."""
    torn = write(tmp_path / "torn.ipynb", code("1"))
    torn.write_bytes(torn.read_bytes()[:-40])
    with pytest.raises(NotebookFailedError, match=r"torn\.ipynb cannot be read"):
        render_html(torn, tmp_path / "r.html", title="T", metadata={})
    assert not (tmp_path / "r.html").exists()


def test_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A report has somewhere to go, or somebody hears of it."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    executed = write(tmp_path / "e.ipynb", code("1"))
    with pytest.raises(NotebookFailedError, match="the report cannot be written"):
        render_html(executed, tmp_path / "file" / "r.html", title="T", metadata={})
