"""Trajectories: both pools and their ratio over the years, with intervals, and where they end."""

from typing import Any, Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mcpbayes import vocabulary as words
from mcpbayes.estimands.tree import group, specification
from mcpbayes.monte_carlo.summaries import interval
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.futures import along_years, beyond, draws_at

#: Inner band.
_INNER: Final = 0.5

#: What stands in each panel: variable, outcome, label of the axis, colour.
_PANELS: Final = (
    ("effect", words.NECROMASS, "necromass, change in %", style.INKS[1]),
    ("effect", words.SOC, "SOC, change in %", style.INKS[0]),
    ("delta_mcp", None, "ΔMCP, percentage points", style.INKS[2]),
)

_WIDE: Final = 2.05
_END: Final = 0.34
_TALL: Final = 1.9
_LEFT: Final = 0.62
_ACROSS: Final = 3.15


def trajectories(result: xr.DataTree, *, name: str | None = None, until: float | None = None) -> Figure:
    """Draw what necromass, SOC and their ratio do over the years.

    Parameters
    ----------
    result : xr.DataTree
        With the group ``forecast``.
    name : str, optional
        Target; by default the average.
    until : float, optional
        Last year; by default the last that was asked for.

    Returns
    -------
    matplotlib.figure.Figure
        Line and bands: median, 50 % and the summary's interval of the typical comparison (level mean); dashed: the
        interval of a comparison in a new study (level new). At the right of each panel the new steady state. Strokes:
        durations of the table; shaded: years beyond the longest.

    Raises
    ------
    StageError
        If ``forecast`` was not called.
    ValueError
        If there is no such target or year.
    """
    found, chosen = along_years(result, name, until)
    with style.drawing():
        return style.settled(_draw(result, found, chosen))


def _draw(result: xr.DataTree, found: xr.Dataset, name: str) -> style.Picture:
    width = _LEFT + 3 * _ACROSS - 0.25
    note = lettering.wrap(_note(result), width - 0.4, 7.0)
    below = lettering.note_height(note) + 1.05
    figure = style.picture(width, below + _TALL + 0.45)
    page = style.page(figure)
    years = group(result, words.DATA)[words.DURATION].values
    for place, (variable, outcome, label, colour) in enumerate(_PANELS):
        left = _LEFT + place * _ACROSS
        axes = style.panel(figure, left, below, _WIDE, _TALL)
        end = style.panel(figure, left + _WIDE + 0.06, below, _END, _TALL)
        _panel(axes, end, result, found, name, variable, outcome, colour)
        axes.set_ylabel(label)
        axes.set_xlabel("years since the change")
        style.strokes(axes, years)
    shown = "" if name == words.AVERAGE else f": {targets.shown_name(name)}"
    title = lettering.fit(f"Both pools over time{shown}", width - 0.4, 9.0, "bold")
    page.text(0.2, figure.get_figheight() - 0.2, title, size=9.0, weight="bold", gid="title")
    figure.legend(
        handles=_key(result), loc="lower center", ncols=4, columnspacing=2.0, borderaxespad=0,
        bbox_to_anchor=(0.5, (below - 0.80) / figure.get_figheight()),
    )  # fmt: skip
    page.text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def _panel(
    axes: Axes,
    end: Axes,
    result: xr.DataTree,
    found: xr.Dataset,
    name: str,
    variable: str,
    outcome: str | None,
    colour: str,
) -> None:
    """Draw one quantity over the years, and at its new steady state."""
    scale = 100.0 if variable == "delta_mcp" else 1.0
    section = specification(result).summary
    mean, new = (scale * draws_at(found, level, name, variable, outcome) for level in (words.MEAN, words.NEW))
    inner, outer = (interval(mean, section.interval_kind, prob) for prob in (_INNER, section.interval_prob))
    wide = interval(new, section.interval_kind, section.interval_prob)
    middle, finite = np.median(mean, axis=1), np.isfinite(found["years"].values)
    years = found["years"].values[finite]
    axes.set(xlim=(0, years.max()))
    low, high = float(np.min(wide[0])), float(np.max(wide[1]))
    pad = 0.06 * (high - low)
    for each in (axes, end):
        each.set_ylim(min(low, outer[0].min()) - pad, max(high, outer[1].max()) + pad)
        each.axhline(0, color=style.MUTED, linewidth=0.6, zorder=1)
    for (lower, upper), alpha in ((outer, 0.22), (inner, 0.30)):
        axes.fill_between(years, lower[finite], upper[finite], color=colour, alpha=alpha, linewidth=0, zorder=2)
    axes.plot(years, middle[finite], color=colour, linewidth=1.6, zorder=3, gid="median")
    for edge in wide:
        axes.plot(years, edge[finite], color=colour, linewidth=0.9, linestyle=(0, (4, 2)), zorder=3, gid="new")
    _end(end, [float(values[-1]) for values in (middle, *inner, *outer, *wide)], colour)
    beyond(axes, float(found.attrs["longest_duration"]))
    _ticks(axes, variable)
    axes.spines[["right", "top"]].set_visible(False)


def _end(axes: Axes, values: list[float], colour: str) -> None:
    """Draw median and intervals at the new steady state."""
    middle, inner_low, inner_high, low, high, new_low, new_high = values
    axes.plot([0, 0], [low, high], color=colour, linewidth=1.4, alpha=0.6)
    axes.plot([0, 0], [inner_low, inner_high], color=colour, linewidth=4, alpha=0.6, solid_capstyle="butt")
    axes.plot([0], [middle], "o", color=colour, markersize=4)
    axes.plot([0.5, 0.5], [new_low, new_high], color=colour, linewidth=0.9, linestyle=(0, (4, 2)))
    axes.set(xlim=(-0.5, 1.0), xticks=[0.25], xticklabels=["∞"], yticks=[])
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.set_facecolor(style.STRIPE)


def _ticks(axes: Axes, variable: str) -> None:
    if variable == "effect":
        at, labels = style.percent_ticks(*axes.get_ylim(), most=6)
    else:
        at = style.inner_ticks(*axes.get_ylim(), most=6)
        labels = [lettering.signed(value, 0 if abs(value - round(value)) < 1e-9 else 1) for value in at]
    axes.set_yticks(at, labels)


def _key(result: xr.DataTree) -> list[Line2D | Patch]:
    prob = 100 * specification(result).summary.interval_prob
    looks: dict[str, Any] = {"edgecolor": "none", "facecolor": style.MUTED}
    return [
        Line2D([], [], color=style.MUTED, linewidth=1.6, label="median, typical comparison (mean)"),
        Patch(alpha=0.55, label="its 50 % interval", **looks),
        Patch(alpha=0.25, label=f"its {prob:g} % interval", **looks),
        Line2D([], [], color=style.MUTED, linestyle=(0, (4, 2)), linewidth=0.9, label=f"{prob:g} %, new study (new)"),
    ]


def _note(result: xr.DataTree) -> str:
    overlap = "how far durations tell the turnover rates stands in summary.csv (prior_overlap)"
    return (
        "Effects of treatment against a control at steady state. Percent changes on a log scale; outer intervals are "
        f"{targets.interval_words(result)}s. ∞: new steady state. Strokes: durations in the table; "
        f"shaded: beyond the longest, where the model extrapolates; {overlap}."
    )
