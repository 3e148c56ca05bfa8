"""One look for all figures: palette, type, canvases in inches, percent axes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO, StringIO
from types import MappingProxyType
from typing import Any, Final

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axes._secondary_axes import SecondaryAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from scipy.spatial.distance import cdist

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import lettering

#: One colour per scenario class, in ring order: blues and violets where the ratio rises, reds to yellow where it falls,
#: greens for gains of both pools, plums for losses of both, grey for the steady state. Found by search for the largest
#: smallest distance (CIE 1976) under normal, protan, deutan and tritan vision; the tests keep it.
PALETTE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "N+C+r+": "#135134",
        "N+C0r+": "#59d3d8",
        "N+C-r+": "#6080ee",
        "N0C-r+": "#b1b0ff",
        "N-C-r+": "#5328aa",
        "N-C-r0": "#a856af",
        "N-C-r-": "#613860",
        "N-C0r-": "#f2574f",
        "N-C+r-": "#7a2f09",
        "N0C+r-": "#c96f00",
        "N+C+r-": "#f0bd1c",
        "N+C+r0": "#97d297",
        "N0C0r0": "#8a8a8a",
    }
)

#: Colours of overlaid kinds (Okabe & Ito 2008, "Color universal design"), with black first.
INKS: Final = ("#000000", "#0072b2", "#d55e00")
INK: Final = "#1a1a1a"
MUTED: Final = "#5c5c5c"
FAINT: Final = "#d9d9d9"
STRIPE: Final = "#f5f5f3"
#: Behind an axis: changes within the tolerance.
BAND: Final = "#e8e6df"
#: The ratio rises, stays, falls (blue against red-brown, told apart by all colour visions).
RISE: Final = "#3f5fb0"
STAY: Final = "#8a8a8a"
FALL: Final = "#b5452c"

#: Colours that a picture with a palette keeps exactly, of 256.
_EXACT: Final = 64

#: Percent changes that may label an axis, the roundest first.
_ROUND_PERCENT: Final = (
    *(0, 100, -50, 50, -25, 25, 200, -75, 10, -10, 20, -20, 400, 900, -90, 300, 40, 75, -40, 150),
    *(5, -5, 15, -15, 30, -30, 2, -2, 1, -1, 3, -3, 4, -4, 1900, -95, 3900, -99),
)

_RC: Final = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.7,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a study's name is a dollar
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "figure.dpi": 110.0,
    "savefig.dpi": 220.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "mcpbayes",
}


class Picture(Figure):
    """A Matplotlib figure that Jupyter shows by itself, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        return with_palette(as_png(self, dpi=144))


@contextmanager
def drawing() -> Iterator[None]:
    """Run a block under Matplotlib's defaults and our settings, whatever the user's are."""
    with matplotlib.style.context(["default", _RC]):
        yield


