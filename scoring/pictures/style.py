"""What do all pictures share?  Colours that colour-blind readers can tell apart, and each line also
has a dash pattern and a marker of its own, so that a grey print still tells them apart.

Sizes are those of half a page: 6.9 inches wide with text of 7 to 9 points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 6.9  # inches: the text width of a page
MISS = "#e2e2e2"  # a cell that does not count
DARK, FAINT = "#222222", "#6a6a6a"

# Okabe and Ito 2008 without its yellow, which a white page swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*")

_SETTINGS: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.2,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "svg.hashsalt": "scoring",
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Look:
    """How one line is drawn; the same in every picture of a group."""

    colour: str
    dashes: Any
    marker: str

    def line(self) -> dict[str, Any]:
        """Arguments for `Axes.plot`."""
        return {
            "color": self.colour,
            "linestyle": self.dashes,
            "marker": self.marker,
            "markeredgecolor": "white",
            "markeredgewidth": 0.5,
        }


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name, by its place in `names`.

    7 colours, 4 dash patterns and 9 markers have no common divisor, so that 252 names differ, and
    neighbours differ in all three.
    """
    return {
        name: Look(COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)], MARKERS[i % len(MARKERS)])
        for i, name in enumerate(names)
    }


@contextmanager
def drawing() -> Iterator[None]:
    """The settings of all pictures, for as long as one is drawn or saved."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        yield


def figure(height: float, width: float = WIDTH) -> Figure:
    """An empty picture, in inches, outside of pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def entitle(picture: Figure, title: str) -> None:
    """A title above everything, at the left edge."""
    picture.suptitle(title, fontsize=9.5, fontweight="bold", x=0.01, ha="left")


def footnote(picture: Figure, text: str) -> None:
    """Small lines below everything, at the left edge."""
    picture.supxlabel(text, fontsize=7, color=DARK, x=0.01, ha="left")


def beside(axes: Axes, text: str, at: tuple[float, float], coords: Any, up: int = 3) -> None:
    """A small word to the left of and `up` points above a place, legible on top of lines."""
    made = axes.annotate(
        text, at, xycoords=coords, xytext=(-3, up), textcoords="offset points", ha="right"
    )
    made.set(fontsize=7.5, zorder=30)
    made.set_bbox({"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.8})


def plain_numbers(axis: Axis) -> None:
    """Labels of a log axis as 0.001: the default needs TeX's signs, which names may contain."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def save(picture: Figure, folder: Path, name: str, formats: Sequence[str]) -> list[Path]:
    """Writes `name` in each of `formats` (png, svg); the same picture gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{file_name(name)}.{ending}" for ending in formats]
    with drawing():
        for path, ending in zip(paths, formats, strict=True):
            no_date = {"Date": None} if ending == "svg" else {"Software": None}
            picture.savefig(path, format=ending, dpi=160, metadata=no_date)
    return paths


def file_name(name: str) -> str:
    """A name from a log folder, as one part of a path that is valid on every system."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    return kept[:100].strip(".") or "_"


def padded(number: object, width: int = 2) -> str:
    """A number with spaces as wide as a digit before it, so that ranks stand below each other."""
    return str(number).rjust(width, "\u2007")


def short(name: str, most: int = 28) -> str:
    """A name that fits beside a line: its middle goes first, since both ends tell it apart."""
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[: most - 1 - half]}…{name[-half:]}"
