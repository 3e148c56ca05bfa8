"""The catalogue of model scenarios in pictures: a panel per class, laid out as the classes stand on the plane."""

from typing import Any, Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import tolerances
from mcpbayes.estimands.model_scenarios import model_scenarios as catalogue
from mcpbayes.output.plots import lettering, style
from mcpbayes.specification.loading import load_model
from mcpbayes.specification.structure import Scheme

#: Row and column of each class: the rim of a square of four by four is the ring, its middle the steady state.
PLACES: Final = {
    "N+C-r+": (0, 0), "N+C0r+": (0, 1), "N+C+r+": (0, 2), "N+C+r0": (0, 3),
    "N0C-r+": (1, 0), "N+C+r-": (1, 3),
    "N-C-r+": (2, 0), "N0C+r-": (2, 3),
    "N-C-r0": (3, 0), "N-C-r-": (3, 1), "N-C0r-": (3, 2), "N-C+r-": (3, 3),
    "N0C0r0": (1, 1.5),
}  # fmt: skip

#: What is drawn of each scenario: words, colour, dashes.
_LINES: Final[dict[str, tuple[str, str, Any]]] = {
    words.NECROMASS: ("necromass", style.INKS[1], "-"),
    words.SOC: ("SOC", style.INKS[0], (0, (5, 1.5))),
    "ratio": ("ratio necromass/SOC", style.INKS[2], (0, (1.2, 1.2))),
}

_WIDE: Final = 1.36
_TALL: Final = 1.12
_ACROSS: Final = 1.62
_UP: Final = 1.80
_LEFT: Final = 0.58
_STRIP: Final = 0.055


def model_scenarios(found: xr.Dataset | None = None, *, scheme: Scheme | None = None) -> Figure:
    """Draw the catalogue of model scenarios: change of necromass, SOC and their ratio over the years, class by class.

    Parameters
    ----------
    found : Dataset, optional
        From `mcpbayes.model_scenarios`; default its default years.
    scheme : Scheme, optional
        Tolerances behind `found`; default those of the model ``arm-based``.

    Returns
    -------
    matplotlib.figure.Figure
        Thirteen panels with the same axes, in percent change on a log scale. The strip at the foot of a panel is
        coloured by the class of each year.
    """
    scheme = scheme or load_model("arm-based").scenarios
    found = catalogue(scheme=scheme) if found is None else found
    with style.drawing():
        return style.settled(_draw(found, scheme))


def _draw(found: xr.Dataset, scheme: Scheme) -> style.Picture:
    """Lay the panels out on the square, the key in its middle."""
    width = _LEFT + 4 * _ACROSS
    note = lettering.wrap(_note(scheme), width - 0.4, 7.0)
    below = lettering.note_height(note) + 0.62
    figure = style.picture(width, below + 4 * _UP + 0.05)
    page = style.page(figure)
    limits = _limits(found)
    for code, (row, column) in PLACES.items():
        left, bottom = _LEFT + column * _ACROSS, below + (3 - row) * _UP
        axes = style.panel(figure, left, bottom, _WIDE, _TALL)
        _panel(axes, found.sel(scenario=code), limits, scheme)
        if row == 3 or code == words.SCENARIOS[-1]:
            axes.set_xlabel("years")
        if column in (0, 1.5):
            axes.set_ylabel("change, %")
        elif (row, column - 1) in PLACES.values():  # its labels would run into the panel at the left
            axes.tick_params(labelleft=False)
        label = lettering.wrap(str(found["label"].sel(scenario=code).item()), _ACROSS - 0.08, 7.5)
        page.text(left, bottom + _TALL + 0.08, f"{code}\n{label}", size=7.5, va="bottom", gid="title", linespacing=1.1)
    figure.legend(
        handles=_key(), loc="upper center", borderaxespad=0, labelspacing=0.5,
        bbox_to_anchor=((_LEFT + 2 * _ACROSS - 0.12) / width, (below + 2 * _UP - 0.45) / figure.get_figheight()),
    )  # fmt: skip
    page.text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def _limits(found: xr.Dataset) -> tuple[float, float]:
    """Return limits of the change, ln ratio, the same for all panels."""
    ends = [found["effect"], found["log_delta_mcp"]]
    low, high = min(float(values.min()) for values in ends), max(float(values.max()) for values in ends)
    pad = 0.08 * (high - low)
    return low - 2 * pad, high + pad


def _panel(axes: Axes, here: xr.Dataset, limits: tuple[float, float], scheme: Scheme) -> None:
    """Draw one trajectory over the tolerance, and the strip of its classes."""
    years = here["year"].values
    axes.set(xlim=(years.min(), years.max()), ylim=limits)
    axes.set_xticks(MaxNLocator(2, integer=True).tick_values(years.min(), years.max()))
    axes.set_xlim(years.min(), years.max())
    at, labels = style.percent_ticks(*limits, most=5)
    axes.set_yticks(at, labels)
    axes.spines[["right", "top"]].set_visible(False)
    epsilon = tolerances(scheme)
    axes.axhspan(-epsilon.soc, epsilon.soc, color=style.BAND, zorder=0)
    axes.axhline(0, color=style.MUTED, linewidth=0.5, zorder=1)
    values = {pool: here["effect"].sel(outcome=pool).values for pool in (words.NECROMASS, words.SOC)}
    values["ratio"] = here["log_delta_mcp"].values
    for name, (_, colour, dashes) in _LINES.items():
        axes.plot(years, values[name], color=colour, linestyle=dashes, linewidth=1.5, zorder=3, gid=name)
    edges = np.concatenate([years[:1], (years[1:] + years[:-1]) / 2, years[-1:]])
    for code, start, end in zip(here["scenario_at"].values.astype(str), edges[:-1], edges[1:], strict=True):
        strip: dict[str, Any] = {"color": style.PALETTE[code], "linewidth": 0, "zorder": 2}
        axes.axvspan(start, end, 0, _STRIP, **strip)


def _key() -> list[Line2D | Patch]:
    """Return the legend's entries."""
    entries: list[Line2D | Patch] = [
        Line2D([], [], color=colour, linestyle=dashes, linewidth=1.5, label=label)
        for label, colour, dashes in _LINES.values()
    ]
    return [
        *entries,
        Patch(facecolor=style.BAND, edgecolor="none", label="within the tolerance"),
        Patch(facecolor=style.PALETTE["N+C+r+"], edgecolor="none", label="strip: class of each year"),
    ]


def _note(scheme: Scheme) -> str:
    """Return the note under the figure."""
    percent = scheme.tolerance_percent
    return (
        "Model scenarios: two pools, necromass and other carbon, that go from one steady state to another after a "
        "change of management at year 0. Percent changes on a log scale, also that of the ratio. Parameters are ours, "
        "chosen to show each class; nothing here was fitted to data. Panels stand as the classes on the plane: upwards "
        "necromass rises, to the right SOC. Changes within "
        f"±{percent[words.NECROMASS]:g} % (necromass), ±{percent[words.SOC]:g} % (SOC) and ±{percent['ratio']:g} % "
        "(ratio) count as none; the band shows that of SOC."
    )
