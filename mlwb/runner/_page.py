"""From an executed notebook to the parts of a report page."""

from __future__ import annotations

import ast
import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from mlwb.core.errors import ParamsError
from mlwb.runner._inject import assignments
from mlwb.runner._markup import Heading, Headings, clean
from mlwb.runner._session import plain_text, short_paths

__all__ = ["Block", "FailureNote", "Page", "build_page"]

_MARKER = "papermill-error-cell-tag"
_RAW_OBJECT = re.compile(r"^\[?<[\w. ]+( (object|at|size|with)\b.*|:.*)?>\]?$")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_TRACEBACK_LINES = 24
_LEAD = 3  # pieces of metadata that stand under the title

_ENDED = {
    "failed": "The run failed",
    "timeout": "The run ran out of time",
    "killed": "The run lost its kernel",
    "interrupted": "The run was interrupted",
}


@dataclass(frozen=True)
class Block:
    """One thing below another.

    Parameters
    ----------
    kind : {"prose", "cell", "parameters"}
    html : str
        Cleaned, ready to be put in the page.
    source : str
        Code shown folded; empty for none.
    state : str
        ``completed``, ``failed`` or ``not_run``.
    hidden, moved : bool
        Whether the output is folded; whether it stands at the top of the page instead.
    rows : tuple of dict
        Of the parameter table.
    """

    kind: Literal["prose", "cell", "parameters"]
    html: str = ""
    source: str = ""
    state: str = "completed"
    hidden: bool = False
    moved: bool = False
    rows: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class FailureNote:
    """What the red banner says."""

    headline: str
    name: str
    message: str
    progress: str
    traceback: str
    has_step: bool


@dataclass
class Page:
    """Everything the template lays out."""

    title: str
    lead: list[tuple[str, str]]
    facts: list[tuple[str, str]]
    reproduce: str
    failure: FailureNote | None = None
    verdict: str = ""
    blocks: list[Block] = field(default_factory=list)
    toc: list[Heading] = field(default_factory=list)


def build_page(node: NotebookNode, *, title: str, metadata: Mapping[str, str]) -> Page:
    """Read an executed notebook into a page.

    Parameters
    ----------
    node : NotebookNode
        Executed notebook, format 4.
    title : str
    metadata : mapping of str to str
        In the order to be shown; ``reproduce`` is a command and stands last.
    """
    facts = [(str(k), str(v)) for k, v in metadata.items() if k != "reproduce" and str(v)]
    page = Page(
        title=title,
        lead=facts[:_LEAD],
        facts=facts,
        reproduce=str(metadata.get("reproduce", "")),
        failure=_failure(node),
    )
    headings = Headings()
    step = title
    for cell in _visible(node):
        if cell.cell_type == "markdown":
            page.blocks.append(_prose(cell, headings, is_first=not page.blocks, alt=step))
            step = headings.found[-1].text if headings.found else step
        elif cell.cell_type == "code" and cell.source.strip():
            _add_code(page, node, cell, alt=f"Figure: {step}")
    page.blocks = [b for b in page.blocks if b.html or b.source or b.rows]
    page.toc = headings.found if len(headings.found) > 2 else []
    return page


def _tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _visible(node: NotebookNode) -> Iterator[NotebookNode]:
    injected = any("injected-parameters" in _tags(cell) for cell in node.cells)
    for cell in node.cells:
        tags = _tags(cell)
        if tags & {"remove-cell", _MARKER} or (injected and "parameters" in tags):
            continue
        yield cell


def _prose(cell: NotebookNode, headings: Headings, *, is_first: bool, alt: str) -> Block:
    source = cell.source
    if is_first and source.lstrip().startswith("# "):
        source = source.lstrip().partition("\n")[2]  # the page's title says it
    return Block("prose", html=clean(_markdown(source, cell), alt=alt, headings=headings))


def _markdown(source: str, cell: NotebookNode | None = None) -> str:
    attachments = cell.get("attachments", {}) if cell is not None else {}
    renderer = IPythonRenderer(escape=False, attachments=attachments, exclude_anchor_links=True)
    return str(MarkdownWithMath(renderer=renderer).render(source))


