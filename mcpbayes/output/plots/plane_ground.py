"""The ground of the scenario plane: sectors with their codes, the 1:1 line and both readings of the axes."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import coarsening, tolerances
from mcpbayes.output.plots import lettering, style
from mcpbayes.output.plots.regions import rim_places, sectors
from mcpbayes.specification.structure import Scheme

HALO: Final = (patheffects.withStroke(linewidth=2.2, foreground="white"),)


def ground(axes: Axes, low: float, high: float, scheme: Scheme, size: float) -> list[np.ndarray]:
    """Draw the sectors, their codes at the rim and the 1:1 line; return where the codes stand."""
    tolerance = tolerances(scheme)
    coarser, _, place = coarsening(scheme)
    code_of = {code: coarser[at] for code, at in zip(words.SCENARIOS, place, strict=True)}
    shown = {code: lettering.shorten(new, 9) for code, new in code_of.items()}
    ticks = style.inner_ticks(low, high)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", xticks=ticks, yticks=ticks)
    unit = (high - low) / style.width_in_inches(axes)
    widest = max(lettering.text_width(code, size) for code in shown.values())
    inset = ((widest / 2 + 0.06) * unit, (size / 72 / 2 + 0.06) * unit)
    places = rim_places(low, high, inset, tolerance)
    for code, polygon in sectors(low, high, tolerance).items():
        if len(polygon):
            colour = style.colour_of(code_of[code], scheme.merge)
            axes.add_patch(Polygon(polygon, facecolor=colour, edgecolor="none", alpha=0.15, zorder=0))
            axes.add_patch(Polygon(polygon, facecolor="none", edgecolor="#a8a8a8", linewidth=0.5, zorder=0.5))
    middle: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 6}
    for code, (x, y) in places.items():
        axes.text(x, y, shown[code], size=size, color=style.INK, gid="rim", path_effects=HALO, **middle)
    axes.axline((0, 0), slope=1, color=style.INK, linewidth=0.9, zorder=1)
    axes.axhline(0, color=style.MUTED, linewidth=0.5, linestyle=":", zorder=1)
    axes.axvline(0, color=style.MUTED, linewidth=0.5, linestyle=":", zorder=1)
    return list(places.values())


def label_diagonal(axes: Axes, obstacles: Sequence[np.ndarray], low: float, high: float, size: float) -> None:
    """Write "ΔMCP = 0" along the 1:1 line where it is farthest from everything else."""
    unit = (high - low) / style.width_in_inches(axes)
    half = (lettering.text_width("ΔMCP = 0", size) / 2 + 0.05) * unit / np.sqrt(2)
    candidates = np.linspace(low + 2 * half, high - 2 * half, 41)
    taken = np.concatenate([np.atleast_2d(o) for o in (*obstacles, np.zeros(2)) if len(o)])
    far = [min(np.hypot(*(taken - t - shift).T).min() for shift in (-half, 0, half)) for t in candidates]
    t = float(candidates[int(np.argmax(far))])
    axes.annotate(
        "ΔMCP = 0", (t, t), (-2.5, 2.5), textcoords="offset points", rotation=45, rotation_mode="anchor",
        ha="center", va="bottom", size=size, path_effects=HALO, gid="diagonal", zorder=6,
    )  # fmt: skip


def axis_labels(axes: Axes, bottom: bool = True, left: bool = True, right: bool = True) -> None:
    """Label both readings of both axes, or keep only their ticks."""
    axes.set_xlabel("SOC effect, ln(treated / control)" if bottom else "")
    axes.set_ylabel("Necromass effect, ln(treated / control)" if left else "")
    style.percent_axis(axes, "top", "Change in SOC, %")
    style.percent_axis(axes, "right", "Change in necromass, %" if right else "")