def picture(width: float, height: float) -> Picture:
    """Return an empty figure of a size in inches, with an Agg canvas and without pyplot."""
    figure = Picture(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def settled(figure: Picture) -> Picture:
    """Lay the figure out once, so that labels which Matplotlib makes late are made under our settings."""
    figure.draw_without_rendering()
    return figure


def page(figure: Figure) -> Axes:
    """Return invisible axes over the whole figure whose coordinates are inches from the lower left."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), zorder=-1, label="page")
    axes.set(xlim=(0.0, width), ylim=(0.0, height))
    axes.set_axis_off()
    return axes


def panel(figure: Figure, left: float, bottom: float, width: float, height: float, **options: Any) -> Axes:
    """Return axes placed in inches from the lower left."""
    whole, tall = figure.get_size_inches()
    axes = figure.add_axes((left / whole, bottom / tall, width / whole, height / tall), **options)
    axes.set_facecolor("none")
    return axes


def width_in_inches(axes: Axes) -> float:
    """Return the width of axes in inches."""
    whole = axes.figure.get_figure(root=True)
    return float(axes.get_position().width * whole.get_size_inches()[0]) if whole else 0.0


def strokes(axes: Axes, values: np.ndarray) -> None:
    """Show above a panel where the data lie."""
    low, high = axes.get_xlim()
    inside = values[(values >= low) & (values <= high)]
    axes.plot(
        inside, np.full(len(inside), 1.035), "|", color=INK, markersize=4, markeredgewidth=0.7, alpha=0.6,
        clip_on=False, gid="observed", transform=axes.get_xaxis_transform(),
    )  # fmt: skip


def as_png(figure: Figure, dpi: float = 220.0) -> bytes:
    """Return the figure as the bytes of a PNG file, the same for the same figure."""
    buffer = BytesIO()
    with drawing():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def with_palette(png: bytes) -> bytes:
    """Return a PNG of at most 256 colours, a third of the size: for notebooks, which hold every picture as text.

    Notes
    -----
    The commonest colours stay as they are, so that no area takes its neighbour's tint; the others, at the edges of
    letters and lines, are chosen by maximum coverage, which keeps rare colours.
    """
    image = Image.open(BytesIO(png)).convert("RGB")
    # A colour as one number, r·256² + g·256 + b: sorting rows of three takes many times as long.
    pixels = np.asarray(image) @ np.array([65536, 256, 1], dtype=np.uint32)
    numbers, of_pixel, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    colours = (numbers[:, None] >> np.array([16, 8, 0], dtype=np.uint32) & 255).astype(np.uint8)
    rest = 256 - min(_EXACT, len(colours))
    found = image.quantize(rest, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette() or []
    spread = np.array(found[: 3 * rest], dtype=np.uint8).reshape(-1, 3)
    palette = np.concatenate([colours[np.argsort(-counts, kind="stable")[:_EXACT]], spread])
    apart = cdist(colours.astype(float), palette.astype(float))
    nearest = apart.argmin(axis=1).astype(np.uint8)
    small = Image.fromarray(nearest[of_pixel].reshape(pixels.shape))
    small.putpalette(palette.ravel().tolist())
    buffer = BytesIO()
    small.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def as_svg(figure: Figure) -> str:
    """Return the figure as the text of an SVG file, without date and with stable ids."""
    buffer = StringIO()
    with drawing():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def percent_ticks(low: float, high: float, most: int = 6) -> tuple[list[float], list[str]]:
    """Return positions (ln ratio) and labels (percent change) of an axis' round values, none of them in a corner.

    Parameters
    ----------
    low, high : float
        Limits of the axis, ln ratio.
    most : int
        About how many labels fit side by side.
    """
    gap, rim = (high - low) / most, 0.03 * (high - low)
    chosen: list[tuple[float, int]] = []
    for value in _ROUND_PERCENT:
        at = float(np.log1p(value / 100.0))
        if low + rim <= at <= high - rim and all(abs(at - other) >= gap for other, _ in chosen):
            chosen.append((at, value))
    chosen.sort()
    return [at for at, _ in chosen], [lettering.signed(value) for _, value in chosen]


def inner_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Return round values of an axis that keep away from its corners, where labels of two axes would meet."""
    rim = 0.03 * (high - low)
    ticks = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in ticks if low + rim <= tick <= high - rim]


def percent_axis(axes: Axes, side: str, label: str, most: int = 6) -> SecondaryAxis:
    """Add a second reading in percent change to an axis in ln ratio, on the side ``top`` or ``right``."""
    low, high = axes.get_xlim() if side == "top" else axes.get_ylim()
    at, labels = percent_ticks(low, high, most)
    if side == "top":
        second = axes.secondary_xaxis("top")
        second.set_xticks(at, labels)
        second.set_xlabel(label)
    else:
        second = axes.secondary_yaxis("right")
        second.set_yticks(at, labels)
        second.set_ylabel(label)
    return second


def colour_of(scenario: str, merge: Mapping[str, Sequence[str]]) -> str:
    """Return a class' colour; a class merged by the user takes that of its first member."""
    if scenario in PALETTE:
        return PALETTE[scenario]
    return PALETTE[merge[scenario][0]] if scenario in merge else PALETTE[words.SCENARIOS[-1]]
