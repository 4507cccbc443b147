"""Fragments of a run made fit for one page: nothing runs, nothing is loaded, tables line up."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from bs4 import BeautifulSoup, Comment, Tag

__all__ = ["Heading", "Headings", "clean"]

_DROPPED = (
    "script", "iframe", "frame", "object", "embed", "applet", "link", "meta", "base", "form",
    "input", "button", "select", "textarea", "audio", "video", "source", "track", "portal",
    "foreignobject",
)  # fmt: skip
_LOADING = ("src", "srcset", "data", "poster", "background", "href", "xlink:href", "action",
            "formaction", "ping", "manifest")  # fmt: skip
_LEAVES_PAGE = re.compile(
    r"url\s*\(\s*['\"]?(?!data:image/|#)|@import|expression\s*\(", re.IGNORECASE
)
_SAFE_LINK = re.compile(r"^(#|https?://|mailto:)", re.IGNORECASE)
_NUMBER = re.compile(
    r"^[+\-−±≥≤<>~≈]?\s?(\d[\d,\u00a0\u202f ]*)?\.?\d+(e[+\-]?\d+)?\s?"
    r"(%|bp|ms|s|µs|us|ns|min|h|d|days|x|×|MB|KB|GB)?$",
    re.IGNORECASE,
)
_LONGEST_NUMBER = 40
_BLANK = re.compile(r"^(|-|–|—|nan|n/a|none|null)$", re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """One line of the table of contents."""

    level: int
    id: str
    text: str


@dataclass
class Headings:
    """The headings of a page, each with an id of its own."""

    found: list[Heading] = field(default_factory=list)
    _taken: set[str] = field(default_factory=lambda: {"content", "failed-step", "verdict"})

    def add(self, level: int, text: str) -> str:
        """Enter a heading; its id."""
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
        slug = base = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "section"
        number = 1
        while slug in self._taken:
            number += 1
            slug = f"{base}-{number}"
        self._taken.add(slug)
        self.found.append(Heading(level, slug, text))
        return slug


def clean(markup: str, *, alt: str, headings: Headings | None = None) -> str:
    """One fragment of HTML without anything active or loaded from elsewhere.

    Parameters
    ----------
    markup : str
        From a Markdown cell or an output.
    alt : str
        What an image without a description is called.
    headings : Headings, optional
        Collects the headings of prose and gives them ids.

    Returns
    -------
    str
        Scripts, frames, forms and event handlers are gone; images that are not embedded are
        replaced by a note; tables scroll on their own and have their numbers on the right.

    Examples
    --------
    >>> clean('<b onclick="x()">1</b><script>x()</script>', alt="")
    '<b>1</b>'
    """
    soup = BeautifulSoup(markup, "html.parser")
    _disarm(soup)
    for image in soup.find_all("img"):
        _settle_image(soup, image, alt)
    for table in soup.find_all("table"):
        _settle_table(soup, table)
    if headings is not None:
        _settle_headings(soup, headings)
    return soup.decode(formatter="minimal").strip()


def _disarm(soup: BeautifulSoup) -> None:
    for comment in soup.find_all(string=lambda text: isinstance(text, Comment)):
        comment.extract()
    for tag in soup.find_all(_DROPPED):
        tag.decompose()
    for style in soup.find_all("style"):
        if style.has_attr("scoped") or _LEAVES_PAGE.search(style.get_text()):
            style.decompose()
    for tag in soup.find_all(lambda tag: bool(tag.attrs)):
        _disarm_tag(tag)


def _disarm_tag(tag: Tag) -> None:
    for name in list(tag.attrs):
        value = str(tag.attrs[name])
        if name.startswith("on") or _is_unsafe(tag, name, value):
            del tag.attrs[name]
    if tag.name == "a" and str(tag.get("href", "")).startswith("http"):
        tag["rel"] = "noopener noreferrer"


def _is_unsafe(tag: Tag, name: str, value: str) -> bool:
    if name == "style":
        return bool(_LEAVES_PAGE.search(value))
    if name not in _LOADING:
        return bool(_LEAVES_PAGE.search(value))  # SVG: fill="url(...)"
    if tag.name == "a" and name == "href":
        return not _SAFE_LINK.match(value.strip())
    return not (name in ("src", "href", "xlink:href") and value.startswith(("data:image/", "#")))


def _settle_image(soup: BeautifulSoup, image: Tag, alt: str) -> None:
    if not image.get("src"):
        note = soup.new_tag("span", attrs={"class": "quiet"})
        note.string = f"[image left out, it is not embedded: {image.get('alt') or alt}]"
        image.replace_with(note)
        return
    if not str(image.get("alt") or "").strip():
        image["alt"] = alt


def _settle_headings(soup: BeautifulSoup, headings: Headings) -> None:
    for tag in soup.find_all(["h1", "h2", "h3"]):
        if tag.name == "h1":  # the page has one already
            tag.name = "h2"
        tag["id"] = headings.add(int(tag.name[1]), tag.get_text(" ", strip=True))


def _settle_table(soup: BeautifulSoup, table: Tag) -> None:
    for name in ("border", "cellpadding", "cellspacing", "width"):
        table.attrs.pop(name, None)
    rows = [row.find_all(["td", "th"], recursive=False) for row in table.find_all("tr")]
    plain = all(not cell.has_attr("colspan") for row in rows for cell in row)
    n_columns = max((len(row) for row in rows), default=0)
    for column in range(n_columns if plain else 0):
        _settle_column([row[column] for row in rows if column < len(row)])
    for row in table.find_all("tr"):
        if str(row.get("style", "")).startswith("text-align"):  # what pandas says of its header
            del row["style"]
    box = soup.new_tag("div", attrs={"class": "scroll", "tabindex": "0"})
    table.replace_with(box)
    box.append(table)


def _is_number(text: str) -> bool:
    return len(text) <= _LONGEST_NUMBER and _NUMBER.match(text) is not None


def _settle_column(cells: list[Tag]) -> None:
    said = [cell.get_text(" ", strip=True) for cell in cells if cell.name == "td"]
    told = [text for text in said if not _BLANK.match(text)]
    if not told or not all(_is_number(text) for text in told):
        return
    for cell in cells:
        cell["class"] = f"{' '.join(cell.get('class') or [])} num".strip()
