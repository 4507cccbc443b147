"""One way to make a picture: the same size, the same fonts, the same bytes every time."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure as Drawing
from PIL import Image

from mlwb.core.arrays import Float1D, Int1D
from mlwb.report._style import FAIL, INK, LINE, PAPER, QUIET

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

__all__ = [
    "Figure",
    "dates",
    "days",
    "draw",
    "grouped",
    "limit_line",
    "percent",
    "quiet_axes",
    "shades",
    "unmeasured",
]

WIDTH, HEIGHT = 860, 320
"""CSS pixels; pictures have twice as many."""
_DPI = 100
_SHARPNESS = 2
_COLOURS = 128
_TITLE = "color:var(--fg,inherit);font-size:1.08em"

_RC: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": "#b4bcc6",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": "#b4bcc6",
    "ytick.color": "#b4bcc6",
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.hashsalt": "mlwb",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class Figure:
    """A picture with its message in words.

    Parameters
    ----------
    title : str
        What the data says, as a sentence.
    subtitle : str
        What is shown: quantity, unit, window.
    alt : str
        The message for whoever does not see the picture.
    png : bytes
        Empty where nothing could be measured; ``subtitle`` says why.
    width, height : int
        CSS pixels.
    """

    title: str
    subtitle: str
    alt: str
    png: bytes
    width: int = WIDTH
    height: int = HEIGHT

    def _repr_html_(self) -> str:
        if not self.png:
            return (
                f'<p class="note"><strong>{escape(self.title)}.</strong> '
                f"{escape(self.subtitle)}</p>"
            )
        data = base64.b64encode(self.png).decode("ascii")
        return (
            '<figure class="plot"><figcaption style="margin:0 0 .5em">'
            f'<strong style="{_TITLE}">{escape(self.title)}</strong><br>'
            f"{escape(self.subtitle)}</figcaption>"
            f'<img alt="{escape(self.alt)}" width="{self.width}" height="{self.height}" '
            f'src="data:image/png;base64,{data}"></figure>'
        )

    def __repr__(self) -> str:
        return f"Figure: {self.title}"


def draw(
    paint: Callable[[Drawing], None],
    *,
    title: str,
    subtitle: str,
    detail: str = "",
    height: int = HEIGHT,
    colours: int = _COLOURS,
) -> Figure:
    """Let ``paint`` fill an empty drawing and keep it as PNG.

    Parameters
    ----------
    paint : callable
        Given a matplotlib figure of the common size; knows nothing of global state.
    title, subtitle : str
        See :class:`Figure`.
    detail : str, default=""
        Numbers the alternative text gives beside the title.
    height : int, default=320
        CSS pixels.
    colours : int, default=128
        Of the palette.

    Returns
    -------
    Figure
        The same bytes for the same data, whatever matplotlib was told before.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        drawing = Drawing(
            figsize=(WIDTH / _DPI, height / _DPI), dpi=_SHARPNESS * _DPI, layout="constrained"
        )
        canvas: Any = FigureCanvasAgg(drawing)
        paint(drawing)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    alt = f"{title}. {detail or subtitle}"
    return Figure(title, subtitle, alt, _png(pixels, colours), WIDTH, height)


def _png(pixels: npt.NDArray[np.uint8], colours: int) -> bytes:
    """A palette picture: less than half the bytes of full colour, to the eye the same."""
    buffer = BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    adaptive = Image.Palette.ADAPTIVE
    flat = image.convert("P", palette=adaptive, colors=colours, dither=Image.Dither.NONE)
    flat.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def unmeasured(what: str, why: str) -> Figure:
    """In place of a picture: what is not there, and why."""
    return Figure(f"{what}: not measured", why, f"{what}: not measured. {why}", b"")


def limit_line(ax: Axes, value: float, said: str, *, horizontal: bool = False) -> None:
    """A limit, drawn and named."""
    style: dict[str, Any] = {"color": FAIL, "linewidth": 1.2, "linestyle": (0, (5, 3)), "zorder": 4}
    words: dict[str, Any] = {"color": FAIL, "fontsize": 8.5, "zorder": 6}
    if horizontal:
        ax.axhline(value, **style)
        ax.annotate(
            said, (1.0, value), xycoords=("axes fraction", "data"), xytext=(-4, 4),
            textcoords="offset points", ha="right", va="bottom", **words,
        )  # fmt: skip
        return
    ax.axvline(value, **style)
    ax.annotate(
        said, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(4, 2),
        textcoords="offset points", ha="left", va="bottom", **words,
    )  # fmt: skip


def quiet_axes(ax: Axes, *, grid: str = "both") -> None:
    """Leave only the lines that help: the grid along one axis, no ticks."""
    ax.grid(visible=False)
    if grid != "none":
        ax.grid(visible=True, axis=grid)  # type: ignore[arg-type]
    ax.tick_params(length=0)


def days(seconds: Int1D) -> Float1D:
    """Seconds since 1970 as matplotlib counts time."""
    return np.asarray(seconds / 86_400.0, dtype=np.float64)


def dates(ax: Axes) -> None:
    """Write the x axis, which counts :func:`days`, as dates."""
    locator: Any = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]


def grouped(value: float, _: float) -> str:
    """A number on an axis, with its thousands apart."""
    return f"{value:,.10g}".replace("-", "−")


def percent(value: float, _: float) -> str:
    """A share on an axis."""
    return f"{100 * value:g} %".replace("-", "−")


def shades(*colours: str) -> LinearSegmentedColormap:
    """A colour map that runs evenly through the colours."""
    return LinearSegmentedColormap.from_list("shades", list(colours))