def _add_code(page: Page, node: NotebookNode, cell: NotebookNode, *, alt: str) -> None:
    tags = _tags(cell)
    if tags & {"injected-parameters", "parameters"}:
        page.blocks.append(Block("parameters", rows=tuple(_parameter_rows(node))))
        return
    shown = "\n".join(_outputs(cell, alt=alt)) if "remove-output" not in tags else ""
    moved = "verdict" in tags and bool(shown)
    if moved:
        page.verdict, shown = shown, ""
    state = cell.metadata.get("papermill", {}).get("status", "completed")
    page.blocks.append(
        Block(
            "cell",
            html=shown,
            source="" if "remove-input" in tags else cell.source,
            state=state if state in ("failed", "not_run") else "completed",
            hidden="hide-output" in tags,
            moved=moved,
        )
    )


def _parameter_rows(node: NotebookNode) -> Iterator[dict[str, Any]]:
    defaults = _flat(_cell_values(node, "parameters"))
    given = _flat(_cell_values(node, "injected-parameters"))
    for name, value in {**defaults, **given}.items():
        default = defaults.get(name, "")
        yield {"name": name, "value": value, "default": default, "changed": value != default}


def _cell_values(node: NotebookNode, tag: str) -> dict[str, Any]:
    for cell in node.cells:
        if tag in _tags(cell):
            try:
                return {name: _literal(text) for name, text in assignments(cell.source).items()}
            except ParamsError:
                return {}
    return {}


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except ValueError:
        return text  # an expression is shown as it is written


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = json.dumps(_shown(value), ensure_ascii=False, default=str)
    return found


def _shown(value: Any) -> Any:
    """A path without its folders: a report travels, a machine's folders do not."""
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, str) and PurePath(value).is_absolute():
        return PurePath(value).name
    return value


def _outputs(cell: NotebookNode, *, alt: str) -> Iterator[str]:
    for output in cell.outputs:
        if output.output_type == "stream":
            yield _stream(output)
        elif output.output_type == "error":
            text = plain_text(f"{output.ename}: {output.evalue}")
            yield f'<p class="fail">{html.escape(text)}</p>'
        else:
            yield _data(output, alt=alt)


def _stream(output: NotebookNode) -> str:
    text = html.escape(_ANSI.sub("", output.text).rstrip())
    if not text:
        return ""
    if output.name == "stderr":
        folded = html.escape(short_paths(_ANSI.sub("", output.text).rstrip()))
        return f'<details class="code"><summary>Messages</summary><pre>{folded}</pre></details>'
    return f"<pre>{text}</pre>"


def _data(output: NotebookNode, *, alt: str) -> str:
    data = output.data
    if "text/html" in data:
        return clean(data["text/html"], alt=alt)
    for mime in ("image/svg+xml", "image/png", "image/jpeg"):
        if mime in data:
            return _figure(output, mime, alt=alt)
    if "text/markdown" in data:
        return clean(_markdown(data["text/markdown"]), alt=alt)
    text = str(data.get("text/plain", "")).strip()
    if not text or _RAW_OBJECT.match(text):
        return ""  # `<Axes: title=...>` says nothing to a reader
    return f"<pre>{html.escape(_ANSI.sub('', text))}</pre>"


def _figure(output: NotebookNode, mime: str, *, alt: str) -> str:
    said = {**output.metadata, **output.metadata.get(mime, {})}
    payload = output.data[mime]
    if mime == "image/svg+xml":
        payload = base64.b64encode(payload.encode()).decode()
    payload = "".join(payload.split())
    caption = str(said.get("caption", ""))
    label = html.escape(str(said.get("alt") or caption or alt))
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{label}" src="data:{mime};base64,{payload}">{below}</figure>'


def _failure(node: NotebookNode) -> FailureNote | None:
    told = node.metadata.get("mlwb", {})
    status = told.get("status", "ok")
    if status == "ok":
        return None
    number, step = told.get("failed_cell"), told.get("failed_step", "")
    where = f" in cell {number}" if number else " before its first cell"
    n_done, n_cells = told.get("n_executed", 0), told.get("n_cells", 0)
    return FailureNote(
        headline=_ENDED.get(status, "The run did not finish")
        + where
        + (f", “{step}”" if step else ""),
        name=str(told.get("error_name", "")),
        message=str(told.get("error_message", "")),
        progress=f"{n_done} of {n_cells} cells ran.",
        traceback=_traceback(node),
        has_step=bool(number),
    )


def _traceback(node: NotebookNode) -> str:
    for cell in node.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                text = short_paths(_ANSI.sub("", "\n".join(output.traceback)))
                lines = text.splitlines()
                cut = ["…"] if len(lines) > _TRACEBACK_LINES else []
                return "\n".join(cut + lines[-_TRACEBACK_LINES:])
    return ""
