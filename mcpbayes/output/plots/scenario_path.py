"""The path through the scenario plane: where the typical comparison stands after some years, and in the end."""

from typing import Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import tolerances
from mcpbayes.estimands.courses import STEADY_STATE, horizon_name
from mcpbayes.estimands.tree import group, specification
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.futures import along_years, draws_at
from mcpbayes.output.plots.plane_ground import HALO, axis_labels, ground, label_diagonal
from mcpbayes.output.plots.regions import highest_density_regions

#: Probability of the regions drawn.
PROB: Final = 0.5

_SIDE: Final = 4.6
#: Distance, in points of print, below which two years share one name.
_CLOSE: Final = 15.0


def scenario_path(result: xr.DataTree, *, name: str | None = None) -> Figure:
    """Draw the way of the typical comparison through the scenario plane, years marked.

    Parameters
    ----------
    result : xr.DataTree
        With the group ``forecast``.
    name : str, optional
        Target; by default the average.

    Returns
    -------
    matplotlib.figure.Figure
        Line: posterior medians of both effects at level mean, year by year, dashed beyond the longest duration of the
        table. Points with 50 % highest-density regions: the years asked for, and the new steady state.

    Raises
    ------
    StageError
        If ``forecast`` was not called.
    ValueError
        If there is no such target.
    """
    along, chosen = along_years(result, name, None)
    with style.drawing():
        return style.settled(_draw(result, along, chosen))


def _draw(result: xr.DataTree, along: xr.Dataset, name: str) -> style.Picture:
    scheme, asked = specification(result).scenarios, group(result, words.FORECAST)
    path, marked = _pairs(along, name), _pairs(asked, name)
    regions = [highest_density_regions(soc, necromass, (PROB,))[0] for soc, necromass in marked]
    outlines = [line for region in regions for line in region]
    low, high = _window(outlines, max(vars(tolerances(scheme)).values()))
    width = _SIDE + 4.0
    note = lettering.wrap(_note(result), width - 0.4, 7.0)
    below = lettering.note_height(note) + 0.70
    figure = style.picture(width, _SIDE + below + 0.55)
    axes = style.panel(figure, 0.75, below, _SIDE, _SIDE)
    obstacles = ground(axes, low, high, scheme, 6.5)
    shades = np.linspace(0.25, 0.60, len(regions))
    for region, shade in zip(regions, shades, strict=True):
        for line in region:
            axes.add_patch(
                PathPatch(Path(line), facecolor=style.INKS[1], alpha=shade * 0.6, edgecolor="none", zorder=3)
            )
            axes.plot(*line.T, color=style.INKS[1], linewidth=0.7, alpha=0.8, zorder=3)
    medians = np.median(path, axis=2)
    _line(axes, medians, along["years"].values, float(along.attrs["longest_duration"]))
    points = np.median(marked, axis=2)
    _points(axes, points, asked["years"].values)
    label_diagonal(axes, [*obstacles, *outlines, medians], low, high, 7.5)
    axis_labels(axes)
    figure.legend(
        handles=_key(), loc="upper left", labelspacing=1.0, handlelength=2.0, borderaxespad=0,
        bbox_to_anchor=((_SIDE + 1.45) / width, 1 - 0.45 / figure.get_figheight()),
    )  # fmt: skip
    style.page(figure).text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def _pairs(found: xr.Dataset, name: str) -> np.ndarray:
    """Return the draws of θ_C and θ_N at level mean, (horizon, 2, sample)."""
    pools = (words.SOC, words.NECROMASS)
    return np.stack([draws_at(found, words.MEAN, name, "effect", outcome=pool) for pool in pools], axis=1)


def _window(outlines: list[np.ndarray], tolerance: float) -> tuple[float, float]:
    """Return limits, the same on both axes, that hold all regions and the origin."""
    together = np.concatenate([*outlines, np.zeros((1, 2))])
    low, high = float(together.min()), float(together.max())
    pad, least = 0.15 * (high - low), 5 * tolerance
    low, high = min(low - pad, -least), max(high + pad, least)
    return min(low, -0.45 * high), max(high, -0.45 * low)


def _line(axes: Axes, medians: np.ndarray, years: np.ndarray, longest: float) -> None:
    """Draw the path: solid as far as durations reach, dashed beyond, to the new steady state."""
    inside = years <= longest
    axes.plot(*medians[inside].T, color=style.INK, linewidth=1.5, zorder=4, gid="path")
    rest = ~inside
    rest[max(int(inside.sum()) - 1, 0)] = True
    axes.plot(*medians[rest].T, color=style.INK, linewidth=1.2, linestyle=(0, (3, 1.5)), zorder=4, gid="extrapolated")


def _points(axes: Axes, points: np.ndarray, years: np.ndarray) -> None:
    """Mark the years, each name at the side of the path that is farther from the 1:1 line.

    Years whose points stand close together share one name.
    """
    side = 1 if float(np.mean(points[:, 1] - points[:, 0])) >= 0 else -1
    names = ["∞" if not np.isfinite(year) else f"{year:g}" for year in years]
    for (x, y), name in zip(points, names, strict=True):
        axes.plot([x], [y], "s" if name == "∞" else "o", color=style.INK, markersize=5.0, zorder=5)
    places = (axes.transData - axes.figure.dpi_scale_trans).transform(points) * 72  # points of print
    first = 0
    for end in range(1, len(names) + 1):
        if end < len(names) and np.hypot(*(places[end] - places[first])) < _CLOSE:
            continue
        axes.annotate(
            ", ".join(names[first:end]), tuple(points[first]), (-5 * side, 4 * side), textcoords="offset points",
            size=8.0, ha="right" if side > 0 else "left", va="bottom" if side > 0 else "top", path_effects=HALO,
            zorder=6, gid="year",
        )  # fmt: skip
        first = end


def _key() -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=style.INK, linewidth=1.5, label="typical comparison (mean):\nmedians, year by year"),
        Line2D([], [], color=style.INK, linewidth=1.2, linestyle=(0, (3, 1.5)), label="beyond the longest duration"),
        Line2D([], [], color=style.INK, linestyle="", marker="o", markersize=5, label="years since the change"),
        Line2D([], [], color=style.INK, linestyle="", marker="s", markersize=5, label=f"∞: {STEADY_STATE}"),
        Patch(facecolor=style.INKS[1], alpha=0.35, edgecolor=style.INKS[1],
              label=f"{100 * PROB:g} % highest-density region\nof each year marked"),
    ]  # fmt: skip


def _note(result: xr.DataTree) -> str:
    found = group(result, words.FORECAST)
    longest = horizon_name(float(found.attrs["longest_duration"]))
    return (
        f"Sector borders are the tolerances ({targets.tolerance_words(result)}); on the 1:1 line the ratio "
        f"necromass/SOC does not change. The longest duration of the table is {longest}. Medians of both effects are "
        "taken one by one."
    )
